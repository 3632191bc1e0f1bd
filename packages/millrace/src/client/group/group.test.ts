import { deepStrictEqual, ok, rejects, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { parseStreamCut } from '../../protocol/stream-cut.ts'
import type { Server } from '../../server/server.ts'
import { type GroupScene, groupScene, idsOf, numbered, type Order, run } from '../../testing/group-scene.ts'
import { groupState } from '../../testing/group-state.ts'
import { type ErrorCode, isMillraceError } from '../errors.ts'
import type { Store } from '../store.ts'
import type { Stream } from '../stream.ts'

interface Scene extends GroupScene {
  readonly store: Store
  readonly orders: Stream<Order>
}

/** A test with a server and a client of its own, in a world of its own. */
function scene(segments: number, scenario: (scene: Scene) => Promise<void>): () => Promise<void> {
  return () =>
    groupScene(segments, async (bare) => {
      const { store } = bare.client('one')
      await scenario({ ...bare, store, orders: bare.ordersOf(store) })
    })
}

function failsWith(code: ErrorCode, message?: RegExp) {
  return (error: unknown): boolean =>
    isMillraceError(error) && error.code === code && (message?.test(error.message) ?? true)
}

const byNumber = (one: number, other: number): number => one - other

test(
  'a group remembers where it stopped: reading again brings what is new',
  scene(3, async ({ orders }) => {
    await orders.writeAll(numbered(0, 50))
    const billing = orders.group('billing')
    deepStrictEqual((await idsOf(billing.reader({ until: 'tail' }))).toSorted(byNumber), [
      ...Array(50).keys(),
    ])
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), [])
    await orders.writeAll(numbered(50, 60))
    deepStrictEqual(
      (await idsOf(orders.group('billing').reader({ until: 'tail' }))).toSorted(byNumber),
      numbered(50, 60).map(({ id }) => id),
    )
    // Another group has a memory of its own.
    strictEqual((await idsOf(orders.group('shipping').reader({ until: 'tail' }))).length, 60)
  }),
)

test(
  'the first read makes the stream and the group',
  scene(1, async ({ orders, store }) => {
    deepStrictEqual(await idsOf(orders.group('billing').reader({ until: 'tail' })), [])
    deepStrictEqual(await orders.group('billing').lag(), { bytes: 0, readers: [] })
    const missing = store.stream<Order>('shop/missing', { key: null, create: false })
    await rejects(idsOf(missing.group('other').reader()), failsWith('stream-not-found'))
    for (const name of ['', 'a/b', '_x', 'a b'])
      throws(() => orders.group(name), failsWith('invalid-argument'))
    throws(() => orders.group('billing').reader({ id: '/' }), failsWith('invalid-argument'))
  }),
)

test(
  'a new group starts where it is told to, one that exists goes on',
  scene(1, async ({ orders }) => {
    await orders.writeAll(numbered(0, 3))
    const cut = await orders.cut('tail')
    await orders.writeAll(numbered(3, 5))
    deepStrictEqual(await idsOf(orders.group('late', { from: 'tail' }).reader({ until: 'tail' })), [])
    deepStrictEqual(await idsOf(orders.group('middle', { from: cut }).reader({ until: 'tail' })), [3, 4])
    await orders.writeAll(numbered(5, 6))
    deepStrictEqual(await idsOf(orders.group('late', { from: 'head' }).reader({ until: 'tail' })), [5])
    deepStrictEqual(await idsOf(orders.group('middle', { from: cut }).reader({ until: 'tail' })), [5])
    await rejects(idsOf(orders.group('x', { from: 'nonsense' }).reader()), failsWith('invalid-argument'))
  }),
)

test(
  'after a break or a throw the last event comes again, unless it was acknowledged',
  scene(1, async ({ orders }) => {
    await orders.writeAll(numbered(0, 10))
    const billing = orders.group('billing')
    for await (const { value } of billing.reader()) if (value.id === 2) break
    const failure = new Error('the program failed')
    const failing = async (): Promise<void> => {
      for await (const { value } of billing.reader()) {
        strictEqual(value.id, 2)
        throw failure
      }
    }
    await rejects(failing(), failure)
    for await (const event of billing.reader()) {
      if (event.value.id < 5) continue
      event.ack()
      break
    }
    for await (const batch of billing.reader().batches()) {
      deepStrictEqual(
        batch.map(({ value }) => value.id),
        [6, 7, 8, 9],
      )
      batch[1]?.ack()
      break
    }
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), [8, 9])
  }),
)

