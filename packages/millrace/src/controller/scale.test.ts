import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  DeleteStreamStatus,
  ScaleResponse,
  ScaleStatusResponse,
  ScaleType,
  UpdateStreamStatus,
} from '../protocol/controller/messages.ts'
import { splitSegmentId } from '../protocol/names.ts'
import {
  type ControllerFixture,
  cutOf,
  fixed,
  openController,
  streamConfig,
  streamInfo,
} from '../testing/controller-fixture.ts'
import { deferred } from '../testing/deferred.ts'
import { FakeSegments } from '../testing/fake-segments.ts'
import { decodeRecord } from './record-codec.ts'
import type { StreamRecord } from './stream-life.ts'
import { STREAM_CODEC } from './stream-record.ts'

const orders = streamInfo('shop/orders')

async function openOrders(
  segments = 1,
  options: { minimum?: number; fake?: FakeSegments } = {},
): Promise<ControllerFixture> {
  const fixture = openController(options.fake)
  await fixture.service.createScope({ scope: 'shop' })
  await fixture.service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(segments) }))
  if (options.minimum !== undefined) await setMinimum(fixture, options.minimum)
  return fixture
}

/** A policy that keeps the segments there are. */
async function setMinimum({ service }: ControllerFixture, minNumSegments: number): Promise<void> {
  const scalingPolicy = {
    scaleType: ScaleType.BY_RATE_IN_EVENTS_PER_SEC,
    targetRate: 10,
    scaleFactor: 2,
    minNumSegments,
  }
  const { status } = await service.updateStream(streamConfig('shop/orders', { scalingPolicy }))
  strictEqual(status, UpdateStreamStatus.SUCCESS)
}

type Bounds = readonly (readonly [low: number, high: number])[]

/** `seal` and the answered segments as `number.epoch`. */
async function scale(
  { service }: Pick<ControllerFixture, 'service'>,
  seal: readonly string[],
  into: Bounds,
): Promise<{ status: number; epoch: number; segments: [name: string, low: number, high: number][] }> {
  const response = await service.scale({
    streamInfo: orders,
    sealedSegments: [
      ...cutOf(Object.fromEntries(seal.map((name) => [name.split('.').toReversed().join('.'), 0]))).keys(),
    ],
    newKeyRanges: into.map(([start, end]) => ({ start, end })),
    scaleTimestamp: 0n,
  })
  return {
    status: response.status,
    epoch: response.epoch,
    segments: response.segments.map(({ segmentId, minKey, maxKey }) => [
      nameOf(segmentId.segmentId),
      minKey,
      maxKey,
    ]),
  }
}

function nameOf(id: bigint): string {
  const { number, epoch } = splitSegmentId(id)
  return `${number}.${epoch}`
}

async function current({ service }: Pick<ControllerFixture, 'service'>): Promise<string[]> {
  const { segmentRanges } = await service.getCurrentSegments(orders)
  return segmentRanges.map(({ segmentId }) => nameOf(segmentId.segmentId))
}

async function following(
  { service }: Pick<ControllerFixture, 'service'>,
  id: bigint,
): Promise<[successor: string, predecessors: string[]][]> {
  const { segments } = await service.getSegmentsImmediatelyFollowing({ streamInfo: orders, segmentId: id })
  return segments.map(({ segment, value }) => [nameOf(segment.segmentId.segmentId), value.map(nameOf)])
}

function stored(fake: FakeSegments): StreamRecord {
  const table = [...fake.tables.keys()].find((name) => name.startsWith('_system/_tables/shop/'))!
  const value = Buffer.from(fake.dump(table).get('s/orders')!)
  return decodeRecord(STREAM_CODEC, { key: 's/orders', value }).record
}

/** The segments of the stream in the store, as `number.epoch`, sealed ones in brackets. */
function segmentsOf(fake: FakeSegments): string[] {
  return [...fake.segments]
    .filter(([name]) => name.startsWith('shop/orders/'))
    .map(([name, { sealed }]) => {
      const short = name.slice('shop/orders/'.length).replace('.#epoch.', '.')
      return sealed ? `(${short})` : short
    })
}

