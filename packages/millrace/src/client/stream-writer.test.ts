import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { StreamConfig } from '../protocol/controller/messages.ts'
import { routingKeyHash } from '../protocol/hash.ts'
import { segmentNameOfId } from '../protocol/names.ts'
import { FakeController } from '../testing/fake-controller.ts'
import { FakeStore } from '../testing/fake-store.ts'
import { simulate } from '../testing/sim/simulate.ts'
import type { World } from '../testing/sim/world.ts'
import { Completion } from './completion.ts'
import { MillraceError, streamNotFound } from './errors.ts'
import { Locations } from './locations.ts'
import { SlabPool } from './slab-pool.ts'
import { steadyController } from './steady-controller.ts'
import { StorePool } from './store-pool.ts'
import { StreamWriter } from './stream-writer.ts'
import { StreamMetadata } from './stream-metadata.ts'

interface Bench {
  readonly store: FakeStore
  readonly controller: FakeController
  readonly writer: StreamWriter
  write(key: string, text: string): Promise<void>
  events(id: bigint): string[]
  create(segments: number): Promise<void>
}

/** A test that plays in a world of its own. */
function inWorld(scenario: (world: World) => Promise<void>): () => Promise<void> {
  return async () => {
    await simulate(1, scenario)
  }
}

async function bench(world: World, options: { bytesMax?: number } = {}): Promise<Bench> {
  const store = new FakeStore()
  const { address } = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
  const controller = new FakeController(store, address)
  controller.scopes.add('shop')
  const { host } = world.node('client')
  const pool = new StorePool(host)
  const steady = steadyController({ host, controller: controller.service, closing: pool.closing })
  const parts = { host, pool, locations: new Locations(async () => address), slabs: new SlabPool() }
  const metadata = new StreamMetadata(steady, { scope: 'shop', name: 'orders' })
  const writer = new StreamWriter(parts, metadata, {
    bytesMax: options.bytesMax ?? 1_000_000,
    onMissing: () => Promise.reject(streamNotFound('shop/orders')),
  })
  return {
    store,
    controller,
    writer,
    write(key, text) {
      const completion = new Completion()
      writer.pushText(text, routingKeyHash(key), completion)
      return completion.done()
    },
    events: (id) => store.segment(segmentNameOfId('shop', 'orders', id)).events,
    async create(segments) {
      await controller.service.createStream(configOf(segments))
    },
  }
}

function configOf(segments: number): StreamConfig {
  return {
    streamInfo: { scope: 'shop', stream: 'orders' },
    scalingPolicy: { scaleType: 0, targetRate: 0, scaleFactor: 0, minNumSegments: segments },
    timestampAggregationTimeout: 0n,
    rolloverSizeBytes: 0n,
  }
}

function failsWith(code: MillraceError['code']) {
  return (error: unknown): boolean => error instanceof MillraceError && error.code === code
}

