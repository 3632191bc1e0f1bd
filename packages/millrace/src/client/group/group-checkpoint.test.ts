import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { parseStreamCut } from '../../protocol/stream-cut.ts'
import type { ReaderGroupConfiguration } from '../../protocol/controller/messages.ts'
import { type GroupScene, groupScene, idsOf, numbered, type Order, run } from '../../testing/group-scene.ts'
import { groupState } from '../../testing/group-state.ts'
import { type ErrorCode, isMillraceError } from '../errors.ts'
import type { Event } from '../events.ts'
import type { Stream } from '../stream.ts'

interface Scene extends GroupScene {
  readonly orders: Stream<Order>
}

function scene(segments: number, scenario: (scene: Scene) => Promise<void>): () => Promise<void> {
  return () =>
    groupScene(segments, async (bare) =>
      scenario({ ...bare, orders: bare.ordersOf(bare.client('one').store) }),
    )
}

function failsWith(code: ErrorCode, message?: RegExp) {
  return (error: unknown): boolean =>
    isMillraceError(error) && error.code === code && (message?.test(error.message) ?? true)
}

/** Bytes before the cut. */
function sizeOf(cut: string): number {
  return [...parseStreamCut(cut).positions.values()].reduce((sum, offset) => sum + offset, 0)
}

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((one, other) => one - other)
const range = (from: number, to: number): number[] => numbered(from, to).map(({ id }) => id)

test(
  'a checkpoint is where all readers are, and a reset to it brings what follows it, and only that',
  scene(4, async ({ orders, world, client, ordersOf }) => {
    const billing = orders.group('billing')
    const one = run(billing.reader())
    const other = run(ordersOf(client('two').store).group('billing').reader())
    await world.sleep(15_000)
    await orders.writeAll(numbered(0, 100))
    await world.sleep(100)
    ok(one.seen.length > 0 && other.seen.length > 0)
    const checkpoint = await billing.checkpoint({ name: 'hundred' })
    strictEqual(checkpoint.name, 'hundred')
    strictEqual(checkpoint.cuts['shop/orders'], await orders.cut('tail'))
    await orders.writeAll(numbered(100, 150))
    await world.sleep(1000)
    await billing.reset(checkpoint)
    await world.sleep(10_000)
    deepStrictEqual(sorted([...one.seen, ...other.seen]), sorted([...range(0, 150), ...range(100, 150)]))
    await one.stop()
    await other.stop()
    deepStrictEqual(await billing.lag(), { bytes: 0, readers: [] })
  }),
)

test(
  'a reader that is busy reports in the background, at its last acknowledged event',
  scene(1, async ({ orders, world }) => {
    await orders.writeAll(numbered(0, 10))
    const billing = orders.group('billing')
    const reader = billing.reader()
    const events = reader[Symbol.asyncIterator]() as AsyncIterator<Event<Order>>
    for (let count = 0; count < 4; count++) await events.next()
    const { cuts } = await billing.checkpoint()
    // The fourth is in the program's hands.
    const size = sizeOf(await orders.cut('tail'))
    strictEqual(sizeOf(cuts['shop/orders']!), (size * 3) / 10)
    const fifth = await events.next()
    strictEqual(fifth.value?.value.id, 4)
    fifth.value?.ack()
    const later = await billing.checkpoint()
    strictEqual(sizeOf(later.cuts['shop/orders']!), (size * 5) / 10)
    await reader.close()
    await world.sleep(10)
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), range(5, 10))
  }),
)

test(
  'a checkpoint of a group without readers is where they stopped; its name is used once',
  scene(2, async ({ orders }) => {
    await orders.writeAll(numbered(0, 10))
    const billing = orders.group('billing')
    await idsOf(billing.reader({ until: 'tail' }))
    const { name, cuts } = await billing.checkpoint()
    strictEqual(cuts['shop/orders'], await orders.cut('tail'))
    await rejects(billing.checkpoint({ name }), failsWith('invalid-argument', /already/))
    await rejects(billing.checkpoint({ name: 'x_SILENT_' }), failsWith('invalid-argument'))
    await rejects(billing.checkpoint({ name: '' }), failsWith('invalid-argument'))
    await billing.checkpoint({ name: 'next' })
    // The next one made the group forget it.
    strictEqual((await billing.checkpoint({ name })).name, name)
  }),
)

test(
  'checkpoints wait for each other when the group has as many as it may, and for readers until a signal',
  scene(1, async ({ orders, world, embedded }) => {
    await orders.write({ id: 0, customer: 'a' })
    const billing = orders.group('billing')
    await idsOf(billing.reader({ until: 'tail' }))
    const state = await groupState(embedded(), 'shop/billing')
    await state.update(() => ({ updates: [{ kind: 'add-reader', reader: 'java' }], result: undefined }))
    const abort = new AbortController()
    const names = ['a', 'b', 'c', 'd', 'e']
    const waiting = names.map((name) => billing.checkpoint({ name, signal: abort.signal }))
    for (const promise of waiting) promise.catch(() => undefined)
    await world.sleep(5000)
    await state.fetch()
    deepStrictEqual(state.state.checkpoints.outstanding(), ['a', 'b', 'c'])
    for (let count = 0; count < 5; count++) {
      await state.fetch()
      await state.update(({ checkpoints }) => {
        const checkpoint = checkpoints.pendingFor('java') ?? 'none'
        const positions = new Map<string, number>()
        return {
          updates: [{ kind: 'report-checkpoint', checkpoint, reader: 'java', positions }],
          result: undefined,
        }
      })
      await world.sleep(2000)
    }
    deepStrictEqual(
      (await Promise.all(waiting)).map(({ name }) => name),
      names,
    )
    const last = billing.checkpoint({ signal: abort.signal })
    await world.sleep(100)
    const reason = new Error('enough')
    abort.abort(reason)
    await rejects(last, reason)
  }),
)

