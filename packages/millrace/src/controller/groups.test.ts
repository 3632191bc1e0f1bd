import { deepStrictEqual, match, notStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  CreateReaderGroupResponse,
  DeleteReaderGroupStatus,
  GroupRetention,
  type ReaderGroupConfiguration,
  ReaderGroupConfigResponse,
  SubscribersResponse,
  UpdateReaderGroupResponse,
  UpdateSubscriberStatus,
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

const LONG_MAX = 2n ** 63n - 1n
const OTHER_ID = '00000000-0000-0000-0000-000000000001'

/** A scope `shop` with the streams `orders`, of two segments, and `returns`. */
async function openShop(): Promise<ControllerFixture> {
  const fixture = openController()
  await fixture.service.createScope({ scope: 'shop' })
  await fixture.service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(2) }))
  await fixture.service.createStream(streamConfig('shop/returns'))
  return fixture
}

async function subscribers({ service }: ControllerFixture, stream: string): Promise<readonly string[]> {
  return (await service.listSubscribers(streamInfo(stream))).subscribers
}

async function create(
  fixture: ControllerFixture,
  config: ReaderGroupConfiguration,
): Promise<ReaderGroupConfiguration> {
  const answer = await fixture.service.createReaderGroup(config)
  strictEqual(answer.status, CreateReaderGroupResponse.SUCCESS)
  if (answer.config === undefined) throw new Error('No configuration was answered')
  return answer.config
}

test('trap 41: a new group is answered as it was sent: empty cuts, odd intervals and all', async () => {
  const fixture = await openShop()
  const config = groupConfig('shop/billing', ['shop/orders', 'shop/returns'], {
    automaticCheckpointIntervalMillis: LONG_MAX,
    groupRefreshTimeMillis: 1n,
    endingStreamCuts: [
      { streamInfo: streamInfo('shop/orders'), cut: cutOf({ 0: 7, 1: -1 }) },
      { streamInfo: streamInfo('shop/returns'), cut: new Map() },
    ],
  })
  deepStrictEqual(await create(fixture, config), config)
  const request = { scope: 'shop', readerGroup: 'billing', readerGroupId: '', generation: 0n }
  const stored = { status: ReaderGroupConfigResponse.SUCCESS, config }
  deepStrictEqual(await fixture.service.getReaderGroupConfig(request), stored)
  deepStrictEqual(await openController(fixture.fake).service.getReaderGroupConfig(request), stored)
})

test('observed 11: a scope with one stream and one group lists four streams', async () => {
  const { service, fake } = openController()
  await service.createScope({ scope: 'shop' })
  await service.createStream(streamConfig('shop/orders'))
  await service.createReaderGroup(groupConfig('shop/billing', ['shop/orders']))
  const { streams } = await service.listStreamsInScope({ scope: { scope: 'shop' } })
  deepStrictEqual(
    streams.map(({ stream }) => stream),
    ['_MARK_RGbilling', '_MARKorders', '_RGbilling', 'orders'],
  )
  const state = await service.getCurrentSegments(streamInfo('shop/_RGbilling'))
  strictEqual(state.segmentRanges.length, 1)
  strictEqual(fake.segments.get('shop/_RGbilling/0.#epoch.0')?.rolloverBytes, 4 * 1024 * 1024)
})

test('trap 43, observed 5: creating a group again answers the stored configuration, generation 0 until an update', async () => {
  const fixture = await openShop()
  const config = groupConfig('shop/billing', ['shop/orders'])
  deepStrictEqual(await create(fixture, config), config)
  deepStrictEqual(await create(fixture, { ...config, readerGroupId: OTHER_ID }), config)
  deepStrictEqual(await create(fixture, { ...config, groupRefreshTimeMillis: 1n }), config)
  const updated = { ...config, groupRefreshTimeMillis: 9n }
  deepStrictEqual(await fixture.service.updateReaderGroup(updated), {
    status: UpdateReaderGroupResponse.SUCCESS,
    generation: 1n,
  })
  deepStrictEqual(await create(fixture, config), { ...updated, generation: 1n })
})

