/**
 * Reads all segments of a stream outside any group, from a cut on and, if wanted, up to one. Events of a key come in order:
 * a segment that takes over from others is read only when all of those have been read to their ends.
 */
import { MillraceError, streamNotFound } from './errors.ts'
import type { SegmentReaderParts } from './segment-reader.ts'
import { SegmentReaders } from './segment-readers.ts'
import type { Cut, Successor, StreamMetadata } from './stream-metadata.ts'
import { throwIfAborted } from './waiting.ts'

export interface EventBatch {
  readonly segment: string
  readonly offset: number
  /** Whole events, headers included. */
  readonly data: Buffer
  readonly eventCount: number
}

export interface StreamReaderOptions {
  readonly from: Cut
  readonly until?: Cut | undefined
  /** Events that had been truncated away when their turn came. */
  readonly onGap: (gap: { segment: string; from: number; to: number }) => void
}

export class StreamReader {
  readonly #metadata: StreamMetadata
  readonly #parts: SegmentReaderParts
  readonly #options: StreamReaderOptions
  readonly #readers: SegmentReaders
  /** With `until`: the segments that lie before it, wholly or in part. */
  #wanted: ReadonlySet<bigint> | undefined
  readonly #finished = new Set<bigint>()
  /** Read up to where a cut divides them, and begun with at all. */
  readonly #limited = new Set<bigint>()
  readonly #begun = new Set<bigint>()
  /** Those that wait for some of their predecessors. */
  readonly #future = new Map<bigint, Successor>()
  #started = false
  #wake: (() => void) | undefined
  /** That of the last call, which is listened to. */
  #signal: AbortSignal | undefined
  readonly #onAbort = (): void => this.#wake?.()

  constructor(parts: SegmentReaderParts, metadata: StreamMetadata, options: StreamReaderOptions) {
    this.#parts = parts
    this.#metadata = metadata
    this.#options = options
    this.#readers = new SegmentReaders(parts, () => this.#wake?.())
    parts.pool.closing.addEventListener('abort', this.#onAbort)
  }

  /** Undefined when everything that was asked for has been read. One call at a time. */
  async next(signal?: AbortSignal): Promise<EventBatch | undefined> {
    if (!this.#started) await this.#start(signal)
    for (;;) {
      const taken = this.#readers.take()
      if (taken === undefined) {
        if (this.#readers.size > 0) await this.#whenReady(signal)
        else if (!(await this.#goOnBehindLimits(signal))) return undefined
        continue
      }
      const { id, segment, chunk } = taken
      switch (chunk.kind) {
        case 'events':
          return { segment, ...chunk }
        case 'gap':
          this.#options.onGap({ segment, from: chunk.from, to: chunk.to })
          break
        case 'limit':
          this.#readers.remove(id)
          this.#limited.add(id)
          break
        case 'ended':
        case 'missing':
          this.#readers.remove(id)
          await this.#goOnBehind(id, signal)
          break
        case 'failed':
          throw chunk.error
      }
    }
  }

  close(): void {
    this.#listenTo(undefined)
    this.#parts.pool.closing.removeEventListener('abort', this.#onAbort)
    this.#readers.close()
  }

  async #start(signal: AbortSignal | undefined): Promise<void> {
    const { from, until } = this.#options
    if (until !== undefined) this.#wanted = await this.#metadata.between(from, until, { signal })
    this.#started = true
    for (const [id, offset] of from) {
      // A segment that was read to its end has its place taken by its successors.
      if (offset < 0) await this.#goOnBehind(id, signal)
      else this.#read(id, this.#metadata.nameOf(id), offset)
    }
  }

  /** Resolves when there may be a chunk to take; rejects with the reason of the signal, or of the pool's. */
  async #whenReady(signal: AbortSignal | undefined): Promise<void> {
    const { closing } = this.#parts.pool
    if (this.#signal !== signal) this.#listenTo(signal)
    throwIfAborted([signal, closing])
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    throwIfAborted([signal, closing])
  }

  /** Listens to the signal of all calls once, not in every one: waiting is what a reader does most of the time. */
  #listenTo(signal: AbortSignal | undefined): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort)
  }

  #read(id: bigint, segment: string, offset: number): void {
    if (this.#wanted?.has(id) === false || this.#begun.has(id)) return
    this.#begun.add(id)
    const limit = this.#options.until?.get(id)
    // Where the cut says that the segment was read to its end, that is where reading it ends.
    const endOffset = limit === undefined || limit < 0 ? undefined : limit
    this.#readers.add(id, { segment, offset, endOffset })
  }

  async #goOnBehind(id: bigint, signal: AbortSignal | undefined): Promise<void> {
    this.#finished.add(id)
    const limit = this.#options.until?.get(id)
    if (limit !== undefined && limit >= 0) {
      this.#limited.add(id)
      return
    }
    const following = await this.#metadata.following(id, { host: this.#parts.host, signal })
    if (following === 'sealed') return
    if (following === 'replaced') throw streamNotFound(this.#metadata.stream)
    this.#follow(following)
  }

  /**
   * A cut that was made amid a merge may name a segment with its end, beside one that has taken over some of its keys. Those are
   * found here, when all others have been read. False if there are none.
   */
  async #goOnBehindLimits(signal: AbortSignal | undefined): Promise<boolean> {
    const wanted = this.#wanted
    if (wanted === undefined || [...wanted].every((id) => this.#begun.has(id))) return false
    const limited = [...this.#limited]
    this.#limited.clear()
    for (const id of limited) {
      this.#finished.add(id)
      this.#follow(await this.#metadata.successors(id, { signal }))
    }
    return this.#readers.size > 0
  }

  #follow(following: readonly Successor[]): void {
    for (const successor of following) this.#future.set(successor.id, successor)
    for (const { id: next, name, predecessors } of this.#future.values()) {
      if (!predecessors.every((predecessor) => this.#finished.has(predecessor))) continue
      this.#future.delete(next)
      if (!this.#finished.has(next)) this.#read(next, name, 0)
    }
  }
}

/** The error of a reader that was closed while somebody waited for its next event. */
export function readerClosed(stream: string): MillraceError {
  return new MillraceError('closed', `A reader of ${stream} was closed`, { stream })
}
