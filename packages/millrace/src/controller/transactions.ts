/**
 * Transactions: opened, kept alive by pings, committed or aborted, and remembered for a while.
 *
 * Their records are read once, when the controller starts, and held in memory from then on, which is what a ping costs: a lease
 * lives in memory alone, and a controller that starts grants each open transaction its lease anew. What was decided is written before
 * it is answered, and done after that (transaction-settler.ts), by the next controller if need be.
 */
import { assert } from '../base/assert.ts'
import type { Clock, Random } from '../base/host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { ControllerError, type RpcName } from '../protocol/controller/service.ts'
import { scopedName, segmentNameOfId, transactionSegmentName } from '../protocol/names.ts'
import type { Long } from '../protocol/wire/commands.ts'
import { Deadlines } from './deadlines.ts'
import { type FinishedTransaction, FinishedTransactions, type StreamLife } from './finished-transactions.ts'
import type { KeyedQueue } from './keyed-queue.ts'
import { CALLS_AT_ONCE, CONFLICTS_MAX, FINISHED_HELD_MAX } from './limits.ts'
import { inParallel } from './parallel.ts'
import { NoTableError, Records, type StoredRecord, untilKnown } from './records.ts'
import type { StreamRecord } from './stream-life.ts'
import { currentEpoch, currentSegments, firstNumber, type StreamSegment } from './stream-segments.ts'
import type { OpenScope, Streams } from './streams.ts'
import {
  answerPing,
  changeTransaction,
  type FinishedState,
  leaseProblem,
  type PingAnswer,
  type TransactionLimits,
  type TransactionState,
} from './transaction-life.ts'
import { stateOf, type Transaction, TransactionLine } from './transaction-line.ts'
import {
  idOfHex,
  parseTransactionKey,
  TRANSACTION_CODEC,
  type TransactionName,
  type TransactionRecord,
  transactionPlace,
  TRANSACTIONS_TABLE,
} from './transaction-record.ts'
import { TransactionSettler } from './transaction-settler.ts'

export interface NewTransaction {
  /** Sixteen characters. */
  readonly id: string
  /** That it has a part of. */
  readonly segments: readonly StreamSegment[]
}

/** `done` also if it was before; `unknown` if there is no such transaction, or none any more. */
export type DecisionOutcome = 'done' | 'refused' | 'unknown'

interface Dependencies {
  readonly segments: SegmentCalls
  readonly clock: Clock
  readonly random: Random
  readonly queue: KeyedQueue
  readonly streams: Streams
  /** The scope, even one on its way out. */
  readonly findScope: (scope: string) => Promise<OpenScope | undefined>
  /** What fails where nobody waits for it. */
  readonly onFailure: (failure: { rpc: RpcName; error: unknown }) => void
}

const EXPIRY_RETRY_MS = 1000

export class Transactions {
  readonly #with: Dependencies
  readonly #limits: TransactionLimits
  readonly #records: Records<TransactionRecord>
  readonly #finished: FinishedTransactions
  readonly #settler: TransactionSettler
  readonly #deadlines: Deadlines<Transaction>
  readonly #lines = new Map<string, TransactionLine>()
  /** How those that have ended last did. */
  readonly #ended = new Map<string, FinishedState>()
  #isClosed = false

