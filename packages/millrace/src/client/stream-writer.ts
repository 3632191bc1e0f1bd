/**
 * Brings the events of one stream to its segments: by the hash of their key, in the order in which they were pushed.
 *
 * When a segment ends, its successors take over the keys that were routed to it, and no others: a key whose own segment has
 * not been seen to end keeps going there, so that its earlier events stay ahead. Until the successors are known, events for the
 * ended segment wait in its queue, behind those that it did not take.
 */
import type { Completion } from './completion.ts'
import { asMillraceError, MillraceError, storeClosed, streamSealed } from './errors.ts'
import { EventQueue } from './event-queue.ts'
import { QueueingSink } from './event-sink.ts'
import { type Route, routeOf } from './routes.ts'
import { SegmentWriter, type SegmentWriterParts } from './segment-writer.ts'
import type { Segment, StreamMetadata } from './stream-metadata.ts'

export interface StreamWriterOptions {
  /** More bytes than this that are not durable, and producers are asked to wait. */
  readonly bytesMax: number
  /** The stream does not exist: makes it, or says why not. */
  onMissing(): Promise<void>
  onClosed?(): void
}

interface SegmentRoute extends Route {
  readonly id: bigint
  readonly writer: SegmentWriter
}

export class StreamWriter extends QueueingSink {
  readonly #parts: SegmentWriterParts
  readonly #metadata: StreamMetadata
  readonly #options: StreamWriterOptions
  /** Sorted; empty until the segments are known. */
  #routes: readonly SegmentRoute[] = []
  readonly #writers = new Map<bigint, SegmentWriter>()
  /** Ended ones whose successors are being asked for. */
  readonly #replacing = new Set<SegmentWriter>()
  /** Events that came before the segments were known. */
  readonly #early: EventQueue
  #opening = false

  constructor(parts: SegmentWriterParts, metadata: StreamMetadata, options: StreamWriterOptions) {
    super(options.bytesMax)
    this.#parts = parts
    this.#metadata = metadata
    this.#options = options
    this.#early = new EventQueue(parts.slabs)
  }

  close(): void {
    if (!this.end()) return
    for (const writer of this.#writers.values()) writer.close()
    this.#failQueue(this.#early, storeClosed())
    for (const writer of this.#writers.values()) this.#failQueue(writer.queue, storeClosed())
    this.#writers.clear()
    this.#routes = []
    this.#options.onClosed?.()
  }

  protected override queueFor(hash: number): EventQueue {
    const route = routeOf(this.#routes, hash)
    if (route === undefined) {
      if (!this.#opening) void this.#open()
      return this.#early
    }
    const { writer, id } = route
    if (!writer.ended) writer.wake()
    // Its successors were asked for in vain before; what is pushed now asks anew what has become of the stream.
    else if (!this.#replacing.has(writer)) void this.#replace(writer, id)
    return writer.queue
  }

  async #open(): Promise<void> {
    this.#opening = true
    try {
      const segments = await this.#orMissing(() => this.#metadata.writable({ signal: this.#closing }))
      if (this.closed) return
      this.#routes = segments.map((segment) => this.#routeTo(segment, segment.high))
      this.#early.moveAll((event, hash, completion) => this.#pushAgain(event, hash, completion))
    } catch (error) {
      this.#failQueue(this.#early, error)
    } finally {
      this.#opening = false
    }
  }

  /** Asks again once the stream exists, if it did not. */
  async #orMissing<R>(ask: () => Promise<R>): Promise<R> {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'stream-not-found') throw error
      await this.#options.onMissing()
      return ask()
    }
  }

  get #closing(): AbortSignal {
    return this.#parts.pool.closing
  }

  #routeTo(segment: Segment, high: number): SegmentRoute {
    return { high, id: segment.id, writer: this.#writerFor(segment) }
  }

  #writerFor({ id, name }: Segment): SegmentWriter {
    let writer = this.#writers.get(id)
    if (writer === undefined) {
      writer = new SegmentWriter(this.#parts, name, {
        onDurable: (bytes) => this.free(bytes),
        onEnded: (ended) => void this.#replace(ended, id),
        onFailed: (failed, error) => this.#failQueue(failed.queue, error),
      })
      this.#writers.set(id, writer)
    }
    return writer
  }

  async #replace(ended: SegmentWriter, id: bigint): Promise<void> {
    this.#replacing.add(ended)
    try {
      const successors = await this.#successorsOf(id)
      if (this.closed) return
      this.#writers.delete(id)
      this.#routes = this.#routes.flatMap((route, index) =>
        route.writer === ended ? this.#split(route, this.#routes[index - 1]?.high ?? 0, successors) : [route],
      )
      ended.queue.moveAll((event, hash, completion) => this.#pushAgain(event, hash, completion))
    } catch (error) {
      this.#failQueue(ended.queue, error)
    } finally {
      this.#replacing.delete(ended)
    }
  }

  /** Those whose keys are among the ended segment's. Waits for them; rejects if there will not be any. */
  async #successorsOf(id: bigint): Promise<readonly Segment[]> {
    const wait = { signal: this.#closing }
    const following = await this.#orMissing(() =>
      this.#metadata.following(id, { host: this.#parts.host, ...wait }),
    )
    if (following === 'sealed') throw streamSealed(this.#metadata.stream)
    // Keys of a stream that was made again go where they go now.
    return following === 'replaced' ? this.#metadata.writable(wait) : following
  }

  /** The part of a route that each of the segments takes over. */
  #split(route: SegmentRoute, low: number, segments: readonly Segment[]): readonly SegmentRoute[] {
    const routes = segments
      .filter((segment) => segment.high > low && segment.low < route.high)
      .toSorted((one, two) => one.high - two.high)
      .map((segment) => this.#routeTo(segment, Math.min(segment.high, route.high)))
    if (routes.at(-1)?.high === route.high) return routes
    const names = segments.map(({ name }) => name).join(', ')
    throw new MillraceError('internal', `${names} do not have all keys of their predecessors`, {
      stream: this.#metadata.stream,
    })
  }

  #pushAgain(event: Buffer, hash: number, completion: Completion): void {
    this.queueOf(hash).pushBytes(event, hash, completion)
  }

  #failQueue(queue: EventQueue, error: unknown): void {
    const shown = this.#closing.aborted ? storeClosed(error) : asMillraceError(error, this.#metadata.stream)
    this.free(queue.fail(shown as Error))
  }
}
