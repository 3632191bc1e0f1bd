/**
 * Reads the events of one segment from an offset on. One read is under way at a time, and it waits at the store while the
 * segment has nothing new; what has come is held until it is taken, two chunks at most. One read follows the other without a
 * promise or a signal: there are thousands a second, of each segment.
 *
 * Stores cut their answers anywhere, so an event may come in pieces. A chunk has whole events only.
 */
import { type Host, NetworkError } from '../base/host.ts'
import type { Message } from '../protocol/wire/commands.ts'
import { decodeFailed, MillraceError } from './errors.ts'
import { EVENT_HEADER_BYTES } from './event-queue.ts'
import type { Locations } from './locations.ts'
import { failureOf } from './segment-replies.ts'
import type { Listener, Reply, StoreConnection } from './store-connection.ts'
import type { StorePool } from './store-pool.ts'
import { Backoff, orAborted } from './waiting.ts'

/** An event of a writer that may write larger ones than we. What claims to be larger still is refused before it is read. */
const EVENT_BYTES_MAX = 64 * 1024 * 1024
const CHUNKS_MAX = 2

export type Chunk =
  | {
      readonly kind: 'events'
      /** Whole events, headers included. Never changes. */
      readonly data: Buffer
      /** Where in the segment the data begin. */
      readonly offset: number
      readonly eventCount: number
    }
  /** Events that were truncated away before they were read. */
  | { readonly kind: 'gap'; readonly from: number; readonly to: number }
  /** All events were read, and no more will come. */
  | { readonly kind: 'ended' }
  /** All events up to the offset that was asked for were read. */
  | { readonly kind: 'limit' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed'; readonly error: unknown }

export interface SegmentReaderParts {
  readonly host: Host
  readonly locations: Locations
  readonly pool: StorePool
}

export interface SegmentReaderOptions {
  readonly segment: string
  readonly offset: number
  /** The first event not to be read begins here or behind. */
  readonly endOffset?: number | undefined
  /** How much to ask for at a time. */
  readonly readBytes: () => number
  /** A chunk can be taken that could not before. */
  readonly onReady: () => void
}

/** Why reading over one connection has ended. `pause`: the next read is to be made after a while. */
type SessionEnd = 'over' | 'pause' | 'broken'

export class SegmentReader {
  readonly segment: string
  readonly #parts: SegmentReaderParts
  readonly #options: SegmentReaderOptions
  readonly #endOffset: number
  readonly #stopped: AbortController = new AbortController()
  readonly #chunks: Chunk[] = []
  /** Where the next read begins. */
  #offset: number
  /** The beginning of an event of which the rest is still to come. */
  #pieces: Buffer[] = []
  #pieceBytes = 0
  /** How long the event is of which the pieces are; 0 if its header has not come completely. */
  #wantedBytes = 0
  /** What the reads go over, and what to call when they cannot any more. */
  #session: { readonly connection: StoreConnection; readonly end: (end: SessionEnd) => void } | undefined
  /** Of the read under way. */
  #requestId: string | undefined
  /** The next read is made when a chunk has been taken. */
  #full = false
  readonly #backoff: Backoff
  readonly #listener: Listener = {
    reply: (reply) => {
      this.#endRequest()
      this.#take(reply)
    },
    closed: (error) => {
      if (this.#parts.pool.closing.aborted) this.#end({ kind: 'failed', error })
      else this.#endSession('broken')
    },
  }

  constructor(parts: SegmentReaderParts, options: SegmentReaderOptions) {
    this.segment = options.segment
    this.#parts = parts
    this.#options = options
    this.#offset = options.offset
    this.#endOffset = options.endOffset ?? Number.POSITIVE_INFINITY
    this.#backoff = new Backoff(parts.host)
  }

  /** Once. */
  start(): void {
    void this.#run()
  }

  get ready(): boolean {
    return this.#chunks.length > 0
  }

  /** The next chunk if there is one. After `ended`, `limit`, `missing` or `failed` none will come. */
  take(): Chunk | undefined {
    const chunk = this.#chunks.shift()
    if (this.#full) {
      this.#full = false
      this.#goOn()
    }
    return chunk
  }

  close(): void {
    this.#stopped.abort()
    this.#endSession('over')
    this.#chunks.length = 0
  }

  /** One session after the other until everything has been read. */
  async #run(): Promise<void> {
    const { signal } = this.#stopped
    try {
      while (!signal.aborted) {
        const connection = await this.#connect()
        // After a connection that failed the pool makes the pause.
        if (connection === undefined) continue
        const end = await new Promise<SessionEnd>((resolve) => {
          this.#session = { connection, end: resolve }
          this.#goOn()
        })
        if (end === 'over') return
        if (end === 'broken') this.#parts.locations.drop(this.segment)
        else await this.#backoff.wait(signal)
      }
    } catch (error) {
      if (!signal.aborted) this.#put({ kind: 'failed', error })
    }
  }

  /** Undefined if that failed in a way that may pass. */
  async #connect(): Promise<StoreConnection | undefined> {
    const { locations, pool } = this.#parts
    const { signal } = this.#stopped
    try {
      const address = await orAborted(locations.find(this.segment, { signal }), signal, pool.closing)
      return await pool.connect(address, { signal })
    } catch (error) {
      if (!(error instanceof NetworkError) || signal.aborted || pool.closing.aborted) throw error
      locations.drop(this.segment)
      return undefined
    }
  }

  /** Makes the next read, as soon as there is room for what it brings. */
  #goOn(): void {
    if (this.#session === undefined) return
    if (this.#offset - this.#pieceBytes >= this.#endOffset) return this.#end({ kind: 'limit' })
    if (this.#chunks.length >= CHUNKS_MAX) {
      this.#full = true
      return
    }
    const { connection } = this.#session
    this.#requestId = connection.open(
      {
        kind: 'read-segment',
        segment: this.segment,
        offset: this.#offset,
        suggestedLength: this.#lengthToAskFor(),
        delegationToken: '',
      },
      this.#listener,
    )
    if (this.#requestId !== undefined) connection.hold()
  }

  #endRequest(): void {
    if (this.#requestId === undefined || this.#session === undefined) return
    this.#session.connection.unlisten(this.#requestId)
    this.#session.connection.letGo()
    this.#requestId = undefined
  }

  #endSession(end: SessionEnd): void {
    this.#endRequest()
    this.#full = false
    this.#session?.end(end)
    this.#session = undefined
  }

  /** The rest of a large event in one go; else not beyond the end that was asked for, unless an event reaches over it. */
  #lengthToAskFor(): number {
    const readBytes = this.#options.readBytes()
    if (this.#wantedBytes > 0) return Math.max(readBytes, this.#wantedBytes - this.#pieceBytes)
    const toEnd = this.#endOffset - this.#offset
    return toEnd > 0 ? Math.min(readBytes, toEnd) : readBytes
  }

  #take(reply: Reply): void {
    if (reply.kind === 'segment-read') return this.#takeData(reply)
    if (reply.kind === 'segment-is-sealed') return this.#end({ kind: 'ended' })
    if (reply.kind === 'no-such-segment') return this.#end({ kind: 'missing' })
    if (reply.kind === 'segment-is-truncated' && reply.startOffset > this.#offset) {
      const from = this.#offset - this.#pieceBytes
      this.#forgetPieces()
      this.#offset = reply.startOffset
      this.#put({ kind: 'gap', from, to: reply.startOffset })
      return this.#goOn()
    }
    if (reply.kind !== 'wrong-host')
      return this.#end({ kind: 'failed', error: failureOf(reply, this.segment) })
    this.#parts.locations.drop(this.segment)
    this.#endSession('pause')
  }

  #takeData({ offset, data, endOfSegment }: Message<'segment-read'>): void {
    if (offset !== this.#offset) {
      const error = new MillraceError(
        'internal',
        `The store of ${this.segment} was asked to read at ${this.#offset} and did at ${offset}`,
      )
      return this.#end({ kind: 'failed', error })
    }
    if (data.length > 0) {
      const problem = this.#addData(data)
      if (problem !== undefined) return this.#end({ kind: 'failed', error: problem })
    }
    if (endOfSegment) {
      if (this.#pieceBytes === 0) return this.#end({ kind: 'ended' })
      return this.#end({ kind: 'failed', error: this.#damage('the segment ends within it') })
    }
    // The store had nothing after all: the same read is made again after a pause.
    if (data.length === 0) return this.#endSession('pause')
    this.#backoff.reset()
    this.#goOn()
  }

  #addData(data: Buffer): MillraceError | undefined {
    this.#offset += data.length
    this.#pieces.push(data)
    this.#pieceBytes += data.length
    // Pieces of a large event are joined once, when all of them are there.
    if (this.#pieceBytes < this.#wantedBytes) return undefined
    const whole = this.#pieces.length === 1 ? data : Buffer.concat(this.#pieces)
    const start = this.#offset - whole.length
    const { end, eventCount, problem } = this.#scan(whole, start)
    this.#forgetPieces()
    if (problem === undefined && end < whole.length) this.#keepPiece(whole.subarray(end))
    if (eventCount > 0) this.#put({ kind: 'events', data: whole.subarray(0, end), offset: start, eventCount })
    return problem
  }

  /** How many whole events there are, and where they end. */
  #scan(
    data: Buffer,
    start: number,
  ): { end: number; eventCount: number; problem: MillraceError | undefined } {
    let end = 0
    let eventCount = 0
    while (end + EVENT_HEADER_BYTES <= data.length && start + end < this.#endOffset) {
      const type = data.readInt32BE(end)
      const length = data.readInt32BE(end + 4)
      if (type !== 0 || length < 0 || length > EVENT_BYTES_MAX) {
        const problem = this.#damage(`its header is ${type}, ${length}`, start + end)
        return { end, eventCount, problem }
      }
      if (end + EVENT_HEADER_BYTES + length > data.length) break
      end += EVENT_HEADER_BYTES + length
      eventCount++
    }
    return { end, eventCount, problem: undefined }
  }

  #keepPiece(piece: Buffer): void {
    if (this.#offset - piece.length >= this.#endOffset) {
      // Nothing of what is left was asked for.
      this.#offset -= piece.length
      return
    }
    this.#pieces = [piece]
    this.#pieceBytes = piece.length
    this.#wantedBytes =
      piece.length < EVENT_HEADER_BYTES ? EVENT_HEADER_BYTES : EVENT_HEADER_BYTES + piece.readInt32BE(4)
  }

  #forgetPieces(): void {
    this.#pieces = []
    this.#pieceBytes = 0
    this.#wantedBytes = 0
  }

  #damage(problem: string, offset: number = this.#offset - this.#pieceBytes): MillraceError {
    return decodeFailed(this.segment, `${this.segment}:${offset}`, new Error(`no event, ${problem}`))
  }

  #end(chunk: Chunk): void {
    this.#endSession('over')
    this.#put(chunk)
  }

  #put(chunk: Chunk): void {
    this.#chunks.push(chunk)
    this.#options.onReady()
  }
}
