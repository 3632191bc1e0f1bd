/**
 * The containers of a process and what they share: a log, a cache, and bounds on what is on its way to the disk and to
 * sockets. Segments are hashed into containers by name.
 */
import type { Host, Lock } from '../base/host.ts'
import { containerOf } from '../protocol/hash.ts'
import type { BlockCache } from './block-cache.ts'
import type { Container } from './container.ts'
import type { SegmentLoads } from './load.ts'
import { type Admission, type DurableLog, LogError, type LogStats, type Place } from './log/durable-log.ts'

/** Copied at one time, so that compaction does not crowd out what clients do. */
const COMPACTED_BYTES_MAX = 16 * 1024 * 1024

export interface SegmentStoreStats {
  readonly log: LogStats
  readonly containers: number
  readonly segments: number
  readonly cacheBytes: number
  readonly cacheBytesMax: number
  readonly inFlightBytes: number
  readonly inFlightBytesMax: number
  readonly replyBytes: number
  readonly replyBytesMax: number
}

export interface SegmentStoreParts {
  readonly host: Host
  readonly directory: string
  readonly lock: Lock
  readonly log: DurableLog
  readonly cache: BlockCache
  readonly inFlight: { bytes: number }
  readonly loads: SegmentLoads
  readonly containers: readonly Container[]
  readonly memoryBytesMax: number
}

export class SegmentStore {
  readonly host: Host
  readonly directory: string
  readonly containers: readonly Container[]
  /** How much is appended to each segment. */
  readonly loads: SegmentLoads
  /** Appended bytes that are not durable yet, beyond which nothing is read from those who append. */
  readonly inFlightBytesMax: number
  /** Bytes of replies that sockets have not taken yet. Beyond `replyBytesMax` replies are short. */
  readonly replies: { bytes: number } = { bytes: 0 }
  readonly replyBytesMax: number
  /** Called when `full` or `waits` may have changed. */
  onRoom: () => void = () => undefined
  readonly #parts: SegmentStoreParts
  #closed = false
  #compacting = false
  /** Files that could not be emptied, because something in them is damaged. */
  readonly #stuck = new Set<Place>()

  constructor(parts: SegmentStoreParts) {
    this.#parts = parts
    this.host = parts.host
    this.directory = parts.directory
    this.containers = parts.containers
    this.loads = parts.loads
    this.inFlightBytesMax = Math.floor(parts.memoryBytesMax / 4)
    this.replyBytesMax = Math.floor(parts.memoryBytesMax / 8)
    this.#dropTransients()
  }

  containerOf(segment: string): Container {
    return this.containers[containerOf(segment, this.containers.length)]!
  }

  get inFlightBytes(): number {
    return this.#parts.inFlight.bytes
  }

  /** Appends are refused for now. */
  get full(): boolean {
    return this.#admission === 'full'
  }

  /** Appends should not be read for now: `onRoom` tells when that is over. */
  get waits(): boolean {
    return this.#admission === 'wait'
  }

  get #admission(): Admission {
    return this.#parts.log.admission(this.inFlightBytes)
  }

  /** Why the store has stopped, if it has. */
  get failure(): LogError | undefined {
    return this.#parts.log.failure
  }

  get closed(): boolean {
    return this.#closed
  }

  stats(): SegmentStoreStats {
    const { log, cache, inFlight } = this.#parts
    let segments = 0
    for (const container of this.containers) segments += container.segmentCount
    return {
      log: log.stats,
      containers: this.containers.length,
      segments,
      cacheBytes: cache.bytesUsed,
      cacheBytesMax: cache.bytesMax,
      inFlightBytes: inFlight.bytes,
      inFlightBytesMax: this.inFlightBytesMax,
      replyBytes: this.replies.bytes,
      replyBytesMax: this.replyBytesMax,
    }
  }

  /** What was accepted becomes durable; then the directory is free. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      // On a full volume what waits for room would never be durable; nobody was told that it is.
      if (this.failure === undefined && !this.full) await this.#durable()
      await this.#parts.log.close()
    } finally {
      for (const container of this.containers)
        container.fail(new LogError('closed', `The store in ${this.directory} was closed`))
      await this.#parts.lock.release()
    }
  }

  /**
   * Sets files of the log free in which little is left, by copying that to the end of the log: a stream that is truncated leaves
   * its files to the few bytes of quieter ones. Called when a checkpoint was saved, and never at work twice.
   */
  async compact(): Promise<void> {
    if (this.#compacting) return
    this.#compacting = true
    try {
      let room = COMPACTED_BYTES_MAX
      for (const { place, live } of this.#sparseFiles()) {
        if (this.#closed || this.failure !== undefined || this.#admission !== 'open') return
        if (live > room) return
        room -= live
        await this.#empty(place)
      }
    } finally {
      this.#compacting = false
    }
  }

  #sparseFiles(): { place: Place; live: number }[] {
    const live = new Map<Place, number>()
    for (const container of this.containers)
      for (const [place, bytes] of container.liveBytes()) live.set(place, (live.get(place) ?? 0) + bytes)
    return this.#parts.log
      .places()
      .map(({ place, bytes }) => ({ place, live: live.get(place) ?? 0, bytes }))
      .filter(({ place, live: left, bytes }) => left > 0 && left <= bytes / 4 && !this.#stuck.has(place))
  }

  async #empty(place: Place): Promise<void> {
    try {
      for (const container of this.containers)
        if (container.failure === undefined) await container.evacuate(place)
    } catch (error) {
      // What is damaged is told to those who read it. A log that has failed tells everybody.
      if (!(error instanceof LogError)) throw error
      this.#stuck.add(place)
    }
  }

  async #durable(): Promise<void> {
    for (const container of this.containers)
      await new Promise<void>((resolve) => container.whenDurable({ settle: () => resolve() }))
  }

  /** A large event that was being sent when the last process ended will be sent again by its writer, under another name. */
  #dropTransients(): void {
    for (const container of this.containers) {
      if (container.failure !== undefined) continue
      for (const name of container.transientSegments())
        container.submit({ kind: 'delete', name, type: 'stream', mustBeEmpty: false })
    }
  }
}
