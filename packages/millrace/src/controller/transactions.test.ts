import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '../base/host.ts'
import { nodeHost } from '../base/node-host.ts'
import { SegmentError } from '../client/segment-calls.ts'
import { TxnResponse, UpdateStreamStatus } from '../protocol/controller/messages.ts'
import { epochOfTransaction } from '../protocol/names.ts'
import { uuidOfLongs } from '../protocol/uuid.ts'
import {
  type ControllerFixture,
  fixed,
  openController,
  streamConfig,
  streamInfo,
} from '../testing/controller-fixture.ts'
import { type Deferred, deferred } from '../testing/deferred.ts'
import { FakeSegments } from '../testing/fake-segments.ts'
import { simulate } from '../testing/sim/simulate.ts'
import {
  abort,
  begin,
  commit,
  ended,
  mergedInto,
  openOrders,
  type OpenTransaction,
  orders,
  ping,
  request,
  scale,
  segmentsOf,
  type Service,
  stateOf,
} from '../testing/transaction-scene.ts'
import type { ControllerOptions } from './controller.ts'

function openWith(fake: FakeSegments, options: Partial<ControllerOptions>): ControllerFixture {
  return openController(fake, fake.connect(), options)
}

/** What the tables of transactions hold, as numbers of entries. */
function entriesOf(fake: FakeSegments, table: string): number {
  return fake.tables.has(table) ? fake.dump(table).size : 0
}

const UNFINISHED = '_system/_tables/transactions'

/** Merges wait until the gate is opened. */
async function openOrdersThatDoNotMerge(segments: number): Promise<{
  fake: FakeSegments
  connection: ReturnType<FakeSegments['connect']>
  gate: Deferred<void>
  fixture: ControllerFixture
}> {
  const fake = new FakeSegments()
  const gate = deferred<void>()
  const connection = fake.connect()
  const held: typeof connection = {
    ...connection,
    async mergeAll(merge) {
      await gate.promise
      return connection.mergeAll(merge)
    },
  }
  return { fake, connection, gate, fixture: await openOrders(segments, openController(fake, held)) }
}

