/** The calls about transactions. */
import {
  PingTxnStatus,
  TxnResponse,
  TxnState,
  TxnStatus,
  type TxnId,
} from '../protocol/controller/messages.ts'
import { ControllerError, type ControllerService } from '../protocol/controller/service.ts'
import { longsOfUuid, uuidOfLongs } from '../protocol/uuid.ts'
import type { Scopes } from './scopes.ts'
import { rangeOf } from './segment-queries.ts'
import type { PingAnswer, TransactionState } from './transaction-life.ts'
import type { TransactionName } from './transaction-record.ts'
import type { DecisionOutcome, Transactions } from './transactions.ts'

type TransactionCalls = Pick<
  ControllerService,
  | 'createTransaction'
  | 'commitTransaction'
  | 'abortTransaction'
  | 'pingTransaction'
  | 'checkTransactionState'
  | 'listCompletedTransactions'
>

export function transactionCalls(scopes: Scopes, transactions: Transactions): TransactionCalls {
  return {
    async createTransaction({ streamInfo, lease }) {
      const { scope, stream } = streamInfo
      const open = await scopes.open(scope)
      if (open === undefined) throw new ControllerError('not-found', `There is no stream ${scope}/${stream}`)
      const { id, segments } = await transactions.create(open, stream, Number(lease))
      const { high: highBits, low: lowBits } = longsOfUuid(id)
      const activeSegments = segments.map((segment) => rangeOf(streamInfo, segment))
      return { txnId: { highBits, lowBits }, activeSegments, delegationToken: '' }
    },

    // Writer and time are for watermarks.
    async commitTransaction(request) {
      return { status: DECIDED[await transactions.commit(nameOf(request))] }
    },

    async abortTransaction(request) {
      return { status: DECIDED[await transactions.abort(nameOf(request))] }
    },

    async pingTransaction(request) {
      if (request.lease < 1n)
        throw new ControllerError('invalid-argument', `A lease is at least 1 ms, not ${request.lease}`)
      return { status: PINGED[await transactions.ping(nameOf(request), Number(request.lease))] }
    },

    async checkTransactionState(request) {
      const state = await transactions.state(nameOf(request))
      return { state: state === undefined ? TxnState.UNKNOWN : STATES[state] }
    },

    async listCompletedTransactions({ streamInfo }) {
      const open = await scopes.open(streamInfo.scope)
      const finished = await transactions.newestFinished(open, streamInfo)
      return {
        response: finished.map(({ id, state }) => {
          const { high: highBits, low: lowBits } = longsOfUuid(id)
          return { txnId: { highBits, lowBits }, status: ENDED[state] }
        }),
      }
    },
  }
}

function nameOf(request: { streamInfo: { scope: string; stream: string }; txnId: TxnId }): TransactionName {
  const { streamInfo, txnId } = request
  return {
    scope: streamInfo.scope,
    stream: streamInfo.stream,
    id: uuidOfLongs(txnId.highBits, txnId.lowBits),
  }
}

/** Pravega's for what is not there, too: it never answers that a stream or a transaction is not found. */
const DECIDED: Readonly<Record<DecisionOutcome, TxnStatus['status']>> = {
  done: TxnStatus.SUCCESS,
  refused: TxnStatus.FAILURE,
  unknown: TxnStatus.FAILURE,
}

const PINGED: Readonly<Record<PingAnswer | 'unknown', PingTxnStatus['status']>> = {
  ok: PingTxnStatus.OK,
  'lease-too-large': PingTxnStatus.LEASE_TOO_LARGE,
  'execution-exceeded': PingTxnStatus.MAX_EXECUTION_TIME_EXCEEDED,
  committed: PingTxnStatus.COMMITTED,
  aborted: PingTxnStatus.ABORTED,
  unknown: PingTxnStatus.UNKNOWN,
}

const STATES: Readonly<Record<TransactionState, TxnState['state']>> = {
  open: TxnState.OPEN,
  committing: TxnState.COMMITTING,
  committed: TxnState.COMMITTED,
  aborting: TxnState.ABORTING,
  aborted: TxnState.ABORTED,
}

const ENDED = { committed: TxnResponse.COMMITTED, aborted: TxnResponse.ABORTED } as const
