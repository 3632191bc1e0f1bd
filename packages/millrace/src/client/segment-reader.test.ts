import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Address, Host } from '../base/host.ts'
import { encodeSegmentRead } from '../protocol/wire/bulk.ts'
import { FakeStore } from '../testing/fake-store.ts'
import { simulate } from '../testing/sim/simulate.ts'
import type { World } from '../testing/sim/world.ts'
import { Locations } from './locations.ts'
import { type Chunk, SegmentReader } from './segment-reader.ts'
import { StorePool } from './store-pool.ts'

const S = 'scope/stream/0.#epoch.0'

interface Bench {
  readonly store: FakeStore
  read(options?: { offset?: number; endOffset?: number; readBytes?: number }): Reading
}

interface Reading {
  readonly reader: SegmentReader
  next(): Promise<Chunk>
  /** All events until something else comes, and what that is. */
  rest(): Promise<{ events: string[]; last: Chunk }>
}

/** A test that plays in a world of its own. */
function inWorld(scenario: (bench: Bench, world: World) => Promise<void>): () => Promise<void> {
  return async () => {
    await simulate(1, async (world) => scenario(await bench(world), world))
  }
}

async function bench(world: World): Promise<Bench> {
  const store = new FakeStore()
  const { address } = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
  const { host } = world.node('client')
  return { store, read: (options = {}) => reading(host, address, options) }
}

function reading(
  host: Host,
  address: Address,
  options: { offset?: number; endOffset?: number; readBytes?: number },
): Reading {
  let ready = (): void => undefined
  const parts = { host, locations: new Locations(async () => address), pool: new StorePool(host) }
  const reader = new SegmentReader(parts, {
    segment: S,
    offset: options.offset ?? 0,
    endOffset: options.endOffset,
    readBytes: () => options.readBytes ?? 1000,
    onReady: () => ready(),
  })
  reader.start()
  const next = async (): Promise<Chunk> => {
    for (;;) {
      const chunk = reader.take()
      if (chunk !== undefined) return chunk
      await new Promise<void>((resolve) => {
        ready = resolve
      })
    }
  }
  const rest = async (): Promise<{ events: string[]; last: Chunk }> => {
    const events: string[] = []
    for (;;) {
      const last = await next()
      if (last.kind !== 'events') return { events, last }
      events.push(...eventsIn(last.data))
    }
  }
  return { reader, next, rest }
}

function event(text: string): Buffer {
  const header = Buffer.alloc(8)
  header.writeInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([header, Buffer.from(text)])
}

function eventsIn(data: Buffer): string[] {
  const events: string[] = []
  for (let at = 0; at < data.length; ) {
    const length = data.readInt32BE(at + 4)
    events.push(data.toString('utf8', at + 8, at + 8 + length))
    at += 8 + length
  }
  return events
}

