/**
 * The segments that a stream has had, as one history: a segment lives from the epoch it was created in up to, but not
 * including, the one that sealed it. Everything about epochs follows from that: which segments one has, who follows whom.
 *
 * Invariants: (1) The segments of every epoch cover [0, 1] once, and neighbours share the very same double as border.
 * (2) Ids are never used twice; of two segments whose ranges overlap, the one with the greater id is the later one.
 */
import { assert } from '../base/assert.ts'
import { segmentIdOf } from '../protocol/names.ts'

/** Keys from `low` up to, but not including, `high`. */
export interface KeyRange {
  readonly low: number
  readonly high: number
}

export interface StreamSegment extends KeyRange {
  /** `epoch << 32 | number`. */
  readonly id: bigint
  readonly number: number
  /** The epoch that it was created in. */
  readonly epoch: number
  /** The first epoch without it; undefined while it is open. */
  readonly sealedIn: number | undefined
}

export interface Epoch {
  readonly epoch: number
  readonly startedAtMs: number
}

export interface History {
  /** In the order of creation. */
  readonly segments: readonly StreamSegment[]
  readonly epochs: readonly Epoch[]
}

export function newSegment(segment: KeyRange & { number: number; epoch: number }): StreamSegment {
  const { number, epoch, low, high } = segment
  assert(low >= 0 && low < high && high <= 1, `No range of keys: ${low} to ${high}`)
  return { id: segmentIdOf({ number, epoch }), number, epoch, low, high, sealedIn: undefined }
}

/** `count` equal ranges. Each border is computed once, so that neighbours share it bit by bit; the last one is exactly 1. */
export function splitEvenly(count: number): readonly KeyRange[] {
  const borders = Array.from({ length: count + 1 }, (_, i) => i / count)
  return Array.from({ length: count }, (_, i) => ({ low: borders[i]!, high: borders[i + 1]! }))
}

export function firstEpoch(first: { number: number; count: number; startedAtMs: number }): History {
  const ranges = splitEvenly(first.count)
  return {
    segments: ranges.map((range, i) => newSegment({ ...range, number: first.number + i, epoch: 0 })),
    epochs: [{ epoch: 0, startedAtMs: first.startedAtMs }],
  }
}

export function currentEpoch(history: History): number {
  const last = history.epochs.at(-1)
  assert(last !== undefined, 'A stream has an epoch')
  return last.epoch
}

/** Sorted by key; undefined if there has been no such epoch. */
export function segmentsOfEpoch(history: History, epoch: number): readonly StreamSegment[] | undefined {
  if (!history.epochs.some((known) => known.epoch === epoch)) return undefined
  return history.segments.filter((segment) => isInEpoch(segment, epoch)).toSorted(byKey)
}

export function currentSegments(history: History): readonly StreamSegment[] {
  const segments = segmentsOfEpoch(history, currentEpoch(history))
  assert(segments !== undefined, 'The current epoch is known')
  return segments
}

export interface Successor {
  readonly segment: StreamSegment
  /** All of them, not only the one that was asked about. */
  readonly predecessors: readonly StreamSegment[]
}

/** Who takes over the keys of a segment that was sealed by a scale; empty while it is open, and for one never heard of. */
export function successorsOf(history: History, id: bigint): readonly Successor[] {
  const sealed = history.segments.find((segment) => segment.id === id)
  if (sealed?.sealedIn === undefined) return []
  const after = segmentsOfEpoch(history, sealed.sealedIn) ?? []
  const before = segmentsOfEpoch(history, sealed.sealedIn - 1) ?? []
  return after
    .filter((segment) => overlap(segment, sealed))
    .map((segment) => ({
      segment,
      predecessors: before.filter((predecessor) => overlap(predecessor, segment)),
    }))
}

/** Greater than the number of any segment that there has been. */
export function nextSegmentNumber(history: History): number {
  return history.segments.reduce((next, segment) => Math.max(next, segment.number + 1), 0)
}

export function overlap(a: KeyRange, b: KeyRange): boolean {
  return a.low < b.high && b.low < a.high
}

export function byKey(a: KeyRange, b: KeyRange): number {
  return a.low - b.low
}

/** Visits every pair of overlapping ranges. Both lists are sorted by key. */
export function eachOverlap<A extends KeyRange, B extends KeyRange>(
  as: readonly A[],
  bs: readonly B[],
  visit: (a: A, b: B) => void,
): void {
  let near: B[] = []
  let next = 0
  for (const a of as) {
    // What ends before this range begins ends before all later ones, too.
    near = near.filter((b) => b.high > a.low)
    for (; next < bs.length && bs[next]!.low < a.high; next++) near.push(bs[next]!)
    for (const b of near) if (overlap(a, b)) visit(a, b)
  }
}

function isInEpoch(segment: StreamSegment, epoch: number): boolean {
  return segment.epoch <= epoch && (segment.sealedIn === undefined || epoch < segment.sealedIn)
}
