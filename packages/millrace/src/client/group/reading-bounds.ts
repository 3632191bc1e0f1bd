/** The part of a stream before a cut, for a reader that ends there. */
import { parseSegmentName, segmentIdOf, splitSegmentId } from '../../protocol/names.ts'
import type { Wait } from '../segment-calls.ts'
import type { Cut, StreamMetadata } from '../stream-metadata.ts'

export interface ReadingBounds {
  /** Where the cut goes through the segment, if it does. */
  limitOf(segment: string): number | undefined
  /** Whether there is something before the cut for who is at this offset. -1: at the end of the segment. */
  isBefore(segment: string, offset: number): boolean
}

export async function boundsAt(cut: Cut, metadata: StreamMetadata, wait: Wait): Promise<ReadingBounds> {
  const head = await metadata.head(wait)
  const [before, known] = await Promise.all([
    metadata.between(head, cut, wait),
    metadata.between(head, new Map(), wait),
  ])
  let numberMax = -1
  for (const id of [...known, ...cut.keys()]) numberMax = Math.max(numberMax, splitSegmentId(id).number)

  function limitOf(segment: string): number | undefined {
    const limit = cut.get(segmentIdOf(parseSegmentName(segment)))
    // Where the cut is at the end of the segment, that is where reading it ends.
    return limit === undefined || limit < 0 ? undefined : limit
  }

  function isBefore(segment: string, offset: number): boolean {
    const name = parseSegmentName(segment)
    const id = segmentIdOf(name)
    const limit = cut.get(id)
    if (limit !== undefined) return offset >= 0 && (limit < 0 || offset < limit)
    if (known.has(id)) return before.has(id)
    // Numbers rise. What is not known any more was truncated away, or belongs to a stream that had this name before.
    return name.number <= numberMax
  }

  return { limitOf, isBefore }
}
