import { deepStrictEqual, match, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { type SegmentCalls, SegmentError, type SegmentErrorCode } from '../client/segment-calls.ts'
import { connectGrpcController } from '../client/grpc-controller.ts'
import { ScaleResponse } from '../protocol/controller/messages.ts'
import { type ControllerService, RPC_NAMES, type RpcName } from '../protocol/controller/service.ts'
import {
  cutOf,
  fixed,
  groupConfig,
  openController,
  streamConfig,
  streamInfo,
} from '../testing/controller-fixture.ts'
import { deferred } from '../testing/deferred.ts'
import { FakeSegments } from '../testing/fake-segments.ts'
import { startGrpcServer } from './grpc-server.ts'

const orders = streamInfo('shop/orders')

/** Segments are created once the gate opens; `reached` says that one waits. */
function gated(segments: SegmentCalls): { segments: SegmentCalls; reached: Promise<void>; open(): void } {
  const gate = deferred<void>()
  const reached = deferred<void>()
  const createSegment: SegmentCalls['createSegment'] = async (name, options) => {
    reached.resolve()
    await gate.promise
    return segments.createSegment(name, options)
  }
  return { segments: { ...segments, createSegment }, reached: reached.promise, open: () => gate.resolve() }
}

/** A controller whose store fails every call with this code from now on, once `isBroken` is set. */
function breakable(code: SegmentErrorCode): {
  service: ControllerService
  failures: readonly unknown[]
  break(): void
} {
  const fake = new FakeSegments()
  let isBroken = false
  const connection = fake.connect(({ segment }) =>
    isBroken ? { carriedOut: false, error: new SegmentError(code, segment, 'so it is') } : undefined,
  )
  return {
    ...openController(fake, connection),
    break: () => {
      isBroken = true
    },
  }
}

test('what this version does not serve says so in a sentence, and is never taken for success', async () => {
  const { service, failures } = openController()
  const unserved: readonly RpcName[] = [
    'noteTimestampFromWriter',
    'removeWriter',
    'createKeyValueTable',
    'deleteKeyValueTable',
    'getKeyValueTableConfiguration',
    'getCurrentSegmentsKeyValueTable',
  ]
  for (const rpc of unserved)
    await rejects((service[rpc] as (request: object) => Promise<unknown>)({}), (error) => {
      strictEqual((error as { code?: string }).code, 'unimplemented')
      match((error as Error).message, /^[A-Z].* not supported by this version$/)
      return true
    })
  deepStrictEqual(failures, [])
  strictEqual(
    RPC_NAMES.every((rpc) => typeof service[rpc] === 'function'),
    true,
  )
})

test('trap 38: what the store cannot do reaches the caller under a code that says whether to try again', async () => {
  for (const [segmentCode, code] of [
    ['closed', 'unavailable'],
    ['disk-full', 'resource-exhausted'],
    ['data-loss', 'data-loss'],
    ['internal', 'internal'],
  ] as const) {
    const store = breakable(segmentCode)
    await store.service.createScope({ scope: 'shop' })
    store.break()
    await rejects(store.service.createStream(streamConfig('shop/orders')), {
      name: 'ControllerError',
      code,
      message: /^The segment store did not serve '_system\/_tables.*': so it is$/,
    })
    strictEqual(store.failures.length, code === 'unavailable' ? 0 : 1)
  }
})

test('a disk that was full during a creation does not keep the stream from being created later', async () => {
  const fake = new FakeSegments()
  let isFull = true
  const connection = fake.connect(({ name, segment }) =>
    isFull && name === 'createSegment'
      ? { carriedOut: false, error: new SegmentError('disk-full', segment, 'no room') }
      : undefined,
  )
  const { service } = openController(fake, connection)
  await service.createScope({ scope: 'shop' })
  await rejects(service.createStream(streamConfig('shop/orders')), { code: 'resource-exhausted' })
  await rejects(service.getCurrentSegments(orders), { code: 'resource-exhausted' })
  isFull = false
  const { segmentRanges } = await service.getCurrentSegments(orders)
  strictEqual(segmentRanges.length, 1)
  strictEqual(fake.segments.size, 2)
})

test('a caller that stops waiting is let go, and what it set in motion is finished', async () => {
  const fake = new FakeSegments()
  const gate = gated(fake.connect())
  const { service } = openController(fake, gate.segments)
  await service.createScope({ scope: 'shop' })
  const abort = new AbortController()
  const creation = service.createStream(streamConfig('shop/orders'), { signal: abort.signal })
  await gate.reached
  abort.abort(new Error('enough'))
  await rejects(creation, { name: 'ControllerError', code: 'cancelled' })
  await rejects(service.checkScopeExists({ scope: 'shop' }, { signal: abort.signal }), { code: 'cancelled' })
  gate.open()
  deepStrictEqual(await service.checkStreamExists(orders), { exists: true })
})

test('a closed controller refuses calls, and is closed when those under way are over', async () => {
  const fake = new FakeSegments()
  const gate = gated(fake.connect())
  const { service, close } = openController(fake, gate.segments)
  await service.createScope({ scope: 'shop' })
  const creation = service.createStream(streamConfig('shop/orders'))
  let isClosed = false
  const closing = close().then(() => {
    isClosed = true
  })
  await rejects(service.checkScopeExists({ scope: 'shop' }), {
    code: 'unavailable',
    message: 'The controller is closed',
  })
  strictEqual(isClosed, false)
  gate.open()
  deepStrictEqual(await creation, { status: 0 })
  await closing
})

test('trap 30, trap 37: places and tokens are answered while no store can be reached', async () => {
  const store = breakable('closed')
  store.break()
  deepStrictEqual(await store.service.getURI({ streamInfo: orders, segmentId: 0n }), {
    endpoint: 'store.millrace',
    port: 12345,
  })
  deepStrictEqual(await store.service.getDelegationToken(orders), { delegationToken: '' })
  await rejects(store.service.checkScopeExists({ scope: 'shop' }), { code: 'unavailable' })
})

test('a controller whose first call failed prepares itself with the next', async () => {
  const fake = new FakeSegments()
  let failures = 3
  const connection = fake.connect(({ name, segment }) =>
    name === 'createTable' && failures-- > 0
      ? { carriedOut: false, error: new SegmentError('disk-full', segment, 'no room') }
      : undefined,
  )
  const { service } = openController(fake, connection)
  for (let i = 0; i < 3; i++)
    await rejects(service.createScope({ scope: 'shop' }), { code: 'resource-exhausted' })
  deepStrictEqual(await service.createScope({ scope: 'shop' }), { status: 0 })
})

test('trap 41, trap 65: over gRPC a group comes back equal, and ids and longs keep all their bits', async (t) => {
  const { service } = openController()
  const server = await startGrpcServer({ service, address: { host: '127.0.0.1', port: 0 } })
  t.after(() => server.close())
  const client = connectGrpcController({ addresses: [server.address] })
  t.after(() => client.close())
  await client.createScope({ scope: 'shop' })
  await client.createStream(
    streamConfig('shop/orders', { scalingPolicy: fixed(3), timestampAggregationTimeout: 2n ** 63n - 1n }),
  )
  const config = groupConfig('shop/billing', ['shop/orders'], {
    automaticCheckpointIntervalMillis: 2n ** 63n - 1n,
    endingStreamCuts: [{ streamInfo: orders, cut: cutOf({ '2147483647.2147483647': -1 }) }],
  })
  const { config: answered } = await client.createReaderGroup(config)
  const plain = (cuts = config.endingStreamCuts): unknown =>
    cuts.map(({ streamInfo, cut }) => [streamInfo.scope, streamInfo.stream, cut])
  deepStrictEqual(
    { ...answered, startingStreamCuts: [], endingStreamCuts: plain(answered?.endingStreamCuts) },
    { ...config, startingStreamCuts: [], endingStreamCuts: plain() },
  )
  const stream = await client.getStreamConfiguration(orders)
  strictEqual(stream.timestampAggregationTimeout, 2n ** 63n - 1n)
  strictEqual(stream.retentionPolicy, undefined)
  const { segmentRanges } = await client.getCurrentSegments(orders)
  strictEqual(segmentRanges[0]?.maxKey, segmentRanges[1]?.minKey)
  await rejects(client.getCurrentSegments(streamInfo('shop/none')), { code: 'not-found' })
  const { status, segments } = await client.scale({
    streamInfo: orders,
    sealedSegments: [2n],
    newKeyRanges: [{ start: 2 / 3, end: 1 }],
    scaleTimestamp: 0n,
  })
  strictEqual(status, ScaleResponse.STARTED)
  deepStrictEqual(
    segments.map(({ segmentId, minKey, maxKey }) => [segmentId.segmentId, minKey, maxKey]),
    [[(1n << 32n) | 3n, segmentRanges[1]?.maxKey, 1]],
  )
})
