/** A group over a stream that scales while it is read, with the real controller and store. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { parseStreamCut } from '../../protocol/stream-cut.ts'
import { type GroupScene, groupScene, idsOf, numbered, type Order, run } from '../../testing/group-scene.ts'
import { groupState } from '../../testing/group-state.ts'
import { showCut } from '../cuts.ts'
import type { Stream } from '../stream.ts'

interface Scene extends GroupScene {
  readonly orders: Stream<Order>
  /** The same stream, as a client on another machine has it. */
  other(name: string): Stream<Order>
}

/** The stream has so many segments, and may have fewer. */
function scene(segments: number, scenario: (scene: Scene) => Promise<void>): () => Promise<void> {
  return () =>
    groupScene(1, async (bare) => {
      const other = (name: string): Stream<Order> => bare.ordersOf(bare.client(name).store)
      const orders = other('one')
      await orders.create()
      if (segments > 1) await orders.scale(segments)
      await scenario({ ...bare, orders, other })
    })
}

const range = (from: number, to: number): number[] => numbered(from, to).map(({ id }) => id)

/** Those of each customer, in the order in which they came. */
function perCustomer(seen: readonly number[]): number[][] {
  return Array.from({ length: 23 }, (_, customer) => seen.filter((id) => id % 23 === customer))
}

/** One process after the other sees events; a key's are in order over all of them. */
function deliveredOnce(seen: readonly number[], count: number): void {
  deepStrictEqual(perCustomer(seen), perCustomer(range(0, count)))
}

test(
  'three readers, a stream that splits and merges again and again: each event once, each key in order',
  scene(1, async ({ orders, other, world, embedded }) => {
    const seen: number[] = []
    const readers = ['a', 'b', 'c'].map((name) => run(other(name).group('billing').reader(), seen))
    let written = 0
    for (const count of [3, 2, 7, 1, 4, 6]) {
      await orders.writeAll(numbered(written, (written += 40)))
      await orders.scale(count)
      await orders.writeAll(numbered(written, (written += 40)))
      await world.sleep(count * 700)
    }
    await world.sleep(20_000)
    deliveredOnce(seen, written)
    // All read, and all have their share.
    const { state } = await groupState(embedded(), 'shop/billing')
    strictEqual(state.segmentCount, 6)
    deepStrictEqual(
      state.readers.map((reader) => state.segmentsOf(reader)?.size),
      [2, 2, 2],
    )
    deepStrictEqual((await orders.group('billing').lag()).bytes, 0)
    for (const reader of readers) await reader.stop()
  }),
)

test(
  'a stream that scales gives readers that had nothing to do a share, and takes it when it shrinks',
  scene(1, async ({ orders, other, world, embedded }) => {
    await orders.writeAll(numbered(0, 10))
    const seen: number[] = []
    const readers = ['a', 'b', 'c', 'd'].map((name) => run(other(name).group('billing').reader(), seen))
    const shares = async (): Promise<number[]> => {
      const { state } = await groupState(embedded(), 'shop/billing')
      return state.readers
        .map((reader) => state.segmentsOf(reader)?.size ?? 0)
        .toSorted((one, other) => one - other)
    }
    await world.sleep(15_000)
    deepStrictEqual(await shares(), [0, 0, 0, 1])
    await orders.scale(8)
    await world.sleep(20_000)
    deepStrictEqual(await shares(), [2, 2, 2, 2])
    await orders.scale(2)
    await world.sleep(20_000)
    deepStrictEqual(await shares(), [0, 0, 1, 1])
    await readers.pop()?.stop()
    await orders.writeAll(numbered(10, 30))
    await world.sleep(20_000)
    deepStrictEqual(await shares(), [0, 1, 1])
    for (const reader of readers) await reader.stop()
    deliveredOnce(seen, 30)
  }),
)

test(
  'a checkpoint from before a scale brings back what came after it, over splits and merges',
  scene(2, async ({ orders, other, world }) => {
    const billing = orders.group('billing')
    const seen: number[] = []
    const readers = ['a', 'b'].map((name) => run(other(name).group('billing').reader(), seen))
    await orders.writeAll(numbered(0, 50))
    await world.sleep(10_000)
    const before = await billing.checkpoint()
    deepStrictEqual(parseStreamCut(before.cuts['shop/orders']!).positions.size, 2)
    await orders.writeAll(numbered(50, 100))
    await orders.scale(5)
    await orders.writeAll(numbered(100, 150))
    await world.sleep(100)
    const amid = await billing.checkpoint()
    await orders.scale(1)
    await orders.writeAll(numbered(150, 200))
    await world.sleep(20_000)
    deliveredOnce(seen, 200)
    seen.length = 0
    await billing.reset(before)
    await world.sleep(20_000)
    deepStrictEqual(perCustomer(seen), perCustomer(range(50, 200)))
    seen.length = 0
    await billing.reset(amid)
    await world.sleep(20_000)
    deepStrictEqual(perCustomer(seen), perCustomer(range(150, 200)))
    for (const reader of readers) await reader.stop()
    deepStrictEqual(await billing.lag(), { bytes: 0, readers: [] })
  }),
)

