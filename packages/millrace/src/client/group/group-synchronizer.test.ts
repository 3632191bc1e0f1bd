import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupInit, GroupUpdate } from '../../protocol/reader-group/group-updates.ts'
import { randomUuid } from '../../protocol/uuid.ts'
import { FakeStore } from '../../testing/fake-store.ts'
import { simulate } from '../../testing/sim/simulate.ts'
import type { SimNode, World } from '../../testing/sim/world.ts'
import { isMillraceError } from '../errors.ts'
import { Locations } from '../locations.ts'
import { segmentCalls } from '../segment-client.ts'
import { StorePool } from '../store-pool.ts'
import { newGroupConfig } from './group-configuration.ts'
import { GroupLog } from './group-log.ts'
import { GroupSynchronizer, type SynchronizerOptions } from './group-synchronizer.ts'

const S = 'shop/_RGbilling/0.#epoch.0'
const SEGMENTS = 40

interface Bench {
  readonly store: FakeStore
  readonly init: GroupInit
  open(node: SimNode, options?: SynchronizerOptions): GroupSynchronizer
}

/** A test that plays in a world of its own. */
function inWorld(scenario: (bench: Bench, world: World) => Promise<void>, seed = 1): () => Promise<void> {
  return async () => {
    await simulate(seed, async (world) => {
      const store = new FakeStore()
      const { address } = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
      store.create(S)
      const pools: StorePool[] = []
      const config = newGroupConfig('shop/orders', undefined, randomUuid(world.node('client').host.random))
      const segments = Array.from(
        { length: SEGMENTS },
        (_, number) => [`shop/orders/${number}.#epoch.0`, { offset: 0, range: undefined }] as const,
      )
      const open = ({ host }: SimNode, options?: SynchronizerOptions): GroupSynchronizer => {
        const pool = new StorePool(host)
        pools.push(pool)
        const locations = new Locations(async () => address)
        const parts = { host, locations, pool, segments: segmentCalls({ host, locations, pool }) }
        const log = new GroupLog(parts, { group: 'shop/billing', segment: S })
        return new GroupSynchronizer(host, log, options)
      }
      const init = {
        kind: 'start',
        config,
        segments: new Map(segments),
        endSegments: new Map(),
        updatingConfig: false,
      } as const
      await scenario({ store, init, open }, world)
      for (const pool of pools) pool.close()
    })
  }
}

function add(group: GroupSynchronizer, reader: string): Promise<boolean> {
  return group.update((state) => {
    const isNew = !state.isReaderOnline(reader)
    return { updates: isNew ? [{ kind: 'add-reader', reader }] : [], result: isNew }
  })
}

test(
  'whoever is first makes the state, everybody has it',
  inWorld(async ({ open, init, store }, world) => {
    const groups = ['a', 'b', 'c'].map((name) => open(world.node(name)))
    await Promise.all(groups.map((group) => group.fetch()))
    ok(groups.every((group) => !group.isInitialized))
    await Promise.all(groups.map((group) => group.initialize(init)))
    strictEqual(store.segment(S).events.length, 1)
    for (const group of groups) deepStrictEqual(group.state.compact(), groups[0]!.state.compact())
    strictEqual(groups[0]!.state.unassigned.size, SEGMENTS)
  }),
)

test(
  'competitors decide anew until they are first: every change is made once, on the latest state',
  inWorld(async ({ open, init }, world) => {
    world.network.weather.breakChance = 0.01
    const groups = ['a', 'b', 'c', 'd'].map((name) => open(world.node(name), { compactionBytesMin: 2000 }))
    await groups[0]!.initialize(init)
    await Promise.all(groups.map((group) => group.fetch()))
    // Everyone takes segments, one at a time and as many as there are.
    const taken = await Promise.all(
      groups.map(async (group, index) => {
        const reader = `reader-${index}`
        await add(group, reader)
        let count = 0
        for (;;) {
          const took = await group.update((state) => {
            const [segment] = state.unassigned.keys()
            const updates: GroupUpdate[] =
              segment === undefined ? [] : [{ kind: 'acquire-segment', reader, segment }]
            return { updates, result: updates.length > 0 }
          })
          if (!took) return count
          count++
          await group.compactIfNeeded()
        }
      }),
    )
    strictEqual(
      taken.reduce((sum, count) => sum + count, 0),
      SEGMENTS,
    )
    await Promise.all(groups.map((group) => group.fetch()))
    for (const group of groups) deepStrictEqual(group.state.compact(), groups[0]!.state.compact())
    strictEqual(groups[0]!.state.unassigned.size, 0)
  }),
)

