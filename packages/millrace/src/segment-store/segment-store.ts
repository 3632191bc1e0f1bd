/**
 * The containers of a process and what they share: a log, a cache, and bounds on what is on its way to the disk and to
 * sockets. Segments are hashed into containers by name.
 */
import type { Host, Lock } from '../base/host.ts'
import { containerOf } from '../protocol/hash.ts'
import type { BlockCache } from './block-cache.ts'
import type { Container } from './container.ts'
import { type DurableLog, LogError, type LogStats } from './log/durable-log.ts'

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
  readonly containers: readonly Container[]
  readonly memoryBytesMax: number
}

export class SegmentStore {
  readonly host: Host
  readonly directory: string
  readonly containers: readonly Container[]
  /** Appended bytes that are not durable yet, beyond which nothing is read from those who append. */
  readonly inFlightBytesMax: number
  /** Bytes of replies that sockets have not taken yet. Beyond `replyBytesMax` replies are short. */
  readonly replies: { bytes: number } = { bytes: 0 }
  readonly replyBytesMax: number
  /** Called when `full` or `waits` may have changed. */
  onRoom: () => void = () => undefined
  readonly #parts: SegmentStoreParts
  #closed = false

  constructor(parts: SegmentStoreParts) {
    this.#parts = parts
    this.host = parts.host
    this.directory = parts.directory
    this.containers = parts.containers
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
    return this.#parts.log.admission(this.inFlightBytes) === 'full'
  }

  /** Appends should not be read for now: `onRoom` tells when that is over. */
  get waits(): boolean {
    return this.#parts.log.admission(this.inFlightBytes) === 'wait'
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
