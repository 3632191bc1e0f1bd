/**
 * What the controller does about transactions, as calls that say what they mean. To begin, to commit and to abort may be asked
 * for more than once, so a lost answer is asked for again; where even that does not tell, the state of the transaction does.
 */
import type { Host } from '../base/host.ts'
import {
  type PingTxnStatus,
  type StreamInfo,
  type TxnId,
  TxnState,
  TxnStatus,
} from '../protocol/controller/messages.ts'
import {
  ControllerError,
  type ControllerErrorCode,
  type ControllerService,
} from '../protocol/controller/service.ts'
import { epochOfTransaction } from '../protocol/names.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { longsOfUuid, parseUuid, showUuid, uuidOfLongs } from '../protocol/uuid.ts'
import {
  invalidArgument,
  MillraceError,
  streamNotFound,
  type TransactionName,
  txnAborted,
  txnCommitted,
  txnNotFound,
  txnOutcomeUnknown,
} from './errors.ts'
import type { Wait } from './segment-calls.ts'
import type { Segment, StreamMetadata } from './stream-metadata.ts'
import { Backoff, UNTIL_DONE } from './waiting.ts'

/**
 * `committing` and `aborting` are as good as done: what is missing comes by itself. `unknown` is what was never begun, or ended
 * more than 24 hours ago.
 */
export type TransactionStatus = 'open' | 'committing' | 'committed' | 'aborting' | 'aborted' | 'unknown'

export interface TransactionCallsParts {
  readonly host: Host
  readonly controller: ControllerService
  /** For pings, which come again by themselves. */
  readonly controllerOnce: ControllerService
  readonly metadata: StreamMetadata
  /** Aborted when the store closes. */
  readonly closing: AbortSignal
}

const STATUSES: Readonly<Record<TxnState['state'], TransactionStatus>> = {
  [TxnState.UNKNOWN]: 'unknown',
  [TxnState.OPEN]: 'open',
  [TxnState.COMMITTING]: 'committing',
  [TxnState.COMMITTED]: 'committed',
  [TxnState.ABORTING]: 'aborting',
  [TxnState.ABORTED]: 'aborted',
}

const REFUSALS: readonly ControllerErrorCode[] = [
  'invalid-argument',
  'not-found',
  'permission-denied',
  'unauthenticated',
  'unimplemented',
]

/** Of a writer that says nothing about the time of its events. */
const NO_TIMESTAMP = -(2n ** 63n)
const TRIES_MAX = 6

/** Rejects `stream-not-found` and `stream-sealed`. */
export async function beginTransaction(
  parts: TransactionCallsParts,
  leaseMs: number,
  { signal }: Wait,
): Promise<{ readonly calls: TransactionCalls; readonly segments: readonly Segment[] }> {
  const { controller, metadata } = parts
  const request = { streamInfo: metadata.info, lease: BigInt(leaseMs), scaleGracePeriod: 0n }
  const { txnId, activeSegments } = await metadata.unlessSealed(
    () => controller.createTransaction(request, { signal }),
    { signal },
  )
  const uuid = uuidOfLongs(txnId.highBits, txnId.lowBits)
  return {
    calls: new TransactionCalls(parts, uuid),
    segments: activeSegments.map((range) => metadata.segment(range)),
  }
}

/** The calls for a transaction by its id. Throws `invalid-argument` if it is none. */
export function transactionCalls(parts: TransactionCallsParts, id: string): TransactionCalls {
  try {
    return new TransactionCalls(parts, parseUuid(id))
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw invalidArgument(`The id of a transaction is a UUID: ${error.message}`, error)
  }
}

export class TransactionCalls {
  /** The id as sixteen characters. */
  readonly uuid: string
  readonly name: TransactionName
  readonly #parts: TransactionCallsParts
  readonly #request: { readonly streamInfo: StreamInfo; readonly txnId: TxnId }

