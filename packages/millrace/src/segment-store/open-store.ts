/** Opens the store in a directory: its lock, its identity, its log, and the containers that the log makes. */
import type { Host } from '../base/host.ts'
import { BlockCache } from './block-cache.ts'
import { Container } from './container.ts'
import { openIdentity } from './identity.ts'
import { MEMORY_BYTES_MIN } from './limits.ts'
import { SegmentLoads } from './load.ts'
import { type DurableLog, LogError } from './log/durable-log.ts'
import { type FileLogOptions, openFileLog } from './log/file-log.ts'
import { SegmentStore } from './segment-store.ts'

export interface SegmentStoreOptions {
  readonly host: Host
  readonly directory: string
  /** For a directory that holds no store yet. */
  readonly containers?: number
  /** For cache, appends on their way to the disk and replies. 256 MiB if absent. */
  readonly memoryBytesMax?: number
  /** Who holds the directory, for the next one who wants it. */
  readonly holder?: string
  readonly onProgress?: FileLogOptions['onProgress']
  /** Damage that harms nobody, since what was lost is known from elsewhere. */
  readonly onDamage?: FileLogOptions['onDamage']
  /** The log has failed, and with it the store: nothing is accepted or served any more. Called once. */
  readonly onFailure?: (error: LogError) => void
  /** For tests: how the log cuts its files. */
  readonly log?: Pick<FileLogOptions, 'slots' | 'fileBytesFirst' | 'fileBytesMax'>
}

const MEMORY_BYTES = 256 * 1024 * 1024

/**
 * Rejects with `DiskError` `locked` when another process has the directory, and with `LogError` when the files are of an
 * unknown version or so damaged that nothing can be opened. A damaged container stays shut, the others open.
 */
export async function openSegmentStore(options: SegmentStoreOptions): Promise<SegmentStore> {
  const { host, directory } = options
  await host.disk.makeDirectory(directory)
  let store: SegmentStore | undefined
  const lock = await host.disk.lock(directory, options.holder ?? 'a Millrace store')
  try {
    const { storeId, containers: count } = await openIdentity(host, options)
    const memoryBytesMax = Math.max(options.memoryBytesMax ?? MEMORY_BYTES, MEMORY_BYTES_MIN)
    const cache = new BlockCache({ bytesMax: Math.floor(memoryBytesMax / 2) })
    const inFlight = { bytes: 0 }
    const loads = new SegmentLoads(host.clock)
    const onCheckpoint = (): void => void store?.compact()
    const containers = Array.from(
      { length: count },
      (_, id) => new Container({ id, clock: host.clock, cache, inFlight, loads, onCheckpoint }),
    )
    const log = await openFileLog({
      host,
      directory: `${directory}/log`,
      storeId,
      recover: (id) => containerAt(containers, id, directory).recovery(),
      ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      ...(options.onDamage === undefined ? {} : { onDamage: options.onDamage }),
      onFailure: (error) => {
        // Also those that have nothing under way.
        for (const container of containers) container.fail(error)
        options.onFailure?.(error)
      },
      onRoom: () => store?.onRoom(),
      ...options.log,
    })
    for (const container of containers) if (container.failure === undefined) openContainer(container, log)
    store = new SegmentStore({
      host,
      directory,
      lock,
      log,
      cache,
      inFlight,
      loads,
      containers,
      memoryBytesMax,
    })
    return store
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** Where frames were lost and nobody can tell whose, a container that seems to be new may not be, and stays shut too. */
function openContainer(container: Container, log: DurableLog): void {
  try {
    container.open(log.openContainer(container.id, container))
  } catch (error) {
    if (!(error instanceof LogError) || error.code !== 'damaged') throw error
    container.fail(error)
  }
}

function containerAt(containers: readonly Container[], id: number, directory: string): Container {
  const container = containers[id]
  if (container === undefined)
    throw new LogError(
      'damaged',
      `The log in ${directory} speaks of container ${id}, but the store has ${containers.length}`,
      { path: directory },
    )
  return container
}
