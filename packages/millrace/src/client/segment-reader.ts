/**
 * Reads the events of one segment from an offset on. One read is under way at a time, and it waits at the store while the
 * segment has nothing new; what has come is held until it is taken, two chunks at most.
 *
 * Stores cut their answers anywhere, so an event may come in pieces. A chunk has whole events only.
 */
import { type Host, NetworkError } from '../base/host.ts'
import type { Message } from '../protocol/wire/commands.ts'
import { decodeFailed, MillraceError } from './errors.ts'
import { EVENT_HEADER_BYTES } from './event-queue.ts'
import type { Locations } from './locations.ts'
import { failureOf } from './segment-replies.ts'
import type { Reply } from './store-connection.ts'
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
  #makeRoom: (() => void) | undefined

  constructor(parts: SegmentReaderParts, options: SegmentReaderOptions) {
    this.segment = options.segment
    this.#parts = parts
    this.#options = options
    this.#offset = options.offset
    this.#endOffset = options.endOffset ?? Number.POSITIVE_INFINITY
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
    this.#makeRoom?.()
    this.#makeRoom = undefined
    return chunk
  }

  close(): void {
    this.#stopped.abort()
    this.#makeRoom?.()
    this.#chunks.length = 0
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(this.#parts.host)
    try {
      while (!this.#stopped.signal.aborted) {
        if (this.#offset - this.#pieceBytes >= this.#endOffset) return this.#put({ kind: 'limit' })
        if (this.#chunks.length >= CHUNKS_MAX) await this.#room()
        const reply = await this.#read()
        if (this.#stopped.signal.aborted) return
        const progress = reply === undefined ? 'none' : this.#take(reply)
        if (progress === 'over') return
        if (progress === 'some') backoff.reset()
        // After a connection that failed the pool makes the pause.
        else if (reply !== undefined) await backoff.wait(this.#stopped.signal)
      }
    } catch (error) {
      if (!this.#stopped.signal.aborted) this.#put({ kind: 'failed', error })
    }
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#makeRoom = resolve
    })
  }

  /** Undefined if the connection failed. */
  async #read(): Promise<Reply | undefined> {
    const { locations, pool } = this.#parts
    const { signal } = this.#stopped
    try {
      const address = await orAborted(locations.find(this.segment, { signal }), signal, pool.closing)
      const connection = await pool.connect(address, { signal })
      const request = {
        kind: 'read-segment',
        segment: this.segment,
        offset: this.#offset,
        suggestedLength: this.#lengthToAskFor(),
        delegationToken: '',
      } as const
      return await connection.request(request, { signal })
    } catch (error) {
      if (!(error instanceof NetworkError) || signal.aborted || pool.closing.aborted) throw error
      locations.drop(this.segment)
      return undefined
    }
  }

  /** The rest of a large event in one go; else not beyond the end that was asked for, unless an event reaches over it. */
  #lengthToAskFor(): number {
    const readBytes = this.#options.readBytes()
    if (this.#wantedBytes > 0) return Math.max(readBytes, this.#wantedBytes - this.#pieceBytes)
    const toEnd = this.#endOffset - this.#offset
    return toEnd > 0 ? Math.min(readBytes, toEnd) : readBytes
  }

  /** `none`: the same read is to be made again after a pause. */
  #take(reply: Reply): 'some' | 'none' | 'over' {
    if (reply.kind === 'segment-read') return this.#takeData(reply)
    if (reply.kind === 'segment-is-sealed') return this.#end({ kind: 'ended' })
    if (reply.kind === 'no-such-segment') return this.#end({ kind: 'missing' })
    if (reply.kind === 'segment-is-truncated' && reply.startOffset > this.#offset) {
      const from = this.#offset - this.#pieceBytes
      this.#forgetPieces()
      this.#offset = reply.startOffset
      this.#put({ kind: 'gap', from, to: reply.startOffset })
      return 'some'
    }
    if (reply.kind === 'wrong-host') {
      this.#parts.locations.drop(this.segment)
      return 'none'
    }
    return this.#end({ kind: 'failed', error: failureOf(reply, this.segment) })
  }

  #takeData({ offset, data, endOfSegment }: Message<'segment-read'>): 'some' | 'none' | 'over' {
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
    if (!endOfSegment) return data.length > 0 ? 'some' : 'none'
    if (this.#pieceBytes === 0) return this.#end({ kind: 'ended' })
    return this.#end({ kind: 'failed', error: this.#damage('the segment ends within it') })
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

  #end(chunk: Chunk): 'over' {
    this.#put(chunk)
    return 'over'
  }

  #put(chunk: Chunk): void {
    this.#chunks.push(chunk)
    this.#options.onReady()
  }
}
