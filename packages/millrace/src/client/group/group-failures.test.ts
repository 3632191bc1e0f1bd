import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { type GroupScene, groupScene, idsOf, numbered, type Order, run } from '../../testing/group-scene.ts'
import type { Server } from '../../server/server.ts'
import { groupState } from '../../testing/group-state.ts'
import { UUID_ZERO } from '../../protocol/uuid.ts'
import { type ErrorCode, isMillraceError } from '../errors.ts'
import type { Event } from '../events.ts'
import { newGroupConfig } from './group-configuration.ts'
import { markedReader } from './reader-id.ts'

function failsWith(code: ErrorCode, message?: RegExp) {
  return (error: unknown): boolean =>
    isMillraceError(error) && error.code === code && (message?.test(error.message) ?? true)
}

function scene(segments: number, scenario: (scene: GroupScene) => Promise<void>): () => Promise<void> {
  return () => groupScene(segments, scenario)
}

/** As Java's `readerOffline` without a position. */
async function takeOut(embedded: { readonly server: Server }, reader: string): Promise<void> {
  const group = await groupState(embedded, 'shop/billing')
  await group.update((state) => ({
    updates: state.isReaderOnline(reader) ? [{ kind: 'remove-reader', reader, owned: new Map() }] : [],
    result: undefined,
  }))
}

test(
  'a reader that dies leaves what it had recorded: at most the last seconds come again, to who takes its place',
  scene(2, async ({ world, client, ordersOf }) => {
    const first = client('one')
    const orders = ordersOf(first.store)
    await orders.write({ id: -1, customer: 'x' })
    const reading = run(orders.group('billing').reader({ id: 'worker' }))
    let written = 0
    const writer = ordersOf(client('writer').store)
    for (; written < 180; written++) {
      await writer.write({ id: written, customer: `${written}` })
      await world.sleep(100)
    }
    await world.sleep(50)
    strictEqual(reading.seen.length, 181)
    first.node.crash()

    const next = ordersOf(client('two').store).group('billing')
    const again = await idsOf(next.reader({ until: 'tail', id: 'worker' }))
    ok(again.length > 0 && again.length <= 51, `${again.length} come again`)
    ok(again.every((id) => id >= 129))
    deepStrictEqual((await next.lag()).bytes, 0)
  }),
)

test(
  'a reader that somebody took out of the group joins again and goes on',
  scene(1, async ({ embedded, world, client, ordersOf }) => {
    const orders = ordersOf(client('one').store)
    const reader = orders.group('billing').reader({ id: 'anna' })
    const reading = run(reader)
    await orders.writeAll(numbered(0, 10))
    await world.sleep(6000)
    strictEqual(reading.seen.length, 10)
    await takeOut(embedded(), markedReader('anna'))
    await orders.writeAll(numbered(10, 20))
    await world.sleep(6000)
    // What came before the group was looked at again, and was not recorded, comes twice.
    deepStrictEqual(
      [...new Set(reading.seen)],
      numbered(0, 20).map(({ id }) => id),
    )
    ok(reading.seen.length <= 30)
    await reading.stop()
    deepStrictEqual(await idsOf(orders.group('billing').reader({ until: 'tail' })), [])
  }),
)

test(
  'a second reader of one id takes the place of the first, which ends',
  scene(2, async ({ world, client, ordersOf }) => {
    const one = ordersOf(client('one').store)
    const other = ordersOf(client('two').store)
    const first = run(one.group('billing').reader({ id: 'anna' }))
    await one.writeAll(numbered(0, 10))
    await world.sleep(100)
    const second = run(other.group('billing').reader({ id: 'anna' }))
    await rejects(first.over, failsWith('reader-replaced', /shop\/billing .* anna/))
    await one.writeAll(numbered(10, 20))
    await world.sleep(100)
    ok(numbered(10, 20).every(({ id }) => second.seen.includes(id)))
    deepStrictEqual((await one.group('billing').lag()).readers, ['anna'])
    await second.stop()
  }),
)

