import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  CreateStreamStatus,
  DeleteStreamStatus,
  GroupRetention,
  RetentionType,
  ScaleType,
  UpdateStreamStatus,
} from '../protocol/controller/messages.ts'
import {
  type ControllerFixture,
  cutOf,
  fixed,
  groupConfig,
  openController,
  streamConfig,
  streamInfo,
} from '../testing/controller-fixture.ts'

const orders = streamInfo('shop/orders')
const LONG_MAX = 2n ** 63n - 1n

async function openShop(): Promise<ControllerFixture> {
  const fixture = openController()
  await fixture.service.createScope({ scope: 'shop' })
  return fixture
}

/** A scope `shop` with a stream `orders`. */
async function openOrders(segments = 1): Promise<ControllerFixture> {
  const fixture = await openShop()
  const created = await fixture.service.createStream(
    streamConfig('shop/orders', { scalingPolicy: fixed(segments) }),
  )
  strictEqual(created.status, CreateStreamStatus.SUCCESS)
  return fixture
}

async function currentNumbers({ service }: ControllerFixture): Promise<number[]> {
  const { segmentRanges } = await service.getCurrentSegments(orders)
  return segmentRanges.map(({ segmentId }) => Number(segmentId.segmentId & 0xffff_ffffn))
}

async function listedStreams({ service }: ControllerFixture): Promise<string[]> {
  const { streams } = await service.listStreamsInScope({ scope: { scope: 'shop' } })
  return streams.map(({ stream }) => stream)
}

test('observed 4: a new stream has its segments in the store, and its whole configuration comes back as it was sent', async () => {
  const { service, fake } = await openShop()
  const config = streamConfig('shop/orders', {
    scalingPolicy: {
      scaleType: ScaleType.BY_RATE_IN_EVENTS_PER_SEC,
      targetRate: 100,
      scaleFactor: 3,
      minNumSegments: 2,
    },
    retentionPolicy: { retentionType: RetentionType.TIME, retentionParam: 60_000n, retentionMax: LONG_MAX },
    tags: { tag: ['b', 'a'] },
    timestampAggregationTimeout: 7n,
    rolloverSizeBytes: 1_000_000n,
  })
  deepStrictEqual(await service.createStream(config), { status: CreateStreamStatus.SUCCESS })
  deepStrictEqual(
    [...fake.segments].filter(([name]) => name.startsWith('shop/orders/')),
    ['shop/orders/0.#epoch.0', 'shop/orders/1.#epoch.0'].map((name) => [
      name,
      { startOffset: 0, writeOffset: 0, sealed: false, rolloverBytes: 1_000_000, merged: [] },
    ]),
  )
  deepStrictEqual(await service.getStreamConfiguration(orders), config)
  deepStrictEqual(await service.checkStreamExists(orders), { exists: true })
  deepStrictEqual(await openController(fake).service.getStreamConfiguration(orders), config)
})

test('createStream tells apart what keeps it from creating', async () => {
  const { service } = await openOrders()
  const create = async (name: string): Promise<number> =>
    (await service.createStream(streamConfig(name))).status
  strictEqual(await create('shop/orders'), CreateStreamStatus.STREAM_EXISTS)
  strictEqual(await create('nowhere/orders'), CreateStreamStatus.SCOPE_NOT_FOUND)
  for (const name of ['', 'with space', 'a_b', '__x', '_', 'é', 'x'.repeat(256)])
    strictEqual(await create(`shop/${name}`), CreateStreamStatus.INVALID_STREAM_NAME, name)
  for (const name of ['x'.repeat(255), '_RGold', 'a.b-c'])
    strictEqual(await create(`shop/${name}`), CreateStreamStatus.SUCCESS, name)
  strictEqual(await create('_system/_tables'), CreateStreamStatus.INVALID_STREAM_NAME)
})