test('trap 45: a transaction is recorded, then gets a part of every segment, and its id begins with the epoch', async () => {
  const fake = new FakeSegments()
  const connection = fake.connect()
  const fixture = await openOrders(2, openController(fake, connection))
  await begin(fixture)
  const before = connection.calls.length
  const first = await begin(fixture)
  deepStrictEqual(
    connection.calls.slice(before).map(({ name }) => name),
    ['updateTable', 'createSegment', 'createSegment'],
  )
  strictEqual(epochOfTransaction(first.id), 0)
  ok(first.parts.every((part) => fake.segments.has(part)))
  await scale(
    fixture,
    [0n],
    [
      [0, 0.1],
      [0.1, 0.5],
    ],
  )
  const second = await begin(fixture)
  strictEqual(epochOfTransaction(second.id), 1)
  match(second.parts[0]!, /^shop\/orders\/2\.#epoch\.1#transaction\.00000001[0-9a-f]{24}$/)
  const { segmentRanges } = await fixture.service.getEpochSegments({ streamInfo: orders, epoch: 1 })
  deepStrictEqual(
    second.parts.map((part) => /\/(\d+\.#epoch\.\d+)#/.exec(part)?.[1]),
    segmentRanges.map(({ segmentId: { segmentId: id } }) => `${id & 0xffff_ffffn}.#epoch.${id >> 32n}`),
  )
  strictEqual(new Set([first.id, second.id]).size, 2)
})

test('the parts roll over as the stream does', async () => {
  const fixture = await openOrders(1)
  await fixture.service.createStream(streamConfig('shop/large', { rolloverSizeBytes: 5_000_000n }))
  const { parts } = await begin(fixture, { stream: 'large' })
  strictEqual(fixture.fake.segments.get(parts[0]!)?.rolloverBytes, 5_000_000)
})

test('observed 6: a lease out of bounds, a sealed stream and one that is not there are told at once, and leave nothing', async () => {
  const fixture = await openOrders(1)
  for (const leaseMs of [9_999, 600_001, 0, -5])
    await rejects(begin(fixture, { leaseMs }), {
      code: 'invalid-argument',
      message: `The lease of a transaction is 10000 to 600000 ms, not ${leaseMs}`,
    })
  await rejects(begin(fixture, { stream: 'none' }), { code: 'not-found' })
  const nowhere = { streamInfo: streamInfo('none/orders'), lease: 10_000n, scaleGracePeriod: 0n }
  await rejects(fixture.service.createTransaction(nowhere), { code: 'not-found' })
  await fixture.service.sealStream(orders)
  await rejects(begin(fixture), {
    code: 'invalid-argument',
    message: 'Stream shop/orders is sealed and takes no more transactions',
  })
  strictEqual(entriesOf(fixture.fake, UNFINISHED), 0)
  deepStrictEqual(segmentsOf(fixture.fake), ['(0.0)'])
  deepStrictEqual(fixture.failures, [])
})

test('trap 48: a commit is recorded, answered and carried out then: each part goes into its segment and the record away', async () => {
  const { fake, gate, fixture } = await openOrdersThatDoNotMerge(2)
  const transaction = await begin(fixture)
  for (const [i, part] of transaction.parts.entries()) fake.append(part, 10 + i)
  strictEqual(await commit(fixture, transaction), 'SUCCESS')
  strictEqual(await stateOf(fixture, transaction), 'COMMITTING')
  strictEqual(await ping(fixture, transaction), 'COMMITTED')
  gate.resolve()
  strictEqual(await ended(fixture, transaction), 'COMMITTED')
  strictEqual(fake.segments.get('shop/orders/0.#epoch.0')?.writeOffset, 10)
  strictEqual(fake.segments.get('shop/orders/1.#epoch.0')?.writeOffset, 11)
  deepStrictEqual(segmentsOf(fake), ['0.0', '1.0'])
  await fixture.close()
  strictEqual(entriesOf(fake, UNFINISHED), 0)
})

test('an abort is recorded, answered, and takes the parts away', async () => {
  const fixture = await openOrders(2)
  const transaction = await begin(fixture)
  fixture.fake.append(transaction.parts[0]!, 10)
  strictEqual(await abort(fixture, transaction), 'SUCCESS')
  strictEqual(await ended(fixture, transaction), 'ABORTED')
  strictEqual(await ping(fixture, transaction), 'ABORTED')
  deepStrictEqual(segmentsOf(fixture.fake), ['0.0', '1.0'])
  strictEqual(fixture.fake.segments.get('shop/orders/0.#epoch.0')?.writeOffset, 0)
  await fixture.close()
  strictEqual(entriesOf(fixture.fake, UNFINISHED), 0)
})

test('trap 47: late and repeated calls get the same answer each time, from a later controller, too', async () => {
  const fixture = await openOrders(1)
  const [done, gone, open] = [await begin(fixture), await begin(fixture), await begin(fixture)]
  await commit(fixture, done)
  await abort(fixture, gone)
  const never: OpenTransaction = { ...open, txnId: { highBits: 7n, lowBits: -9n } }
  const answers = async (service: Service, transaction: OpenTransaction): Promise<string[]> => [
    await commit(service, transaction),
    await ping(service, transaction),
    await stateOf(service, transaction),
    await abort(service, transaction),
  ]
  await ended(fixture, done)
  await ended(fixture, gone)
  const later = openController(fixture.fake)
  for (let times = 0; times < 2; times++)
    for (const service of [fixture, later]) {
      deepStrictEqual(await answers(service, done), ['SUCCESS', 'COMMITTED', 'COMMITTED', 'FAILURE'])
      deepStrictEqual(await answers(service, gone), ['FAILURE', 'ABORTED', 'ABORTED', 'SUCCESS'])
      deepStrictEqual(await answers(service, never), ['FAILURE', 'UNKNOWN', 'UNKNOWN', 'FAILURE'])
    }
  const elsewhere = request(done, 'none')
  deepStrictEqual(await later.service.commitTransaction(elsewhere), { status: 1 })
  deepStrictEqual(await later.service.checkTransactionState(elsewhere), { state: 0 })
  strictEqual(await stateOf(later, open), 'OPEN')
  deepStrictEqual(later.failures, [])
})

test('commit and abort at the same moment: one is decided, the other is told so', async () => {
  const fixture = await openOrders(1)
  for (let i = 0; i < 5; i++) {
    const transaction = await begin(fixture)
    const answers = await Promise.all([commit(fixture, transaction), abort(fixture, transaction)])
    deepStrictEqual(answers, ['SUCCESS', 'FAILURE'])
    strictEqual(await ended(fixture, transaction), 'COMMITTED')
  }
})

test('what is committed while a commit is under way is merged with one call for each segment, a hundred at a time, in order', async () => {
  const { fake, connection, gate, fixture } = await openOrdersThatDoNotMerge(2)
  const all: OpenTransaction[] = []
  for (let i = 0; i < 251; i++) all.push(await begin(fixture))
  // Not in the order in which they were opened.
  const order = all.map((_, i) => (i * 100) % 251)
  await commit(fixture, all[order[0]!]!)
  await Promise.all(order.slice(1).map((i) => commit(fixture, all[i]!)))
  gate.resolve()
  for (const transaction of all) strictEqual(await ended(fixture, transaction), 'COMMITTED')
  deepStrictEqual(mergedInto(fake, '0.0', all), order)
  deepStrictEqual(mergedInto(fake, '1.0', all), order)
  const merges = connection.calls.filter(({ name }) => name === 'mergeAll').length
  strictEqual(merges, 2 * (1 + 3))
})

test('a commit costs three calls beside its merges, and a create two', async () => {
  const fake = new FakeSegments()
  const connection = fake.connect()
  const fixture = await openOrders(1, openController(fake, connection))
  await commit(fixture, await begin(fixture))
  await new Promise((resolve) => setImmediate(resolve))
  const before = connection.calls.length
  await commit(fixture, await begin(fixture))
  await new Promise((resolve) => setImmediate(resolve))
  deepStrictEqual(
    connection.calls.slice(before).map(({ name }) => name),
    ['updateTable', 'createSegment', 'updateTable', 'mergeAll', 'updateTable', 'removeFromTable'],
  )
})

test('a commit that fails is tried again until it is done, and its failure is told', async () => {
  const fake = new FakeSegments()
  let isFull = true
  const connection = fake.connect(({ name, segment }) =>
    isFull && name === 'mergeAll'
      ? { carriedOut: false, error: new SegmentError('disk-full', segment, 'no room') }
      : undefined,
  )
  await simulate('commit again', async (world) => {
    const { host } = world.node('a')
    const fixture = await openOrders(1, openController(fake, connection, { host }))
    const transaction = await begin(fixture)
    strictEqual(await commit(fixture, transaction), 'SUCCESS')
    await world.sleep(1000)
    strictEqual(await stateOf(fixture, transaction), 'COMMITTING')
    match(String(fixture.failures[0]?.error), /no room/)
    strictEqual(fixture.failures[0]?.rpc, 'commitTransaction')
    isFull = false
    await world.sleep(2000)
    strictEqual(await stateOf(fixture, transaction), 'COMMITTED')
  })
})

test('while commits go on well, an abort that fails is tried now and then, not with each of them', async () => {
  const fake = new FakeSegments()
  let deletions = 0
  let isBroken = true
  const connection = fake.connect(({ name, segment }) => {
    if (name !== 'deleteSegment' || !segment.includes('#transaction')) return undefined
    deletions++
    return isBroken ? { carriedOut: false, error: new SegmentError('internal', segment, 'no') } : undefined
  })
  await simulate('abort again', async (world) => {
    const { host } = world.node('a')
    const fixture = await openOrders(1, openController(fake, connection, { host }))
    const gone = await begin(fixture)
    await abort(fixture, gone)
    for (let i = 0; i < 100; i++) {
      const transaction = await begin(fixture)
      await commit(fixture, transaction)
      await world.sleep(10)
      strictEqual(await stateOf(fixture, transaction), 'COMMITTED')
    }
    ok(deletions < 6, `${deletions} attempts in a second`)
    strictEqual(fixture.failures.length, deletions)
    isBroken = false
    await world.sleep(3000)
    strictEqual(await stateOf(fixture, gone), 'ABORTED')
  })
})

test('a transaction whose parts cannot all be made is none, and nothing of it stays', async () => {
  const fake = new FakeSegments()
  await openOrders(3, openController(fake))
  const connection = fake.connect(({ name, segment }) =>
    name === 'createSegment' && segment.includes('/1.#epoch.0#')
      ? { carriedOut: false, error: new SegmentError('disk-full', segment, 'no room') }
      : undefined,
  )
  const fixture = openController(fake, connection)
  await rejects(begin(fixture), { code: 'resource-exhausted' })
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  await fixture.close()
  deepStrictEqual(segmentsOf(fake), ['0.0', '1.0', '2.0'])
  strictEqual(entriesOf(fake, UNFINISHED), 0)
})

test('a transaction that nobody pings is aborted when its lease ends, one that is pinged lives on', async () => {
  await simulate('leases', async (world) => {
    const { host } = world.node('a')
    const fixture = await openOrders(1, openWith(new FakeSegments(), { host }))
    const [left, kept] = [
      await begin(fixture, { leaseMs: 10_000 }),
      await begin(fixture, { leaseMs: 10_000 }),
    ]
    for (let i = 0; i < 10; i++) {
      await world.sleep(4000)
      strictEqual(await ping(fixture, kept, 10_000), 'OK')
      strictEqual(await stateOf(fixture, left), i < 2 ? 'OPEN' : 'ABORTED')
    }
    strictEqual(await ping(fixture, left), 'ABORTED')
    strictEqual(await commit(fixture, left), 'FAILURE')
    strictEqual(await commit(fixture, kept), 'SUCCESS')
    await world.sleep(20_000)
    strictEqual(await stateOf(fixture, kept), 'COMMITTED')
    deepStrictEqual(segmentsOf(fixture.fake), ['0.0'])
  })
})

test('trap 47: a lease is at most so long, and no ping carries a transaction beyond its time', async () => {
  await simulate('execution time', async (world) => {
    const { host } = world.node('a')
    const transactions = { executionMsMax: 60_000, leaseMsMax: 40_000 }
    const fixture = await openOrders(1, openWith(new FakeSegments(), { host, transactions }))
    const transaction = await begin(fixture, { leaseMs: 30_000 })
    strictEqual(await ping(fixture, transaction, 40_001), 'LEASE_TOO_LARGE')
    await rejects(ping(fixture, transaction, 0), { code: 'invalid-argument' })
    await world.sleep(25_000)
    strictEqual(await ping(fixture, transaction, 35_001), 'MAX_EXECUTION_TIME_EXCEEDED')
    strictEqual(await ping(fixture, transaction, 35_000), 'OK')
    await world.sleep(34_900)
    strictEqual(await stateOf(fixture, transaction), 'OPEN')
    await world.sleep(200)
    strictEqual(await stateOf(fixture, transaction), 'ABORTED')
  })
})

test('a restart grants a lease anew, the longest that was asked for, but no more time in all', async () => {
  await simulate('restarts', async (world) => {
    const { host } = world.node('a')
    const fake = new FakeSegments()
    const transactions = { executionMsMax: 60_000 }
    const first = await openOrders(1, openWith(fake, { host, transactions }))
    const [short, long] = [await begin(first, { leaseMs: 10_000 }), await begin(first, { leaseMs: 10_000 })]
    await ping(first, long, 25_000)
    await ping(first, long, 10_000)
    await world.sleep(9000)
    await first.close()
    const second = openWith(fake, { host, transactions })
    await second.start()
    await world.sleep(9000)
    strictEqual(await stateOf(second, short), 'OPEN')
    await world.sleep(1100)
    strictEqual(await stateOf(second, short), 'ABORTED')
    strictEqual(await stateOf(second, long), 'OPEN')
    await world.sleep(14_800)
    strictEqual(await stateOf(second, long), 'OPEN')
    await second.close()
    const third = openWith(fake, { host, transactions })
    await third.start()
    strictEqual(await ping(third, long, 25_000), 'OK')
    await world.sleep(24_900)
    strictEqual(await stateOf(third, long), 'OPEN')
    strictEqual(await ping(third, long, 10_000), 'MAX_EXECUTION_TIME_EXCEEDED')
    await world.sleep(200)
    strictEqual(await stateOf(third, long), 'ABORTED')
  })
})

test('a ping costs no call to the store', async () => {
  const fake = new FakeSegments()
  const connection = fake.connect()
  const fixture = await openOrders(1, openController(fake, connection))
  const transaction = await begin(fixture)
  const before = connection.calls.length
  for (let i = 0; i < 10; i++) strictEqual(await ping(fixture, transaction), 'OK')
  strictEqual(connection.calls.length, before)
})

test('time-outs that find the store failing come back', async () => {
  await simulate('time-outs again', async (world) => {
    const fake = new FakeSegments()
    let isDown = false
    const connection = fake.connect(({ segment }) =>
      isDown ? { carriedOut: false, error: new SegmentError('internal', segment, 'down') } : undefined,
    )
    const fixture = await openOrders(1, openController(fake, connection, { host: world.node('a').host }))
    const transaction = await begin(fixture, { leaseMs: 10_000 })
    isDown = true
    await world.sleep(15_000)
    isDown = false
    strictEqual(await stateOf(fixture, transaction), 'OPEN')
    await world.sleep(2000)
    strictEqual(await stateOf(fixture, transaction), 'ABORTED')
  })
})

test('no timer is set while no transaction is open, and none keeps a process alive', async () => {
  const real = nodeHost()
  const timers = new Set<object>()
  const clock: Host['clock'] = {
    ...real.clock,
    setTimer(delayMs, callback, options) {
      strictEqual(options?.weak, true)
      const timer = real.clock.setTimer(delayMs, callback, options)
      timers.add(timer)
      return {
        cancel() {
          timers.delete(timer)
          timer.cancel()
        },
      }
    },
  }
  const fixture = await openOrders(1, openWith(new FakeSegments(), { host: { ...real, clock } }))
  strictEqual(timers.size, 0)
  const [one, other] = [await begin(fixture), await begin(fixture)]
  strictEqual(timers.size, 1)
  await commit(fixture, one)
  await abort(fixture, other)
  strictEqual(timers.size, 0)
  await begin(fixture)
  await fixture.close()
  strictEqual(timers.size, 0)
})

test('what was decided before a controller ended is done by the next one, without being asked', async () => {
  const fake = new FakeSegments()
  let isDead = false
  const connection = fake.connect(({ name, segment }) =>
    isDead || name === 'mergeAll' || (name === 'deleteSegment' && segment.includes('#transaction'))
      ? { carriedOut: false, error: new SegmentError('closed', segment, 'dead') }
      : undefined,
  )
  const first = await openOrders(2, openController(fake, connection))
  const all = [await begin(first), await begin(first), await begin(first), await begin(first)]
  const [a, b, c, d] = all as [OpenTransaction, OpenTransaction, OpenTransaction, OpenTransaction]
  strictEqual(await commit(first, c), 'SUCCESS')
  strictEqual(await commit(first, a), 'SUCCESS')
  strictEqual(await abort(first, b), 'SUCCESS')
  isDead = true
  const second = openController(fake)
  await second.start()
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  deepStrictEqual(mergedInto(fake, '0.0', all), [2, 0])
  deepStrictEqual(mergedInto(fake, '1.0', all), [2, 0])
  deepStrictEqual(segmentsOf(fake), ['0.0', '0.0t', '1.0', '1.0t'])
  strictEqual(await stateOf(second, b), 'ABORTED')
  strictEqual(await stateOf(second, d), 'OPEN')
  // The order goes on where it was.
  const e = await begin(second)
  await commit(second, e)
  await commit(second, d)
  await ended(second, d)
  deepStrictEqual(mergedInto(fake, '0.0', [...all, e]), [2, 0, 4, 3])
})

test('a start waits for a store that cannot be reached yet, and ends with the controller', async () => {
  const fake = new FakeSegments()
  await simulate('start', async (world) => {
    let isDown = true
    const connection = fake.connect(({ segment }) =>
      isDown ? { carriedOut: false, error: new SegmentError('internal', segment, 'not yet') } : undefined,
    )
    const { host } = world.node('a')
    const fixture = openController(fake, connection, { host })
    let isStarted = false
    const starting = fixture.start().then(() => {
      isStarted = true
    })
    await world.sleep(3000)
    strictEqual(isStarted, false)
    isDown = false
    await starting
    ok(world.nowMs < 12_000)
    isDown = true
    const other = openController(fake, connection, { host })
    const never = other.start()
    await world.sleep(10)
    await other.close()
    await never
  })
})

test('observed 12: sealing a stream aborts its open transactions, lets those that are committing end, and succeeds', async () => {
  const { fake, gate, fixture } = await openOrdersThatDoNotMerge(1)
  const [open, committing] = [await begin(fixture), await begin(fixture)]
  fake.append(committing.parts[0]!, 10)
  await commit(fixture, committing)
  const sealing = fixture.service.sealStream(orders)
  const created = begin(fixture)
  await rejects(created, { code: 'invalid-argument' })
  strictEqual(await ended(fixture, open), 'ABORTED')
  gate.resolve()
  deepStrictEqual(await sealing, { status: UpdateStreamStatus.SUCCESS })
  strictEqual(await stateOf(fixture, committing), 'COMMITTED')
  deepStrictEqual(segmentsOf(fake), ['(0.0)'])
  strictEqual(fake.segments.get('shop/orders/0.#epoch.0')?.writeOffset, 10)
  strictEqual(entriesOf(fake, UNFINISHED), 0)
})

test('a transaction that is being opened when its stream is sealed is aborted, not forgotten', async () => {
  const fake = new FakeSegments()
  const gate = deferred<void>()
  const reached = deferred<void>()
  const plain = fake.connect()
  const fixture = await openOrders(
    1,
    openController(fake, {
      ...plain,
      async createSegment(name, options) {
        if (name.includes('#transaction')) {
          reached.resolve()
          await gate.promise
        }
        return plain.createSegment(name, options)
      },
    }),
  )
  const opening = begin(fixture)
  await reached.promise
  const sealing = fixture.service.sealStream(orders)
  gate.resolve()
  const transaction = await opening
  deepStrictEqual(await sealing, { status: UpdateStreamStatus.SUCCESS })
  strictEqual(await stateOf(fixture, transaction), 'ABORTED')
  deepStrictEqual(segmentsOf(fake), ['(0.0)'])
})

test('a stream that was deleted and created again knows nothing of the transactions of the one before', async () => {
  const fixture = await openOrders(1)
  const { service, fake } = fixture
  const [done, open] = [await begin(fixture), await begin(fixture)]
  await commit(fixture, done)
  await ended(fixture, done)
  strictEqual(await stateOf(fixture, open), 'OPEN')
  await service.sealStream(orders)
  await service.deleteStream(orders)
  strictEqual(await stateOf(fixture, done), 'UNKNOWN')
  strictEqual(await ping(fixture, done), 'UNKNOWN')
  await service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(1) }))
  for (const each of [fixture, openController(fake)]) {
    for (const transaction of [done, open]) {
      strictEqual(await stateOf(each, transaction), 'UNKNOWN')
      strictEqual(await commit(each, transaction), 'FAILURE')
    }
    deepStrictEqual(await each.service.listCompletedTransactions({ streamInfo: orders }), { response: [] })
  }
  strictEqual(entriesOf(fake, UNFINISHED), 0)
  deepStrictEqual(segmentsOf(fake), ['1.0'])
})

