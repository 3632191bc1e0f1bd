/**
 * Every piece of work, cut off after each of its calls to the store, carried out or not; then another controller goes on with
 * what is left. And every piece of work, with the answer to each of its writes lost.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { SegmentError } from '../client/segment-calls.ts'
import { GroupRetention } from '../protocol/controller/messages.ts'
import type { ControllerService } from '../protocol/controller/service.ts'
import { segmentNameOfId } from '../protocol/names.ts'
import {
  cutOf,
  fixed,
  groupConfig,
  openController,
  streamConfig,
  streamInfo,
} from '../testing/controller-fixture.ts'
import { crashAt, FakeSegments } from '../testing/fake-segments.ts'
import { decodeRecord, type RecordCodec } from './record-codec.ts'
import { GROUP_CODEC, subscriptionsOf } from './group-record.ts'
import { SCOPE_CODEC } from './scopes.ts'
import { STREAM_CODEC } from './stream-record.ts'
import { currentSegments } from './stream-segments.ts'

interface Scenario {
  readonly name: string
  /** What is there before. */
  readonly given: (service: ControllerService, fake: FakeSegments) => Promise<unknown>
  /** What is cut off, and then done again. */
  readonly work: (service: ControllerService) => Promise<{ readonly status: number }>
  /** What the repetition is answered, instead of success, if the first attempt got as far as that. */
  readonly repeated?: { readonly status: number; readonly if: (fake: FakeSegments) => boolean }
  /** What must be there in the end. */
  readonly segments: readonly string[]
  /** What else must hold then. */
  readonly check?: (fake: FakeSegments) => void
}

const orders = streamInfo('shop/orders')
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
    for (const cutOff of await cutOffs(scenario)) {
      const expected = scenario.repeated?.if(cutOff.fake) === true ? scenario.repeated.status : SUCCESS
      const { status } = await scenario.work(openController(cutOff.fake).service)
      strictEqual(status, expected, cutOff.what)
      checkAll(cutOff.fake, scenario.segments, cutOff.what)
      scenario.check?.(cutOff.fake)
    }
  })

  test(`${scenario.name}, cut off anywhere, is finished by whoever asks next, or was never begun`, async () => {
    for (const cutOff of await cutOffs(scenario)) {
      const { service } = openController(cutOff.fake)
      await service.checkScopeExists({ scope: 'shop' })
      for (const name of ['orders', 'returns']) await service.checkStreamExists(streamInfo(`shop/${name}`))
      const group = { scope: 'shop', readerGroup: 'g', readerGroupId: groupId, generation: 0n }
      await service.getReaderGroupConfig(group)
      // A recursive deletion goes on when the scope is asked for again as a whole.
      if (scenario.name === 'deleteScopeRecursive') await service.createScope({ scope: 'shop' })
      checkAll(cutOff.fake, undefined, cutOff.what)
    }
  })

  test(`${scenario.name} succeeds though the answers to its writes are lost, whether they were carried out or not`, async () => {
    for (let n = 1, isOver = false; !isOver; n++)
      for (const carriedOut of [true, false]) {
        const fake = await given(scenario)
        let writes = 0
        const connection = fake.connect(({ name, segment }) => {
          if ((name !== 'updateTable' && name !== 'removeFromTable') || ++writes !== n) return undefined
          return { carriedOut, error: new SegmentError('unknown-outcome', segment, 'the answer was lost') }
        })
        const { status } = await scenario.work(openController(fake, connection).service)
        strictEqual(status, SUCCESS, `write ${n}`)
        checkAll(fake, scenario.segments, `write ${n}`)
        scenario.check?.(fake)
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

async function given(scenario: Scenario): Promise<FakeSegments> {
  const fake = new FakeSegments()
  await scenario.given(openController(fake).service, fake)
  return fake
}

/** What every possible end of the process leaves behind. */
async function cutOffs(scenario: Scenario): Promise<{ fake: FakeSegments; what: string }[]> {
  const left: { fake: FakeSegments; what: string }[] = []
  for (let n = 1; ; n++)
    for (const carriedOut of [false, true]) {
      const fake = await given(scenario)
      const connection = fake.connect(crashAt(n, carriedOut))
      const isOver = await scenario.work(openController(fake, connection).service).then(
        () => true,
        (error: { code?: string }) => {
          strictEqual(error.code, 'unavailable')
          return false
        },
      )
      if (isOver) return left
      const { name } = connection.calls[n - 1]!
      left.push({ fake, what: `call ${n} (${name}), ${carriedOut ? '' : 'not '}carried out` })
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
      const sealed = record.state.kind === 'sealed'
      for (const segment of currentSegments(record))
        expected.set(segmentNameOfId(scope, stream, segment.id), { sealed })
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
  const found = new Map([...fake.segments].map(([name, { sealed }]) => [name, { sealed }]))
  deepStrictEqual(found, expected, what)
  deepStrictEqual([...subscribed].toSorted(), [...subscriptions].toSorted(), what)
  deepStrictEqual([...fake.tables.keys()].toSorted(), [...tables].toSorted(), what)
  if (segments === undefined) return
  const names = segments.map((name) => `shop/${name}.#epoch.0`)
  deepStrictEqual([...fake.segments.keys()].toSorted(), names.toSorted(), what)
}

function records<T>(fake: FakeSegments, table: string, prefix: string, codec: RecordCodec<T>): [string, T][] {
  return [...fake.dump(table)]
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [
      key.slice(prefix.length),
      decodeRecord(codec, { key, value: Buffer.from(value) }).record,
    ])
}
