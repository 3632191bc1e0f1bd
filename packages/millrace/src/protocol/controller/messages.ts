/**
 * The controller's messages as plain values, named and shaped as in Controller.proto (Pravega 0.13). Callers inside the
 * process use them without loading protobuf; `grpc-messages.ts` turns them into bytes.
 *
 * - An int64 is a bigint, since clients send the whole range (Long.MAX for "never"). Offsets are the exception: numbers,
 *   and one beyond 2^53 is refused where it arrives.
 * - Message fields are always present except those marked optional, where presence means something.
 * - A status object carries the enum of the message that has the same name.
 */

type ValueOf<T> = T[keyof T]

/** Segment id (`epoch << 32 | number`) to offset; -1 is a segment that the cut has not reached. */
export type CutMap = ReadonlyMap<bigint, number>

// Names and places

export const AccessOperation = { UNSPECIFIED: 0, NONE: 1, ANY: 2, READ: 3, WRITE: 4, READ_WRITE: 5 } as const

export interface ScopeInfo {
  readonly scope: string
}

export interface StreamInfo {
  readonly scope: string
  readonly stream: string
  readonly accessOperation?: ValueOf<typeof AccessOperation> | undefined
}

export interface SegmentId {
  readonly streamInfo: StreamInfo
  readonly segmentId: bigint
}

/** Keys from `minKey` up to, but not including, `maxKey`. */
export interface SegmentRange {
  readonly segmentId: SegmentId
  readonly minKey: number
  readonly maxKey: number
}

export interface SegmentRanges {
  readonly segmentRanges: readonly SegmentRange[]
  readonly delegationToken: string
  /** What the epoch began with, of `getEpochSegments`; an addition of ours to Pravega's protocol. */
  readonly epochInfo?: EpochInfo | undefined
}

export interface EpochInfo {
  /** Since 1970. */
  readonly startedAtMs: bigint
  /** `created`, `manual`, `load`, `policy` or `commit`. */
  readonly cause: string
  /** A line for people, may be empty. */
  readonly detail: string
}

export interface NodeUri {
  readonly endpoint: string
  readonly port: number
}

export interface ContinuationToken {
  readonly token: string
}

export interface ExistsResponse {
  readonly exists: boolean
}

export interface DelegationToken {
  readonly delegationToken: string
}

export type ServerRequest = Readonly<Record<string, never>>

export interface ServerResponse {
  readonly nodeURI: readonly NodeUri[]
}

// Streams

export const ScaleType = {
  FIXED_NUM_SEGMENTS: 0,
  BY_RATE_IN_KBYTES_PER_SEC: 1,
  BY_RATE_IN_EVENTS_PER_SEC: 2,
} as const

export interface ScalingPolicy {
  readonly scaleType: ValueOf<typeof ScaleType>
  readonly targetRate: number
  readonly scaleFactor: number
  readonly minNumSegments: number
}

export const RetentionType = { UNKNOWN: 0, TIME: 1, SIZE: 2 } as const

/** Milliseconds for TIME, bytes for SIZE. */
export interface RetentionPolicy {
  readonly retentionType: ValueOf<typeof RetentionType>
  readonly retentionParam: bigint
  readonly retentionMax: bigint
}

export interface Tags {
  readonly tag: readonly string[]
}

export interface StreamConfig {
  readonly streamInfo: StreamInfo
  readonly scalingPolicy: ScalingPolicy
  readonly retentionPolicy?: RetentionPolicy | undefined
  readonly tags?: Tags | undefined
  readonly timestampAggregationTimeout: bigint
  readonly rolloverSizeBytes: bigint
}

export const CreateStreamStatus = {
  SUCCESS: 0,
  FAILURE: 1,
  STREAM_EXISTS: 2,
  SCOPE_NOT_FOUND: 3,
  INVALID_STREAM_NAME: 4,
} as const
export interface CreateStreamStatus {
  readonly status: ValueOf<typeof CreateStreamStatus>
}