test(
  'events come whole, however the store cuts its answers',
  inWorld(async ({ store, read }) => {
    const segment = store.create(S)
    const texts = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat((i * 37) % 120)}`)
    for (const text of texts) segment.append(event(text))
    segment.sealed = true
    for (const readBytes of [1, 7, 100, 5000, 100_000]) {
      const { events, last } = await read({ readBytes }).rest()
      deepStrictEqual(events, texts)
      deepStrictEqual(last, { kind: 'ended' })
    }
  }),
)

test(
  'an event larger than a read is put together',
  inWorld(async ({ store, read }) => {
    const segment = store.create(S)
    const large = 'y'.repeat(3_000_000)
    for (const text of ['before', large, 'behind']) segment.append(event(text))
    segment.sealed = true
    const { events } = await read({ readBytes: 1000 }).rest()
    deepStrictEqual(events, ['before', large, 'behind'])
  }),
)

test(
  'trap 22: at the tail it waits, and sees what is appended, and the seal',
  inWorld(async ({ store, read }, world) => {
    const segment = store.create(S)
    const { next, rest } = read()
    const first = next()
    await world.sleep(60_000)
    segment.append(event('a'))
    const chunk = await first
    ok(chunk.kind === 'events' && eventsIn(chunk.data)[0] === 'a' && chunk.offset === 0)
    const ending = rest()
    await world.sleep(5)
    segment.append(event('b'))
    await world.sleep(5)
    segment.sealed = true
    segment.wake()
    deepStrictEqual(await ending, { events: ['b'], last: { kind: 'ended' } })
  }),
)

test(
  'trap 21, trap 22: an empty answer of a store that stops is no end, another one is asked',
  inWorld(async ({ store, read }) => {
    const segment = store.create(S)
    let cancelled = 2
    store.intercept = (message, peer) => {
      if (message.kind !== 'read-segment' || cancelled-- <= 0) return false
      const { offset, requestId } = message
      const head = { segment: S, offset, requestId, atTail: true, endOfSegment: false }
      for (const piece of encodeSegmentRead(head, [])) peer.connection.write(piece)
      segment.append(event('late'))
      segment.sealed = true
      return true
    }
    deepStrictEqual((await read().rest()).events, ['late', 'late'])
  }),
)

test(
  'an end offset ends before the first event behind it',
  inWorld(async ({ store, read }) => {
    const segment = store.create(S)
    for (const text of ['a', 'b', 'c']) segment.append(event(text))
    deepStrictEqual(await read({ endOffset: 18 }).rest(), { events: ['a', 'b'], last: { kind: 'limit' } })
    deepStrictEqual(await read({ endOffset: 18, readBytes: 4 }).rest(), {
      events: ['a', 'b'],
      last: { kind: 'limit' },
    })
    // Inside an event: that one still belongs to what was asked for.
    deepStrictEqual(await read({ endOffset: 11 }).rest(), { events: ['a', 'b'], last: { kind: 'limit' } })
    deepStrictEqual(await read({ offset: 9, endOffset: 9 }).rest(), { events: [], last: { kind: 'limit' } })
  }),
)

test(
  'trap 25: behind a truncation it goes on where the segment starts now',
  inWorld(async ({ store, read }) => {
    const segment = store.create(S)
    for (const text of ['a', 'b', 'c']) segment.append(event(text))
    segment.startOffset = 18
    segment.sealed = true
    const { next, rest } = read()
    deepStrictEqual(await next(), { kind: 'gap', from: 0, to: 18 })
    deepStrictEqual((await rest()).events, ['c'])
  }),
)

test(
  'trap 20: a segment that does not exist is reported as missing',
  inWorld(async ({ read }) => {
    deepStrictEqual((await read().rest()).last, { kind: 'missing' })
  }),
)

test(
  'bytes that are no events are named, not guessed at',
  inWorld(async ({ store, read }) => {
    const segment = store.create(S)
    segment.append(event('good'))
    segment.append(Buffer.from('ffffffff00000004aaaaaaaa', 'hex'))
    const { events, last } = await read().rest()
    deepStrictEqual(events, ['good'])
    ok(last.kind === 'failed')
    match(String(last.error), /0\.#epoch\.0:12 cannot be decoded: no event, its header is -1, 4/)
    const other = store.create(S)
    other.append(Buffer.from('000000007fffffff', 'hex'))
    const { last: huge } = await read().rest()
    ok(huge.kind === 'failed')
    match(String(huge.error), /its header is 0, 2147483647/)
    const cut = store.create(S)
    cut.append(event('whole'))
    cut.append(event('half').subarray(0, 10))
    cut.sealed = true
    const { last: half } = await read().rest()
    ok(half.kind === 'failed')
    match(String(half.error), /:13 cannot be decoded: no event, the segment ends within it/)
  }),
)

test(
  'what is not taken is not read ahead beyond two chunks',
  inWorld(async ({ store, read }, world) => {
    const segment = store.create(S)
    for (let i = 0; i < 100; i++) segment.append(event('x'.repeat(92)))
    let reads = 0
    store.intercept = (message) => {
      if (message.kind === 'read-segment') reads++
      return false
    }
    const { reader, next } = read({ readBytes: 1000 })
    await world.sleep(1000)
    strictEqual(reads, 2)
    await next()
    await world.sleep(1000)
    strictEqual(reads, 3)
    reader.close()
  }),
)

test('a broken connection and a moved segment are not noticed', async () => {
  for (let seed = 0; seed < 20; seed++) {
    await simulate(seed, async (world) => {
      const { weather } = world.network
      weather.breakChance = 0.05
      weather.refuseChance = 0.2
      const { store, read } = await bench(world)
      const segment = store.create(S)
      store.intercept = (message, peer) => {
        if (message.kind !== 'read-segment' || world.random.chance(0.9)) return false
        const { requestId } = message
        peer.send({ kind: 'wrong-host', requestId, segment: S, correctHost: '', serverStackTrace: '' })
        return true
      }
      const texts = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(world.random.integer(300))}`)
      const appending = (async () => {
        for (const text of texts) {
          segment.append(event(text))
          if (world.random.chance(0.3)) await world.sleep(world.random.integer(5))
        }
        segment.sealed = true
        segment.wake()
      })()
      const { events, last } = await read({ readBytes: 2000 }).rest()
      deepStrictEqual(last, { kind: 'ended' })
      deepStrictEqual(events, texts)
      await appending
    })
  }
})
