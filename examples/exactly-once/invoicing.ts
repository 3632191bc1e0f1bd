/**
 * Reads orders and writes an invoice for each, exactly once, however often it is killed. README.md says step by step why.
 *
 *     node examples/exactly-once/invoicing.ts tcp://127.0.0.1:9090
 */
import { connect, type Group, isMillraceError, type Store, type Stream } from 'millrace'
import { type Place, Progress } from './progress.ts'

export interface Order {
  readonly customer: string
  /** The customer's first order is 0. */
  readonly number: number
  readonly cents: number
}

export interface Invoice extends Order {
  readonly taxCents: number
}

/** What was done last, told to whoever wants to know. */
export type Step = 'begun' | 'written' | 'prepared' | 'committed' | 'settled'

export interface WorkOptions {
  /** Ends at what is the tail when it begins. Without it the work goes on. */
  readonly until?: 'tail'
  readonly onStep?: (step: Step) => void
}

const PROGRESS = 'shop/invoicing-progress'
/** The shortest there is, and less than the 30 s after which a group takes the segments of a reader that shows no life. */
const LEASE_MS = 10_000
const COMPACT_EVERY = 1000

export function ordersIn(store: Store): Stream<Order> {
  return store.stream('shop/orders', { key: ({ customer }) => customer })
}

export function invoicesIn(store: Store): Stream<Invoice> {
  return store.stream('shop/invoices', { key: ({ customer }) => customer })
}

export async function work(store: Store, options: WorkOptions = {}): Promise<void> {
  const { until, onStep = () => undefined } = options
  const invoices = invoicesIn(store)
  const group = ordersIn(store).group('invoicing')
  const progress = await Progress.begin(store, PROGRESS)
  try {
    onStep('begun')
    await settleLast(progress, invoices)
    await progress.compact()
    await goTo(group, progress.place)
    let transactions = 0
    for await (const orders of group.reader({ id: 'worker', until }).batches()) {
      const transaction = await invoices.transaction({ leaseMs: LEASE_MS })
      await transaction.writeAll(orders.map(({ value }) => invoiceFor(value)))
      onStep('written')
      orders.at(-1)?.ack()
      const to = await group.checkpoint()
      await progress.prepare({ transaction: transaction.id, to })
      onStep('prepared')
      await transaction.commit()
      onStep('committed')
      await progress.settle(to)
      onStep('settled')
      transactions++
      if (transactions % COMPACT_EVERY === 0) await progress.compact()
    }
  } finally {
    await progress.close()
  }
}

/** Ends what a worker before this one has prepared. */
async function settleLast(progress: Progress, invoices: Stream<Invoice>): Promise<void> {
  if (progress.prepared === undefined) return
  const { transaction, to } = progress.prepared
  let place: Place = to
  try {
    const prepared = await invoices.openTransaction(transaction)
    await prepared.commit()
  } catch (error) {
    // Its lease ran out before anybody came back. Nobody has seen or will see its invoices: they are made again.
    if (!isMillraceError(error) || error.code !== 'txn-aborted') throw error
    place = progress.place
  }
  await progress.settle(place)
}

async function goTo(group: Group<Order>, place: Place): Promise<void> {
  try {
    await group.reset(place)
  } catch (error) {
    // Nobody has read yet. A new group begins at the head.
    if (place !== 'head' || !isMillraceError(error) || error.code !== 'group-not-found') throw error
  }
}

function invoiceFor(order: Order): Invoice {
  return { ...order, taxCents: Math.round(order.cents * 0.2) }
}

if (import.meta.main) {
  await using store = await connect(process.argv[2] ?? 'tcp://127.0.0.1:9090')
  await work(store, { onStep: (step) => console.log(step) })
}