export const UpdateStreamStatus = {
  SUCCESS: 0,
  FAILURE: 1,
  STREAM_NOT_FOUND: 2,
  SCOPE_NOT_FOUND: 3,
  STREAM_SEALED: 4,
} as const
export interface UpdateStreamStatus {
  readonly status: ValueOf<typeof UpdateStreamStatus>
}

export const DeleteStreamStatus = {
  SUCCESS: 0,
  FAILURE: 1,
  STREAM_NOT_FOUND: 2,
  STREAM_NOT_SEALED: 3,
} as const
export interface DeleteStreamStatus {
  readonly status: ValueOf<typeof DeleteStreamStatus>
}

export interface StreamCut {
  readonly streamInfo: StreamInfo
  readonly cut: CutMap
}

/** An empty side stands for the head or the tail. */
export interface StreamCutRange {
  readonly streamInfo: StreamInfo
  readonly from: CutMap
  readonly to: CutMap
}

export interface StreamCutRangeResponse {
  readonly segments: readonly SegmentId[]
  readonly delegationToken: string
}

export interface ValidityResponse {
  readonly response: boolean
}

export interface GetSegmentsRequest {
  readonly streamInfo: StreamInfo
  readonly timestamp: bigint
}

export interface SegmentLocation {
  readonly segmentId: SegmentId
  readonly offset: number
}

export interface SegmentsAtTime {
  readonly segments: readonly SegmentLocation[]
  readonly delegationToken: string
}

export interface EpochRequest {
  readonly streamInfo: StreamInfo
  readonly epoch: number
}

/** `value` holds the ids of all predecessors. */
export interface SuccessorEntry {
  readonly segment: SegmentRange
  readonly value: readonly bigint[]
}

export interface SuccessorResponse {
  readonly segments: readonly SuccessorEntry[]
  readonly delegationToken: string
}

// Scaling

export interface KeyRangeEntry {
  readonly start: number
  readonly end: number
}

export interface ScaleRequest {
  readonly streamInfo: StreamInfo
  readonly sealedSegments: readonly bigint[]
  readonly newKeyRanges: readonly KeyRangeEntry[]
  readonly scaleTimestamp: bigint
}

export const ScaleResponse = { STARTED: 0, FAILURE: 1, PRECONDITION_FAILED: 2 } as const
export interface ScaleResponse {
  readonly status: ValueOf<typeof ScaleResponse>
  readonly segments: readonly SegmentRange[]
  readonly epoch: number
}

export const ScaleStatusResponse = {
  IN_PROGRESS: 0,
  SUCCESS: 1,
  INVALID_INPUT: 2,
  INTERNAL_ERROR: 3,
} as const
export interface ScaleStatusResponse {
  readonly status: ValueOf<typeof ScaleStatusResponse>
}

// Transactions

export interface TxnId {
  readonly highBits: bigint
  readonly lowBits: bigint
}

export interface CreateTxnRequest {
  readonly streamInfo: StreamInfo
  readonly lease: bigint
  readonly scaleGracePeriod: bigint
}

export interface CreateTxnResponse {
  readonly txnId: TxnId
  readonly activeSegments: readonly SegmentRange[]
  readonly delegationToken: string
}

export interface TxnRequest {
  readonly streamInfo: StreamInfo
  readonly txnId: TxnId
  readonly writerId: string
  readonly timestamp: bigint
}

export const TxnStatus = { SUCCESS: 0, FAILURE: 1, STREAM_NOT_FOUND: 2, TRANSACTION_NOT_FOUND: 3 } as const
export interface TxnStatus {
  readonly status: ValueOf<typeof TxnStatus>
}

export interface PingTxnRequest {
  readonly streamInfo: StreamInfo
  readonly txnId: TxnId
  readonly lease: bigint
}

export const PingTxnStatus = {
  OK: 0,
  LEASE_TOO_LARGE: 1,
  MAX_EXECUTION_TIME_EXCEEDED: 2,
  SCALE_GRACE_TIME_EXCEEDED: 3,
  DISCONNECTED: 4,
  COMMITTED: 5,
  ABORTED: 6,
  UNKNOWN: 7,
} as const
export interface PingTxnStatus {
  readonly status: ValueOf<typeof PingTxnStatus>
}

