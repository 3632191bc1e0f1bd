import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { CallContext } from '../protocol/controller/service.ts'
import {
  type ControllerFixture,
  cutOf,
  fixed,
  openController,
  streamConfig,
  streamInfo,
} from '../testing/controller-fixture.ts'
import { FakeSegments } from '../testing/fake-segments.ts'

const orders = streamInfo('shop/orders')

async function openOrders(segments: number): Promise<ControllerFixture> {
  const fixture = openController()
  await fixture.service.createScope({ scope: 'shop' })
  await fixture.service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(segments) }))
  return fixture
}

test('trap 33: ranges cover the keys without gap, neighbours share their border bit by bit, the last one ends at 1', async () => {
  for (const count of [1, 2, 3, 6, 7, 10, 49, 1000]) {
    const { service } = await openOrders(count)
    const { segmentRanges } = await service.getCurrentSegments(orders)
    strictEqual(segmentRanges.length, count)
    strictEqual(segmentRanges[0]?.minKey, 0)
    strictEqual(segmentRanges.at(-1)?.maxKey, 1)
    for (let i = 1; i < count; i++) strictEqual(segmentRanges[i]?.minKey, segmentRanges[i - 1]?.maxKey)
  }
})

test('trap 33: the ranges are stored, a later controller answers the same doubles', async () => {
  const { service, fake } = await openOrders(7)
  const later = openController(fake)
  deepStrictEqual(await later.service.getCurrentSegments(orders), await service.getCurrentSegments(orders))
})

test('trap 34: nothing follows an open segment, nor the segments of a sealed stream', async () => {
  const { service } = await openOrders(2)
  const nothing = { segments: [], delegationToken: '' }
  const request = { streamInfo: orders, segmentId: 1n }
  deepStrictEqual(await service.getSegmentsImmediatelyFollowing(request), nothing)
  await service.sealStream(orders)
  deepStrictEqual(await service.getSegmentsImmediatelyFollowing(request), nothing)
  deepStrictEqual(await service.getSegmentsImmediatlyFollowing(request), nothing)
})

test('trap 35: the head does not depend on the timestamp, and asking costs the store nothing', async () => {
  const fake = new FakeSegments()
  const connection = fake.connect()
  const { service } = openController(fake, connection)
  await service.createScope({ scope: 'shop' })
  await service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(2) }))
  const callsBefore = connection.calls.length
  for (const timestamp of [0n, 1n, 2n ** 62n]) {
    const { segments } = await service.getSegments({ streamInfo: orders, timestamp })
    deepStrictEqual(
      segments,
      [0n, 1n].map((segmentId) => ({ segmentId: { streamInfo: orders, segmentId }, offset: 0 })),
    )
    await service.getCurrentSegments(orders)
  }
  strictEqual(connection.calls.length, callsBefore)
})

test('trap 36: a sealed stream has no current segments, but its epochs and its head stay', async () => {
  const { service } = await openOrders(2)
  const epoch = await service.getEpochSegments({ streamInfo: orders, epoch: 0 })
  const head = await service.getSegments({ streamInfo: orders, timestamp: 0n })
  await service.sealStream(orders)
  deepStrictEqual(await service.getCurrentSegments(orders), { segmentRanges: [], delegationToken: '' })
  deepStrictEqual(await service.getEpochSegments({ streamInfo: orders, epoch: 0 }), epoch)
  deepStrictEqual(await service.getSegments({ streamInfo: orders, timestamp: 0n }), head)
  deepStrictEqual(await service.isSegmentValid({ streamInfo: orders, segmentId: 0n }), { response: false })
})

test('trap 38: what is asked of a stream that is not there is NOT_FOUND', async () => {
  const { service, failures } = await openOrders(1)
  for (const streamInfo of [
    { scope: 'shop', stream: 'none' },
    { scope: 'none', stream: 'orders' },
    { scope: '', stream: '' },
  ]) {
    const cut = cutOf({ 0: 0 })
    for (const call of [
      service.getCurrentSegments(streamInfo),
      service.getEpochSegments({ streamInfo, epoch: 0 }),
      service.getSegments({ streamInfo, timestamp: 0n }),
      service.getSegmentsImmediatelyFollowing({ streamInfo, segmentId: 0n }),
      service.getSegmentsBetween({ streamInfo, from: cut, to: new Map() }),
      service.isSegmentValid({ streamInfo, segmentId: 0n }),
      service.isStreamCutValid({ streamInfo, cut }),
      service.getStreamConfiguration(streamInfo),
    ])
      await rejects(call, { name: 'ControllerError', code: 'not-found' })
  }
  await rejects(service.getEpochSegments({ streamInfo: orders, epoch: 1 }), { code: 'not-found' })
  await rejects(service.getEpochSegments({ streamInfo: orders, epoch: -1 }), { code: 'invalid-argument' })
  deepStrictEqual(failures, [])
})