test('a scale creates the new segments, then seals the old ones, and both ends of it are told', async () => {
  const fake = new FakeSegments()
  const connection = fake.connect()
  const fixture = openController(fake, connection)
  await fixture.service.createScope({ scope: 'shop' })
  await fixture.service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(2) }))
  const before = connection.calls.length
  deepStrictEqual(
    await scale(
      fixture,
      ['0.0'],
      [
        [0.2, 0.5],
        [0, 0.2],
      ],
    ),
    {
      status: ScaleResponse.STARTED,
      epoch: 0,
      segments: [
        ['2.1', 0, 0.2],
        ['3.1', 0.2, 0.5],
      ],
    },
  )
  deepStrictEqual(
    connection.calls.slice(before).map(({ name, segment }) => `${name} ${segment.replace(/members.*/, '')}`),
    [
      'updateTable _system/_tables/shop/',
      'createSegment shop/orders/2.#epoch.1',
      'createSegment shop/orders/3.#epoch.1',
      'sealSegment shop/orders/0.#epoch.0',
      'updateTable _system/_tables/shop/',
    ],
  )
  deepStrictEqual(await current(fixture), ['2.1', '3.1', '1.0'])
  deepStrictEqual(segmentsOf(fake), ['(0.0)', '1.0', '2.1', '3.1'])
  const { segmentRanges } = await fixture.service.getEpochSegments({ streamInfo: orders, epoch: 0 })
  deepStrictEqual(
    segmentRanges.map(({ segmentId }) => nameOf(segmentId.segmentId)),
    ['0.0', '1.0'],
  )
})

test('split, merge, uneven, the whole stream at once: ids grow, epochs follow one another, a later controller agrees', async () => {
  const fixture = await openOrders(1, { minimum: 1 })
  for (const [seal, into, after] of [
    [
      ['0.0'],
      [
        [0, 0.5],
        [0.5, 1],
      ],
      ['1.1', '2.1'],
    ],
    [
      ['2.1'],
      [
        [0.5, 0.6],
        [0.6, 0.9],
        [0.9, 1],
      ],
      ['1.1', '3.2', '4.2', '5.2'],
    ],
    [['1.1', '3.2'], [[0, 0.6]], ['6.3', '4.2', '5.2']],
    [
      ['6.3', '4.2', '5.2'],
      [
        [0, 0.1],
        [0.1, 1],
      ],
      ['7.4', '8.4'],
    ],
    [['7.4', '8.4'], [[0, 1]], ['9.5']],
  ] as const) {
    strictEqual((await scale(fixture, seal, into)).status, ScaleResponse.STARTED)
    deepStrictEqual(await current(fixture), after)
    deepStrictEqual(await current(openController(fixture.fake)), after)
  }
  const { epochs } = stored(fixture.fake)
  deepStrictEqual(
    epochs.map(({ epoch, cause }) => [epoch, cause]),
    [
      [0, 'created'],
      [1, 'manual'],
      [2, 'manual'],
      [3, 'manual'],
      [4, 'manual'],
      [5, 'manual'],
    ],
  )
  ok(epochs.every(({ startedAtMs }) => startedAtMs > 1_700_000_000_000))
})

test('trap 19, trap 34: once a segment is sealed all its successors are known with all their predecessors, also to a read that came meanwhile', async () => {
  const fake = new FakeSegments()
  await openOrders(2, { fake, minimum: 1 })
  const gate = deferred<void>()
  const sealed = deferred<void>()
  const plain = fake.connect()
  const fixture = openController(fake, {
    ...plain,
    async sealSegment(name) {
      await plain.sealSegment(name)
      sealed.resolve()
      await gate.promise
    },
  })
  const scaling = scale(
    fixture,
    ['0.0', '1.0'],
    [
      [0, 0.3],
      [0.3, 1],
    ],
  )
  await sealed.promise
  const asked = Promise.all([following(fixture, 0n), following(fixture, 1n), current(fixture)])
  gate.resolve()
  deepStrictEqual(await asked, [
    [
      ['2.1', ['0.0']],
      ['3.1', ['0.0', '1.0']],
    ],
    [['3.1', ['0.0', '1.0']]],
    ['2.1', '3.1'],
  ])
  strictEqual((await scaling).status, ScaleResponse.STARTED)
  deepStrictEqual(await following(fixture, (1n << 32n) | 3n), [])
})

