/** Segments and their keys as they stand in Java's objects. */
import type { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import { parseSegmentName, segmentName } from './names.ts'

/** The part of all keys that a segment has, by the hashes of the keys. */
export interface KeyRange {
  readonly low: number
  readonly high: number
}

/** Old clients did not store ranges: undefined, which travels as two numbers below zero. */
export function writeKeyRange(writer: ByteWriter, range: KeyRange | undefined): void {
  writer.double(range?.low ?? -1)
  writer.double(range?.high ?? -1)
}

export function readKeyRange(reader: ByteReader): KeyRange | undefined {
  const low = reader.double()
  const high = reader.double()
  if (low < 0 || high < 0) return undefined
  // Written so that what is not a number is refused, too.
  if (!(low <= high && high <= 1)) reader.fail(`has keys from ${low} to ${high}`)
  return { low, high }
}

/** In the one form that has the epoch: names are keys of maps, and old clients wrote some without it. */
export function readSegmentName(reader: ByteReader): string {
  return segmentName(parseSegmentName(reader.string()))
}