test('policies that no stream can have are invalid arguments, and leave nothing behind', async () => {
  const fixture = await openShop()
  const byRate = {
    scaleType: ScaleType.BY_RATE_IN_KBYTES_PER_SEC,
    targetRate: 1,
    scaleFactor: 2,
    minNumSegments: 1,
  }
  for (const options of [
    { scalingPolicy: fixed(0) },
    { scalingPolicy: fixed(-1) },
    { scalingPolicy: fixed(10_001) },
    { scalingPolicy: { ...byRate, targetRate: 0 } },
    { scalingPolicy: { ...byRate, scaleFactor: 0 } },
    { rolloverSizeBytes: -1n },
    { tags: { tag: ['x'.repeat(257)] } },
    { tags: { tag: Array.from({ length: 129 }, (_, i) => `tag ${i}`) } },
  ])
    await rejects(fixture.service.createStream(streamConfig('shop/orders', options)), {
      name: 'ControllerError',
      code: 'invalid-argument',
    })
  deepStrictEqual(await listedStreams(fixture), [])
  strictEqual(fixture.fake.segments.size, 0)
  deepStrictEqual(fixture.failures, [])
})

test('the widest stream fits into its record, also when it is truncated', async () => {
  const { service, fake } = await openOrders(10_000)
  const { segmentRanges } = await service.getCurrentSegments(orders)
  strictEqual(segmentRanges.length, 10_000)
  const offset = 1_000_000_000_000
  const cut = new Map(segmentRanges.map(({ segmentId }) => [segmentId.segmentId, offset]))
  for (let number = 0; number < 10_000; number++) fake.append(`shop/orders/${number}.#epoch.0`, 2 * offset)
  for (let times = 1; times <= 2; times++) {
    const further = new Map([...cut].map(([id, at]) => [id, at + times]))
    deepStrictEqual(await service.truncateStream({ streamInfo: orders, cut: further }), {
      status: UpdateStreamStatus.SUCCESS,
    })
  }
  deepStrictEqual(await service.sealStream(orders), { status: UpdateStreamStatus.SUCCESS })
})

test('observed 15: sixteen clients create one stream at once: one has done it, the others hear so at once', async () => {
  const fixture = await openShop()
  const answers = await Promise.all(
    Array.from({ length: 16 }, () =>
      fixture.service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(4) })),
    ),
  )
  const statuses = answers.map(({ status }) => status)
  deepStrictEqual(
    statuses.toSorted((a, b) => a - b),
    [CreateStreamStatus.SUCCESS, ...Array(15).fill(CreateStreamStatus.STREAM_EXISTS)],
  )
  deepStrictEqual(await currentNumbers(fixture), [0, 1, 2, 3])
})

test('controllers that know nothing of each other create one stream, and one has done it', async () => {
  const first = await openShop()
  const controllers = [first, ...Array.from({ length: 7 }, () => openController(first.fake))]
  for (const { service } of controllers) await service.checkScopeExists({ scope: 'shop' })
  const answers = await Promise.all(
    controllers.map(({ service }) => service.createStream(streamConfig('shop/orders'))),
  )
  strictEqual(answers.filter(({ status }) => status === CreateStreamStatus.SUCCESS).length, 1)
  for (const fixture of controllers) deepStrictEqual(await currentNumbers(fixture), [0])
})

test('trap 41: every stream has an open mark stream of one segment, which is listed and stays open when it is sealed', async () => {
  const fixture = await openOrders(3)
  deepStrictEqual(await listedStreams(fixture), ['_MARKorders', 'orders'])
  await fixture.service.sealStream(orders)
  const mark = await fixture.service.getCurrentSegments(streamInfo('shop/_MARKorders'))
  strictEqual(mark.segmentRanges.length, 1)
  strictEqual(fixture.fake.segments.get('shop/_MARKorders/0.#epoch.0')?.sealed, false)
})

test('a mark stream that was sealed by hand is made anew with its stream', async () => {
  const fixture = await openShop()
  const { service } = fixture
  await service.createStream(streamConfig('shop/_MARKorders'))
  await service.sealStream(streamInfo('shop/_MARKorders'))
  await service.createStream(streamConfig('shop/orders'))
  const { segmentRanges } = await service.getCurrentSegments(streamInfo('shop/_MARKorders'))
  deepStrictEqual(
    segmentRanges.map(({ segmentId }) => segmentId.segmentId),
    [1n],
  )
})

