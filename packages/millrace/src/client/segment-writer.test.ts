import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Address, Host } from '../base/host.ts'
import type { AnyMessage } from '../protocol/wire/commands.ts'
import { deferred } from '../testing/deferred.ts'
import { type FakePeer, FakeStore } from '../testing/fake-store.ts'
import type { World } from '../testing/sim/world.ts'
import { simulate } from '../testing/sim/simulate.ts'
import { Completion } from './completion.ts'
import { Locations } from './locations.ts'
import { SegmentWriter, type SegmentWriterParts } from './segment-writer.ts'
import { SlabPool } from './slab-pool.ts'
import { StorePool } from './store-pool.ts'

const S = 'scope/stream/0.#epoch.0'

interface Bench {
  readonly store: FakeStore
  readonly host: Host
  readonly parts: SegmentWriterParts
  readonly writer: SegmentWriter
  readonly seen: string[]
  /** Pushes at the end of the queue and waits until the event is durable. */
  write(text: string): Promise<void>
  readonly ended: Promise<void>
}

/** A test that plays in a world of its own. */
function inWorld(scenario: (world: World) => Promise<void>): () => Promise<void> {
  return async () => {
    await simulate(1, scenario)
  }
}

async function bench(world: World): Promise<Bench> {
  const store = new FakeStore()
  const listener = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
  const { host } = world.node('client')
  const ended = deferred<void>()
  const parts = partsFor(host, listener.address)
  const seen: string[] = []
  const writer = new SegmentWriter(parts, S, {
    onDurable: () => undefined,
    onEnded: () => ended.resolve(),
    onFailed: (failed, error) => failed.queue.fail(error),
  })
  const write = (text: string): Promise<void> => {
    const completion = new Completion()
    writer.queue.pushText(text, 0.5, completion)
    writer.wake()
    return completion.done()
  }
  return { store, host, parts, writer, seen, write, ended: ended.promise }
}

function partsFor(host: Host, address: Address): SegmentWriterParts {
  const locations = new Locations(async () => address)
  return { host, locations, pool: new StorePool(host), slabs: new SlabPool() }
}

function frames(store: FakeStore): number[] {
  const counts: number[] = []
  store.intercept = (message) => {
    if (message.kind === 'append-block-end') counts.push(message.eventCount)
    return false
  }
  return counts
}

test(
  'events of one turn leave as one frame, and arrive in order',
  inWorld(async (world) => {
    const { store, write } = await bench(world)
    const segment = store.create(S)
    const counts = frames(store)
    await Promise.all(['a', 'b', 'c'].map(write))
    deepStrictEqual(segment.events, ['a', 'b', 'c'])
    deepStrictEqual(counts, [3])
  }),
)

test(
  'while frames are under way small events wait and grow into one',
  inWorld(async (world) => {
    const { store, write } = await bench(world)
    const segment = store.create(S)
    await write('first')
    const counts = frames(store)
    const writes: Promise<void>[] = []
    for (let i = 0; i < 200; i++) {
      writes.push(write(`event ${i}`))
      await world.sleep(0.005)
    }
    await Promise.all(writes)
    strictEqual(segment.events.length, 201)
    ok(counts.length < 60, `${counts.length} frames`)
  }),
)

test(
  'trap 13: an acknowledgement covers all up to its event',
  inWorld(async (world) => {
    const { store, write } = await bench(world)
    const segment = store.create(S)
    await write('first')
    // The store keeps two acknowledgements back, and sends one for all three.
    let swallowed = 2
    store.intercept = (message, peer) => {
      if (message.kind !== 'append-block-end') return false
      if (swallowed-- > 0) {
        const { send } = peer
        peer.send = () => undefined
        peer.handle(message)
        peer.send = send
        return true
      }
      return false
    }
    const writes: Promise<void>[] = []
    for (const text of ['a', 'b', 'c']) {
      writes.push(write(text))
      await world.sleep(5)
    }
    await Promise.all(writes)
    deepStrictEqual(segment.events, ['first', 'a', 'b', 'c'])
  }),
)

test(
  'trap 11: what was stored though its acknowledgement was lost is not stored again',
  inWorld(async (world) => {
    const { store, write } = await bench(world)
    const segment = store.create(S)
    const frame = ({ kind }: AnyMessage): boolean => kind === 'append-block-end'
    let lost = 2
    store.intercept = (message, peer) => {
      if (!frame(message) || lost-- <= 0) return false
      if (lost === 1) peer.handle(message)
      peer.connection.destroy()
      return true
    }
    await Promise.all([write('a'), write('b')])
    await write('c')
    deepStrictEqual(segment.events, ['a', 'b', 'c'])
    ok(store.connectionsTaken >= 2)
  }),
)