export const TxnState = {
  UNKNOWN: 0,
  OPEN: 1,
  COMMITTING: 2,
  COMMITTED: 3,
  ABORTING: 4,
  ABORTED: 5,
} as const
export interface TxnState {
  readonly state: ValueOf<typeof TxnState>
}

export interface ListCompletedTxnRequest {
  readonly streamInfo: StreamInfo
}

export const TxnResponse = { COMMITTED: 0, ABORTED: 1 } as const
export interface TxnResponse {
  readonly txnId: TxnId
  readonly status: ValueOf<typeof TxnResponse>
}

export interface ListCompletedTxnResponse {
  readonly response: readonly TxnResponse[]
}

// Scopes

export const CreateScopeStatus = { SUCCESS: 0, FAILURE: 1, SCOPE_EXISTS: 2, INVALID_SCOPE_NAME: 3 } as const
export interface CreateScopeStatus {
  readonly status: ValueOf<typeof CreateScopeStatus>
}

export const DeleteScopeStatus = { SUCCESS: 0, FAILURE: 1, SCOPE_NOT_FOUND: 2, SCOPE_NOT_EMPTY: 3 } as const
export interface DeleteScopeStatus {
  readonly status: ValueOf<typeof DeleteScopeStatus>
}

export interface ScopesRequest {
  readonly continuationToken?: ContinuationToken | undefined
}

export interface ScopesResponse {
  readonly scopes: readonly string[]
  readonly continuationToken?: ContinuationToken | undefined
}

export interface StreamsInScopeRequest {
  readonly scope: ScopeInfo
  readonly continuationToken?: ContinuationToken | undefined
}

export interface StreamsInScopeWithTagRequest {
  readonly scope: ScopeInfo
  readonly tag: string
  readonly continuationToken?: ContinuationToken | undefined
}

export const ListInScopeStatus = { SUCCESS: 0, FAILURE: 1, SCOPE_NOT_FOUND: 2 } as const

export interface StreamsInScopeResponse {
  readonly streams: readonly StreamInfo[]
  readonly continuationToken?: ContinuationToken | undefined
  readonly status: ValueOf<typeof ListInScopeStatus>
}

// Writers' time

export interface RemoveWriterRequest {
  readonly writer: string
  readonly stream: StreamInfo
}

export const RemoveWriterResponse = {
  SUCCESS: 0,
  UNKNOWN_WRITER: 1,
  STREAM_DOES_NOT_EXIST: 2,
  INTERNAL_ERROR: 3,
} as const
export interface RemoveWriterResponse {
  readonly result: ValueOf<typeof RemoveWriterResponse>
}

export interface TimestampFromWriter {
  readonly writer: string
  readonly position: StreamCut
  readonly timestamp: bigint
}

export const TimestampResponse = {
  SUCCESS: 0,
  INVALID_TIME: 1,
  INVALID_POSITION: 2,
  INTERNAL_ERROR: 3,
} as const
export interface TimestampResponse {
  readonly result: ValueOf<typeof TimestampResponse>
}

// Key-value tables

export interface KeyValueTableInfo {
  readonly scope: string
  readonly kvtName: string
}

export interface KeyValueTableConfig {
  readonly scope: string
  readonly kvtName: string
  readonly partitionCount: number
  readonly primaryKeyLength: number
  readonly secondaryKeyLength: number
  readonly rolloverSizeBytes: bigint
}

export const KeyValueTableConfigResponse = { SUCCESS: 0, FAILURE: 1, TABLE_NOT_FOUND: 2 } as const
export interface KeyValueTableConfigResponse {
  readonly config?: KeyValueTableConfig | undefined
  readonly status: ValueOf<typeof KeyValueTableConfigResponse>
}

