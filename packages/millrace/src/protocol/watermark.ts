/** What a `_MARK` stream holds: the events before this cut were written between two times, by the clocks of the writers. */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import {
  encodeVersioned,
  readMap,
  readOffset,
  readVersioned,
  writeMap,
  writeOffset,
  writeVersioned,
} from './java-serializer.ts'
import type { KeyRange } from './segment-fields.ts'
import { splitSegmentId } from './names.ts'
import type { Long } from './wire/commands.ts'

export interface WatermarkSegment extends KeyRange {
  readonly segmentId: bigint
}

export interface Watermark {
  /** Milliseconds, or what else the writers count. */
  readonly lowerTimeBound: Long
  readonly upperTimeBound: Long
  /** Where the cut is in each segment. */
  readonly cut: ReadonlyMap<WatermarkSegment, number>
}

export function encodeWatermark({ lowerTimeBound, upperTimeBound, cut }: Watermark): Buffer {
  return encodeVersioned({ version: 0 }, [
    (writer) => {
      writer.long(lowerTimeBound)
      writer.long(upperTimeBound)
      writeMap(writer, cut, writeSegment, writeOffset)
    },
  ])
}

export function decodeWatermark(bytes: Buffer): Watermark {
  const { first } = readVersioned(new ByteReader(bytes, 'watermark'), 'watermark', [0])
  first.part = 'bounds'
  const lowerTimeBound = first.long()
  const upperTimeBound = first.long()
  if (upperTimeBound < lowerTimeBound) first.fail(`go from ${lowerTimeBound} to ${upperTimeBound}`)
  first.part = 'cut'
  return { lowerTimeBound, upperTimeBound, cut: readMap(first, readSegment, readOffset) }
}

function writeSegment(writer: ByteWriter, { segmentId, low, high }: WatermarkSegment): void {
  writeVersioned(writer, { version: 0 }, [
    (fields) => {
      fields.long(segmentId)
      fields.double(low)
      fields.double(high)
    },
  ])
}

function readSegment(reader: ByteReader): WatermarkSegment {
  const { first } = readVersioned(reader, 'segment of a watermark', [0])
  const segmentId = BigInt(first.long())
  splitSegmentId(segmentId)
  const low = first.double()
  const high = first.double()
  if (!(low >= 0 && low < high && high <= 1)) first.fail(`has keys from ${low} to ${high}`)
  return { segmentId, low, high }
}
