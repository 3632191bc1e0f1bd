import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { parseStreamCut } from '../../protocol/stream-cut.ts'
import { FakeController } from '../../testing/fake-controller.ts'
import { withGroups } from '../../testing/fake-groups.ts'
import { FakeStore } from '../../testing/fake-store.ts'
import { idsOf, numbered, type Order, run } from '../../testing/group-scene.ts'
import { simulate } from '../../testing/sim/simulate.ts'
import type { World } from '../../testing/sim/world.ts'
import { createStore, type Store } from '../store.ts'
import type { Stream } from '../stream.ts'

interface Scene {
  readonly world: World
  readonly store: FakeStore
  readonly controller: FakeController
  readonly orders: Stream<Order>
  /** Another client's handle of the same stream. */
  other(name: string): Stream<Order>
  /** Splits a segment in two, or merges some; resolves with the new ones' ids. */
  scale(sealed: readonly bigint[], ...highs: readonly number[]): readonly bigint[]
}

/** A stream that scales when a test wants it to, in a world of its own. */
function scene(segments: number, scenario: (scene: Scene) => Promise<void>): () => Promise<void> {
  return async () => {
    await simulate(1, async (world) => {
      const store = new FakeStore()
      const { address } = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
      const controller = new FakeController(store, address)
      const client = { ...withGroups(controller), close: async (): Promise<void> => undefined }
      const open: Store[] = []
      const other = (name: string): Stream<Order> => {
        const made = createStore({ host: world.node(name).host, controller: client })
        open.push(made)
        return made.stream<Order>('shop/orders', {
          key: (order) => order.customer,
          create: { scaling: { segments } },
        })
      }
      const scale = (sealed: readonly bigint[], ...highs: readonly number[]): readonly bigint[] =>
        controller.scale('shop/orders', sealed, highs)
      await scenario({ world, store, controller, orders: other('one'), other, scale })
      for (const each of open) await each.close()
    })
  }
}

/** Those of each customer, in the order in which they came. */
function perCustomer(seen: readonly number[]): number[][] {
  return Array.from({ length: 23 }, (_, customer) => seen.filter((id) => id % 23 === customer))
}

test(
  'readers go on behind segments that were split and merged, each key in order, each event once',
  scene(2, async ({ world, orders, other, scale }) => {
    const seen: number[] = []
    const one = run(orders.group('billing').reader(), seen)
    await orders.writeAll(numbered(0, 100))
    const two = run(other('two').group('billing').reader(), seen)
    await world.sleep(15_000)
    const [low, high] = scale([0n], 0.25, 0.5)
    await orders.writeAll(numbered(100, 200))
    await world.sleep(5000)
    scale([high!, 1n], 1)
    await orders.writeAll(numbered(200, 300))
    await world.sleep(15_000)
    ok(low !== undefined)
    await one.stop()
    await orders.writeAll(numbered(300, 400))
    await world.sleep(10_000)
    await two.stop()
    deepStrictEqual(perCustomer(seen), perCustomer(numbered(0, 400).map(({ id }) => id)))
    deepStrictEqual(await orders.group('billing').lag(), { bytes: 0, readers: [] })
  }),
)

test(
  'until the tail: what others read before a merge is waited for by those who read on, not by who ends',
  scene(2, async ({ orders, world, scale }) => {
    await orders.writeAll(numbered(0, 50))
    scale([0n, 1n], 1)
    await orders.writeAll(numbered(50, 80))
    const billing = orders.group('billing')
    const read = await idsOf(billing.reader({ until: 'tail' }))
    deepStrictEqual(perCustomer(read), perCustomer(numbered(0, 80).map(({ id }) => id)))
    await world.sleep(10)
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), [])
  }),
)

test(
  'until a cut in the past: nothing behind it, also when the stream has scaled since',
  scene(1, async ({ orders, scale }) => {
    await orders.writeAll(numbered(0, 10))
    const early = await orders.cut('tail')
    await orders.writeAll(numbered(10, 20))
    scale([0n], 0.5, 1)
    await orders.writeAll(numbered(20, 30))
    const billing = orders.group('billing')
    deepStrictEqual(
      await idsOf(billing.reader({ until: early })),
      numbered(0, 10).map(({ id }) => id),
    )
    deepStrictEqual(await idsOf(billing.reader({ until: early })), [])
    strictEqual((await idsOf(billing.reader({ until: 'tail' }))).length, 20)
    deepStrictEqual(await idsOf(billing.reader({ until: early })), [])
  }),
)

test(
  'a checkpoint amid a merge covers all keys: a group that is reset to it reads on over the merge',
  scene(2, async ({ orders, other, world, scale }) => {
    const seen: number[] = []
    const one = run(orders.group('billing').reader(), seen)
    await orders.writeAll(numbered(0, 40))
    await world.sleep(100)
    await one.stop()
    // A reader of the first segment alone goes to its end; the second one waits.
    scale([0n, 1n], 1)
    const billing = other('two').group('billing')
    const cut = await billing.checkpoint()
    const positions = parseStreamCut(cut.cuts['shop/orders']!).positions
    deepStrictEqual([...positions.keys()], [0n, 1n])
    await orders.writeAll(numbered(40, 60))
    deepStrictEqual(
      perCustomer(await idsOf(billing.reader({ until: 'tail' }))),
      perCustomer(numbered(40, 60).map(({ id }) => id)),
    )
    await billing.reset(cut)
    deepStrictEqual(
      perCustomer(await idsOf(billing.reader({ until: 'tail' }))),
      perCustomer(numbered(40, 60).map(({ id }) => id)),
    )
  }),
)

test(
  'trap 34: successors wait until all segments before them have been read, by whichever reader',
  scene(2, async ({ orders, other, world, scale, store }) => {
    await orders.writeAll(numbered(0, 60))
    const seen: number[] = []
    const group = other('two').group('billing')
    const one = group.reader()
    const stuck = group.reader()
    const events = stuck[Symbol.asyncIterator]()
    await events.next()
    await orders.writeAll(numbered(60, 70))
    const [merged] = scale([0n, 1n], 1)
    await orders.writeAll(numbered(70, 100))
    const reading = run(one, seen)
    await world.sleep(20_000)
    // One reader has finished its segment; what is merged waits for the other's.
    ok(seen.every((id) => id < 70) && merged !== undefined)
    const checkpoint = await orders.group('billing').checkpoint()
    const before = [...seen]
    const { positions } = parseStreamCut(checkpoint.cuts['shop/orders']!)
    deepStrictEqual(
      [...positions.keys()].toSorted((one, two) => Number(one - two)),
      [0n, 1n],
    )
    strictEqual(
      [...positions].filter(
        ([id, offset]) => offset === store.segment(`shop/orders/${id}.#epoch.0`).data.length,
      ).length,
      1,
    )
    await stuck.close()
    await world.sleep(10_000)
    await reading.stop()
    deepStrictEqual(perCustomer(seen), perCustomer(numbered(0, 100).map(({ id }) => id)))
    await group.reset(checkpoint)
    const again = await idsOf(group.reader({ until: 'tail' }))
    strictEqual(again.length + before.length, 100)
    strictEqual(new Set([...before, ...again]).size, 100)
  }),
)
