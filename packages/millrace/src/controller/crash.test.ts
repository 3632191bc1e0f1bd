/**
 * Every piece of work, cut off after each of its calls to the store, carried out or not; then another controller goes on with
 * what is left. And every piece of work, with the answer to each of its writes lost.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { SegmentError } from '../client/segment-calls.ts'
import { GroupRetention } from '../protocol/controller/messages.ts'
import type { ControllerService } from '../protocol/controller/service.ts'
import { isTransactionSegment, segmentNameOfId } from '../protocol/names.ts'
import {
  cutOf,
  fixed,
  groupConfig,
  openController,
  streamConfig,
  streamInfo,
} from '../testing/controller-fixture.ts'
import { crashAt, FakeSegments } from '../testing/fake-segments.ts'
import {
  begin,
  ended,
  mergedInto,
  type OpenTransaction,
  orders,
  request,
} from '../testing/transaction-scene.ts'
import { decodeRecord, type RecordCodec } from './record-codec.ts'
import { GROUP_CODEC, subscriptionsOf } from './group-record.ts'
import { SCOPE_CODEC } from './scopes.ts'
import { frontierOf, segmentsBefore } from './stream-cut.ts'
import { headOf, type StreamRecord } from './stream-life.ts'
import { STREAM_CODEC } from './stream-record.ts'
import { everySegment, type StreamSegment } from './stream-segments.ts'
import { TRANSACTION_CODEC, TRANSACTIONS_TABLE } from './transaction-record.ts'

interface Scenario {
  readonly name: string
  /** What is there before; transactions that the work is about. */
  readonly given: (
    service: ControllerService,
    fake: FakeSegments,
  ) => Promise<readonly OpenTransaction[] | undefined | void>
  /** What is cut off, and then done again. */
  readonly work: (
    service: ControllerService,
    transactions: readonly OpenTransaction[],
  ) => Promise<{ readonly status: number }>
  /** What the repetition is answered, instead of success, if the first attempt got as far as that. */
  readonly repeated?: { readonly status: number; readonly if: (fake: FakeSegments) => boolean }
  /** What must be there in the end, as `stream/number` or `stream/number.epoch`. */
  readonly segments: readonly string[]
  /** What else must hold then. */
  readonly check?: (fake: FakeSegments, transactions: readonly OpenTransaction[]) => void
}

const SUCCESS = 0
const groupId = groupConfig('shop/g', []).readerGroupId

async function givenScope(service: ControllerService): Promise<void> {
  await service.createScope({ scope: 'shop' })
}

async function givenOrders(service: ControllerService): Promise<void> {
  await givenScope(service)
  await service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(2) }))
}

async function givenSealedOrders(service: ControllerService): Promise<void> {
  await givenOrders(service)
  await service.sealStream(orders)
}

const keeping = groupConfig('shop/g', ['shop/orders'], { retentionType: GroupRetention.MANUAL })

async function givenGroup(service: ControllerService): Promise<void> {
  await givenOrders(service)
  await service.createStream(streamConfig('shop/returns'))
  await service.createReaderGroup(keeping)
}

async function givenScaledOrders(service: ControllerService, fake: FakeSegments): Promise<void> {
  await givenOrders(service)
  await service.scale(split)
  for (const name of ['0.#epoch.0', '2.#epoch.1']) fake.append(`shop/orders/${name}`, 100)
}

const split = {
  streamInfo: orders,
  sealedSegments: [0n],
  newKeyRanges: [
    { start: 0, end: 0.2 },
    { start: 0.2, end: 0.5 },
  ],
  scaleTimestamp: 0n,
}

async function givenTransactions(service: ControllerService, fake: FakeSegments): Promise<OpenTransaction[]> {
  await givenOrders(service)
  const transactions = [await begin({ service }), await begin({ service })]
  for (const { parts } of transactions) for (const part of parts) fake.append(part, 10)
  return transactions
}

