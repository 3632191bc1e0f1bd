import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { nodeHost } from '../base/node-host.ts'
import { SegmentError } from '../client/segment-calls.ts'
import { DeleteStreamStatus, ScaleResponse, UpdateStreamStatus } from '../protocol/controller/messages.ts'
import { segmentNameOfId } from '../protocol/names.ts'
import { cutOf, fixed, openController, streamConfig, streamInfo } from '../testing/controller-fixture.ts'
import { FakeSegments } from '../testing/fake-segments.ts'
import type { StreamRecord } from './stream-life.ts'
import { HISTORIES_TABLE, StreamRecords } from './stream-records.ts'
import {
  currentEpoch,
  currentSegments,
  everyEpoch,
  everySegment,
  firstNumber,
  nextSegmentNumber,
  scaledHistory,
  segmentsOfEpoch,
  splitEvenly,
  successorsOf,
} from './stream-segments.ts'

const orders = streamInfo('shop/orders')

interface Stream {
  readonly fake: FakeSegments
  readonly place: { table: string; key: string }
  readonly records: StreamRecords
}

function recordsOver(
  fake: FakeSegments,
  segments: ReturnType<FakeSegments['connect']> = fake.connect(),
): StreamRecords {
  return new StreamRecords({ segments, random: nodeHost().random }, { heldBytesMax: 64 * 1024 * 1024 })
}

async function openOrders(): Promise<Stream> {
  const fake = new FakeSegments()
  const { service } = openController(fake)
  await service.createScope({ scope: 'shop' })
  await service.createStream(streamConfig('shop/orders'))
  const table = [...fake.tables.keys()].find((name) => name.startsWith('_system/_tables/shop/'))!
  return { fake, place: { table, key: 's/orders' }, records: recordsOver(fake) }
}

/** The stream after so many scales of the whole of it, some of them written. */
async function scaleOften(stream: Stream, times: number, into = splitEvenly(2)): Promise<StreamRecord> {
  const { records, place } = stream
  let stored = await records.get(place)
  let record = stored!.record
  for (let i = 1; i <= times; i++) {
    const seal = new Set(currentSegments(record).map(({ id }) => id))
    const began = { startedAtMs: i, cause: 'manual' } as const
    record = { ...record, ...scaledHistory(record, { seal, into, began }) }
    if (i % 250 !== 0 && i !== times) continue
    stored = await records.put(place, record, stored)
    record = stored!.record
  }
  return record
}

function entryBytes({ fake, place }: Stream): number {
  return fake.dump(place.table).get(place.key)!.length
}

test('what was sealed long ago leaves the record in pages, and is there all the same', async () => {
  const stream = await openOrders()
  const record = await scaleOften(stream, 3000)
  ok(record.past.length > 3)
  ok(entryBytes(stream) < 100_000)
  const read = await recordsOver(stream.fake).get(stream.place)
  for (const each of [record, read!.record]) {
    strictEqual(currentEpoch(each), 3000)
    strictEqual(firstNumber(each), 0)
    strictEqual(nextSegmentNumber(each), 6001)
    strictEqual([...everySegment(each)].length, 6001)
    deepStrictEqual(
      everyEpoch(each).map(({ epoch }) => epoch),
      Array.from({ length: 3001 }, (_, epoch) => epoch),
    )
    for (const epoch of [1, 2, 255, 256, 257, 1000, 2743, 2744, 2745, 3000]) {
      const numbers = segmentsOfEpoch(each, epoch)?.map(({ number }) => number)
      deepStrictEqual(numbers, [epoch * 2 - 1, epoch * 2])
      const [successor] = successorsOf(each, (BigInt(epoch) << 32n) | BigInt(epoch * 2))
      strictEqual(successor?.segment.number, epoch === 3000 ? undefined : epoch * 2 + 2)
    }
  }
  deepStrictEqual(read!.record, record)
})

test('a segment that stays open for thousands of epochs is found in each of them', async () => {
  const stream = await openOrders()
  const { service } = openController(stream.fake)
  await service.updateStream(streamConfig('shop/orders', { scalingPolicy: fixed(2) }))
  let stored = await stream.records.get(stream.place)
  for (let i = 0; i < 2000; i++) {
    const { record } = stored!
    const seal = new Set([currentSegments(record)[1]!.id])
    const began = { startedAtMs: i, cause: 'manual' } as const
    const history = scaledHistory(record, { seal, into: [{ low: 0.5, high: 1 }], began })
    stored =
      i % 100 === 99
        ? await stream.records.put(stream.place, { ...record, ...history }, stored)
        : { ...stored!, record: { ...record, ...history } }
  }
  const { record } = (await recordsOver(stream.fake).get(stream.place))!
  ok(record.past.length > 0)
  for (let epoch = 1; epoch <= 2001; epoch += 50)
    deepStrictEqual(
      segmentsOfEpoch(record, epoch)?.map(({ number }) => number),
      [1, epoch + 1],
    )
})