test(
  'a group that Java bounded by a cut ends its readers there',
  scene(2, async ({ orders, embedded }) => {
    await orders.writeAll(numbered(0, 20))
    const { positions } = parseStreamCut(await orders.cut('tail'))
    await orders.writeAll(numbered(20, 30))
    const streamInfo = { scope: 'shop', stream: 'orders' }
    await embedded()
      .server.connectController()
      .createReaderGroup({
        scope: 'shop',
        readerGroupName: 'bounded',
        groupRefreshTimeMillis: 3000n,
        automaticCheckpointIntervalMillis: -1n,
        maxOutstandingCheckpointRequest: 3,
        retentionType: 0,
        generation: 0n,
        readerGroupId: '00000000-0000-4000-8000-000000000001',
        startingStreamCuts: [{ streamInfo, cut: new Map() }],
        endingStreamCuts: [{ streamInfo, cut: positions }],
        rolloverSizeBytes: 0n,
      })
    const bounded = orders.group('bounded')
    deepStrictEqual((await idsOf(bounded.reader())).toSorted(byNumber), [...Array(20).keys()])
    deepStrictEqual(await idsOf(bounded.reader()), [])
    deepStrictEqual(await bounded.lag(), { bytes: 0, readers: [] })
  }),
)

test(
  'a reader waits for what comes, and ends by its signal or when it is closed',
  scene(2, async ({ orders, world }) => {
    const abort = new AbortController()
    const reading = run(orders.group('billing').reader({ signal: abort.signal }))
    for (let id = 0; id < 5; id++) {
      await orders.write({ id, customer: `${id}` })
      await world.sleep(100)
    }
    deepStrictEqual(reading.seen, [0, 1, 2, 3, 4])
    abort.abort(new Error('enough'))
    await rejects(reading.over, /enough/)
    // It had asked for the next one, and so was done with all before.
    deepStrictEqual(await idsOf(orders.group('billing').reader({ until: 'tail' })), [])

    const closing = orders.group('billing').reader()
    const waiting = run(closing)
    await world.sleep(100)
    await waiting.stop()
    deepStrictEqual(await idsOf(closing), [])
  }),
)

test(
  'readers that come and go share the stream while it is written: every event once, those of a key in order',
  scene(6, async ({ orders, world, client, ordersOf, embedded }) => {
    const seen: number[] = []
    const other = ordersOf(client('two').store)
    const billing = orders.group('billing')
    const everywhere = other.group('billing')
    const first = run(billing.reader(), seen)
    let written = 0
    const write = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        await orders.writeAll(numbered(written, written + 20))
        written += 20
        await world.sleep(200)
      }
    }
    await write(10)
    const second = run(everywhere.reader(), seen)
    await write(60)
    const third = run(billing.reader(), seen)
    await write(60)
    const shares = (await sharesOf(embedded())).toSorted(byNumber)
    deepStrictEqual(shares, [2, 2, 2])
    ok((await billing.lag()).readers.length === 3)
    await first.stop()
    await write(60)
    await third.stop()
    await write(20)
    await second.stop()
    seen.push(...(await idsOf(billing.reader({ until: 'tail' }))))
    deepStrictEqual(seen.toSorted(byNumber), [...Array(written).keys()])
    for (let customer = 0; customer < 23; customer++) {
      const ofCustomer = seen.filter((id) => id % 23 === customer)
      deepStrictEqual(ofCustomer, ofCustomer.toSorted(byNumber))
    }
  }),
)

async function sharesOf(embedded: { readonly server: Server }): Promise<number[]> {
  const group = await groupState(embedded, 'shop/billing')
  return group.state.readers.map((reader) => group.state.segmentsOf(reader)?.size ?? 0)
}