/** Asks for all of them, and waits for what happens then. */
async function commitAll(
  service: ControllerService,
  transactions: readonly OpenTransaction[],
): Promise<{ status: number }> {
  let status = SUCCESS
  for (const transaction of transactions)
    status ||= (await service.commitTransaction(request(transaction))).status
  for (const transaction of transactions) await ended({ service }, transaction)
  return { status }
}

const ORDERS = ['_MARKorders/0', 'orders/0', 'orders/1']
const RETURNS = ['_MARKreturns/0', 'returns/0']
const GROUP = ['_MARK_RGg/0', '_RGg/0']

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'createScope',
    given: async () => undefined,
    work: (service) => service.createScope({ scope: 'shop' }),
    repeated: { status: 2, if: hasScope },
    segments: [],
  },
  {
    name: 'createStream',
    given: givenScope,
    work: (service) => service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(2) })),
    repeated: { status: 2, if: (fake) => hasEntry(fake, 's/orders') },
    segments: ORDERS,
  },
  {
    name: 'createStream after a deletion',
    given: async (service) => {
      await givenSealedOrders(service)
      await service.deleteStream(orders)
    },
    work: (service) => service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(2) })),
    repeated: { status: 2, if: (fake) => hasEntry(fake, 's/orders') },
    segments: ['_MARKorders/1', 'orders/2', 'orders/3'],
  },
  {
    name: 'updateStream',
    given: givenOrders,
    work: (service) =>
      service.updateStream(streamConfig('shop/orders', { scalingPolicy: fixed(2), tags: { tag: ['new'] } })),
    segments: ORDERS,
  },
  {
    name: 'truncateStream',
    given: async (service, fake) => {
      await givenOrders(service)
      for (const number of [0, 1]) fake.append(`shop/orders/${number}.#epoch.0`, 100)
    },
    work: (service) => service.truncateStream({ streamInfo: orders, cut: cutOf({ 0: 10, 1: 20 }) }),
    segments: ORDERS,
    check: (fake) => {
      strictEqual(fake.segments.get('shop/orders/0.#epoch.0')?.startOffset, 10)
      strictEqual(fake.segments.get('shop/orders/1.#epoch.0')?.startOffset, 20)
    },
  },
  {
    name: 'scale',
    given: givenOrders,
    work: (service) => service.scale(split),
    repeated: { status: 2, if: (fake) => hasEntry(fake, 's/orders', '"manual"') },
    segments: [...ORDERS, 'orders/2.1', 'orders/3.1'],
  },
  {
    name: 'updateStream to a policy of another number of segments',
    given: givenOrders,
    work: (service) => service.updateStream(streamConfig('shop/orders', { scalingPolicy: fixed(3) })),
    segments: [...ORDERS, 'orders/2.1', 'orders/3.1', 'orders/4.1'],
  },
  {
    name: 'truncateStream behind a scale',
    given: givenScaledOrders,
    work: (service) =>
      service.truncateStream({ streamInfo: orders, cut: cutOf({ '1.2': 60, '1.3': 0, '0.1': 0 }) }),
    segments: ['_MARKorders/0', 'orders/1', 'orders/2.1', 'orders/3.1'],
  },
  {
    name: 'deleteStream after scales',
    given: async (service, fake) => {
      await givenScaledOrders(service, fake)
      await service.sealStream(orders)
    },
    work: (service) => service.deleteStream(orders),
    repeated: { status: 2, if: (fake) => !hasEntry(fake, 's/orders') },
    segments: [],
  },
  {
    name: 'sealStream',
    given: givenOrders,
    work: (service) => service.sealStream(orders),
    segments: ORDERS,
  },
  {
    name: 'deleteStream',
    given: givenSealedOrders,
    work: (service) => service.deleteStream(orders),
    repeated: { status: 2, if: (fake) => !hasEntry(fake, 's/orders') },
    segments: [],
  },
  {
    name: 'createTransaction',
    given: givenOrders,
    work: async (service) => {
      await begin({ service })
      return { status: SUCCESS }
    },
    segments: ORDERS,
  },
  {
    name: 'commitTransaction',
    given: givenTransactions,
    work: commitAll,
    segments: ORDERS,
    check: (fake, transactions) => {
      for (const segment of ['0.0', '1.0']) deepStrictEqual(mergedInto(fake, segment, transactions), [0, 1])
      strictEqual(fake.segments.get('shop/orders/0.#epoch.0')?.writeOffset, 20)
    },
  },
  {
    name: 'commitTransaction after a scale',
    given: async (service, fake) => {
      const transactions = await givenTransactions(service, fake)
      await service.scale(split)
      return transactions
    },
    work: (service, transactions) => commitAll(service, transactions.slice(0, 1)),
    segments: [
      ...ORDERS,
      // Of the epochs 1, 2 and 3.
      ...'orders/2.1 orders/3.1 orders/0.2 orders/1.2 orders/1.3 orders/2.3 orders/3.3'.split(' '),
    ],
    check: (fake, transactions) => {
      for (const segment of ['0.2', '1.2']) deepStrictEqual(mergedInto(fake, segment, transactions), [0])
    },
  },
  {
    name: 'abortTransaction',
    given: givenTransactions,
    work: async (service, transactions) => {
      const { status } = await service.abortTransaction(request(transactions[0]!))
      await ended({ service }, transactions[0]!)
      return { status }
    },
    segments: ORDERS,
    check: (fake) => strictEqual(fake.segments.get('shop/orders/0.#epoch.0')?.writeOffset, 0),
  },
  {
    name: 'sealStream with transactions',
    given: async (service, fake) => {
      const transactions = await givenTransactions(service, fake)
      await commitAll(service, transactions.slice(0, 1))
      return transactions
    },
    work: (service) => service.sealStream(orders),
    segments: ORDERS,
    check: (fake, transactions) => {
      deepStrictEqual(mergedInto(fake, '0.0', transactions), [0])
      strictEqual([...fake.segments.keys()].filter(isTransactionSegment).length, 0)
    },
  },
  {
    name: 'deleteScopeRecursive with transactions',
    given: givenTransactions,
    work: (service) => service.deleteScopeRecursive({ scope: 'shop' }),
    segments: [],
    check: (fake) => strictEqual(fake.segments.size, 0),
  },
  {
    name: 'createReaderGroup',
    given: givenOrders,
    work: (service) => service.createReaderGroup(keeping),
    segments: [...ORDERS, ...GROUP],
  },
  {
    name: 'updateReaderGroup',
    given: givenGroup,
    work: (service) =>
      service.updateReaderGroup(
        groupConfig('shop/g', ['shop/returns'], { retentionType: GroupRetention.AUTOMATIC }),
      ),
    repeated: { status: 3, if: (fake) => hasEntry(fake, 'g/g', '"generation":{"$n":"1"}') },
    segments: [...ORDERS, ...RETURNS, ...GROUP],
  },
  {
    name: 'deleteReaderGroup',
    given: givenGroup,
    work: (service) =>
      service.deleteReaderGroup({ scope: 'shop', readerGroup: 'g', readerGroupId: groupId, generation: 0n }),
    repeated: { status: 2, if: (fake) => !hasEntry(fake, 'g/g') },
    segments: [...ORDERS, ...RETURNS],
  },
  {
    name: 'deleteScope',
    given: givenScope,
    work: (service) => service.deleteScope({ scope: 'shop' }),
    repeated: { status: 2, if: (fake) => !hasScope(fake) },
    segments: [],
  },
  {
    name: 'deleteScopeRecursive',
    given: givenGroup,
    work: (service) => service.deleteScopeRecursive({ scope: 'shop' }),
    segments: [],
  },
]

