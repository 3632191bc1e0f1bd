/**
 * The controller as its callers see it: the 46 RPCs of Pravega 0.13's ControllerService, whatever carries them (a call in
 * the process, `Host.network`, gRPC). What fails in a way that clients know comes back as a status in the response, the
 * rest is a `ControllerError`.
 */
import type * as m from './messages.ts'
import type { Address } from '../../base/host.ts'

/* biome-ignore format: one line an RPC */
export interface ControllerService {
  getControllerServerList(request: m.ServerRequest, call?: CallContext): Promise<m.ServerResponse>
  createStream(request: m.StreamConfig, call?: CallContext): Promise<m.CreateStreamStatus>
  updateStream(request: m.StreamConfig, call?: CallContext): Promise<m.UpdateStreamStatus>
  truncateStream(request: m.StreamCut, call?: CallContext): Promise<m.UpdateStreamStatus>
  sealStream(request: m.StreamInfo, call?: CallContext): Promise<m.UpdateStreamStatus>
  deleteStream(request: m.StreamInfo, call?: CallContext): Promise<m.DeleteStreamStatus>
  /** Sorted by key; empty when the stream is sealed. */
  getCurrentSegments(request: m.StreamInfo, call?: CallContext): Promise<m.SegmentRanges>
  getEpochSegments(request: m.EpochRequest, call?: CallContext): Promise<m.SegmentRanges>
  /** The head of the stream: the timestamp has no effect, as in Pravega. */
  getSegments(request: m.GetSegmentsRequest, call?: CallContext): Promise<m.SegmentsAtTime>
  getSegmentsImmediatlyFollowing(request: m.SegmentId, call?: CallContext): Promise<m.SuccessorResponse>
  getSegmentsImmediatelyFollowing(request: m.SegmentId, call?: CallContext): Promise<m.SuccessorResponse>
  getSegmentsBetween(request: m.StreamCutRange, call?: CallContext): Promise<m.StreamCutRangeResponse>
  scale(request: m.ScaleRequest, call?: CallContext): Promise<m.ScaleResponse>
  checkScale(request: m.EpochRequest, call?: CallContext): Promise<m.ScaleStatusResponse>
  /** Where a segment lives, by its name alone: no check that it exists. */
  getURI(request: m.SegmentId, call?: CallContext): Promise<m.NodeUri>
  isSegmentValid(request: m.SegmentId, call?: CallContext): Promise<m.ValidityResponse>
  isStreamCutValid(request: m.StreamCut, call?: CallContext): Promise<m.ValidityResponse>
  createTransaction(request: m.CreateTxnRequest, call?: CallContext): Promise<m.CreateTxnResponse>
  commitTransaction(request: m.TxnRequest, call?: CallContext): Promise<m.TxnStatus>
  abortTransaction(request: m.TxnRequest, call?: CallContext): Promise<m.TxnStatus>
  pingTransaction(request: m.PingTxnRequest, call?: CallContext): Promise<m.PingTxnStatus>
  checkTransactionState(request: m.TxnRequest, call?: CallContext): Promise<m.TxnState>
  listCompletedTransactions(request: m.ListCompletedTxnRequest, call?: CallContext): Promise<m.ListCompletedTxnResponse>
  createScope(request: m.ScopeInfo, call?: CallContext): Promise<m.CreateScopeStatus>
  listScopes(request: m.ScopesRequest, call?: CallContext): Promise<m.ScopesResponse>
  checkScopeExists(request: m.ScopeInfo, call?: CallContext): Promise<m.ExistsResponse>
  checkStreamExists(request: m.StreamInfo, call?: CallContext): Promise<m.ExistsResponse>
  /** Listings hold internal streams too. A page may be short; only an empty one is the last. */
  listStreamsInScope(request: m.StreamsInScopeRequest, call?: CallContext): Promise<m.StreamsInScopeResponse>
  deleteScope(request: m.ScopeInfo, call?: CallContext): Promise<m.DeleteScopeStatus>
  deleteScopeRecursive(request: m.ScopeInfo, call?: CallContext): Promise<m.DeleteScopeStatus>
  getDelegationToken(request: m.StreamInfo, call?: CallContext): Promise<m.DelegationToken>
  removeWriter(request: m.RemoveWriterRequest, call?: CallContext): Promise<m.RemoveWriterResponse>
  noteTimestampFromWriter(request: m.TimestampFromWriter, call?: CallContext): Promise<m.TimestampResponse>
  createKeyValueTable(request: m.KeyValueTableConfig, call?: CallContext): Promise<m.CreateKeyValueTableStatus>
  getCurrentSegmentsKeyValueTable(request: m.KeyValueTableInfo, call?: CallContext): Promise<m.SegmentRanges>
  listKeyValueTablesInScope(request: m.KVTablesInScopeRequest, call?: CallContext): Promise<m.KVTablesInScopeResponse>
  getKeyValueTableConfiguration(request: m.KeyValueTableInfo, call?: CallContext): Promise<m.KeyValueTableConfigResponse>
  deleteKeyValueTable(request: m.KeyValueTableInfo, call?: CallContext): Promise<m.DeleteKVTableStatus>
  listSubscribers(request: m.StreamInfo, call?: CallContext): Promise<m.SubscribersResponse>
  updateSubscriberStreamCut(request: m.SubscriberStreamCut, call?: CallContext): Promise<m.UpdateSubscriberStatus>
  createReaderGroup(request: m.ReaderGroupConfiguration, call?: CallContext): Promise<m.CreateReaderGroupResponse>
  getReaderGroupConfig(request: m.ReaderGroupInfo, call?: CallContext): Promise<m.ReaderGroupConfigResponse>
  deleteReaderGroup(request: m.ReaderGroupInfo, call?: CallContext): Promise<m.DeleteReaderGroupStatus>
  updateReaderGroup(request: m.ReaderGroupConfiguration, call?: CallContext): Promise<m.UpdateReaderGroupResponse>
  getStreamConfiguration(request: m.StreamInfo, call?: CallContext): Promise<m.StreamConfig>
  listStreamsInScopeForTag(request: m.StreamsInScopeWithTagRequest, call?: CallContext): Promise<m.StreamsInScopeResponse>
}