test('trap 68: id and generation are those that the client sent; only the zero id is replaced', async () => {
  const fixture = await openShop()
  const sent = groupConfig('shop/billing', ['shop/orders'], { readerGroupId: OTHER_ID, generation: 0n })
  strictEqual((await create(fixture, sent)).readerGroupId, OTHER_ID)
  const zero = '00000000-0000-0000-0000-000000000000'
  const fresh = await create(fixture, {
    ...sent,
    readerGroupName: 'old',
    readerGroupId: zero,
    generation: -1n,
  })
  notStrictEqual(fresh.readerGroupId, zero)
  match(fresh.readerGroupId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  strictEqual(fresh.generation, 0n)
  await rejects(create(fixture, { ...sent, readerGroupId: 'me' }), { code: 'invalid-argument' })
})

test('createReaderGroup tells apart what keeps it from creating', async () => {
  const { service } = await openShop()
  for (const name of ['', '_x', 'a b', 'x'.repeat(251)])
    deepStrictEqual(await service.createReaderGroup(groupConfig(`shop/${name}`, ['shop/orders'])), {
      status: CreateReaderGroupResponse.INVALID_RG_NAME,
    })
  deepStrictEqual(await service.createReaderGroup(groupConfig('none/billing', ['shop/orders'])), {
    status: CreateReaderGroupResponse.SCOPE_NOT_FOUND,
  })
  await rejects(service.createReaderGroup(groupConfig('shop/a', ['shop/orders'], { retentionType: 3 })), {
    code: 'invalid-argument',
  })
})

test('an update needs the id and generation of the group, and counts the generation up', async () => {
  const fixture = await openShop()
  const { service } = fixture
  const config = await create(fixture, groupConfig('shop/billing', ['shop/orders']))
  const invalid = UpdateReaderGroupResponse.INVALID_CONFIG
  deepStrictEqual(await service.updateReaderGroup({ ...config, generation: 1n }), {
    status: invalid,
    generation: 1n,
  })
  deepStrictEqual(await service.updateReaderGroup({ ...config, readerGroupId: OTHER_ID }), {
    status: invalid,
    generation: 0n,
  })
  deepStrictEqual(await service.updateReaderGroup({ ...config, readerGroupName: 'none' }), {
    status: UpdateReaderGroupResponse.RG_NOT_FOUND,
    generation: 0n,
  })
  for (const generation of [0n, 1n, 2n])
    deepStrictEqual(await service.updateReaderGroup({ ...config, generation }), {
      status: UpdateReaderGroupResponse.SUCCESS,
      generation: generation + 1n,
    })
})

test('a group that keeps data subscribes to its streams, an update moves the subscriptions, deletion ends them', async () => {
  const fixture = await openShop()
  const { service } = fixture
  const config = groupConfig('shop/billing', ['shop/orders'], { retentionType: GroupRetention.MANUAL })
  await create(fixture, config)
  deepStrictEqual(await subscribers(fixture, 'shop/orders'), ['shop/billing'])
  deepStrictEqual(await subscribers(fixture, 'shop/returns'), [])

  const moved = groupConfig('shop/billing', ['shop/returns'], { retentionType: GroupRetention.AUTOMATIC })
  await service.updateReaderGroup(moved)
  deepStrictEqual(await subscribers(fixture, 'shop/orders'), [])
  deepStrictEqual(await subscribers(fixture, 'shop/returns'), ['shop/billing'])

  const none = groupConfig('shop/billing', ['shop/returns'], { generation: 1n })
  await service.updateReaderGroup(none)
  deepStrictEqual(await subscribers(fixture, 'shop/returns'), [])

  await service.updateReaderGroup({ ...config, generation: 2n })
  deepStrictEqual(await subscribers(fixture, 'shop/orders'), ['shop/billing'])
  const id = config.readerGroupId
  await service.deleteReaderGroup({
    scope: 'shop',
    readerGroup: 'billing',
    readerGroupId: id,
    generation: 3n,
  })
  deepStrictEqual(await subscribers(fixture, 'shop/orders'), [])
  deepStrictEqual(await service.listSubscribers(streamInfo('shop/none')), {
    subscribers: [],
    status: SubscribersResponse.STREAM_NOT_FOUND,
  })
})

test('a group that keeps data of a stream that does not exist is a FAILURE, and leaves nothing behind', async () => {
  const fixture = await openShop()
  const { service } = fixture
  const config = groupConfig('shop/billing', ['shop/orders', 'shop/none'], {
    retentionType: GroupRetention.MANUAL,
  })
  deepStrictEqual(await service.createReaderGroup(config), { status: CreateReaderGroupResponse.FAILURE })
  deepStrictEqual(await subscribers(fixture, 'shop/orders'), [])
  const request = { scope: 'shop', readerGroup: 'billing', readerGroupId: '', generation: 0n }
  deepStrictEqual(await service.getReaderGroupConfig(request), {
    status: ReaderGroupConfigResponse.RG_NOT_FOUND,
  })
})

test('trap 39, trap 43: the cut of a subscriber needs its id and generation, and does not move back', async () => {
  const fixture = await openShop()
  const config = groupConfig('shop/billing', ['shop/orders'], { retentionType: GroupRetention.MANUAL })
  await create(fixture, config)
  const note = async (options: {
    cut?: Map<bigint, number>
    generation?: bigint
    readerGroupId?: string
    subscriber?: string
    stream?: string
  }): Promise<number> => {
    const { cut = cutOf({ 0: 1, 1: 1 }), stream = 'shop/orders' } = options
    const { generation = 0n, readerGroupId = config.readerGroupId, subscriber = 'shop/billing' } = options
    const streamCut = { streamInfo: streamInfo(stream), cut }
    return (
      await fixture.service.updateSubscriberStreamCut({ subscriber, generation, readerGroupId, streamCut })
    ).status
  }
  strictEqual(await note({ stream: 'shop/none' }), UpdateSubscriberStatus.STREAM_NOT_FOUND)
  strictEqual(await note({ stream: 'shop/returns' }), UpdateSubscriberStatus.SUBSCRIBER_NOT_FOUND)
  strictEqual(await note({ subscriber: 'shop/other' }), UpdateSubscriberStatus.SUBSCRIBER_NOT_FOUND)
  strictEqual(await note({ readerGroupId: OTHER_ID }), UpdateSubscriberStatus.SUBSCRIBER_NOT_FOUND)
  strictEqual(await note({ generation: 1n }), UpdateSubscriberStatus.GENERATION_MISMATCH)
  strictEqual(await note({ cut: cutOf({ 0: 1 }) }), UpdateSubscriberStatus.STREAM_CUT_NOT_VALID)
  strictEqual(await note({ cut: cutOf({ 0: 5, 1: 5 }) }), UpdateSubscriberStatus.SUCCESS)
  strictEqual(await note({ cut: cutOf({ 0: 9, 1: 4 }) }), UpdateSubscriberStatus.STREAM_CUT_NOT_VALID)
  strictEqual(await note({ cut: cutOf({ 0: 9, 1: 5 }) }), UpdateSubscriberStatus.SUCCESS)
  await fixture.service.updateReaderGroup(config)
  strictEqual(await note({ cut: cutOf({ 0: 9, 1: 9 }) }), UpdateSubscriberStatus.GENERATION_MISMATCH)
  strictEqual(await note({ cut: cutOf({ 0: 9, 1: 9 }), generation: 1n }), UpdateSubscriberStatus.SUCCESS)
})

test('deletion needs the id of the group, and takes its streams along', async () => {
  const fixture = await openShop()
  const { service, fake } = fixture
  const config = await create(fixture, groupConfig('shop/billing', ['shop/orders']))
  const remove = (readerGroupId: string): Promise<{ status: number }> =>
    service.deleteReaderGroup({ scope: 'shop', readerGroup: 'billing', readerGroupId, generation: 0n })
  deepStrictEqual(await remove(OTHER_ID), { status: DeleteReaderGroupStatus.RG_NOT_FOUND })
  deepStrictEqual(await remove(config.readerGroupId.toUpperCase()), {
    status: DeleteReaderGroupStatus.SUCCESS,
  })
  deepStrictEqual(await remove(config.readerGroupId), { status: DeleteReaderGroupStatus.RG_NOT_FOUND })
  deepStrictEqual(
    [...fake.segments.keys()].filter((name) => name.includes('billing')),
    [],
  )
  strictEqual((await create(fixture, config)).generation, 0n)
  const state = await service.getCurrentSegments(streamInfo('shop/_RGbilling'))
  deepStrictEqual(
    state.segmentRanges.map(({ segmentId }) => segmentId.segmentId),
    [1n],
  )
})

test('trap 69: the scope deletion of old clients works: streams sealed and deleted as listed, then the groups', async () => {
  const fixture = await openShop()
  const { service, fake } = fixture
  await create(
    fixture,
    groupConfig('shop/billing', ['shop/orders'], { retentionType: GroupRetention.MANUAL }),
  )
  const { streams } = await service.listStreamsInScope({ scope: { scope: 'shop' } })
  for (const stream of streams) {
    await service.sealStream(stream)
    await service.deleteStream(stream)
  }
  const groups = streams.filter(({ stream }) => stream.startsWith('_RG')).map(({ stream }) => stream.slice(3))
  deepStrictEqual(groups, ['billing'])
  for (const readerGroup of groups) {
    const request = { scope: 'shop', readerGroup, readerGroupId: '', generation: 0n }
    const { config } = await service.getReaderGroupConfig(request)
    const { status } = await service.deleteReaderGroup({
      ...request,
      readerGroupId: config?.readerGroupId ?? '',
    })
    strictEqual(status, DeleteReaderGroupStatus.SUCCESS)
  }
  deepStrictEqual(await service.deleteScope({ scope: 'shop' }), { status: 0 })
  strictEqual(fake.segments.size, 0)
})