  constructor(dependencies: Dependencies, limits: TransactionLimits) {
    const { segments, clock, random } = dependencies
    this.#with = dependencies
    this.#limits = limits
    // Held here instead, as what they mean.
    this.#records = new Records({ segments, random }, { codec: TRANSACTION_CODEC, heldBytesMax: 0 })
    this.#finished = new FinishedTransactions({ segments, clock }, { keptMs: limits.keptMs })
    this.#deadlines = new Deadlines(clock, (due) => void this.#expire(due))
    this.#settler = new TransactionSettler({
      ...dependencies,
      finish: (line, transactions, state) =>
        this.#finish(
          line,
          transactions.map(({ id }) => id),
          state,
        ),
    })
  }

  /** Reads what an earlier controller has left. */
  async load(): Promise<void> {
    this.#lines.clear()
    this.#deadlines.clear()
    for await (const page of this.#records.list(TRANSACTIONS_TABLE, ''))
      for (const { key, record, version } of page)
        this.#adopt(parseTransactionKey(key), { record, version }, true)
  }

  /** Goes on with what was loaded, in the background. */
  resume(): void {
    const lines = [...this.#lines.values()]
    for (const line of lines) this.#settler.wake(line)
    // What fails here is done with the next slice, and by whoever asks for the stream next.
    this.#finished.sweep().catch(() => undefined)
    inParallel(lines, CALLS_AT_ONCE, (line) => this.#settleStream(line)).catch(() => undefined)
  }

  async create(scope: OpenScope, stream: string, leaseMs: number): Promise<NewTransaction> {
    const problem = leaseProblem(leaseMs, this.#limits)
    if (problem !== undefined) throw new ControllerError('invalid-argument', problem)
    const name = { scope: scope.scope, stream }
    const record = await this.#with.streams.describe(scope, name)
    // From here to where it is in the line nothing may come in between: who ends the stream counts on it.
    this.#mustTakeMore(name, record)
    const line = this.#lineOf(name)
    line.open = scope
    const transaction = this.#newTransaction(line, { id: this.#drawId(currentEpoch(record)) })
    line.put(transaction)
    const segments = currentSegments(record)
    await this.#inTurn(transaction, () => this.#carryOutCreation(transaction, { record, segments, leaseMs }))
    return { id: transaction.id, segments }
  }

  async ping(name: TransactionName, leaseMs: number): Promise<PingAnswer | 'unknown'> {
    const found = await this.#find(name)
    if (found === undefined) return 'unknown'
    if (typeof found === 'string')
      return answerPing({ state: found, executionLeftMs: 0 }, leaseMs, this.#limits)
    const now = this.#with.clock.monotonicMs()
    const state = stateOf(found)
    const answer = answerPing({ state, executionLeftMs: found.executionEndMs - now }, leaseMs, this.#limits)
    if (answer !== 'ok') return answer
    this.#grant(found, leaseMs)
    if (leaseMs > (found.stored?.record.leaseMs ?? leaseMs)) await this.#storeLease(found, leaseMs)
    return 'ok'
  }

  commit(name: TransactionName): Promise<DecisionOutcome> {
    return this.#decide(name, 'commit')
  }

  abort(name: TransactionName): Promise<DecisionOutcome> {
    return this.#decide(name, 'abort')
  }

  async state(name: TransactionName): Promise<TransactionState | undefined> {
    const found = await this.#find(name)
    return typeof found === 'object' ? stateOf(found) : found
  }

  /** Newest first. */
  async newestFinished(
    scope: OpenScope | undefined,
    name: { scope: string; stream: string },
  ): Promise<readonly FinishedTransaction[]> {
    const record = await this.#with.streams.describe(scope, name)
    return this.#finished.newest(lifeOf(name, record))
  }

  /**
   * Aborts what is open and waits for what is committing. Nothing new begins until the answer is called: what ends a stream is
   * done in between.
   */
  async end(scope: OpenScope, stream: string): Promise<() => void> {
    const line = this.#lineOf({ scope: scope.scope, stream })
    line.open = scope
    line.endings++
    const release = (): void => {
      line.endings--
      this.#dropIfEmpty(line)
    }
    try {
      while (line.unfinished.size > 0) {
        const open = [...line.unfinished.values()].filter((transaction) => stateOf(transaction) === 'open')
        await inParallel(open, CALLS_AT_ONCE, async ({ id }) => {
          await this.abort({ scope: line.scope, stream, id })
        })
        await this.#settler.settle(line)
      }
      return release
    } catch (error) {
      release()
      throw error
    }
  }

  /** Writes off transactions, as their 32 digits, whose events are in the stream. */
  finishCommits(name: { scope: string; stream: string }, transactions: readonly string[]): Promise<void> {
    return this.#finish(this.#lineOf(name), transactions.map(idOfHex), 'committed')
  }

  /** Begins nothing more, and resolves when what is under way is over. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#deadlines.clear()
    await this.#settler.close()
  }

  #mustTakeMore(name: { scope: string; stream: string }, record: StreamRecord): void {
    const line = this.#lines.get(scopedName(name.scope, name.stream))
    // Clients try again for a minute what they take for a passing failure; this is none.
    if (record.state.kind === 'sealed' || (line?.endings ?? 0) > 0)
      throw new ControllerError(
        'invalid-argument',
        `Stream ${name.scope}/${name.stream} is sealed and takes no more transactions`,
      )
    const count = line?.unfinished.size ?? 0
    if (count >= this.#limits.unfinishedMax)
      throw new ControllerError(
        'failed-precondition',
        `Stream ${name.scope}/${name.stream} has ${count} transactions that are not finished, the most there can be`,
      )
  }

  /** Finishes what its stream is in the middle of. */
  async #settleStream({ scope, stream }: TransactionLine): Promise<void> {
    const open = await this.#with.findScope(scope)
    if (open !== undefined) await this.#with.streams.read(open, stream)
  }

  async #carryOutCreation(
    transaction: Transaction,
    birth: { record: StreamRecord; segments: readonly StreamSegment[]; leaseMs: number },
  ): Promise<void> {
    const { id, line } = transaction
    const { record, segments, leaseMs } = birth
    const { scope, stream } = line
    try {
      transaction.stored = await this.#putNew(
        { scope, stream, id },
        { state: 'open', createdAtMs: this.#with.clock.now(), leaseMs },
      )
    } catch (error) {
      this.#drop(transaction)
      throw error
    }
    this.#grant(transaction, leaseMs)
    const { rolloverSizeBytes } = record.settings
    const options = rolloverSizeBytes > 0n ? { rolloverBytes: toLong(rolloverSizeBytes) } : {}
    try {
      await inParallel(segments, CALLS_AT_ONCE, async (segment) => {
        const part = transactionSegmentName(segmentNameOfId(scope, stream, segment.id), id)
        await this.#with.segments.createSegment(part, options)
      })
    } catch (error) {
      // Nobody hears of it, so nobody will end it but its lease; better at once.
      this.abort({ scope, stream, id }).catch(() => undefined)
      throw error
    }
  }

  async #putNew(name: TransactionName, record: TransactionRecord): Promise<StoredRecord<TransactionRecord>> {
    const place = transactionPlace(name)
    for (;;) {
      try {
        const stored = await this.#records.put(place, record, undefined)
        if (stored === undefined)
          throw new ControllerError('internal', `A transaction ${place.key} exists already`)
        return stored
      } catch (error) {
        if (!(error instanceof NoTableError)) throw error
        await this.#with.segments.createTable(TRANSACTIONS_TABLE)
      }
    }
  }

  #decide(name: TransactionName, event: 'commit' | 'abort'): Promise<DecisionOutcome> {
    return this.#inTurn(name, async () => {
      for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
        const found = await this.#find(name)
        if (found === undefined) return 'unknown'
        const before = typeof found === 'string' ? found : stateOf(found)
        const next = changeTransaction(before, event)
        if (next === undefined) return 'refused'
        if (next === before) return 'done'
        assert(typeof found === 'object' && (next === 'committing' || next === 'aborting'), 'It was open')
        if (await this.#record(found, next)) return 'done'
      }
      throw new ControllerError(
        'aborted',
        `Transaction ${transactionPlace(name).key} is changed from elsewhere`,
      )
    })
  }

  /** False if its entry is not what it was thought to be. */
  async #record(transaction: Transaction, state: 'committing' | 'aborting'): Promise<boolean> {
    const { line, stored } = transaction
    assert(stored !== undefined, 'A transaction is decided on once it is there')
    const order = state === 'committing' ? { order: line.takeOrder() } : {}
    const place = transactionPlace(nameOf(transaction))
    const now = await this.#records.put(place, { ...stored.record, state, ...order }, stored)
    if (now === undefined) {
      this.#drop(transaction)
      return false
    }
    transaction.stored = now
    this.#deadlines.remove(transaction)
    line.put(transaction)
    this.#settler.wake(line)
    return true
  }

  /** So that a restart grants it, too. */
  #storeLease(transaction: Transaction, leaseMs: number): Promise<void> {
    return this.#inTurn(transaction, async () => {
      const { stored } = transaction
      if (stored === undefined || stored.record.state !== 'open' || stored.record.leaseMs >= leaseMs) return
      const place = transactionPlace(nameOf(transaction))
      const now = await this.#records.put(place, { ...stored.record, leaseMs }, stored)
      if (now === undefined) this.#drop(transaction)
      else transaction.stored = now
    })
  }

  /** Aborts what nobody has pinged in time. */
  async #expire(due: readonly Transaction[]): Promise<void> {
    await inParallel(due, CALLS_AT_ONCE, async (transaction) => {
      try {
        await this.abort(nameOf(transaction))
      } catch (error) {
        if (this.#isClosed) return
        this.#with.onFailure({ rpc: 'abortTransaction', error })
        if (stateOf(transaction) === 'open')
          this.#deadlines.set(transaction, this.#with.clock.monotonicMs() + EXPIRY_RETRY_MS)
      }
    })
  }

  /** The transaction, how it has ended, or undefined if nothing is known of it. */
  async #find(name: TransactionName): Promise<Transaction | FinishedState | undefined> {
    const { scope, stream, id } = name
    const known = this.#lines.get(scopedName(scope, stream))?.unfinished.get(id)
    if (known !== undefined) return known
    const open = await this.#with.findScope(scope)
    const record = open === undefined ? undefined : await this.#with.streams.peek(open, stream)
    if (record === undefined) return undefined
    const life = lifeOf(name, record)
    const ended = this.#ended.get(endedKey(life, id))
    if (ended !== undefined) return ended
    const [unfinished, finished] = await Promise.all([
      this.#records.get(transactionPlace(name)),
      this.#finished.find(life, id),
    ])
    if (finished !== undefined) return finished
    // Opened by another controller, or forgotten here when that one changed it.
    return unfinished === undefined ? undefined : this.#adopt(name, unfinished, true)
  }

  #adopt(name: TransactionName, stored: StoredRecord<TransactionRecord>, isResumed: boolean): Transaction {
    const line = this.#lineOf(name)
    const known = line.unfinished.get(name.id)
    if (known !== undefined) return known
    const transaction = this.#newTransaction(line, { id: name.id, stored, isResumed })
    line.put(transaction)
    if (stored.record.state === 'open') this.#grant(transaction, stored.record.leaseMs)
    return transaction
  }

  #grant(transaction: Transaction, leaseMs: number): void {
    const endMs = this.#with.clock.monotonicMs() + leaseMs
    this.#deadlines.set(transaction, Math.min(endMs, transaction.executionEndMs))
  }

  #newTransaction(
    line: TransactionLine,
    of: { id: string; stored?: StoredRecord<TransactionRecord>; isResumed?: boolean },
  ): Transaction {
    const { id, stored, isResumed = false } = of
    const { clock } = this.#with
    const ageMs = stored === undefined ? 0 : Math.max(0, clock.now() - stored.record.createdAtMs)
    const executionEndMs = clock.monotonicMs() + this.#limits.executionMsMax - ageMs
    return { id, line, stored, ended: undefined, executionEndMs, isResumed, dueMs: 0, place: -1 }
  }

  async #finish(line: TransactionLine, ids: readonly string[], state: FinishedState): Promise<void> {
    const { scope, stream } = line
    const open = line.open ?? (await this.#with.findScope(scope))
    const record = open === undefined ? undefined : await this.#with.streams.peek(open, stream)
    // Of a stream that is gone nobody can ask.
    if (record !== undefined) {
      const life = lifeOf(line, record)
      await this.#finished.add(
        life,
        ids.map((id) => ({ id, state })),
      )
      for (const id of ids) this.#noteEnd(endedKey(life, id), state)
    }
    const transactions = ids.flatMap((id) => line.unfinished.get(id) ?? [])
    for (const transaction of transactions) transaction.ended = state
    const keys = ids.map((id) => {
      return { key: Buffer.from(transactionPlace({ scope, stream, id }).key), condition: 'any' as const }
    })
    await untilKnown(() => this.#with.segments.removeFromTable(TRANSACTIONS_TABLE, keys))
    for (const transaction of transactions) this.#drop(transaction)
    this.#dropIfEmpty(line)
  }

  #noteEnd(key: string, state: FinishedState): void {
    this.#ended.set(key, state)
    for (const [oldest] of this.#ended) {
      if (this.#ended.size <= FINISHED_HELD_MAX) break
      this.#ended.delete(oldest)
    }
  }

  #drop(transaction: Transaction): void {
    this.#deadlines.remove(transaction)
    transaction.line.remove(transaction)
    this.#dropIfEmpty(transaction.line)
  }

  #lineOf({ scope, stream }: { scope: string; stream: string }): TransactionLine {
    const key = scopedName(scope, stream)
    let line = this.#lines.get(key)
    if (line === undefined) {
      line = new TransactionLine({ scope, stream })
      this.#lines.set(key, line)
    }
    return line
  }

  #dropIfEmpty(line: TransactionLine): void {
    const key = scopedName(line.scope, line.stream)
    if (line.unfinished.size === 0 && line.endings === 0 && this.#lines.get(key) === line)
      this.#lines.delete(key)
  }

  #drawId(epoch: number): string {
    const id = Buffer.alloc(16)
    id.writeInt32BE(epoch)
    this.#with.random.bytes(12).copy(id, 4)
    return id.toString('latin1')
  }

  /** One thing at a time with each transaction; what is decided of it waits until it has been created. */
  #inTurn<T>({ id }: { id: string }, work: () => Promise<T>): Promise<T> {
    return this.#with.queue.run(`transaction\0${id}`, work)
  }
}

function nameOf({ line, id }: Transaction): TransactionName {
  return { scope: line.scope, stream: line.stream, id }
}

function lifeOf({ scope, stream }: { scope: string; stream: string }, record: StreamRecord): StreamLife {
  return { scope, stream, firstNumber: firstNumber(record) }
}

function endedKey({ scope, stream, firstNumber: first }: StreamLife, id: string): string {
  return `${scope}/${stream}/${first}/${id}`
}

function toLong(value: bigint): Long {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}