test(
  'a group over other streams is refused, and so is one that a reset gives other streams',
  scene(1, async ({ embedded, client, ordersOf, world }) => {
    const { store } = client('one')
    const orders = ordersOf(store)
    await orders.write({ id: 0, customer: 'a' })
    const returns = store.stream<Order>('shop/returns', { key: null })
    await returns.write({ id: 0, customer: 'a' })
    await idsOf(returns.group('returning').reader({ until: 'tail' }))
    const group = orders.group('returning')
    const mismatch = failsWith(
      'group-mismatch',
      /shop\/returning reads shop\/returns, not shop\/orders alone/,
    )
    await rejects(idsOf(group.reader()), mismatch)
    await rejects(group.lag(), mismatch)
    await rejects(group.checkpoint(), mismatch)

    // Java can give a group other streams while it is being read.
    const reading = run(returns.group('returning').reader())
    await world.sleep(100)
    const controller = embedded().server.connectController()
    const request = { scope: 'shop', readerGroup: 'returning', readerGroupId: '', generation: 0n }
    const { config } = await controller.getReaderGroupConfig(request)
    const cut = { streamInfo: { scope: 'shop', stream: 'orders' }, cut: new Map() }
    await controller.updateReaderGroup({
      ...config!,
      startingStreamCuts: [...config!.startingStreamCuts, cut],
    })
    const state = await groupState(embedded(), 'shop/returning')
    await state.update(() => ({
      updates: [{ kind: 'set-updating-config', updating: true }],
      result: undefined,
    }))
    await rejects(reading.over, failsWith('group-mismatch', /shop\/returns, shop\/orders/))
  }),
)

test(
  'a group that does not exist is made by reading only; one that is deleted ends its readers',
  scene(1, async ({ world, client, ordersOf }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 3))
    const billing = orders.group('billing')
    const notFound = failsWith('group-not-found', /There is no reader group shop\/billing/)
    await rejects(billing.lag(), notFound)
    await rejects(billing.checkpoint(), notFound)
    await rejects(billing.reset('head'), notFound)
    await rejects(billing.delete(), notFound)

    const reading = run(billing.reader())
    await world.sleep(100)
    await ordersOf(client('two').store).group('billing').delete()
    await rejects(reading.over, notFound)
    // Made again it starts again, also by the same handle.
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), [0, 1, 2])
    await billing.delete()
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), [0, 1, 2])
  }),
)

test(
  'a stream that was deleted and made again is read from its start',
  scene(2, async ({ world, client, ordersOf }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 10))
    const billing = orders.group('billing')
    let left = 5
    for await (const event of billing.reader()) {
      event.ack()
      if (--left === 0) break
    }
    await orders.delete()
    await orders.writeAll(numbered(100, 110))
    deepStrictEqual(
      (await idsOf(billing.reader({ until: 'tail' }))).toSorted((a, b) => a - b),
      numbered(100, 110).map(({ id }) => id),
    )
    await orders.writeAll(numbered(110, 120))
    const reading = run(billing.reader())
    await world.sleep(100)
    strictEqual(reading.seen.length, 10)
    // Under way, too: its readers find the successor.
    await orders.seal()
    await reading.over
    await orders.delete()
    await orders.writeAll(numbered(200, 205))
    strictEqual((await idsOf(billing.reader({ until: 'tail' }))).length, 5)
  }),
)

test(
  'a sealed stream ends its readers when all of it has been read',
  scene(2, async ({ world, client, ordersOf }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 20))
    const one = run(orders.group('billing').reader())
    const other = run(ordersOf(client('two').store).group('billing').reader())
    await world.sleep(10_000)
    await orders.seal()
    await one.over
    await other.over
    deepStrictEqual(
      [...one.seen, ...other.seen].toSorted((a, b) => a - b),
      [...Array(20).keys()],
    )
    deepStrictEqual(await orders.group('billing').lag(), { bytes: 0, readers: [] })
    deepStrictEqual(await idsOf(orders.group('billing').reader()), [])
  }),
)

