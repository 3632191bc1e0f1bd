/** What all handles of one store share. */
import type { Host } from '../base/host.ts'
import type { ControllerService } from '../protocol/controller/service.ts'
import type { Report } from './diagnostics.ts'
import type { Locations } from './locations.ts'
import type { Closeable } from './reader.ts'
import type { SegmentCalls } from './segment-calls.ts'
import type { SlabPool } from './slab-pool.ts'
import type { StorePool } from './store-pool.ts'
import type { StreamWriter } from './stream-writer.ts'
import type { WriterPool } from './writer-pool.ts'

export interface StoreContext {
  readonly host: Host
  /** Its calls are made again as far as that is good. */
  readonly controller: ControllerService
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
  /** What closes with the store, writers and readers of the program. */
  readonly open: Set<Closeable>
  /** All that write, for the statistics. */
  readonly streamWriters: Set<StreamWriter>
}
