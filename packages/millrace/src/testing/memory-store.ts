/** A segment store over a log in memory. */
import type { Host } from '../base/host.ts'
import { BlockCache } from '../segment-store/block-cache.ts'
import { Container } from '../segment-store/container.ts'
import { SegmentLoads } from '../segment-store/load.ts'
import { SegmentStore } from '../segment-store/segment-store.ts'
import { MemoryLog } from './memory-log.ts'

export interface MemoryStore {
  readonly store: SegmentStore
  readonly log: MemoryLog
}

/** With a log, the store is what that log says. */
export function memoryStore(
  host: Host,
  options: { log?: MemoryLog; containers?: number; memoryBytesMax?: number } = {},
): MemoryStore {
  const { log = new MemoryLog(), containers: count = 4, memoryBytesMax = 16 * 1024 * 1024 } = options
  const cache = new BlockCache({ bytesMax: memoryBytesMax / 2 })
  const inFlight = { bytes: 0 }
  const loads = new SegmentLoads(host.clock)
  const containers = Array.from({ length: count }, (_, id) => {
    const container = new Container({ id, clock: host.clock, cache, inFlight, loads })
    log.recover(id, container.recovery())
    container.open(log.openContainer(id, container))
    return container
  })
  const lock = { release: async (): Promise<void> => undefined }
  const store = new SegmentStore({
    host,
    directory: 'memory',
    lock,
    log,
    cache,
    inFlight,
    loads,
    containers,
    memoryBytesMax,
  })
  return { store, log }
}