test('trap 42: a stream that was deleted and created again numbers its segments higher than any before', async () => {
  const fixture = await openOrders(3)
  const { service } = fixture
  const recreate = async (segments: number): Promise<void> => {
    await service.sealStream(orders)
    deepStrictEqual(await service.deleteStream(orders), { status: DeleteStreamStatus.SUCCESS })
    const config = streamConfig('shop/orders', { scalingPolicy: fixed(segments) })
    deepStrictEqual(await service.createStream(config), { status: CreateStreamStatus.SUCCESS })
  }
  await recreate(2)
  deepStrictEqual(await currentNumbers(fixture), [3, 4])
  await recreate(1)
  deepStrictEqual(await currentNumbers(fixture), [5])
  const mark = await service.getCurrentSegments(streamInfo('shop/_MARKorders'))
  deepStrictEqual(
    mark.segmentRanges.map(({ segmentId }) => segmentId.segmentId),
    [2n],
  )
  deepStrictEqual([...fixture.fake.segments.keys()].toSorted(), [
    'shop/_MARKorders/2.#epoch.0',
    'shop/orders/5.#epoch.0',
  ])
})

test('trap 42: so does a stream whose scope was deleted and created again', async () => {
  const fixture = await openOrders(3)
  const { service } = fixture
  await service.deleteScopeRecursive({ scope: 'shop' })
  await service.createScope({ scope: 'shop' })
  await service.createStream(streamConfig('shop/orders'))
  deepStrictEqual(await currentNumbers(fixture), [3])
})

test('observed 17: a configuration is replaced as a whole', async () => {
  const { service } = await openOrders(2)
  const config = streamConfig('shop/orders', {
    scalingPolicy: {
      scaleType: ScaleType.BY_RATE_IN_EVENTS_PER_SEC,
      targetRate: 5,
      scaleFactor: 2,
      minNumSegments: 1,
    },
    tags: { tag: ['new'] },
    rolloverSizeBytes: 5n,
  })
  deepStrictEqual(await service.updateStream(config), { status: UpdateStreamStatus.SUCCESS })
  deepStrictEqual(await service.getStreamConfiguration(orders), { ...config, retentionPolicy: undefined })
  deepStrictEqual(await service.updateStream(streamConfig('shop/none')), {
    status: UpdateStreamStatus.STREAM_NOT_FOUND,
  })
  deepStrictEqual(await service.updateStream(streamConfig('none/x')), {
    status: UpdateStreamStatus.STREAM_NOT_FOUND,
  })
})

test('truncation moves the head of the stream, in the store too', async () => {
  const { service, fake } = await openOrders(2)
  fake.append('shop/orders/0.#epoch.0', 100)
  fake.append('shop/orders/1.#epoch.0', 200)
  const cut = cutOf({ 0: 60, 1: 0 })
  deepStrictEqual(await service.truncateStream({ streamInfo: orders, cut }), {
    status: UpdateStreamStatus.SUCCESS,
  })
  strictEqual(fake.segments.get('shop/orders/0.#epoch.0')?.startOffset, 60)
  strictEqual(fake.segments.get('shop/orders/1.#epoch.0')?.startOffset, 0)
  const { segments } = await service.getSegments({ streamInfo: orders, timestamp: 0n })
  deepStrictEqual(new Map(segments.map(({ segmentId, offset }) => [segmentId.segmentId, offset])), cut)
  deepStrictEqual(await service.truncateStream({ streamInfo: orders, cut }), {
    status: UpdateStreamStatus.SUCCESS,
  })
})

test('observed 14: truncating backwards fails and leaves the head, a sealed stream is STREAM_SEALED', async () => {
  const { service, fake } = await openOrders(2)
  fake.append('shop/orders/0.#epoch.0', 100)
  fake.append('shop/orders/1.#epoch.0', 100)
  const truncate = async (cut: Map<bigint, number>, streamInfo = orders): Promise<number> =>
    (await service.truncateStream({ streamInfo, cut })).status
  strictEqual(await truncate(cutOf({ 0: 50, 1: 50 })), UpdateStreamStatus.SUCCESS)
  const head = await service.getSegments({ streamInfo: orders, timestamp: 0n })
  strictEqual(await truncate(cutOf({ 0: 49, 1: 60 })), UpdateStreamStatus.FAILURE)
  strictEqual(await truncate(cutOf({ 0: 60 })), UpdateStreamStatus.FAILURE)
  strictEqual(await truncate(cutOf({ 0: 60, 1: 101 })), UpdateStreamStatus.FAILURE)
  strictEqual(await truncate(cutOf({ 0: 60, 7: 60 })), UpdateStreamStatus.FAILURE)
  strictEqual(await truncate(new Map()), UpdateStreamStatus.FAILURE)
  deepStrictEqual(await service.getSegments({ streamInfo: orders, timestamp: 0n }), head)
  strictEqual(await truncate(cutOf({ 0: 0 }), streamInfo('shop/none')), UpdateStreamStatus.STREAM_NOT_FOUND)
  await service.sealStream(orders)
  strictEqual(await truncate(cutOf({ 0: 60, 1: 60 })), UpdateStreamStatus.STREAM_SEALED)
  strictEqual(fake.segments.get('shop/orders/0.#epoch.0')?.startOffset, 50)
})

