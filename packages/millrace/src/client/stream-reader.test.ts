import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { routingKeyHash } from '../protocol/hash.ts'
import { segmentNameOfId } from '../protocol/names.ts'
import { FakeController } from '../testing/fake-controller.ts'
import { FakeStore } from '../testing/fake-store.ts'
import { simulate } from '../testing/sim/simulate.ts'
import type { World } from '../testing/sim/world.ts'
import { MillraceError } from './errors.ts'
import { Locations } from './locations.ts'
import { StorePool } from './store-pool.ts'
import { StreamReader } from './stream-reader.ts'
import { type Cut, StreamMetadata } from './stream-metadata.ts'

interface Bench {
  readonly store: FakeStore
  readonly controller: FakeController
  readonly gaps: { segment: string; from: number; to: number }[]
  /** Appends where the key belongs at this moment. */
  append(key: string, text: string): void
  read(options: { from?: Cut; until?: Cut }): StreamReader
  tail(): Cut
}

async function bench(world: World, segments: number): Promise<Bench> {
  const store = new FakeStore()
  const { address } = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
  const controller = new FakeController(store, address)
  controller.scopes.add('shop')
  await controller.service.createStream({
    streamInfo: { scope: 'shop', stream: 'orders' },
    scalingPolicy: { scaleType: 0, targetRate: 0, scaleFactor: 0, minNumSegments: segments },
    timestampAggregationTimeout: 0n,
    rolloverSizeBytes: 0n,
  })
  const { host } = world.node('client')
  const stream = controller.streams.get('shop/orders')!
  const segmentOf = (id: bigint) => store.segment(segmentNameOfId('shop', 'orders', id))
  const gaps: Bench['gaps'] = []
  return {
    store,
    controller,
    gaps,
    append(key, text) {
      const hash = routingKeyHash(key)
      const ranges = stream.current.map((id) => stream.ranges.get(id)!)
      const range = ranges.find(({ low, high }) => hash > low && hash <= high)!
      const header = Buffer.alloc(8)
      header.writeInt32BE(text.length, 4)
      segmentOf(range.id).append(Buffer.concat([header, Buffer.from(text)]))
    },
    read({ from = stream.head, until }) {
      const parts = { host, locations: new Locations(async () => address), pool: new StorePool(host) }
      const metadata = new StreamMetadata(controller.service, { scope: 'shop', name: 'orders' })
      return new StreamReader(parts, metadata, { from, until, onGap: (gap) => gaps.push(gap) })
    },
    tail: () => new Map(stream.current.map((id) => [id, segmentOf(id).data.length])),
  }
}

async function collect(reader: StreamReader): Promise<string[]> {
  const events: string[] = []
  for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) {
    for (let at = 0; at < batch.data.length; ) {
      const length = batch.data.readInt32BE(at + 4)
      events.push(batch.data.toString('utf8', at + 8, at + 8 + length))
      at += 8 + length
    }
  }
  return events
}

function inWorld(
  segments: number,
  scenario: (bench: Bench, world: World) => Promise<void>,
): () => Promise<void> {
  return async () => {
    await simulate(1, async (world) => scenario(await bench(world, segments), world))
  }
}

test(
  'a cut ends reading also where the stream has scaled since, and another one begins it there',
  inWorld(2, async (b) => {
    b.append('a', 'a1')
    b.append('b', 'b1')
    const first = b.tail()
    b.append('a', 'a2')
    b.controller.scale('shop/orders', [0n, 1n], [1])
    b.append('a', 'a3')
    const second = b.tail()
    b.append('b', 'b2')
    deepStrictEqual((await collect(b.read({ until: first }))).toSorted(), ['a1', 'b1'])
    deepStrictEqual((await collect(b.read({ from: first, until: second }))).toSorted(), ['a2', 'a3'])
    deepStrictEqual((await collect(b.read({ until: second }))).toSorted(), ['a1', 'a2', 'a3', 'b1'])
    deepStrictEqual(await collect(b.read({ from: second, until: second })), [])
  }),
)

test(
  'a segment that a cut says was read to its end is passed over',
  inWorld(1, async (b) => {
    b.append('a', 'a1')
    b.controller.scale('shop/orders', [0n], [0.5, 1])
    b.append('a', 'a2')
    deepStrictEqual(await collect(b.read({ from: new Map([[0n, -1]]), until: b.tail() })), ['a2'])
  }),
)

test(
  'a stream that is deleted while it is read ends with an error, one that is sealed just ends',
  inWorld(2, async (b, world) => {
    b.append('a', 'a1')
    const sealed = collect(b.read({}))
    await world.sleep(10)
    await b.controller.service.sealStream({ scope: 'shop', stream: 'orders' })
    deepStrictEqual(await sealed, ['a1'])
    await b.controller.service.deleteStream({ scope: 'shop', stream: 'orders' })
    await rejects(
      collect(b.read({ from: new Map([[0n, 0]]) })),
      (error) => error instanceof MillraceError && error.code === 'stream-not-found',
    )
  }),
)

test(
  'what had been truncated away is reported, and reading goes on',
  inWorld(1, async (b) => {
    b.append('a', 'a1')
    b.append('a', 'a2')
    b.store.segment('shop/orders/0.#epoch.0').startOffset = 10
    deepStrictEqual(await collect(b.read({ until: b.tail() })), ['a2'])
    deepStrictEqual(b.gaps, [{ segment: 'shop/orders/0.#epoch.0', from: 0, to: 10 }])
  }),
)

test('trap 34: events of a key come in order and once, through any splits and merges', async () => {
  for (let seed = 0; seed < 25; seed++) {
    await simulate(seed, async (world) => {
      const b = await bench(world, 2)
      const { weather } = world.network
      weather.breakChance = 0.01
      weather.refuseChance = 0.1
      const reading = collect(b.read({}))
      const written = new Map<string, string[]>()
      for (let i = 0; i < 300; i++) {
        const key = `key-${world.random.integer(12)}`
        const text = `${key} ${i}`
        written.set(key, [...(written.get(key) ?? []), text])
        b.append(key, text)
        if (world.random.chance(0.2)) await world.sleep(world.random.integer(5))
        if (world.random.chance(0.04)) scaleSomehow(world, b.controller)
      }
      await b.controller.service.sealStream({ scope: 'shop', stream: 'orders' })
      const read = await reading
      strictEqual(read.length, 300)
      for (const [key, expected] of written)
        deepStrictEqual(
          read.filter((text) => text.startsWith(`${key} `)),
          expected,
        )
    })
  }
})

function scaleSomehow(world: World, controller: FakeController): void {
  const { current, ranges } = controller.streams.get('shop/orders')!
  const sorted = current.map((id) => ranges.get(id)!).toSorted((one, two) => one.low - two.low)
  const at = world.random.integer(sorted.length)
  const range = sorted[at]!
  const next = sorted[at + 1]
  if (next !== undefined && world.random.chance(0.5))
    controller.scale('shop/orders', [range.id, next.id], [next.high])
  else controller.scale('shop/orders', [range.id], [(range.low + range.high) / 2, range.high])
}