test(
  'a cut through segments of different epochs is a place like any other',
  scene(2, async ({ orders }) => {
    const { topology } = await orders.info()
    const [low] = topology.segments
    await orders.writeAll(numbered(0, 30))
    await orders.scale({
      seal: [low!.id],
      into: [
        { low: 0, high: 0.2 },
        { low: 0.2, high: 0.5 },
      ],
    })
    await orders.writeAll(numbered(30, 60))
    const cut = await orders.cut('tail')
    const epochs = new Set([...parseStreamCut(cut).positions.keys()].map((id) => id >> 32n))
    strictEqual(epochs.size, 2)
    await orders.scale(1)
    await orders.writeAll(numbered(60, 90))
    const from = orders.group('late', { from: cut })
    deepStrictEqual(perCustomer(await idsOf(from.reader({ until: 'tail' }))), perCustomer(range(60, 90)))
    const upTo = orders.group('early').reader({ until: cut })
    deepStrictEqual(perCustomer(await idsOf(upTo)), perCustomer(range(0, 60)))
    await from.reset(cut)
    strictEqual((await idsOf(from.reader({ until: 'tail' }))).length, 30)
  }),
)

test(
  'lag counts what lies in segments that nobody has come to yet',
  scene(2, async ({ orders }) => {
    await orders.writeAll(numbered(0, 20))
    const billing = orders.group('billing')
    await idsOf(billing.reader({ until: 'tail' }))
    const sizeOf = async (): Promise<number> => (await orders.info()).bytes
    const readBytes = await sizeOf()
    await orders.scale(5)
    await orders.writeAll(numbered(20, 40))
    await orders.scale(1)
    await orders.writeAll(numbered(40, 60))
    strictEqual((await billing.lag()).bytes, (await sizeOf()) - readBytes)
    strictEqual((await idsOf(billing.reader({ until: 'tail' }))).length, 40)
    strictEqual((await billing.lag()).bytes, 0)
  }),
)

test(
  'the end of a sealed stream that has scaled ends all of its readers, those with nothing to do and those up to the tail too',
  scene(2, async ({ orders, other, world }) => {
    await orders.writeAll(numbered(0, 40))
    const seen: number[] = []
    const readers = ['a', 'b', 'c', 'd'].map((name) => run(other(name).group('billing').reader(), seen))
    await world.sleep(10_000)
    await orders.scale(3)
    await orders.writeAll(numbered(40, 80))
    await orders.scale(1)
    await orders.writeAll(numbered(80, 120))
    await orders.seal()
    const last = run(other('e').group('billing').reader({ until: 'tail' }), seen)
    for (const { over } of [...readers, last]) await over
    deliveredOnce(seen, 120)
    deepStrictEqual(await orders.group('billing').lag(), { bytes: 0, readers: [] })
  }),
)

test(
  'a cut that Java made of a group amid a merge does not name what was finished: reading goes on behind it all the same',
  scene(2, async ({ orders }) => {
    await orders.writeAll(numbered(0, 30))
    const cut = await orders.cut('tail')
    await orders.scale(1)
    await orders.writeAll(numbered(30, 50))
    // The first segment was read to its end, and was in the hands of nobody.
    const [, second] = parseStreamCut(cut).positions
    const amid = showCut({ scope: 'shop', name: 'orders' }, new Map([second!]))
    const billing = orders.group('billing', { from: amid })
    deepStrictEqual(perCustomer(await idsOf(billing.reader({ until: 'tail' }))), perCustomer(range(30, 50)))
    await billing.reset(amid)
    strictEqual((await idsOf(billing.reader({ until: 'tail' }))).length, 20)
  }),
)

test(
  'the number of segments is told when reading begins and when it changes, once for all readers of a handle',
  scene(2, async ({ orders, world, diagnostics }) => {
    await orders.writeAll(numbered(0, 10))
    const billing = orders.group('billing')
    const readers = [run(billing.reader()), run(billing.reader())]
    await world.sleep(1000)
    await orders.scale(4)
    await world.sleep(10_000)
    await billing.lag()
    await orders.scale(1)
    await world.sleep(10_000)
    const told = diagnostics.filter((one) => one.kind === 'segments-changed')
    ok(told.every(({ group, readers: count }) => group === 'shop/billing' && count <= 2))
    const counts = told.map(({ segments }) => segments)
    // It begins with the one segment that the stream began with.
    strictEqual(counts[0], 1)
    ok(counts.includes(2) && counts.includes(4))
    strictEqual(counts.at(-1), 1)
    ok(
      counts.every((count, at) => count !== counts[at - 1]),
      'each is a change',
    )
    for (const reader of readers) await reader.stop()
  }),
)
