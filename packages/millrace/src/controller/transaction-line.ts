/** The transactions of one stream that are not finished, in memory. */
import { epochOfTransaction } from '../protocol/names.ts'
import type { Dated } from './deadlines.ts'
import { TRANSACTIONS_AT_ONCE } from './limits.ts'
import type { StoredRecord } from './records.ts'
import type { OpenScope } from './streams.ts'
import type { FinishedState, TransactionState } from './transaction-life.ts'
import type { TransactionRecord } from './transaction-record.ts'

/** Comes due when its lease ends. */
export interface Transaction extends Dated {
  /** Sixteen characters. */
  readonly id: string
  readonly line: TransactionLine
  /** As it was written last; undefined until it has been. */
  stored: StoredRecord<TransactionRecord> | undefined
  /** Set once nothing is left to be done but to write it off. */
  ended: FinishedState | undefined
  /** Of the monotonic clock. */
  readonly executionEndMs: number
  /** Of an earlier process, which may have done some of what is to be done. */
  readonly isResumed: boolean
}

export interface CommitBatch {
  /** That all of them were opened in. */
  readonly epoch: number
  /** In the order of their commits. */
  readonly transactions: readonly Transaction[]
}

export class TransactionLine {
  readonly scope: string
  readonly stream: string
  /** Where the stream's record is; undefined while nobody has asked in this process. */
  open: OpenScope | undefined
  readonly unfinished: Map<string, Transaction> = new Map()
  readonly aborting: Set<Transaction> = new Set()
  readonly #committing: Set<Transaction> = new Set()
  #orderLast = 0
  /** How many are at ending the stream, so that nothing new begins. */
  endings = 0

  constructor({ scope, stream }: { scope: string; stream: string }) {
    this.scope = scope
    this.stream = stream
  }

  get hasCommits(): boolean {
    return this.#committing.size > 0
  }

  takeOrder(): number {
    return ++this.#orderLast
  }

  /** Puts it where its state belongs. */
  put(transaction: Transaction): void {
    const { state, order = 0 } = transaction.stored?.record ?? { state: 'open' }
    this.unfinished.set(transaction.id, transaction)
    this.#orderLast = Math.max(this.#orderLast, order)
    if (state === 'committing') this.#committing.add(transaction)
    if (state === 'aborting') this.aborting.add(transaction)
  }

  remove(transaction: Transaction): void {
    this.unfinished.delete(transaction.id)
    this.#committing.delete(transaction)
    this.aborting.delete(transaction)
  }

  /** Undefined if nothing is to be committed. */
  nextCommits(): CommitBatch | undefined {
    const inOrder = [...this.#committing].toSorted(byOrder)
    const first = inOrder[0]
    if (first === undefined) return undefined
    const epoch = epochOfTransaction(first.id)
    // Nothing overtakes: what follows in another epoch waits.
    const other = inOrder.findIndex(({ id }) => epochOfTransaction(id) !== epoch)
    const count = Math.min(other < 0 ? inOrder.length : other, TRANSACTIONS_AT_ONCE)
    return { epoch, transactions: inOrder.slice(0, count) }
  }

  nextAborts(): readonly Transaction[] {
    return [...this.aborting].slice(0, TRANSACTIONS_AT_ONCE)
  }
}

export function stateOf({ stored, ended }: Transaction): TransactionState {
  return ended ?? stored?.record.state ?? 'open'
}

function byOrder(a: Transaction, b: Transaction): number {
  const order = (a.stored?.record.order ?? 0) - (b.stored?.record.order ?? 0)
  return order !== 0 ? order : a.id < b.id ? -1 : 1
}