test('readers wait for the scale that is under way, not for all that waits behind it', async () => {
  const fake = new FakeSegments()
  await openOrders(1, { fake, minimum: 1 })
  const gates = [deferred<void>(), deferred<void>()]
  const reached = [deferred<void>(), deferred<void>()]
  let seals = 0
  const plain = fake.connect()
  const fixture = openController(fake, {
    ...plain,
    async sealSegment(name) {
      const turn = seals++
      reached[turn]?.resolve()
      await gates[turn]?.promise
      await plain.sealSegment(name)
    },
  })
  const first = scale(fixture, ['0.0'], [[0, 1]])
  await reached[0]?.promise
  const second = scale(fixture, ['1.1'], [[0, 1]])
  const read = current(fixture)
  gates[0]?.resolve()
  deepStrictEqual(await read, ['1.1'])
  await reached[1]?.promise
  gates[1]?.resolve()
  strictEqual((await first).status, ScaleResponse.STARTED)
  strictEqual((await second).status, ScaleResponse.STARTED)
})

test('a scale asked for while one runs is judged by what is true after it', async () => {
  const fixture = await openOrders(2, { minimum: 1 })
  const [one, same, other] = await Promise.all([
    scale(
      fixture,
      ['0.0'],
      [
        [0, 0.25],
        [0.25, 0.5],
      ],
    ),
    scale(
      fixture,
      ['0.0'],
      [
        [0, 0.25],
        [0.25, 0.5],
      ],
    ),
    scale(
      fixture,
      ['1.0'],
      [
        [0.5, 0.75],
        [0.75, 1],
      ],
    ),
  ])
  strictEqual(one.status, ScaleResponse.STARTED)
  strictEqual(same.status, ScaleResponse.PRECONDITION_FAILED)
  deepStrictEqual(other, {
    status: ScaleResponse.STARTED,
    epoch: 1,
    segments: [
      ['4.2', 0.5, 0.75],
      ['5.2', 0.75, 1],
    ],
  })
})

test('several streams scale at once', async () => {
  const fixture = await openOrders(1)
  const names = ['a', 'b', 'c', 'd']
  for (const name of names) await fixture.service.createStream(streamConfig(`shop/${name}`))
  const answers = await Promise.all(
    names.map((stream) =>
      fixture.service.scale({
        streamInfo: { scope: 'shop', stream },
        sealedSegments: [0n],
        newKeyRanges: [
          { start: 0, end: 0.5 },
          { start: 0.5, end: 1 },
        ],
        scaleTimestamp: 0n,
      }),
    ),
  )
  deepStrictEqual(
    answers.map(({ status }) => status),
    Array(4).fill(ScaleResponse.STARTED),
  )
})

test('observed 10: what cannot be scaled is refused as Pravega does, and leaves no trace', async () => {
  const fixture = await openOrders(4)
  const before = stored(fixture.fake)
  const halves: Bounds = [
    [0, 0.125],
    [0.125, 0.25],
  ]
  for (const [seal, into, status] of [
    [['0.0', '1.0'], [[0, 0.5]], ScaleResponse.PRECONDITION_FAILED], // The policy asks for four.
    [['7.0'], halves, ScaleResponse.PRECONDITION_FAILED],
    [['0.1'], halves, ScaleResponse.PRECONDITION_FAILED],
    [
      ['0.0'],
      [
        [0, 0.125],
        [0.2, 0.25],
      ],
      ScaleResponse.FAILURE,
    ],
    [
      ['0.0'],
      [
        [0, 0.2],
        [0.1, 0.25],
      ],
      ScaleResponse.FAILURE,
    ],
    [['0.0'], [[0, 0.5]], ScaleResponse.FAILURE],
    [['0.0'], [[0.25, 0]], ScaleResponse.FAILURE],
    [[], [], ScaleResponse.FAILURE],
  ] as const)
    deepStrictEqual(await scale(fixture, seal, into), { status, segments: [], epoch: 0 })
  deepStrictEqual(stored(fixture.fake), before)
  deepStrictEqual(segmentsOf(fixture.fake), ['0.0', '1.0', '2.0', '3.0'])
  deepStrictEqual(fixture.failures, [])
})