test('a scope is deleted with the transactions of its streams', async () => {
  const fixture = await openOrders(2)
  const { service, fake } = fixture
  const [one] = [await begin(fixture), await begin(fixture)]
  await commit(fixture, one)
  deepStrictEqual(await service.deleteScopeRecursive({ scope: 'shop' }), { status: 0 })
  strictEqual(fake.segments.size, 0)
  strictEqual(entriesOf(fake, UNFINISHED), 0)
  deepStrictEqual(fixture.failures, [])
})

test('trap 67, observed 9: the newest five hundred of each stream are listed, newest first, by a later controller, too', async () => {
  await simulate('listing', async (world) => {
    const { host } = world.node('a')
    const fake = new FakeSegments()
    const fixture = await openOrders(1, openWith(fake, { host }))
    await fixture.service.createStream(streamConfig('shop/other'))
    const other = await begin(fixture, { stream: 'other' })
    const all: OpenTransaction[] = []
    for (let i = 0; i < 610; i++) {
      const transaction = await begin(fixture)
      all.push(transaction)
      await (i % 3 === 0 ? abort(fixture, transaction) : commit(fixture, transaction))
      if (i === 300) await fixture.service.commitTransaction(request(other, 'other'))
      await world.sleep(1)
    }
    const expected = all
      .map(({ id }, i) => [id, i % 3 === 0 ? TxnResponse.ABORTED : TxnResponse.COMMITTED])
      .toReversed()
      .slice(0, 500)
    for (const each of [fixture, openWith(fake, { host })]) {
      const { response } = await each.service.listCompletedTransactions({ streamInfo: orders })
      deepStrictEqual(
        response.map(({ txnId, status }) => [uuidOfLongs(txnId.highBits, txnId.lowBits), status]),
        expected,
      )
      const others = await each.service.listCompletedTransactions({ streamInfo: streamInfo('shop/other') })
      deepStrictEqual(others.response, [{ txnId: other.txnId, status: TxnResponse.COMMITTED }])
    }
    await rejects(fixture.service.listCompletedTransactions({ streamInfo: streamInfo('shop/none') }), {
      code: 'not-found',
    })
  })
})

