/** Transactions that are committed after their stream has scaled. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { UpdateStreamStatus } from '../protocol/controller/messages.ts'
import { SegmentError } from '../client/segment-calls.ts'
import { openController } from '../testing/controller-fixture.ts'
import { deferred } from '../testing/deferred.ts'
import { FakeSegments } from '../testing/fake-segments.ts'
import {
  abort,
  begin,
  commit,
  ended,
  mergedInto,
  openOrders,
  type OpenTransaction,
  orders,
  scale,
  segmentsOf,
  type Service,
  stateOf,
} from '../testing/transaction-scene.ts'

const id = (number: bigint, epoch: bigint): bigint => (epoch << 32n) | number

async function currentOf({ service }: Service): Promise<string[]> {
  const { segmentRanges } = await service.getCurrentSegments(orders)
  return segmentRanges.map(({ segmentId }) => nameOf(segmentId.segmentId))
}

async function following({ service }: Service, segmentId: bigint): Promise<string[]> {
  const { segments } = await service.getSegmentsImmediatelyFollowing({ streamInfo: orders, segmentId })
  return segments.map(({ segment, value }) => {
    return `${nameOf(segment.segmentId.segmentId)} after ${value.map(nameOf).join(',')}`
  })
}

function nameOf(segmentId: bigint): string {
  return `${segmentId & 0xffff_ffffn}.${segmentId >> 32n}`
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const split = [
  [0, 0.5],
  [0.5, 1],
] as const

test('trap 46, observed 13: a commit after a scale adds exactly two epochs, and readers come from one to the other', async () => {
  const fixture = await openOrders(1)
  const { fake } = fixture
  const transaction = await begin(fixture)
  fake.append(transaction.parts[0]!, 25)
  await scale(fixture, [0n], split)
  strictEqual(await commit(fixture, transaction), 'SUCCESS')
  strictEqual(await ended(fixture, transaction), 'COMMITTED')
  deepStrictEqual(segmentsOf(fake), ['(0.0)', '(0.2)', '(1.1)', '(2.1)', '1.3', '2.3'])
  strictEqual(fake.segments.get('shop/orders/0.#epoch.2')?.writeOffset, 25)
  deepStrictEqual(await currentOf(fixture), ['1.3', '2.3'])
  deepStrictEqual(await following(fixture, id(1n, 1n)), ['0.2 after 1.1,2.1'])
  deepStrictEqual(await following(fixture, id(2n, 1n)), ['0.2 after 1.1,2.1'])
  deepStrictEqual(await following(fixture, id(0n, 2n)), ['1.3 after 0.2', '2.3 after 0.2'])
  deepStrictEqual(await following(fixture, id(1n, 3n)), [])
  // The next commit of an earlier epoch rolls again, the next scale goes on from there.
  const next = await begin(fixture)
  await scale(fixture, [id(1n, 3n), id(2n, 3n)], [[0, 1]])
  deepStrictEqual(await currentOf(fixture), ['3.4'])
  await commit(fixture, next)
  await ended(fixture, next)
  deepStrictEqual(await currentOf(fixture), ['3.6'])
  deepStrictEqual(mergedInto(fake, '1.5', [next]), [0])
})

test('transactions of one earlier epoch share a roll, and those of the present one need none after it', async () => {
  const fixture = await openOrders(1)
  const { fake } = fixture
  const old = [await begin(fixture), await begin(fixture), await begin(fixture)]
  await scale(fixture, [0n], split)
  const recent = [await begin(fixture), await begin(fixture)]
  await Promise.all(old.map((transaction) => commit(fixture, transaction)))
  for (const transaction of old) strictEqual(await ended(fixture, transaction), 'COMMITTED')
  deepStrictEqual(mergedInto(fake, '0.2', old), [0, 1, 2])
  deepStrictEqual(await currentOf(fixture), ['1.3', '2.3'])
  await Promise.all(recent.map((transaction) => commit(fixture, transaction)))
  for (const transaction of recent) strictEqual(await ended(fixture, transaction), 'COMMITTED')
  deepStrictEqual(await currentOf(fixture), ['1.3', '2.3'])
  deepStrictEqual(mergedInto(fake, '1.3', recent), [0, 1])
  deepStrictEqual(mergedInto(fake, '2.3', recent), [0, 1])
})

test('commits of several epochs keep their order: none overtakes another', async () => {
  const fixture = await openOrders(1)
  const { fake } = fixture
  const old = [await begin(fixture), await begin(fixture)]
  await scale(fixture, [0n], [[0, 1]])
  const recent = await begin(fixture)
  const all = [old[0]!, recent, old[1]!]
  await Promise.all(all.map((transaction) => commit(fixture, transaction)))
  for (const transaction of all) strictEqual(await ended(fixture, transaction), 'COMMITTED')
  // Epochs 2 and 3, then 4 and 5: a key is read in the order of the segments that hold it.
  deepStrictEqual(mergedInto(fake, '0.2', all), [0])
  deepStrictEqual(mergedInto(fake, '1.3', all), [1])
  deepStrictEqual(mergedInto(fake, '0.4', all), [2])
  deepStrictEqual(await currentOf(fixture), ['1.5'])
})

test('while a roll merges, readers and writers go on in the epoch before', async () => {
  const fake = new FakeSegments()
  const [gate, reached] = [deferred<void>(), deferred<void>()]
  const plain = fake.connect()
  const fixture = await openOrders(
    1,
    openController(fake, {
      ...plain,
      async mergeAll(merge) {
        reached.resolve()
        await gate.promise
        return plain.mergeAll(merge)
      },
    }),
  )
  const transaction = await begin(fixture)
  await scale(fixture, [0n], split)
  await commit(fixture, transaction)
  await reached.promise
  deepStrictEqual(await currentOf(fixture), ['1.1', '2.1'])
  deepStrictEqual(await following(fixture, 0n), ['1.1 after 0.0', '2.1 after 0.0'])
  deepStrictEqual(segmentsOf(fake), ['(0.0)', '0.0t', '0.2', '1.1', '1.3', '2.1', '2.3'])
  const meanwhile = await begin(fixture)
  // A scale waits for the roll, and is judged after it.
  const scaling = fixture.service.scale({
    streamInfo: orders,
    sealedSegments: [id(1n, 1n)],
    newKeyRanges: [{ start: 0, end: 0.5 }],
    scaleTimestamp: 0n,
  })
  gate.resolve()
  deepStrictEqual((await scaling).status, 2)
  strictEqual(await ended(fixture, transaction), 'COMMITTED')
  deepStrictEqual(await currentOf(fixture), ['1.3', '2.3'])
  await commit(fixture, meanwhile)
  strictEqual(await ended(fixture, meanwhile), 'COMMITTED')
  deepStrictEqual(mergedInto(fake, '1.3', [meanwhile]), [0])
})

test('scales and commits at the same moment come one after the other, and neither keeps the other waiting for ever', async () => {
  const fixture = await openOrders(1)
  const { fake, service } = fixture
  const all: OpenTransaction[] = []
  async function committing(): Promise<void> {
    for (let i = 0; i < 60; i++) {
      const transaction = await begin(fixture)
      fake.append(transaction.parts[0]!, 1)
      all.push(transaction)
      strictEqual(await commit(fixture, transaction), 'SUCCESS')
    }
  }
  let scales = 0
  async function scaling(): Promise<void> {
    while (scales < 20) {
      const { segmentRanges } = await service.getCurrentSegments(orders)
      const { status } = await service.scale({
        streamInfo: orders,
        sealedSegments: segmentRanges.map(({ segmentId }) => segmentId.segmentId),
        newKeyRanges: [{ start: 0, end: 1 }],
        scaleTimestamp: 0n,
      })
      // Refused if a roll came first.
      if (status === 0) scales++
    }
  }
  await Promise.all([committing(), scaling()])
  for (const transaction of all) strictEqual(await ended(fixture, transaction), 'COMMITTED')
  // In the order of the epochs the commits stand in the order in which they were asked for.
  const merged = [...fake.segments]
    .filter(([, { merged: parts }]) => parts.length > 0)
    .map(([name, { merged: parts }]) => ({ epoch: Number(/\.#epoch\.(\d+)$/.exec(name)?.[1]), parts }))
    .toSorted((a, b) => a.epoch - b.epoch)
    .flatMap(({ parts }) => parts)
  deepStrictEqual(
    merged,
    all.map(({ parts }) => parts[0]),
  )
  deepStrictEqual(fixture.failures, [])
})

test('an abort after a scale takes the parts of the earlier epoch away', async () => {
  const fixture = await openOrders(2)
  const transaction = await begin(fixture)
  await scale(
    fixture,
    [0n, 1n],
    [
      [0, 0.1],
      [0.1, 1],
    ],
  )
  await abort(fixture, transaction)
  strictEqual(await ended(fixture, transaction), 'ABORTED')
  deepStrictEqual(segmentsOf(fixture.fake), ['(0.0)', '(1.0)', '2.1', '3.1'])
})

test('a stream that is sealed while a commit is to roll is sealed after it', async () => {
  const fixture = await openOrders(1)
  const transaction = await begin(fixture)
  fixture.fake.append(transaction.parts[0]!, 5)
  await scale(fixture, [0n], split)
  await commit(fixture, transaction)
  deepStrictEqual(await fixture.service.sealStream(orders), { status: UpdateStreamStatus.SUCCESS })
  strictEqual(await stateOf(fixture, transaction), 'COMMITTED')
  deepStrictEqual(segmentsOf(fixture.fake), ['(0.0)', '(0.2)', '(1.1)', '(1.3)', '(2.1)', '(2.3)'])
  deepStrictEqual(await following(fixture, id(2n, 1n)), ['0.2 after 1.1,2.1'])
})

test('what an earlier controller had merged but not written off is written off, without a roll', async () => {
  const fake = new FakeSegments()
  let isDead = false
  const dead = (segment: string): SegmentError => new SegmentError('closed', segment, 'dead')
  const connection = fake.connect(({ name, segment }) => {
    if (isDead) return { carriedOut: false, error: dead(segment) }
    if (name !== 'mergeAll') return undefined
    isDead = true
    return { carriedOut: true, error: dead(segment) }
  })
  const first = await openOrders(1, openController(fake, connection))
  const transaction = await begin(first)
  fake.append(transaction.parts[0]!, 5)
  await commit(first, transaction)
  await turns(3)
  // The next controller is asked to scale before it comes to the commit.
  const connected = fake.connect()
  const second = openController(fake, connected)
  await scale(second, [0n], [[0, 1]])
  strictEqual(await ended(second, transaction), 'COMMITTED')
  strictEqual(
    connected.calls.some(({ name }) => name === 'segmentState'),
    true,
  )
  deepStrictEqual(await currentOf(second), ['1.1'])
  strictEqual(fake.segments.get('shop/orders/0.#epoch.0')?.writeOffset, 5)
})