test('a sealed stream and one that is not there do not scale', async () => {
  const fixture = await openOrders(1)
  await fixture.service.sealStream(orders)
  strictEqual((await scale(fixture, ['0.0'], [[0, 1]])).status, ScaleResponse.FAILURE)
  await fixture.service.deleteStream(orders)
  strictEqual((await scale(fixture, ['0.0'], [[0, 1]])).status, ScaleResponse.FAILURE)
  deepStrictEqual(await fixture.service.checkScale({ streamInfo: orders, epoch: 0 }), {
    status: ScaleStatusResponse.INVALID_INPUT,
  })
  deepStrictEqual(fixture.failures, [])
})

test('more segments than a stream can have are an invalid argument', async () => {
  const fixture = await openOrders(1)
  const borders = Array.from({ length: 10_002 }, (_, i) => i / 10_001)
  const into = borders.slice(1).map((high, i) => [borders[i]!, high] as const)
  await rejects(scale(fixture, ['0.0'], into), {
    code: 'invalid-argument',
    message: 'A stream has at most 10000 segments at a time, the scale makes it 10001',
  })
})

test('trap 64: checkScale tells of the epoch that a scale has ended', async () => {
  const fixture = await openOrders(1)
  const check = async (epoch: number): Promise<number> =>
    (await fixture.service.checkScale({ streamInfo: orders, epoch })).status
  strictEqual(await check(0), ScaleStatusResponse.IN_PROGRESS)
  strictEqual(await check(1), ScaleStatusResponse.INVALID_INPUT)
  const { epoch } = await scale(
    fixture,
    ['0.0'],
    [
      [0, 0.5],
      [0.5, 1],
    ],
  )
  strictEqual(await check(epoch), ScaleStatusResponse.SUCCESS)
  strictEqual(await check(epoch + 1), ScaleStatusResponse.IN_PROGRESS)
  await rejects(check(-1), { code: 'invalid-argument' })
})

test('observed 10: an update to a policy of another number of segments scales the stream', async () => {
  const fixture = await openOrders(1)
  const update = async (minNumSegments: number, scaleType: 0 | 2 = 0): Promise<void> => {
    const scalingPolicy = { scaleType, targetRate: 5, scaleFactor: 2, minNumSegments }
    const config = streamConfig('shop/orders', { scalingPolicy, tags: { tag: [String(minNumSegments)] } })
    deepStrictEqual(await fixture.service.updateStream(config), { status: UpdateStreamStatus.SUCCESS })
    deepStrictEqual((await fixture.service.getStreamConfiguration(orders)).tags, config.tags)
  }
  await update(3)
  deepStrictEqual(await current(fixture), ['1.1', '2.1', '3.1'])
  const { segmentRanges } = await fixture.service.getCurrentSegments(orders)
  deepStrictEqual(
    segmentRanges.map(({ maxKey }) => maxKey),
    [1 / 3, 2 / 3, 1],
  )
  await update(2)
  deepStrictEqual(await current(fixture), ['4.2', '5.2'])
  await update(1, ScaleType.BY_RATE_IN_EVENTS_PER_SEC)
  deepStrictEqual(await current(fixture), ['4.2', '5.2'])
  await update(4, ScaleType.BY_RATE_IN_EVENTS_PER_SEC)
  deepStrictEqual(await current(fixture), ['6.3', '7.3', '8.3', '9.3'])
  deepStrictEqual(
    stored(fixture.fake).epochs.map(({ cause, detail }) => [cause, detail]),
    [
      ['created', undefined],
      ['policy', '3 segments instead of 1'],
      ['policy', '2 segments instead of 3'],
      ['policy', 'at least 4 segments instead of 2'],
    ],
  )
})