test('trap 30, trap 31, trap 32: getURI goes by the name alone, which is that of the segment with both halves of its id', async () => {
  const asked: string[] = []
  const contexts: CallContext[] = []
  const fake = new FakeSegments()
  const { service } = openController(fake, fake.connect(), {
    locate: async (context, segment) => {
      contexts.push(context)
      asked.push(segment)
      return { endpoint: 'store.millrace', port: 12345 }
    },
  })
  const context = { authority: 'example.org:9090' }
  for (const [stream, segmentId] of [
    ['orders', (7n << 32n) | 3n],
    ['_RGnone', 0n],
    ['_MARKnone', 0n],
    ['table_kvtable', 2n],
    ['x', (2147483647n << 32n) | 2147483647n],
  ] as const)
    deepStrictEqual(await service.getURI({ streamInfo: { scope: 'none', stream }, segmentId }, context), {
      endpoint: 'store.millrace',
      port: 12345,
    })
  deepStrictEqual(asked, [
    'none/orders/3.#epoch.7',
    'none/_RGnone/0.#epoch.0',
    'none/_MARKnone/0.#epoch.0',
    'none/table_kvtable/2.#epoch.0',
    'none/x/2147483647.#epoch.2147483647',
  ])
  deepStrictEqual(contexts[0], context)
  await rejects(service.getURI({ streamInfo: orders, segmentId: -1n }), { code: 'invalid-argument' })
})

test('trap 37: everybody gets the empty delegation token', async () => {
  const { service } = await openOrders(1)
  deepStrictEqual(await service.getDelegationToken({ ...orders, accessOperation: 5 }), {
    delegationToken: '',
  })
})

test('segments between two cuts are those that either divides or that lie between; an empty side is head or tail', async () => {
  const { service, fake } = await openOrders(3)
  for (const number of [0, 1, 2]) fake.append(`shop/orders/${number}.#epoch.0`, 100)
  const between = async (from: Map<bigint, number>, to: Map<bigint, number>): Promise<bigint[]> =>
    (await service.getSegmentsBetween({ streamInfo: orders, from, to })).segments.map(
      ({ segmentId }) => segmentId,
    )
  const nothing = new Map<bigint, number>()
  deepStrictEqual(await between(cutOf({ 0: 1, 1: 1, 2: 1 }), nothing), [0n, 1n, 2n])
  deepStrictEqual(await between(nothing, cutOf({ 0: 1, 1: 1, 2: 1 })), [0n, 1n, 2n])
  await rejects(between(nothing, nothing), { code: 'invalid-argument' })
  await rejects(between(cutOf({ 0: 1 }), nothing), {
    code: 'invalid-argument',
    message: /leaves out the keys/,
  })
})

test('a cut is valid if it covers all keys once with segments of the stream', async () => {
  const { service } = await openOrders(2)
  const isValid = async (cut: Map<bigint, number>): Promise<boolean> =>
    (await service.isStreamCutValid({ streamInfo: orders, cut })).response
  strictEqual(await isValid(cutOf({ 0: 5, 1: 0 })), true)
  strictEqual(await isValid(cutOf({ 0: 5 })), false)
  strictEqual(await isValid(cutOf({ 0: 5, 1: 0, 2: 0 })), false)
  strictEqual(await isValid(cutOf({ 0: 5, 1: -2 })), false)
  strictEqual(await isValid(new Map()), false)
})

test('the list of controllers holds this one, as the caller reaches it', async () => {
  const { service } = openController()
  deepStrictEqual(await service.getControllerServerList({}), {
    nodeURI: [{ endpoint: 'controller.millrace', port: 9090 }],
  })
})
