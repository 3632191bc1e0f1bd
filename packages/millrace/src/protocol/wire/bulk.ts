/**
 * Frames that carry much data or go out very often. The data's own buffers become part of the frame, in one array of pieces for
 * `Connection.write`; so they must not change until they were sent.
 */
import { assert } from '../../base/assert.ts'
import { stringSize, writeId64, writeLong, writeString, writeUuid } from '../primitives.ts'
import { checkedPayloadLength } from './codec.ts'
import { COMMANDS, FRAME_HEADER_BYTES, type Long } from './commands.ts'

export interface SegmentReadHead {
  readonly segment: string
  readonly offset: number
  readonly atTail: boolean
  readonly endOfSegment: boolean
  readonly requestId: string
}

/** A `segment-read` frame in pieces. */
export function encodeSegmentRead(head: SegmentReadHead, data: readonly Buffer[]): Buffer[] {
  const dataLength = totalLength(data)
  const beforeData = stringSize(head.segment) + 14
  const buffer = frameHead('segment-read', beforeData, dataLength, 8)
  let position = writeString(buffer, FRAME_HEADER_BYTES, head.segment)
  position = writeLong(buffer, position, head.offset)
  buffer[position++] = head.atTail ? 1 : 0
  buffer[position++] = head.endOfSegment ? 1 : 0
  position = buffer.writeInt32BE(dataLength, position)
  writeId64(buffer, position, head.requestId)
  return [buffer.subarray(0, position), ...data, buffer.subarray(position)]
}

export interface AppendBlockEndHead {
  readonly writerId: string
  readonly eventCount: number
  readonly lastEventNumber: Long
  readonly requestId: string
}

/** An `append-block-end` frame in pieces, which stands without a block before it: its data are whole events. */
export function encodeAppendBlockEnd(head: AppendBlockEndHead, data: readonly Buffer[]): Buffer[] {
  const dataLength = totalLength(data)
  const buffer = frameHead('append-block-end', 24, dataLength, 20)
  let position = writeUuid(buffer, FRAME_HEADER_BYTES, head.writerId)
  position = buffer.writeInt32BE(dataLength, position)
  const dataAt = buffer.writeInt32BE(dataLength, position)
  position = buffer.writeInt32BE(head.eventCount, dataAt)
  position = writeLong(buffer, position, head.lastEventNumber)
  writeId64(buffer, position, head.requestId)
  return [buffer.subarray(0, dataAt), ...data, buffer.subarray(dataAt)]
}

export interface DataAppended {
  readonly writerId: string
  readonly eventNumber: Long
  readonly previousEventNumber: Long
  readonly requestId: string
  readonly segmentWriteOffset: number
}

/** What `encodeMessage` makes of a `data-appended`, without looking the fields up. */
export function encodeDataAppended(reply: DataAppended): Buffer {
  const buffer = frameHead('data-appended', 48, 0, 0)
  let position = writeUuid(buffer, FRAME_HEADER_BYTES, reply.writerId)
  position = writeLong(buffer, position, reply.eventNumber)
  position = writeLong(buffer, position, reply.previousEventNumber)
  position = writeId64(buffer, position, reply.requestId)
  position = writeLong(buffer, position, reply.segmentWriteOffset)
  assert(position === buffer.length, 'data-appended was measured as it was written')
  return buffer
}

/** A buffer for all of a frame but its data, with the header written. */
function frameHead(
  kind: 'segment-read' | 'append-block-end' | 'data-appended',
  beforeData: number,
  dataLength: number,
  behindData: number,
): Buffer {
  const length = checkedPayloadLength(kind, beforeData + dataLength + behindData)
  const buffer = Buffer.allocUnsafe(FRAME_HEADER_BYTES + beforeData + behindData)
  buffer.writeInt32BE(COMMANDS[kind].id, 0)
  buffer.writeInt32BE(length, 4)
  return buffer
}

function totalLength(pieces: readonly Buffer[]): number {
  let bytes = 0
  for (const piece of pieces) bytes += piece.length
  return bytes
}
