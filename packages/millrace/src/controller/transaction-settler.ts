/**
 * Does in the background what was decided of transactions: for each stream one batch of commits after the other, in the order in
 * which they were asked for, and beside it the aborts. What fails is tried again, since it was promised.
 */
import type { Clock, Timer } from '../base/host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import { epochOfTransaction, segmentNameOfId, transactionSegmentName } from '../protocol/names.ts'
import { uuidHex } from '../protocol/uuid.ts'
import { CALLS_AT_ONCE } from './limits.ts'
import { inParallel } from './parallel.ts'
import { isSegmentError } from './records.ts'
import { segmentsOfEpoch } from './stream-segments.ts'
import type { Commit, OpenScope, Streams } from './streams.ts'
import type { FinishedState } from './transaction-life.ts'
import type { CommitBatch, Transaction, TransactionLine } from './transaction-line.ts'

type Kind = 'commit' | 'abort'

const KINDS: readonly Kind[] = ['commit', 'abort']

interface Failure {
  readonly error: unknown
}

/** What has failed rests until its timer comes; after that there is none, and how long it rested is still known. */
interface Retry {
  readonly delayMs: number
  timer: Timer | undefined
}

interface Dependencies {
  readonly segments: SegmentCalls
  readonly clock: Clock
  readonly streams: Streams
  /** The scope, even one on its way out. */
  readonly findScope: (scope: string) => Promise<OpenScope | undefined>
  /** Writes off transactions of which nothing is left to be done. */
  readonly finish: (
    line: TransactionLine,
    transactions: readonly Transaction[],
    state: FinishedState,
  ) => Promise<void>
  readonly onFailure: (failure: { rpc: 'commitTransaction' | 'abortTransaction'; error: unknown }) => void
}

const RETRY_MS_FIRST = 100
const RETRY_MS_MAX = 3000

export class TransactionSettler {
  readonly #with: Dependencies
  readonly #runs: Readonly<Record<Kind, Map<TransactionLine, Promise<Failure | undefined>>>> = {
    commit: new Map(),
    abort: new Map(),
  }
  readonly #retries: Readonly<Record<Kind, Map<TransactionLine, Retry>>> = {
    commit: new Map(),
    abort: new Map(),
  }
  #isClosed = false

  constructor(dependencies: Dependencies) {
    this.#with = dependencies
  }

  /** Begins with what is to be done, if there is anything and it has not failed just now. */
  wake(line: TransactionLine): void {
    if (this.#isClosed) return
    for (const kind of KINDS)
      if (hasWork(line, kind) && this.#retries[kind].get(line)?.timer === undefined)
        void this.#run(line, kind)
  }

  /** Resolves when nothing is left to be done; rejects if that fails. */
  async settle(line: TransactionLine): Promise<void> {
    while (hasWork(line, 'commit') || hasWork(line, 'abort')) {
      if (this.#isClosed) throw new ControllerError('unavailable', 'The controller is closed')
      for (const kind of KINDS) {
        const failure = await this.#run(line, kind)
        if (failure !== undefined) throw failure.error
      }
    }
  }

  /** Begins nothing more, and resolves when what is under way is over. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const kind of KINDS) for (const { timer } of this.#retries[kind].values()) timer?.cancel()
    await Promise.allSettled([...this.#runs.commit.values(), ...this.#runs.abort.values()])
  }

  /** Joins what is under way. Resolves when it is over, with what it failed with; that is tried again later. */
  #run(line: TransactionLine, kind: Kind): Promise<Failure | undefined> {
    const runs = this.#runs[kind]
    const running = runs.get(line)
    if (running !== undefined) return running
    const work = kind === 'commit' ? this.#commitAll(line) : this.#abortAll(line)
    const run = work.then(
      () => {
        runs.delete(line)
        this.#forgetRetry(line, kind)
        // What came while the last batch was being written off.
        this.wake(line)
        return undefined
      },
      (error: unknown) => {
        runs.delete(line)
        this.#retryLater(line, kind, error)
        return { error }
      },
    )
    runs.set(line, run)
    return run
  }

  #retryLater(line: TransactionLine, kind: Kind, error: unknown): void {
    if (this.#isClosed || isSegmentError(error, 'closed')) return
    const before = this.#retries[kind].get(line)
    before?.timer?.cancel()
    const delayMs = before === undefined ? RETRY_MS_FIRST : Math.min(before.delayMs * 2, RETRY_MS_MAX)
    const retry: Retry = { delayMs, timer: undefined }
    const again = (): void => {
      retry.timer = undefined
      if (hasWork(line, kind)) this.wake(line)
      else this.#forgetRetry(line, kind)
    }
    retry.timer = this.#with.clock.setTimer(delayMs, again, { weak: true })
    this.#retries[kind].set(line, retry)
    this.#with.onFailure({ rpc: `${kind}Transaction`, error })
  }

  #forgetRetry(line: TransactionLine, kind: Kind): void {
    this.#retries[kind].get(line)?.timer?.cancel()
    this.#retries[kind].delete(line)
  }

  async #commitAll(line: TransactionLine): Promise<void> {
    while (line.hasCommits && !this.#isClosed) {
      const open = await this.#openScope(line)
      let batch: CommitBatch | undefined
      // Taken when it is the turn of the commit, with all that has come until then.
      const take = (): Commit | undefined => {
        batch = line.nextCommits()
        return batch === undefined ? undefined : commitOf(batch)
      }
      const outcome =
        open === undefined ? 'missing' : await this.#with.streams.commit(open, line.stream, take)
      const { transactions } = batch ?? line.nextCommits() ?? NO_BATCH
      if (outcome === 'merged') await this.#with.finish(line, transactions, 'committed')
      // A stream ends when its transactions have, so this is for one that another controller has ended.
      if (outcome === 'missing' || outcome === 'sealed') await this.#abort(line, transactions)
    }
  }

  async #abortAll(line: TransactionLine): Promise<void> {
    for (let batch = line.nextAborts(); batch.length > 0; batch = line.nextAborts()) {
      if (this.#isClosed) return
      await this.#abort(line, batch)
    }
  }

  async #abort(line: TransactionLine, transactions: readonly Transaction[]): Promise<void> {
    const open = await this.#openScope(line)
    const record = open === undefined ? undefined : await this.#with.streams.peek(open, line.stream)
    const parts = transactions.flatMap(({ id }) => {
      const segments = record === undefined ? undefined : segmentsOfEpoch(record, epochOfTransaction(id))
      return (segments ?? []).map((segment) =>
        transactionSegmentName(segmentNameOfId(line.scope, line.stream, segment.id), id),
      )
    })
    await inParallel(parts, CALLS_AT_ONCE, async (part) => {
      await this.#with.segments.deleteSegment(part)
    })
    await this.#with.finish(line, transactions, 'aborted')
  }

  async #openScope(line: TransactionLine): Promise<OpenScope | undefined> {
    line.open ??= await this.#with.findScope(line.scope)
    return line.open
  }
}

const NO_BATCH: CommitBatch = { epoch: 0, transactions: [] }

function commitOf({ epoch, transactions }: CommitBatch): Commit {
  return {
    epoch,
    transactions: transactions.map(({ id }) => uuidHex(id)),
    mayBeMerged: transactions.some(({ isResumed }) => isResumed),
  }
}

function hasWork(line: TransactionLine, kind: Kind): boolean {
  return kind === 'commit' ? line.hasCommits : line.aborting.size > 0
}