for (const scenario of SCENARIOS) {
  test(`${scenario.name}, cut off anywhere and called again, is done once and leaves nothing half done`, async () => {
    for (const { fake, what, transactions } of await cutOffs(scenario)) {
      const expected = scenario.repeated?.if(fake) === true ? scenario.repeated.status : SUCCESS
      const controller = openController(fake)
      const { status } = await scenario.work(controller.service, transactions)
      strictEqual(status, expected, what)
      await controller.close()
      checkAll(fake, scenario.segments, what)
      scenario.check?.(fake, transactions)
    }
  })

  test(`${scenario.name}, cut off anywhere, is finished by whoever asks next, or was never begun`, async () => {
    for (const { fake, what, transactions } of await cutOffs(scenario)) {
      const controller = openController(fake)
      const { service } = controller
      await service.checkScopeExists({ scope: 'shop' })
      for (const name of ['orders', 'returns']) await service.checkStreamExists(streamInfo(`shop/${name}`))
      const group = { scope: 'shop', readerGroup: 'g', readerGroupId: groupId, generation: 0n }
      await service.getReaderGroupConfig(group)
      // A recursive deletion goes on when the scope is asked for again as a whole.
      if (scenario.name.startsWith('deleteScopeRecursive')) await service.createScope({ scope: 'shop' })
      for (const transaction of transactions) await ended(controller, transaction)
      await controller.close()
      checkAll(fake, undefined, what)
    }
  })

  test(`${scenario.name} succeeds though the answers to its writes are lost, whether they were carried out or not`, async () => {
    for (let n = 1, isOver = false; !isOver; n++)
      for (const carriedOut of [true, false]) {
        const { fake, transactions } = await given(scenario)
        let writes = 0
        const connection = fake.connect(({ name, segment }) => {
          if ((name !== 'updateTable' && name !== 'removeFromTable') || ++writes !== n) return undefined
          return { carriedOut, error: new SegmentError('unknown-outcome', segment, 'the answer was lost') }
        })
        const controller = openController(fake, connection)
        const { status } = await scenario.work(controller.service, transactions)
        strictEqual(status, SUCCESS, `write ${n}`)
        await controller.close()
        checkAll(fake, scenario.segments, `write ${n}`)
        scenario.check?.(fake, transactions)
        isOver = writes < n
      }
  })
}

