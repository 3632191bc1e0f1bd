/**
 * The life of a transaction as one pure thing.
 *
 *     open --commit--> committing --finish--> committed
 *          --abort---> aborting ----finish--> aborted
 *
 * Commit and abort are decided once; asking again for what was decided changes nothing, however late, and asking for the other
 * is refused. Both can be told of by the state alone, which is why a finished transaction is remembered for a while.
 */
export type UnfinishedState = 'open' | 'committing' | 'aborting'
export type FinishedState = 'committed' | 'aborted'
export type TransactionState = UnfinishedState | FinishedState

export type TransactionEvent =
  | 'commit'
  | 'abort'
  /** What was decided is done. */
  | 'finish'

const NEXT: Readonly<
  Record<TransactionState, Readonly<Partial<Record<TransactionEvent, TransactionState>>>>
> = {
  open: { commit: 'committing', abort: 'aborting' },
  committing: { commit: 'committing', finish: 'committed' },
  committed: { commit: 'committed', finish: 'committed' },
  aborting: { abort: 'aborting', finish: 'aborted' },
  aborted: { abort: 'aborted', finish: 'aborted' },
}

/** The next state, the same one if nothing changes; undefined if that cannot be. */
export function changeTransaction(
  state: TransactionState,
  event: TransactionEvent,
): TransactionState | undefined {
  return NEXT[state][event]
}

export function isFinished(state: TransactionState): state is FinishedState {
  return state === 'committed' || state === 'aborted'
}

export interface TransactionLimits {
  readonly leaseMsMin: number
  readonly leaseMsMax: number
  /** From creation to the end, whatever pings come. */
  readonly executionMsMax: number
  /** How long a finished transaction is remembered. */
  readonly keptMs: number
  /** Of one stream, those that are not finished: each takes some 500 bytes of memory. */
  readonly unfinishedMax: number
}

/** Pravega's, which has no bound on how many there are. */
export const TRANSACTION_LIMITS: TransactionLimits = {
  leaseMsMin: 10_000,
  leaseMsMax: 600_000,
  executionMsMax: 24 * 3_600_000,
  keptMs: 24 * 3_600_000,
  unfinishedMax: 100_000,
}

/** Why no transaction begins with this lease; undefined if one does. */
export function leaseProblem(leaseMs: number, limits: TransactionLimits): string | undefined {
  const { leaseMsMin, leaseMsMax } = limits
  if (leaseMs >= leaseMsMin && leaseMs <= leaseMsMax) return undefined
  return `The lease of a transaction is ${leaseMsMin} to ${leaseMsMax} ms, not ${leaseMs}`
}

export type PingAnswer = 'ok' | 'lease-too-large' | 'execution-exceeded' | FinishedState

/** `executionLeftMs`: until the transaction ends whatever happens. */
export function answerPing(
  transaction: { state: TransactionState; executionLeftMs: number },
  leaseMs: number,
  limits: TransactionLimits,
): PingAnswer {
  switch (transaction.state) {
    case 'committing':
    case 'committed':
      return 'committed'
    case 'aborting':
    case 'aborted':
      return 'aborted'
    default:
      if (leaseMs > limits.leaseMsMax) return 'lease-too-large'
      return leaseMs > transaction.executionLeftMs ? 'execution-exceeded' : 'ok'
  }
}
