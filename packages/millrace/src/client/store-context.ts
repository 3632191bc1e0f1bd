/** What all handles of one store share. */
import type { Host } from '../base/host.ts'
import type { ControllerService } from '../protocol/controller/service.ts'
import type { Report } from './diagnostics.ts'
import type { EventSink } from './event-sink.ts'
import type { Locations } from './locations.ts'
import type { Closeable } from './reader.ts'
import type { SegmentCalls } from './segment-calls.ts'
import type { SlabPool } from './slab-pool.ts'
import type { StorePool } from './store-pool.ts'
import type { WriterPool } from './writer-pool.ts'

export interface StoreContext {
  readonly host: Host
  /** Its calls are made again as far as that is good. */
  readonly controller: ControllerService
  /** Its calls are made once: for those that come again by themselves. */
  readonly controllerOnce: ControllerService
  readonly segments: SegmentCalls
  readonly locations: Locations
  /** Connections for calls, and for what else is small and waits for an answer. */
  readonly callPool: StorePool
  /** Connections for appends. */
  readonly appendPool: StorePool
  readonly slabs: SlabPool
  readonly report: Report
  /** Aborted when the store closes. */
  readonly closing: AbortSignal
  /** For writes without a writer of their own. */
  readonly writers: WriterPool
  /** What closes with the store: writers, readers and transactions of the program. */
  readonly open: Set<Closeable>
  /** All that write, for the statistics. */
  readonly sinks: Set<EventSink>
}