function hasScope(fake: FakeSegments): boolean {
  return fake.tables.has('_system/_tables/scopes') && fake.dump('_system/_tables/scopes').has('shop')
}

function hasEntry(fake: FakeSegments, key: string, text = ''): boolean {
  const tables = [...fake.tables.keys()].filter((table) => table.startsWith('_system/_tables/shop/'))
  return tables.some((table) => fake.dump(table).get(key)?.includes(text))
}

interface Scene {
  readonly fake: FakeSegments
  readonly transactions: readonly OpenTransaction[]
}

async function given(scenario: Scenario): Promise<Scene> {
  const fake = new FakeSegments()
  const controller = openController(fake)
  const transactions = (await scenario.given(controller.service, fake)) ?? []
  await controller.close()
  return { fake, transactions }
}

/** What every possible end of the process leaves behind. */
async function cutOffs(scenario: Scenario): Promise<(Scene & { what: string })[]> {
  const left: (Scene & { what: string })[] = []
  for (let n = 1; ; n++)
    for (const carriedOut of [false, true]) {
      const { fake, transactions } = await given(scenario)
      const connection = fake.connect(crashAt(n, carriedOut))
      const controller = openController(fake, connection)
      await scenario.work(controller.service, transactions).catch((error: { code?: string }) => {
        strictEqual(error.code, 'unavailable')
      })
      await controller.close()
      const last = connection.calls[n - 1]
      if (last === undefined) return left
      const what = `call ${n} (${last.name}), ${carriedOut ? '' : 'not '}carried out`
      left.push({ fake, transactions, what })
    }
}