/** A service at the other end of a connection. Calls that wait when it closes reject with `unavailable`. */
export interface ControllerClient extends ControllerService {
  close(): Promise<void>
}

export type RpcName = keyof ControllerService

/** What is known of the caller. A server fills it in; a caller sets `signal` at most. */
export interface CallContext {
  /** The host and port that the caller believes it talks to. */
  readonly authority?: string | undefined
  /** This end of the caller's connection. */
  readonly localAddress?: Address | undefined
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** Aborts the waiting, not what has been set in motion. */
  readonly signal?: AbortSignal | undefined
}

export type ControllerErrorCode =
  | 'cancelled'
  | 'unknown'
  | 'invalid-argument'
  | 'deadline-exceeded'
  | 'not-found'
  | 'already-exists'
  | 'permission-denied'
  | 'resource-exhausted'
  | 'failed-precondition'
  | 'aborted'
  | 'out-of-range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data-loss'
  | 'unauthenticated'

/**
 * A call that failed outside its response. The codes are gRPC's, and matter: Java's client tries again for minutes on
 * `unknown`, `internal`, `unavailable`, `failed-precondition` and their like, and never on `not-found`, `already-exists`,
 * `invalid-argument`, `out-of-range`, `permission-denied`, `unauthenticated` and `unimplemented`.
 */
export class ControllerError extends Error {
  override readonly name = 'ControllerError'
  readonly code: ControllerErrorCode

  constructor(code: ControllerErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

const rpcs: Record<RpcName, true> = {
  getControllerServerList: true,
  createStream: true,
  updateStream: true,
  truncateStream: true,
  sealStream: true,
  deleteStream: true,
  getCurrentSegments: true,
  getEpochSegments: true,
  getSegments: true,
  getSegmentsImmediatlyFollowing: true,
  getSegmentsImmediatelyFollowing: true,
  getSegmentsBetween: true,
  scale: true,
  checkScale: true,
  getURI: true,
  isSegmentValid: true,
  isStreamCutValid: true,
  createTransaction: true,
  commitTransaction: true,
  abortTransaction: true,
  pingTransaction: true,
  checkTransactionState: true,
  listCompletedTransactions: true,
  createScope: true,
  listScopes: true,
  checkScopeExists: true,
  checkStreamExists: true,
  listStreamsInScope: true,
  deleteScope: true,
  deleteScopeRecursive: true,
  getDelegationToken: true,
  removeWriter: true,
  noteTimestampFromWriter: true,
  createKeyValueTable: true,
  getCurrentSegmentsKeyValueTable: true,
  listKeyValueTablesInScope: true,
  getKeyValueTableConfiguration: true,
  deleteKeyValueTable: true,
  listSubscribers: true,
  updateSubscriberStreamCut: true,
  createReaderGroup: true,
  getReaderGroupConfig: true,
  deleteReaderGroup: true,
  updateReaderGroup: true,
  getStreamConfiguration: true,
  listStreamsInScopeForTag: true,
}

/** Every RPC, in the order of the proto. The record above keeps it complete. */
export const RPC_NAMES: readonly RpcName[] = Object.keys(rpcs) as RpcName[]

/** A service whose every call goes through one function: what both ends of a transport are made of. */
export function serviceOf(
  call: (rpc: RpcName, request: object, context: CallContext) => Promise<object>,
): ControllerService {
  const methods = RPC_NAMES.map((rpc) => [
    rpc,
    (request: object, context: CallContext = {}): Promise<object> => call(rpc, request, context),
  ])
  return Object.fromEntries(methods) as ControllerService
}

/** The call by name, for the other end. */
export function callByName(
  service: ControllerService,
  call: { rpc: RpcName; request: object; context: CallContext },
): Promise<object> {
  const method = service[call.rpc] as unknown as (request: object, context: CallContext) => Promise<object>
  return method.call(service, call.request, call.context)
}