test(
  'compaction moves the mark and truncates to the one before; who starts and who lags come to the same state',
  inWorld(async ({ open, init, store }, world) => {
    const writer = open(world.node('a'), { compactionBytesMin: 3000 })
    const lagging = open(world.node('b'))
    await writer.initialize(init)
    await lagging.fetch()
    for (let round = 0; round < 600; round++) {
      await add(writer, 'anna')
      await writer.update(() => ({
        updates: [{ kind: 'remove-reader', reader: 'anna', owned: new Map() }],
        result: undefined,
      }))
      await writer.compactIfNeeded()
    }
    await add(writer, 'bert')
    const { startOffset } = store.segment(S)
    ok(startOffset > 0)
    // A state a fifth of the time, some 3000 bytes and a while after the last: never all that was written.
    ok(store.segment(S).data.length - startOffset < 60_000)
    const late = open(world.node('c'))
    await late.fetch()
    await lagging.fetch()
    deepStrictEqual(late.state.compact(), writer.state.compact())
    deepStrictEqual(lagging.state.compact(), writer.state.compact())
    deepStrictEqual(lagging.state.readers, ['bert'])
    // Both can write on.
    strictEqual(await add(lagging, 'cleo'), true)
    strictEqual(await add(late, 'cleo'), false)
  }),
)

test(
  'a state that was given up for a truncated one stays what it was until there is the new one',
  inWorld(async ({ open, init }, world) => {
    const writer = open(world.node('a'))
    const lagging = open(world.node('b'))
    await writer.initialize(init)
    await lagging.fetch()
    for (const reader of ['anna', 'bert', 'cleo']) {
      await add(writer, reader)
      await writer.compact()
    }
    await add(writer, 'dora')
    const fetching = lagging.fetch()
    deepStrictEqual(lagging.state.readers, [])
    await fetching
    deepStrictEqual(lagging.state.readers, ['anna', 'bert', 'cleo', 'dora'])
  }),
)

test(
  'fetches that are asked for together are one; listeners hear of every change',
  inWorld(async ({ open, init, store }, world) => {
    const one = open(world.node('a'))
    const other = open(world.node('b'))
    await one.initialize(init)
    await other.fetch()
    let heard = 0
    const end = other.onChange(() => heard++)
    await add(one, 'anna')
    await add(one, 'bert')
    let asked = 0
    store.intercept = ({ kind }) => {
      if (kind === 'get-stream-segment-info') asked++
      return false
    }
    await Promise.all([other.fetch(), other.fetch(), other.fetch()])
    strictEqual(asked, 1)
    strictEqual(heard, 2)
    end()
    await add(other, 'cleo')
    strictEqual(heard, 2)
    strictEqual(other.joinsOf('anna'), 1)
    strictEqual(other.joinsOf('nobody'), 0)
  }),
)

test(
  'a stream with something in it that is no change is damage that is named; one that is gone is no group',
  inWorld(async ({ open, init, store }, world) => {
    const group = open(world.node('a'))
    await group.initialize(init)
    const at = store.segment(S).data.length
    store.segment(S).append(Buffer.from([0, 0, 0, 0, 0, 0, 0, 2, 7, 7]))
    await rejects(group.fetch(), (error) => {
      ok(isMillraceError(error))
      strictEqual(error.code, 'internal')
      ok(error.message.includes(`shop/billing has a change at ${at}`), error.message)
      return true
    })
    store.segments.delete(S)
    const notFound = { code: 'group-not-found', group: 'shop/billing' }
    await rejects(group.fetch(), notFound)
    await rejects(open(world.node('b')).fetch(), notFound)
    await rejects(add(group, 'anna'), notFound)
  }),
)