/** Everything that the tables say and that the stores hold belongs together, and nothing is under way. */
function checkAll(fake: FakeSegments, segments: readonly string[] | undefined, what: string): void {
  const expected = new Map<string, { sealed: boolean }>()
  const subscribed = new Set<string>()
  const subscriptions = new Set<string>()
  const tables = new Set(['_system/_tables/scopes', '_system/_tables/deleted-streams'])
  for (const [scope, { id, state }] of records(fake, '_system/_tables/scopes', '', SCOPE_CODEC)) {
    strictEqual(state.kind, 'active', what)
    const table = `_system/_tables/${scope}/members.${id}`
    tables.add(table)
    for (const [stream, record] of records(fake, table, 's/', STREAM_CODEC)) {
      ok(
        record.state.kind === 'active' || record.state.kind === 'sealed',
        `${what}: ${stream} is ${record.state.kind}`,
      )
      for (const { id, sealedIn } of segmentsFromHead(record)) {
        const sealed = sealedIn !== undefined || record.state.kind === 'sealed'
        expected.set(segmentNameOfId(scope, stream, id), { sealed })
      }
      if (record.hasMark) ok(fake.dump(table).has(`s/_MARK${stream}`), `${what}: the mark of ${stream}`)
      for (const { name, generation } of record.subscribers)
        subscribed.add(`${name} ${generation} ${scope}/${stream}`)
    }
    for (const [group, { state: groupState, config }] of records(fake, table, 'g/', GROUP_CODEC)) {
      strictEqual(groupState.kind, 'active', what)
      ok(fake.dump(table).has(`s/_RG${group}`), `${what}: the stream of ${group}`)
      for (const stream of subscriptionsOf(config))
        subscriptions.add(`${scope}/${group} ${config.generation} ${stream}`)
    }
  }
  checkTransactions(fake, what)
  const found = new Map(
    [...fake.segments]
      .filter(([name]) => !isTransactionSegment(name))
      .map(([name, { sealed }]) => [name, { sealed }]),
  )
  deepStrictEqual(found, expected, what)
  deepStrictEqual([...subscribed].toSorted(), [...subscriptions].toSorted(), what)
  const others = [...fake.tables.keys()].filter((name) => !/transactions(\.\d+)?$/.test(name))
  deepStrictEqual(others.toSorted(), [...tables].toSorted(), what)
  if (segments === undefined) return
  const names = segments.map((name) => {
    const [number, epoch = '0'] = name.split('.')
    return `shop/${number}.#epoch.${epoch}`
  })
  deepStrictEqual([...found.keys()].toSorted(), names.toSorted(), what)
}

/** Nothing is decided that is not done, and every part in the store is one of an open transaction. */
function checkTransactions(fake: FakeSegments, what: string): void {
  const open = new Set<string>()
  if (fake.tables.has(TRANSACTIONS_TABLE))
    for (const [key, { state }] of records(fake, TRANSACTIONS_TABLE, '', TRANSACTION_CODEC)) {
      strictEqual(state, 'open', `${what}: ${key}`)
      open.add(key.slice(key.lastIndexOf('/') + 1))
    }
  for (const name of fake.segments.keys())
    if (isTransactionSegment(name)) ok(open.has(name.slice(-32)), `${what}: ${name} is left over`)
}

/** What truncation has left. */
function segmentsFromHead(record: StreamRecord): readonly StreamSegment[] {
  const head = headOf(record)
  const to = frontierOf(record, head)
  if (typeof to === 'string') throw new Error(to)
  const passed = new Set(segmentsBefore(record, { sinceEpoch: 0, to }).map(({ id }) => id))
  return [...everySegment(record)].filter(({ id }) => head.has(id) || !passed.has(id))
}

function records<T>(fake: FakeSegments, table: string, prefix: string, codec: RecordCodec<T>): [string, T][] {
  return [...fake.dump(table)]
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [
      key.slice(prefix.length),
      decodeRecord(codec, { key, value: Buffer.from(value) }).record,
    ])
}