test('a page is written before the record, once more if its answer is lost, and no other write touches it', async () => {
  const stream = await openOrders()
  await scaleOften(stream, 250)
  const connection = stream.fake.connect(({ name, segment }) =>
    name === 'updateTable' &&
    segment === HISTORIES_TABLE &&
    connection.calls.filter((call) => call.segment === segment).length < 3
      ? { carriedOut: true, error: new SegmentError('unknown-outcome', segment, 'lost') }
      : undefined,
  )
  const records = recordsOver(stream.fake, connection)
  await scaleOften({ ...stream, records }, 500)
  const writes = connection.calls.filter(({ name }) => name === 'updateTable')
  strictEqual(writes[0]?.segment, HISTORIES_TABLE)
  strictEqual(writes.at(-1)?.segment, stream.place.table)
  const pages = stream.fake.dump(HISTORIES_TABLE).size
  // A write that loses against another one leaves nothing but a page that nobody knows.
  const late = await recordsOver(stream.fake).get(stream.place)
  await records.put(stream.place, { ...late!.record, createdAtMs: 1 }, late)
  let { record } = late!
  for (let i = 0; i < 400; i++) {
    const seal = new Set(currentSegments(record).map(({ id }) => id))
    const began = { startedAtMs: i, cause: 'manual' } as const
    record = { ...record, ...scaledHistory(record, { seal, into: splitEvenly(2), began }) }
  }
  strictEqual(await recordsOver(stream.fake).put(stream.place, record, late), undefined)
  ok(stream.fake.dump(HISTORIES_TABLE).size > pages)
  strictEqual((await recordsOver(stream.fake).get(stream.place))?.record.createdAtMs, 1)
})

test('a page that is gone is damage, and named', async () => {
  const stream = await openOrders()
  await scaleOften(stream, 1000)
  const [key] = [...stream.fake.dump(HISTORIES_TABLE).keys()]
  await stream.fake.connect().removeFromTable(HISTORIES_TABLE, [{ key: Buffer.from(key!), condition: 'any' }])
  await rejects(openController(stream.fake).service.getCurrentSegments(orders), {
    code: 'data-loss',
    message: `There is no entry ${key} of the stream's past`,
  })
})

test('a stream of the greatest width scales as a whole', async () => {
  const stream = await openOrders()
  const { service, failures } = openController(stream.fake)
  for (let i = 0; i < 2; i++) {
    const scalingPolicy = fixed(10_000 - i)
    const { status } = await service.updateStream(streamConfig('shop/orders', { scalingPolicy }))
    strictEqual(status, UpdateStreamStatus.SUCCESS)
  }
  const { segmentRanges } = await openController(stream.fake).service.getCurrentSegments(orders)
  strictEqual(segmentRanges.length, 9999)
  const { segmentRanges: before } = await service.getEpochSegments({ streamInfo: orders, epoch: 1 })
  strictEqual(before.length, 10_000)
  deepStrictEqual(failures, [])
})

test('a stream that has scaled 100,000 times works like any other, and is deleted without a trace', async () => {
  const stream = await openOrders()
  const { fake } = stream
  const record = await scaleOften(stream, 100_000, splitEvenly(1))
  const last = currentSegments(record).map(({ id }) => id)
  const { service, failures } = openController(fake)
  for (const id of last) await fake.connect().createSegment(segmentNameOfId('shop', 'orders', id))
  const current = await service.getCurrentSegments(orders)
  deepStrictEqual(
    current.segmentRanges.map(({ segmentId }) => segmentId.segmentId),
    last,
  )
  const middle = await service.getEpochSegments({ streamInfo: orders, epoch: 50_000 })
  deepStrictEqual(
    middle.segmentRanges.map(({ segmentId }) => segmentId.segmentId & 0xffff_ffffn),
    [50_000n],
  )
  const old = middle.segmentRanges[0]!.segmentId.segmentId
  const { segments } = await service.getSegmentsImmediatelyFollowing({ streamInfo: orders, segmentId: old })
  deepStrictEqual(
    segments.map(({ value }) => value),
    [[old]],
  )
  const { status } = await service.scale({
    streamInfo: orders,
    sealedSegments: last,
    newKeyRanges: [{ start: 0, end: 1 }],
    scaleTimestamp: 0n,
  })
  strictEqual(status, ScaleResponse.STARTED)
  const cut = cutOf({ '100001.100001': 0 })
  const between = await service.getSegmentsBetween({ streamInfo: orders, from: cut, to: new Map() })
  strictEqual(between.segments.length, 1)
  deepStrictEqual(await service.truncateStream({ streamInfo: orders, cut }), {
    status: UpdateStreamStatus.SUCCESS,
  })
  ok(entryBytes(stream) < 100_000)
  await service.sealStream(orders)
  deepStrictEqual(await service.deleteStream(orders), { status: DeleteStreamStatus.SUCCESS })
  strictEqual(fake.segments.size, 0)
  strictEqual(fake.dump(HISTORIES_TABLE).size, 0)
  await service.createStream(streamConfig('shop/orders'))
  const { segmentRanges } = await openController(fake).service.getCurrentSegments(orders)
  deepStrictEqual(
    segmentRanges.map(({ segmentId }) => segmentId.segmentId),
    [100_002n],
  )
  deepStrictEqual(failures, [])
})