  constructor(parts: TransactionCallsParts, uuid: string) {
    const { high, low } = longsOfUuid(uuid)
    this.uuid = uuid
    this.name = { stream: parts.metadata.stream, transaction: showUuid(uuid) }
    this.#parts = parts
    this.#request = { streamInfo: parts.metadata.info, txnId: { highBits: high, lowBits: low } }
  }

  async status({ signal }: Wait = {}): Promise<TransactionStatus> {
    const request = { ...this.#request, writerId: '', timestamp: NO_TIMESTAMP }
    try {
      const { state } = await this.#parts.controller.checkTransactionState(request, { signal })
      return STATUSES[state]
    } catch (error) {
      if (error instanceof ControllerError && error.code === 'not-found') return 'unknown'
      throw error
    }
  }

  /** The stream's segments, beside each of which the transaction has one of its own: those of its epoch, trap 45. */
  async segments(wait: Wait): Promise<readonly Segment[]> {
    return this.#parts.metadata.ofEpoch(epochOfTransaction(this.uuid), wait)
  }

  async ping(leaseMs: number): Promise<PingTxnStatus['status']> {
    const { controllerOnce, closing } = this.#parts
    const request = { ...this.#request, lease: BigInt(leaseMs) }
    const { status } = await controllerOnce.pingTransaction(request, { signal: closing })
    return status
  }

  /** Resolves when the events can be read. Rejects `txn-aborted`, or `unknown-outcome`. */
  async commit({ signal }: Wait): Promise<void> {
    let recorded = false
    try {
      await this.#end('commitTransaction', 'committing', { signal })
      recorded = true
      await this.#untilCommitted({ signal })
    } catch (error) {
      signal?.throwIfAborted()
      const aborted = error instanceof MillraceError && error.code === 'txn-aborted'
      if (aborted || (!recorded && isRefusal(error))) throw error
      throw txnOutcomeUnknown(this.name, error)
    }
  }

  /** Resolves when nothing can commit it any more. Rejects `txn-committed` and `txn-not-found`. */
  async abort(): Promise<void> {
    await this.#end('abortTransaction', 'aborting', {})
  }

  /** Asks for an end, and finds out which one it comes to if that is refused. */
  async #end(
    rpc: 'commitTransaction' | 'abortTransaction',
    end: 'committing' | 'aborting',
    { signal }: Wait,
  ): Promise<void> {
    const { host, controller, closing } = this.#parts
    const request = { ...this.#request, writerId: '', timestamp: NO_TIMESTAMP }
    const backoff = new Backoff(host)
    for (let tries = 1; ; tries++) {
      const { status } = await controller[rpc](request, { signal })
      if (status === TxnStatus.SUCCESS) return
      if (status === TxnStatus.STREAM_NOT_FOUND) throw streamNotFound(this.name.stream)
      const present = await this.status({ signal })
      if (present !== 'open') return this.#expect(end, present)
      // The refusal was about the moment: two controllers at once, for one.
      if (tries === TRIES_MAX) throw new ControllerError('internal', `The controller does not do ${rpc}`)
      await backoff.wait(signal, closing)
    }
  }

  /** Trap 48: that it is to be committed was recorded, the events come later. */
  async #untilCommitted({ signal }: Wait): Promise<void> {
    const { host, closing } = this.#parts
    const backoff = new Backoff(host, UNTIL_DONE)
    for (;;) {
      const status = await this.status({ signal })
      if (status === 'committed') return
      if (status !== 'open') this.#expect('committing', status)
      await backoff.wait(signal, closing)
    }
  }

  #expect(end: 'committing' | 'aborting', status: TransactionStatus): void {
    if (status === 'unknown') throw txnNotFound(this.name)
    const committed = status === 'committing' || status === 'committed'
    if (committed === (end === 'committing')) return
    throw committed ? txnCommitted(this.name) : txnAborted(this.name)
  }
}

/** Says that nothing was done. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ControllerError) return REFUSALS.includes(error.code)
  return error instanceof MillraceError && error.code === 'stream-not-found'
}