test(
  'what was truncated away is passed over, and said',
  scene(1, async ({ client, ordersOf, diagnostics }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 10))
    const billing = orders.group('billing')
    for await (const { value } of billing.reader()) if (value.id === 3) break
    const cut = await orders.cut('tail')
    await orders.writeAll(numbered(10, 13))
    await orders.truncate(cut)
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), [10, 11, 12])
    strictEqual(diagnostics.filter(({ kind }) => kind === 'events-missed').length, 1)
  }),
)

test(
  'an event that cannot be decoded ends the reader before it, or is skipped for good',
  scene(1, async ({ client, ordersOf }) => {
    const { store } = client('one')
    const orders = ordersOf(store)
    const text = store.stream<string>('shop/orders', {
      key: null,
      codec: { encode: (value) => Buffer.from(value), decode: (bytes) => Buffer.from(bytes).toString() },
    })
    await orders.write({ id: 0, customer: 'a' })
    await text.write('no json')
    await orders.write({ id: 1, customer: 'a' })
    const billing = orders.group('billing')
    const seen: number[] = []
    const reading = async (): Promise<void> => {
      for await (const { value } of billing.reader({ until: 'tail' })) seen.push(value.id)
    }
    await rejects(reading(), failsWith('decode'))
    await rejects(reading(), failsWith('decode'))
    deepStrictEqual(seen, [0])
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail', onDecodeError: 'skip' })), [1])
    await orders.write({ id: 2, customer: 'a' })
    deepStrictEqual(await idsOf(billing.reader({ until: 'tail' })), [2])
  }),
)

test(
  'closing says if the group could not be told where the reader stopped',
  scene(1, async ({ server, world, client, ordersOf }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 10))
    const reader = orders.group('billing').reader()
    const events = reader[Symbol.asyncIterator]() as AsyncIterator<Event<Order>>
    for (let count = 0; count < 5; count++) await events.next()
    server.crash()
    await rejects(reader.close(), failsWith('unavailable', /shop\/billing could not be told/))
    await world.sleep(100)
    await server.start()
    // The group does not know that the reader is gone.
    strictEqual((await orders.group('billing').lag()).readers.length, 1)
  }),
)

test(
  'trap 68: a group that only its stream knows is read, gets an id by a reset, and can be deleted',
  scene(1, async ({ embedded, client, ordersOf }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 5))
    const controller = embedded().server.connectController()
    const made = async (): Promise<void> => {
      await controller.createStream({
        streamInfo: { scope: 'shop', stream: '_RGold' },
        scalingPolicy: { scaleType: 0, targetRate: 0, scaleFactor: 0, minNumSegments: 1 },
        timestampAggregationTimeout: 0n,
        rolloverSizeBytes: 0n,
      })
      const state = await groupState(embedded(), 'shop/old')
      const config = { ...newGroupConfig('shop/orders', undefined, UUID_ZERO), generation: -1 }
      await state.initialize({
        kind: 'start',
        config,
        segments: new Map([['shop/orders/0.#epoch.0', { offset: 0, range: undefined }]]),
        endSegments: new Map(),
        updatingConfig: false,
      })
    }
    await made()
    const old = orders.group('old')
    deepStrictEqual(await idsOf(old.reader({ until: 'tail' })), [0, 1, 2, 3, 4])
    await old.reset('head')
    const { state } = await groupState(embedded(), 'shop/old')
    notStrictEqual(state.config.groupId, UUID_ZERO)
    deepStrictEqual(await idsOf(old.reader({ until: 'tail' })), [0, 1, 2, 3, 4])
    await old.delete()
    await made()
    await old.delete()
    await rejects(old.lag(), failsWith('group-not-found'))
  }),
)