test('sealing seals every segment, twice does no harm, and a sealed stream is not updated', async () => {
  const { service, fake } = await openOrders(3)
  for (let i = 0; i < 2; i++)
    deepStrictEqual(await service.sealStream(orders), { status: UpdateStreamStatus.SUCCESS })
  for (const number of [0, 1, 2]) ok(fake.segments.get(`shop/orders/${number}.#epoch.0`)?.sealed)
  deepStrictEqual(await service.updateStream(streamConfig('shop/orders', { scalingPolicy: fixed(3) })), {
    status: UpdateStreamStatus.STREAM_SEALED,
  })
})

test('controllers that know nothing of each other change one stream, and no change is lost', async () => {
  const first = await openOrders()
  const controllers = [first, ...Array.from({ length: 7 }, () => openController(first.fake))]
  for (const { service } of controllers) await service.getCurrentSegments(orders)
  const groups = controllers.map((_, i) =>
    groupConfig(`shop/g${i}`, ['shop/orders'], { retentionType: GroupRetention.MANUAL }),
  )
  await Promise.all(controllers.map(({ service }, i) => service.createReaderGroup(groups[i]!)))
  const { subscribers } = await openController(first.fake).service.listSubscribers(orders)
  deepStrictEqual(
    subscribers.toSorted(),
    groups.map(({ readerGroupName }) => `shop/${readerGroupName}`),
  )
})

test('a segment that went missing does not keep a stream from being sealed and deleted', async () => {
  const { service, fake } = await openOrders(2)
  fake.segments.delete('shop/orders/0.#epoch.0')
  deepStrictEqual(await service.sealStream(orders), { status: UpdateStreamStatus.SUCCESS })
  deepStrictEqual(await service.deleteStream(orders), { status: DeleteStreamStatus.SUCCESS })
})

test('trap 70: deletion needs a sealed stream, and takes mark stream, tags and segments along', async () => {
  const fixture = await openShop()
  const { service, fake } = fixture
  await service.createStream(streamConfig('shop/orders', { tags: { tag: ['t'] } }))
  const tagged = async (): Promise<number> =>
    (await service.listStreamsInScopeForTag({ scope: { scope: 'shop' }, tag: 't' })).streams.length
  strictEqual(await tagged(), 1)
  deepStrictEqual(await service.deleteStream(orders), { status: DeleteStreamStatus.STREAM_NOT_SEALED })
  await service.sealStream(orders)
  deepStrictEqual(await service.deleteStream(orders), { status: DeleteStreamStatus.SUCCESS })
  strictEqual(fake.segments.size, 0)
  strictEqual(await tagged(), 0)
  deepStrictEqual(await listedStreams(fixture), [])
  deepStrictEqual(await service.checkStreamExists(orders), { exists: false })
  deepStrictEqual(await service.deleteStream(orders), { status: DeleteStreamStatus.STREAM_NOT_FOUND })
})

test('trap 69: sealing and deleting a mark stream that went with its stream is STREAM_NOT_FOUND, no error', async () => {
  const { service } = await openOrders()
  const mark = streamInfo('shop/_MARKorders')
  await service.sealStream(orders)
  await service.deleteStream(orders)
  deepStrictEqual(await service.sealStream(mark), { status: UpdateStreamStatus.STREAM_NOT_FOUND })
  deepStrictEqual(await service.deleteStream(mark), { status: DeleteStreamStatus.STREAM_NOT_FOUND })
})

test('trap 69: the other order works too: the mark stream is sealed and deleted first', async () => {
  const { service } = await openOrders()
  const mark = streamInfo('shop/_MARKorders')
  for (const info of [mark, orders]) {
    deepStrictEqual(await service.sealStream(info), { status: UpdateStreamStatus.SUCCESS })
    deepStrictEqual(await service.deleteStream(info), { status: DeleteStreamStatus.SUCCESS })
  }
  deepStrictEqual(await service.deleteScope({ scope: 'shop' }), { status: 0 })
})
