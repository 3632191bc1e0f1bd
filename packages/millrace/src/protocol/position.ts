/** Where a reader is in the segments that it owns, as it hands it to its user. */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import {
  COMPACT_LONG_MAX,
  encodeVersioned,
  readCompactLong,
  readMap,
  readVersioned,
  writeCompactLong,
  writeMap,
  writeText,
} from './java-serializer.ts'
import { type KeyRange, readKeyRange, readSegmentName, writeKeyRange } from './segment-fields.ts'

export interface Position {
  /** By the segment's name. -1: it has been read to its end. */
  readonly offsets: ReadonlyMap<string, number>
  readonly ranges: ReadonlyMap<string, KeyRange | undefined>
}

export function encodePosition({ offsets, ranges }: Position): Buffer {
  return encodeVersioned({ version: 0 }, [
    (writer) => writeMap(writer, offsets, writeText, writeOffset),
    (writer) => writeMap(writer, ranges, writeText, writeKeyRange),
  ])
}

export function decodePosition(bytes: Buffer): Position {
  const { first, second } = readVersioned(new ByteReader(bytes, 'position'), 'position', [0])
  first.part = 'offsets'
  const offsets = readMap(first, readSegmentName, readOffset)
  if (second === undefined) return { offsets, ranges: new Map() }
  second.part = 'ranges'
  return { offsets, ranges: readMap(second, readSegmentName, readKeyRange) }
}

// A compact long cannot be negative.
function writeOffset(writer: ByteWriter, offset: number): void {
  writeCompactLong(writer, offset < 0 ? COMPACT_LONG_MAX : offset)
}

function readOffset(reader: ByteReader): number {
  const offset = readCompactLong(reader)
  if (typeof offset === 'number') return offset
  if (offset !== COMPACT_LONG_MAX) reader.fail(`holds ${offset}, which is outside of ±2^53`)
  return -1
}