test('trap 35, trap 36: the head does not move with a scale, and a sealed stream that has scaled keeps its epochs', async () => {
  const fixture = await openOrders(1)
  const { service, fake } = fixture
  fake.append('shop/orders/0.#epoch.0', 100)
  await scale(
    fixture,
    ['0.0'],
    [
      [0, 0.5],
      [0.5, 1],
    ],
  )
  const head = async (): Promise<[string, number][]> => {
    const { segments } = await service.getSegments({ streamInfo: orders, timestamp: 0n })
    return segments.map(({ segmentId, offset }) => [nameOf(segmentId.segmentId), offset])
  }
  deepStrictEqual(await head(), [['0.0', 0]])
  await service.sealStream(orders)
  deepStrictEqual(await current(fixture), [])
  deepStrictEqual(await following(fixture, 0n), [
    ['1.1', ['0.0']],
    ['2.1', ['0.0']],
  ])
  deepStrictEqual(await following(fixture, (1n << 32n) | 1n), [])
  const { segmentRanges } = await service.getEpochSegments({ streamInfo: orders, epoch: 1 })
  deepStrictEqual(
    segmentRanges.map(({ segmentId }) => nameOf(segmentId.segmentId)),
    ['1.1', '2.1'],
  )
})

test('a truncation behind a scale deletes what was sealed, and a cut across it keeps what is not reached', async () => {
  const fixture = await openOrders(2)
  const { service, fake } = fixture
  fake.append('shop/orders/0.#epoch.0', 100)
  await scale(
    fixture,
    ['0.0'],
    [
      [0, 0.25],
      [0.25, 0.5],
    ],
  )
  fake.append('shop/orders/2.#epoch.1', 50)
  const truncate = async (cut: Record<string, number>): Promise<void> => {
    const { status } = await service.truncateStream({ streamInfo: orders, cut: cutOf(cut) })
    strictEqual(status, UpdateStreamStatus.SUCCESS)
  }
  await truncate({ '0.0': 60, '0.1': 0 })
  deepStrictEqual(segmentsOf(fake), ['(0.0)', '1.0', '2.1', '3.1'])
  await truncate({ '1.2': 50, '1.3': 0, '0.1': 0 })
  deepStrictEqual(segmentsOf(fake), ['1.0', '2.1', '3.1'])
})

test('trap 42: a stream created again after scales numbers its segments higher than all of them', async () => {
  const fixture = await openOrders(1)
  const { service, fake } = fixture
  await scale(
    fixture,
    ['0.0'],
    [
      [0, 0.5],
      [0.5, 1],
    ],
  )
  await service.sealStream(orders)
  deepStrictEqual(await service.deleteStream(orders), { status: DeleteStreamStatus.SUCCESS })
  deepStrictEqual(segmentsOf(fake), [])
  await service.createStream(streamConfig('shop/orders'))
  deepStrictEqual(await current(fixture), ['3.0'])
})

test('a record of the version before streams scaled is read, and goes on in the present one', async () => {
  const fixture = await openOrders(2)
  const { fake } = fixture
  const table = [...fake.tables.keys()].find((name) => name.startsWith('_system/_tables/shop/'))!
  const json = JSON.parse(fake.dump(table).get('s/orders')!) as { v: number; r: Record<string, unknown> }
  const value = Buffer.from(
    JSON.stringify({ ...json, v: 1, r: { ...json.r, epochs: [{ epoch: 0, startedAtMs: 5 }] } }),
  )
  await fake.connect().updateTable(table, [{ key: Buffer.from('s/orders'), value, condition: 'any' }])
  const later = openController(fake)
  deepStrictEqual(await current(later), ['0.0', '1.0'])
  strictEqual(
    (
      await scale(
        later,
        ['0.0'],
        [
          [0, 0.1],
          [0.1, 0.5],
        ],
      )
    ).status,
    ScaleResponse.STARTED,
  )
  deepStrictEqual(stored(fake).epochs[0], { epoch: 0, startedAtMs: 5, cause: 'created' })
})