test('a finished transaction is remembered for a day, and its table goes away as a whole after that', async () => {
  await simulate(
    'a day',
    async (world) => {
      const { host } = world.node('a')
      const fake = new FakeSegments()
      const fixture = await openOrders(1, openWith(fake, { host }))
      const done = await begin(fixture)
      await commit(fixture, done)
      const hour = 3_600_000
      const tables = (): number =>
        [...fake.tables.keys()].filter((name) => /finished-transactions\./.test(name)).length
      for (let hours = 1; hours <= 23; hours++) {
        await world.sleep(hour)
        await commit(fixture, await begin(fixture))
        await world.sleep(1)
        strictEqual(await stateOf(openWith(fake, { host }), done), 'COMMITTED', `after ${hours} hours`)
      }
      await world.sleep(hour)
      strictEqual(await stateOf(openWith(fake, { host }), done), 'UNKNOWN')
      ok(tables() <= 6)
      await world.sleep(48 * hour)
      await commit(fixture, await begin(fixture))
      await world.sleep(1)
      strictEqual(tables(), 1)
    },
    { limitMs: 100 * 3_600_000 },
  )
})

test('the number of transactions that are not finished is bounded, and said so', async () => {
  const fixture = await openOrders(1, openWith(new FakeSegments(), { transactions: { unfinishedMax: 3 } }))
  const [first] = [await begin(fixture), await begin(fixture), await begin(fixture)]
  await rejects(begin(fixture), {
    code: 'failed-precondition',
    message: 'Stream shop/orders has 3 transactions that are not finished, the most there can be',
  })
  await abort(fixture, first)
  await ended(fixture, first)
  await fixture.service.checkStreamExists(orders)
  await begin(fixture)
})

test('thousands open at once take little memory, and all of them end', async () => {
  await simulate('thousands', async (world) => {
    const { host } = world.node('a')
    const fixture = await openOrders(1, openWith(new FakeSegments(), { host }))
    const all: OpenTransaction[] = []
    for (let i = 0; i < 2000; i++) all.push(await begin(fixture, { leaseMs: 10_000 + i }))
    for (const transaction of all.slice(0, 500)) await commit(fixture, transaction)
    await world.sleep(20_000)
    const states = new Map<string, number>()
    for (const transaction of all) {
      const state = await stateOf(fixture, transaction)
      states.set(state, (states.get(state) ?? 0) + 1)
    }
    deepStrictEqual(
      states,
      new Map([
        ['COMMITTED', 500],
        ['ABORTED', 1500],
      ]),
    )
    deepStrictEqual(segmentsOf(fixture.fake), ['0.0'])
    strictEqual(entriesOf(fixture.fake, UNFINISHED), 0)
  })
})
