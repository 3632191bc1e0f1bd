/** Histories of streams that have been scaled, for tests of what follows from them. */
import { currentEpoch, type History, newSegment, nextSegmentNumber } from '../controller/stream-segments.ts'

/** The history after a scale that seals open segments, by their numbers, and opens one for each range. */
export function scaled(
  history: History,
  sealedNumbers: readonly number[],
  ranges: readonly (readonly [low: number, high: number])[],
): History {
  const epoch = currentEpoch(history) + 1
  const first = nextSegmentNumber(history)
  const isSealed = (segment: { number: number; sealedIn: number | undefined }): boolean =>
    segment.sealedIn === undefined && sealedNumbers.includes(segment.number)
  return {
    past: history.past,
    segments: [
      ...history.segments.map((segment) => (isSealed(segment) ? { ...segment, sealedIn: epoch } : segment)),
      ...ranges.map(([low, high], i) => newSegment({ number: first + i, epoch, low, high })),
    ],
    epochs: [...history.epochs, { epoch, startedAtMs: epoch, cause: 'manual' }],
  }
}