test(
  'a group starts over at head, tail or a cut, and its readers with it',
  scene(2, async ({ orders, world }) => {
    await orders.writeAll(numbered(0, 20))
    const cut = await orders.cut('tail')
    await orders.writeAll(numbered(20, 30))
    const billing = orders.group('billing')
    const reading = run(billing.reader())
    await world.sleep(100)
    await billing.reset(cut)
    await world.sleep(1000)
    await billing.reset('head')
    await world.sleep(1000)
    deepStrictEqual(sorted(reading.seen), sorted([...range(0, 30), ...range(20, 30), ...range(0, 30)]))
    await reading.stop()
    await billing.reset('head')
    await billing.reset('tail')
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), [])
    await rejects(
      billing.reset({ name: 'x', cuts: {} }),
      failsWith('invalid-argument', /none of shop\/orders/),
    )
    await rejects(billing.reset('no cut'), failsWith('invalid-argument'))
  }),
)

test(
  'an event in hand when the group is reset is not taken for acknowledged afterwards',
  scene(1, async ({ orders, world }) => {
    await orders.writeAll(numbered(0, 10))
    const billing = orders.group('billing')
    const reader = billing.reader()
    const events = reader[Symbol.asyncIterator]() as AsyncIterator<Event<Order>>
    let last: Event<Order> | undefined
    for (let count = 0; count < 8; count++) last = (await events.next()).value
    await billing.reset('head')
    await world.sleep(5000)
    const first = await events.next()
    strictEqual(first.value?.value.id, 0)
    last?.ack()
    await reader.close()
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), range(0, 10))
  }),
)

test(
  'readers finish a reset whose maker died after the controller had it',
  scene(1, async ({ orders, world, embedded }) => {
    await orders.writeAll(numbered(0, 5))
    const billing = orders.group('billing')
    const reading = run(billing.reader())
    await world.sleep(100)
    const state = await groupState(embedded(), 'shop/billing')
    await state.update(() => ({
      updates: [{ kind: 'set-updating-config', updating: true }],
      result: undefined,
    }))
    const controller = embedded().server.connectController()
    const request = { scope: 'shop', readerGroup: 'billing', readerGroupId: '', generation: 0n }
    const { config } = await controller.getReaderGroupConfig(request)
    await controller.updateReaderGroup(config as ReaderGroupConfiguration)
    await world.sleep(10_000)
    deepStrictEqual(reading.seen, [...range(0, 5), ...range(0, 5)])
    await state.fetch()
    strictEqual(state.state.updatingConfig, false)
    strictEqual(state.state.config.generation, 1)
    await reading.stop()
  }),
)

test(
  'resets at the same time: one is last, and the group goes on from there',
  scene(1, async ({ orders, client, ordersOf, world }) => {
    await orders.writeAll(numbered(0, 6))
    const billing = orders.group('billing')
    await idsOf(billing.reader({ until: 'tail' }))
    const other = ordersOf(client('two').store).group('billing')
    await Promise.all([billing.reset('head'), other.reset('head'), billing.reset('head')])
    await world.sleep(100)
    deepStrictEqual(await idsOf(other.reader({ until: 'tail' })), range(0, 6))
  }),
)

test(
  'readers make checkpoints by themselves, and what is not to be retained is told to the controller',
  scene(1, async ({ orders, world, embedded }) => {
    await orders.writeAll(numbered(0, 6))
    const controller = embedded().server.connectController()
    const streamInfo = { scope: 'shop', stream: 'orders' }
    const cut = { streamInfo, cut: new Map<bigint, number>() }
    await controller.createReaderGroup({
      scope: 'shop',
      readerGroupName: 'billing',
      groupRefreshTimeMillis: 1000n,
      automaticCheckpointIntervalMillis: 5000n,
      maxOutstandingCheckpointRequest: 3,
      retentionType: 2,
      generation: 0n,
      readerGroupId: '00000000-0000-4000-8000-000000000001',
      startingStreamCuts: [cut],
      endingStreamCuts: [cut],
      rolloverSizeBytes: 0n,
    })
    const reading = run(orders.group('billing').reader())
    await world.sleep(12_000)
    await reading.stop()
    const { state } = await groupState(embedded(), 'shop/billing')
    strictEqual(state.checkpoints.ids.length, 1)
    const last = [...(state.checkpoints.last ?? [])]
    deepStrictEqual(last, [['shop/orders/0.#epoch.0', sizeOf(await orders.cut('tail'))]])
    strictEqual(state.checkpoints.lastPublished, true)
  }),
)
