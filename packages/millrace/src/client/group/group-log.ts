/**
 * The stream in which the readers of a group keep their shared state, one segment long: an event for each change, written
 * only by who knows all changes before it. Now and then someone writes the whole state; the mark, an attribute of the segment,
 * says where, so that nobody reads from the start, and what lies before the mark before it is truncated.
 */
import type { Host } from '../../base/host.ts'
import { parseUuid } from '../../protocol/uuid.ts'
import { encodeGroupChange, type GroupChange } from '../../protocol/reader-group/group-changes.ts'
import { groupNotFound, MillraceError } from '../errors.ts'
import { EVENT_HEADER_BYTES } from '../event-queue.ts'
import type { Locations } from '../locations.ts'
import { type SegmentCalls, SegmentError } from '../segment-calls.ts'
import { type Chunk, SegmentReader } from '../segment-reader.ts'
import type { StorePool } from '../store-pool.ts'
import { ConditionalWriter } from './conditional-writer.ts'

/** Java's `SegmentAttribute.RevisionStreamClientMark`. */
const MARK = parseUuid('7df9a874-246c-c9d6-9397-cdd19ead68c5')
const READ_BYTES = 256 * 1024

export interface GroupLogParts {
  readonly host: Host
  readonly locations: Locations
  readonly pool: StorePool
  readonly segments: SegmentCalls
}

export interface GroupLogOptions {
  /** `scope/group` */
  readonly group: string
  /** The full name of the stream's segment. */
  readonly segment: string
}

/** All calls reject `group-not-found` when the stream is gone, or sealed, which it is only to be deleted. */
export class GroupLog {
  readonly group: string
  readonly #parts: GroupLogParts
  readonly #segment: string
  readonly #writer: ConditionalWriter

  constructor(parts: GroupLogParts, { group, segment }: GroupLogOptions) {
    this.group = group
    this.#parts = parts
    this.#segment = segment
    this.#writer = new ConditionalWriter(parts, segment)
  }

  /** Where whoever knows nothing starts to read. */
  start(): Promise<number> {
    return this.#call(async () => {
      const { segments } = this.#parts
      const mark = await segments.attribute(this.#segment, MARK)
      if (mark !== undefined) return offsetOf(mark)
      return (await segments.segmentState(this.#segment)).startOffset
    })
  }

  /**
   * Hands on the changes from an offset on, as many as there are now, and resolves with where the last one ends; or with
   * `truncated` if there are none any more at the offset.
   */
  read(from: number, each: OnChange): Promise<number | 'truncated'> {
    return this.#call(async () => {
      const { startOffset, writeOffset } = await this.#parts.segments.segmentState(this.#segment)
      if (from < startOffset) return 'truncated'
      return from >= writeOffset ? from : this.#readBetween(from, writeOffset, each)
    })
  }

  /** Where the change ends, or undefined if there are others at the offset. */
  append(change: GroupChange, at: number): Promise<number | undefined> {
    return this.#call(async () => {
      const payload = encodeGroupChange(change)
      const event = Buffer.alloc(EVENT_HEADER_BYTES + payload.length)
      event.writeInt32BE(payload.length, 4)
      event.set(payload, EVENT_HEADER_BYTES)
      const stored = await this.#writer.append({ event, expectedOffset: at })
      return stored ? at + event.length : undefined
    })
  }

  /** The whole state has been written at this offset: others begin there, and the state before the last one may go. */
  moveMark(to: number): Promise<void> {
    return this.#call(async () => {
      const { segments } = this.#parts
      const old = await segments.attribute(this.#segment, MARK)
      if (old === undefined || old < to) await this.#setMark(old, to)
      if (old !== undefined && old < to) await segments.truncateSegment(this.#segment, offsetOf(old))
    })
  }

  async #setMark(expected: number | bigint | undefined, value: number): Promise<void> {
    try {
      // If another was faster, its mark is as good.
      await this.#parts.segments.updateAttribute(this.#segment, { attributeId: MARK, value, expected })
    } catch (error) {
      // It was set or not: the next to compact sees which.
      if (!(error instanceof SegmentError) || error.code !== 'unknown-outcome') throw error
    }
  }

  async #readBetween(from: number, endOffset: number, each: OnChange): Promise<number | 'truncated'> {
    const { pool } = this.#parts
    let wake = (): void => undefined
    const reader = new SegmentReader(this.#parts, {
      segment: this.#segment,
      offset: from,
      endOffset,
      readBytes: () => READ_BYTES,
      onReady: () => wake(),
    })
    reader.start()
    let end = from
    try {
      for (;;) {
        const chunk = reader.take()
        if (chunk === undefined) {
          const ready = new Promise<void>((resolve) => {
            wake = resolve
          })
          await ready
        } else if (chunk.kind === 'events') end = eachChange(chunk, each)
        else if (chunk.kind === 'limit') return end
        else if (chunk.kind === 'gap') return 'truncated'
        else if (chunk.kind === 'failed') throw pool.closing.aborted ? pool.closing.reason : chunk.error
        else throw groupNotFound(this.group)
      }
    } finally {
      reader.close()
    }
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof SegmentError && (error.code === 'no-such-segment' || error.code === 'sealed'))
        throw groupNotFound(this.group, error)
      throw error
    }
  }
}

export interface ChangePlace {
  readonly start: number
  readonly end: number
}

/** The payload is what `decodeGroupChange` reads, and good for the call only. */
export type OnChange = (payload: Buffer, place: ChangePlace) => void

/** Where the last one ends. */
function eachChange({ data, offset }: Extract<Chunk, { kind: 'events' }>, each: OnChange): number {
  let at = 0
  while (at < data.length) {
    const end = at + EVENT_HEADER_BYTES + data.readInt32BE(at + 4)
    each(data.subarray(at + EVENT_HEADER_BYTES, end), { start: offset + at, end: offset + end })
    at = end
  }
  return offset + at
}

function offsetOf(mark: number | bigint): number {
  if (typeof mark === 'number' && mark >= 0) return mark
  throw new MillraceError('internal', `The mark of a group's stream is ${mark}, which is no offset`)
}
