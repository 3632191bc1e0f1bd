/** `millrace`: a store in a folder (`open`) or behind a server (`connect`), and the streams in it. */
export { connect, type ConnectOptions } from './client/connect.ts'
export type { StreamCut } from './client/cuts.ts'
export type { Diagnostic } from './client/diagnostics.ts'
export { type ErrorCode, isMillraceError, MillraceError, type ValueIssue } from './client/errors.ts'
export type { WriteOptions } from './client/event-pusher.ts'
export type { Event } from './client/events.ts'
export type { Checkpoint } from './client/group/group-checkpoint.ts'
export type { Lag } from './client/group/group-lag.ts'
export type { Group, GroupOptions, GroupReadOptions } from './client/group/group.ts'
export type { Retention, Scaling, StreamPolicy } from './client/policy.ts'
export type { Closeable, Reader, ReadOptions } from './client/reader.ts'
export type { ScaleTo } from './client/scale-plan.ts'
export type {
  StandardSchemaIssue,
  StandardSchemaProps,
  StandardSchemaResult,
  StandardSchemaV1,
} from './client/schema.ts'
export type { Wait } from './client/segment-calls.ts'
export type { EngineStats, ListOptions, Store, StoreStats } from './client/store.ts'
export type { StreamInfo } from './client/stream-info.ts'
export type { Stream, StreamOptions } from './client/stream.ts'
export type { KeyRange, Topology, TopologySegment } from './client/topology.ts'
export type { Transaction, TransactionOptions } from './client/transaction.ts'
export type { TransactionStatus } from './client/transaction-calls.ts'
export type { Codec, Json } from './client/values.ts'
export type { Writer } from './client/writer.ts'
export { type ListenOptions, open, type OpenOptions } from './open.ts'
