/**
 * Thousands of transactions open at once: what they take of the server's memory, and how they end after it was killed and
 * started again. Half of them are committed then; of the others nobody speaks any more, and their leases run out.
 */
import { setTimeout } from 'node:timers/promises'
import { connect, type Store, type Stream, type Transaction, type TransactionStatus } from 'millrace'
import { temporaryDirectory } from './directories.ts'
import { MillraceServer } from './millrace.ts'
import { freePorts } from './ports.ts'
import type { Results } from './results.ts'

const MIB = 1024 ** 2
const OPEN = 5000
/** The server has done before what is measured: code and buffers that it loads only once are not the transactions'. */
const BEFORE = 100
const AT_ONCE = 50
/** What opening them has left as garbage is collected by then: they stay open for long, and it does not. */
const SETTLE_MS = 30_000
/** Of those that are committed later, the longest there is: that none of them ends before is not left to the machine. */
const LONG_LEASE_MS = 600_000
/** What a program gets that asks for none. */
const SHORT_LEASE_MS = 60_000
/** After the lease, which begins anew with the server. */
const EXPIRY_MS_MAX = 30_000
const POLL_MS = 500

interface Opened {
  readonly id: string
  readonly number: number
}

export async function measureTransactions(results: Results): Promise<void> {
  using temporary = temporaryDirectory('transactions')
  const [controllerPort = 0, segmentStorePort = 0] = await freePorts(2)
  const options = { directory: temporary.path, controllerPort, segmentStorePort, metrics: false }
  const figure = (name: string, unit: string, value: number, details: object = {}): void =>
    results.add({ record: 'figure', part: 'transactions', name, unit, value, ...details })
  const shown = OPEN.toLocaleString('en-US')

  await using before = await MillraceServer.start(options)
  const { opened, seconds, residentMiB } = await openAll(before)
  const aboveNone = (miB: number): number => miB - residentMiB.none
  figure('opened, with an event in each', '/s', OPEN / seconds)
  figure(`resident at once with ${shown} open above none`, 'MiB', aboveNone(residentMiB.atOnce))
  figure(`resident with ${shown} open above none`, 'MiB', aboveNone(residentMiB.settled), { residentMiB })
  await before.kill()

  await using server = await MillraceServer.start(options)
  figure(`ready with ${shown} open`, 'ms', server.readyMs)
  await using store = await connect(server.uri)
  const stream = streamIn(store)
  const toCommit = opened.filter(({ number }) => isCommitted(number))
  const began = performance.now()
  await inParallel(toCommit, async ({ id }) => (await stream.openTransaction(id)).commit())
  figure('committed after a restart', '/s', (toCommit.length / (performance.now() - began)) * 1000)
  const wrong = await findWrong(stream, opened)
  figure(`of ${shown} that ended wrong after a restart`, '', wrong.length, { wrong: wrong.slice(0, 20) })
}

interface Opening {
  readonly opened: readonly Opened[]
  readonly seconds: number
  readonly residentMiB: { readonly none: number; readonly atOnce: number; readonly settled: number }
}

async function openAll(server: MillraceServer): Promise<Opening> {
  const residentMiB = (): number => server.usage().residentBytes / MIB
  await using store = await connect(server.uri)
  const stream = streamIn(store)
  await stream.create()
  await inParallel(numbers(BEFORE), async (number) => {
    const transaction = await begin(stream, -1 - number)
    await transaction.commit()
  })
  await setTimeout(SETTLE_MS)
  const none = residentMiB()
  const began = performance.now()
  const opened: Opened[] = []
  await inParallel(numbers(OPEN), async (number) => {
    const { id } = await begin(stream, number)
    opened.push({ id, number })
  })
  const seconds = (performance.now() - began) / 1000
  const atOnce = residentMiB()
  await setTimeout(SETTLE_MS)
  const settled = residentMiB()
  // Nobody may have ended them behind our back meanwhile. A store that closes leaves them open.
  const statuses = new Set<TransactionStatus>()
  await inParallel(opened, async ({ id }) => void statuses.add(await stream.transactionStatus(id)))
  if (statuses.size !== 1 || !statuses.has('open'))
    throw new Error(`Transactions that should be open are ${[...statuses].join(', ')}`)
  return { opened, seconds, residentMiB: { none, atOnce, settled } }
}

async function begin(stream: Stream<number>, number: number): Promise<Transaction<number>> {
  const leaseMs = isCommitted(number) ? LONG_LEASE_MS : SHORT_LEASE_MS
  const transaction = await stream.transaction({ leaseMs })
  await transaction.write(number)
  return transaction
}

/** What is not as it should be, in words. */
async function findWrong(stream: Stream<number>, opened: readonly Opened[]): Promise<readonly string[]> {
  const wrong = await untilEnded(stream, opened)
  const read = new Map<number, number>()
  for await (const { value } of stream.read({ until: 'tail' })) read.set(value, (read.get(value) ?? 0) + 1)
  for (const { number } of opened) {
    const times = read.get(number) ?? 0
    if (times !== (isCommitted(number) ? 1 : 0)) wrong.push(`the event of ${number} is there ${times} times`)
  }
  return wrong
}

/** Waits for all to end as they should, and resolves with those that have not when they must have. */
async function untilEnded(stream: Stream<number>, opened: readonly Opened[]): Promise<string[]> {
  const deadline = performance.now() + SHORT_LEASE_MS + EXPIRY_MS_MAX
  for (let left = opened; ; await setTimeout(POLL_MS)) {
    const others: (Opened & { readonly status: TransactionStatus })[] = []
    await inParallel(left, async (one) => {
      const status = await stream.transactionStatus(one.id)
      if (status !== (isCommitted(one.number) ? 'committed' : 'aborted')) others.push({ ...one, status })
    })
    left = others
    if (others.length === 0 || performance.now() > deadline)
      return others.map(({ number, status }) => `the transaction of ${number} is ${status}`)
  }
}

function isCommitted(number: number): boolean {
  return number % 2 === 0
}

function streamIn(store: Store): Stream<number> {
  return store.stream<number>('bench/transactions', { key: String })
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}

async function inParallel<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  const work = async (): Promise<void> => {
    for (const item of left) await action(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}