test(
  'trap 14: an append that came behind a failed one starts a session of its own',
  inWorld(async (world) => {
    const { store, write } = await bench(world)
    const segment = store.create(S)
    let refused = 1
    store.intercept = (message, peer) => {
      if (message.kind !== 'append-block-end' || refused-- <= 0) return false
      const { requestId } = message
      peer.send({
        kind: 'error-message',
        requestId,
        segment: S,
        message: 'disk-full: no room',
        errorCode: -1,
      })
      return true
    }
    const failing = write('a').catch((error: Error) => error.message)
    match(String(await failing), /no room/)
    await write('b')
    deepStrictEqual(segment.events, ['b'])
  }),
)

test(
  'trap 18, trap 19: a sealed segment keeps its events, and hands back those it did not take',
  inWorld(async (world) => {
    const { store, writer, write, ended } = await bench(world)
    const segment = store.create(S)
    await write('a')
    segment.sealed = true
    void write('b')
    void write('c')
    await ended
    const handedBack: string[] = []
    writer.queue.moveAll((event) => handedBack.push(event.toString()))
    deepStrictEqual(handedBack, ['b', 'c'])
    deepStrictEqual(segment.events, ['a'])
  }),
)

test(
  'trap 20: a segment that does not exist is one that has ended',
  inWorld(async (world) => {
    const { writer, write, ended } = await bench(world)
    void write('a')
    await ended
    strictEqual(writer.queue.events, 1)
  }),
)

test(
  'a store that acknowledges what it was not sent is not believed',
  inWorld(async (world) => {
    const { store, write } = await bench(world)
    const segment = store.create(S)
    let lies = 1
    store.intercept = (message, peer: FakePeer) => {
      if (message.kind !== 'append-block-end' || lies-- <= 0) return false
      peer.send({
        kind: 'data-appended',
        writerId: message.writerId,
        eventNumber: 99,
        previousEventNumber: -1,
        requestId: message.requestId,
        segmentWriteOffset: 0,
      })
      return true
    }
    await write('a')
    deepStrictEqual(segment.events, ['a'])
    strictEqual(store.connectionsTaken, 2)
  }),
)

test(
  'no more than the window is under way, and all of it arrives',
  inWorld(async (world) => {
    const { store, write } = await bench(world)
    const segment = store.create(S)
    await write('first')
    const held: (() => void)[] = []
    let bytesHeld = 0
    store.intercept = (message, peer) => {
      if (message.kind !== 'append-block-end') return false
      bytesHeld += message.data.length
      const copy = { ...message, data: Buffer.from(message.data) }
      held.push(() => peer.handle(copy))
      return true
    }
    const writes = Array.from({ length: 20 }, () => write('x'.repeat(500_000)))
    await world.sleep(1000)
    ok(bytesHeld > 3_000_000 && bytesHeld <= 4 * 1024 * 1024, `${bytesHeld} bytes`)
    store.intercept = undefined
    for (const release of held) release()
    await Promise.all(writes)
    strictEqual(segment.events.length, 21)
  }),
)

test('exactly once and in order, through broken connections and cut frames', async () => {
  for (let seed = 0; seed < 30; seed++) {
    await simulate(seed, async (world) => {
      const { weather } = world.network
      weather.breakChance = 0.03
      weather.refuseChance = 0.2
      weather.slowReaders = seed % 2 === 0
      const { store, write } = await bench(world)
      const segment = store.create(S)
      const expected: string[] = []
      const writes: Promise<void>[] = []
      for (let i = 0; i < 300; i++) {
        const text = `${i} ${'x'.repeat(world.random.integer(2000))}`
        expected.push(text)
        writes.push(write(text))
        if (world.random.chance(0.3)) await world.sleep(world.random.integer(3))
      }
      await Promise.all(writes)
      deepStrictEqual(segment.events, expected)
    })
  }
})

test(
  'a writer that is closed while it connects begins nothing that nobody would end',
  inWorld(async (world) => {
    const { writer, write, store, parts } = await bench(world)
    const writing = write('never sent')
    await Promise.resolve()
    await new Promise<void>((resolve) => parts.host.clock.defer(resolve))
    writer.close()
    writer.queue.fail(new Error('closed'))
    await writing.catch(() => undefined)
    store.intercept = ({ kind }) => {
      strictEqual(kind, 'hello')
      return false
    }
    await world.sleep(1000)
    const connection = await parts.pool.connect(await parts.locations.find(S))
    strictEqual(connection.waiting, 0)
    strictEqual(store.connectionsTaken, 1)
  }),
)