test(
  'keys go where Pravega sends them, also those that came before the segments were known',
  inWorld(async (world) => {
    const { create, write, events } = await bench(world)
    await create(4)
    const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`)
    await Promise.all(keys.map((key) => write(key, key)))
    await write('late', 'late')
    for (let number = 0; number < 4; number++) {
      for (const key of events(BigInt(number))) {
        const hash = routingKeyHash(key)
        ok(hash > number / 4 && hash <= (number + 1) / 4, `${key} with ${hash} in segment ${number}`)
      }
    }
  }),
)

test(
  'a writer over its budget says when there is room again',
  inWorld(async (world) => {
    const { create, writer, write } = await bench(world, { bytesMax: 1000 })
    await create(1)
    const small = write('a', 'x'.repeat(500))
    const roomBefore = writer.room
    strictEqual(roomBefore, undefined)
    const large = write('a', 'x'.repeat(500))
    const { room } = writer
    ok(room !== undefined)
    strictEqual(writer.room, room)
    await room
    ok(writer.bytes <= 750)
    await Promise.all([small, large])
    strictEqual(writer.bytes, 0)
  }),
)

test(
  'a stream that does not exist, and one that is sealed, fail what was pushed, and are asked again',
  inWorld(async (world) => {
    const { create, controller, write, writer, events } = await bench(world)
    await rejects(write('a', 'lost'), failsWith('stream-not-found'))
    await create(2)
    await write('a', 'kept')
    await controller.service.sealStream({ scope: 'shop', stream: 'orders' })
    await rejects(write('a', 'too late'), failsWith('stream-sealed'))
    await rejects(Promise.all([write('a', 'still'), write('b', 'too late')]), failsWith('stream-sealed'))
    strictEqual(writer.bytes, 0)
    await controller.service.deleteStream({ scope: 'shop', stream: 'orders' })
    await rejects(write('a', 'gone'), failsWith('stream-not-found'))
    await create(2)
    await Promise.all([write('a', 'again'), write('b', 'again')])
    deepStrictEqual([...events(2n), ...events(3n)], ['again', 'again'])
  }),
)

test(
  'a controller that is away for a while is asked until it is back',
  inWorld(async (world) => {
    const { create, controller, write, events } = await bench(world)
    await create(1)
    const { service } = controller
    let away = 5
    controller.before = async () => {
      const { ControllerError } = await import('../protocol/controller/service.ts')
      if (away-- > 0) throw new ControllerError('unavailable', 'away')
    }
    await write('a', 'patient')
    ok(service !== undefined)
    deepStrictEqual(events(0n), ['patient'])
  }),
)

test(
  'trap 19: after a split the keys of a segment go on in its successors, in order',
  inWorld(async (world) => {
    const { create, controller, write, events, store } = await bench(world)
    await create(1)
    await write('a', 'a1')
    // While the store is silent, some events are on their way and others wait.
    store.intercept = (message) => message.kind === 'append-block-end'
    const later = [write('a', 'a2'), write('b', 'b1'), write('a', 'a3')]
    await world.sleep(10)
    const [left, right] = controller.scale('shop/orders', [0n], [0.5, 1])
    store.intercept = undefined
    store.breakConnections()
    await Promise.all([...later, write('a', 'a4')])
    deepStrictEqual(events(0n), ['a1'])
    const moved = [...events(left!), ...events(right!)]
    deepStrictEqual(
      moved.filter((event) => event.startsWith('a')),
      ['a2', 'a3', 'a4'],
    )
    ok(moved.includes('b1'))
  }),
)

test('order per key and exactly once, while a stream splits and merges over a bad network', async () => {
  for (let seed = 0; seed < 25; seed++) {
    await simulate(seed, async (world) => {
      const { create, controller, write, store } = await bench(world)
      const { weather } = world.network
      weather.breakChance = 0.02
      weather.refuseChance = 0.1
      await create(2)
      const written = new Map<string, string[]>()
      const writes: Promise<void>[] = []
      for (let i = 0; i < 400; i++) {
        const key = `key-${world.random.integer(12)}`
        const text = `${key} ${i}`
        written.set(key, [...(written.get(key) ?? []), text])
        writes.push(write(key, text))
        if (world.random.chance(0.2)) await world.sleep(world.random.integer(4))
        if (world.random.chance(0.03)) scaleSomehow(world, controller)
      }
      await Promise.all(writes)
      // Ids rise along every chain of successors, so this is the order in which a reader meets the events of a key.
      const stream = controller.streams.get('shop/orders')!
      const stored = [...stream.ranges.keys()]
        .toSorted((one, two) => Number(one - two))
        .flatMap((id) => store.segment(segmentNameOfId('shop', 'orders', id)).events)
      for (const [key, expected] of written)
        deepStrictEqual(
          stored.filter((event) => event.startsWith(`${key} `)),
          expected,
        )
      strictEqual(stored.length, 400)
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