export const CreateKeyValueTableStatus = {
  SUCCESS: 0,
  FAILURE: 1,
  TABLE_EXISTS: 2,
  SCOPE_NOT_FOUND: 3,
  INVALID_TABLE_NAME: 4,
} as const
export interface CreateKeyValueTableStatus {
  readonly status: ValueOf<typeof CreateKeyValueTableStatus>
}

export const DeleteKVTableStatus = { SUCCESS: 0, FAILURE: 1, TABLE_NOT_FOUND: 2 } as const
export interface DeleteKVTableStatus {
  readonly status: ValueOf<typeof DeleteKVTableStatus>
}

export interface KVTablesInScopeRequest {
  readonly scope: ScopeInfo
  readonly continuationToken?: ContinuationToken | undefined
}

export interface KVTablesInScopeResponse {
  readonly kvtables: readonly KeyValueTableInfo[]
  readonly continuationToken?: ContinuationToken | undefined
  readonly status: ValueOf<typeof ListInScopeStatus>
}

// Reader groups

/** Values of `retentionType`: whether the group holds back the retention of its streams, and who publishes its cuts. */
export const GroupRetention = { NONE: 0, MANUAL: 1, AUTOMATIC: 2 } as const

export interface ReaderGroupInfo {
  readonly scope: string
  readonly readerGroup: string
  readonly readerGroupId: string
  readonly generation: bigint
}

export interface ReaderGroupConfiguration {
  readonly scope: string
  readonly readerGroupName: string
  readonly groupRefreshTimeMillis: bigint
  readonly automaticCheckpointIntervalMillis: bigint
  readonly maxOutstandingCheckpointRequest: number
  readonly retentionType: number
  readonly generation: bigint
  readonly readerGroupId: string
  readonly startingStreamCuts: readonly StreamCut[]
  readonly endingStreamCuts: readonly StreamCut[]
  readonly rolloverSizeBytes: bigint
}

export const CreateReaderGroupResponse = {
  SUCCESS: 0,
  FAILURE: 1,
  SCOPE_NOT_FOUND: 2,
  INVALID_RG_NAME: 3,
} as const
export interface CreateReaderGroupResponse {
  readonly status: ValueOf<typeof CreateReaderGroupResponse>
  readonly config?: ReaderGroupConfiguration | undefined
}

export const ReaderGroupConfigResponse = { SUCCESS: 0, FAILURE: 1, RG_NOT_FOUND: 2 } as const
export interface ReaderGroupConfigResponse {
  readonly config?: ReaderGroupConfiguration | undefined
  readonly status: ValueOf<typeof ReaderGroupConfigResponse>
}

export const UpdateReaderGroupResponse = {
  SUCCESS: 0,
  FAILURE: 1,
  RG_NOT_FOUND: 2,
  INVALID_CONFIG: 3,
} as const
export interface UpdateReaderGroupResponse {
  readonly status: ValueOf<typeof UpdateReaderGroupResponse>
  readonly generation: bigint
}

export const DeleteReaderGroupStatus = { SUCCESS: 0, FAILURE: 1, RG_NOT_FOUND: 2 } as const
export interface DeleteReaderGroupStatus {
  readonly status: ValueOf<typeof DeleteReaderGroupStatus>
}

export const SubscribersResponse = { SUCCESS: 0, FAILURE: 1, STREAM_NOT_FOUND: 2 } as const
export interface SubscribersResponse {
  readonly subscribers: readonly string[]
  readonly status: ValueOf<typeof SubscribersResponse>
}

export interface SubscriberStreamCut {
  readonly subscriber: string
  readonly generation: bigint
  readonly readerGroupId: string
  readonly streamCut: StreamCut
}

export const UpdateSubscriberStatus = {
  SUCCESS: 0,
  FAILURE: 1,
  STREAM_NOT_FOUND: 2,
  SUBSCRIBER_NOT_FOUND: 3,
  STREAM_CUT_NOT_VALID: 4,
  GENERATION_MISMATCH: 5,
} as const
export interface UpdateSubscriberStatus {
  readonly status: ValueOf<typeof UpdateSubscriberStatus>
}
