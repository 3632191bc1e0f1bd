/**
 * The segments that a stream has had, as one history: a segment lives from the epoch it was created in up to, but not
 * including, the one that sealed it. Everything about epochs follows from that: which segments one has, who follows whom.
 *
 * Invariants: (1) The segments of every epoch cover [0, 1] once, and neighbours share the very same double as border.
 * (2) Ids are never used twice; of two segments whose ranges overlap, the one with the greater id is the later one.
 */
import { assert } from '../base/assert.ts'
import { segmentIdOf } from '../protocol/names.ts'
import type { PastPage } from './past-page.ts'

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

/** What an epoch began with. */
export type EpochCause =
  | 'created'
  /** Somebody asked for the scale. */
  | 'manual'
  /** The load of its segments. */
  | 'load'
  /** A policy that wants another number of segments. */
  | 'policy'
  /** Transactions of an earlier epoch, committed after a scale. */
  | 'commit'

export interface Epoch {
  readonly epoch: number
  readonly startedAtMs: number
  readonly cause: EpochCause
  /** A line for people: which load, for one. */
  readonly detail?: string | undefined
}

export interface History {
  /** What has been sealed long ago. */
  readonly past: readonly PastPage[]
  /** All others, in the order of creation. */
  readonly segments: readonly StreamSegment[]
  /** Those that are not in `past`, up to the current one; none is left out. */
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
    past: [],
    segments: ranges.map((range, i) => newSegment({ ...range, number: first.number + i, epoch: 0 })),
    epochs: [{ epoch: 0, startedAtMs: first.startedAtMs, cause: 'created' }],
  }
}

/** The history with one more epoch, in which segments with these ranges, sorted by key, take the place of others. */
export function scaledHistory(
  history: History,
  scale: { seal: ReadonlySet<bigint>; into: readonly KeyRange[]; began: Omit<Epoch, 'epoch'> },
): History {
  const epoch = currentEpoch(history) + 1
  const number = nextSegmentNumber(history)
  return withEpoch(history, {
    ...scale.began,
    epoch,
    seal: scale.seal,
    segments: scale.into.map((range, i) => newSegment({ ...range, number: number + i, epoch })),
  })
}

/**
 * The history after a roll, which adds two epochs: one with the segments of an `earlier` epoch over again, and another one with
 * those of the current epoch. Their numbers stay, their ids are new.
 */
export function rolledHistory(history: History, earlier: number, began: Omit<Epoch, 'epoch'>): History {
  const { again, current } = rolledSegments(history, earlier)
  const ids = (segments: readonly StreamSegment[]): Set<bigint> => new Set(segments.map(({ id }) => id))
  const epoch = currentEpoch(history) + 1
  const seal = ids(currentSegments(history))
  const between = withEpoch(history, { ...began, epoch, seal, segments: again })
  return withEpoch(between, { ...began, epoch: epoch + 1, seal: ids(again), segments: current })
}

/** The segments that a roll adds. */
export function rolledSegments(
  history: History,
  earlier: number,
): { readonly again: readonly StreamSegment[]; readonly current: readonly StreamSegment[] } {
  const epoch = currentEpoch(history) + 1
  const duplicate = (segment: StreamSegment, inEpoch: number): StreamSegment =>
    newSegment({ ...segment, epoch: inEpoch })
  return {
    again: existingSegments(history, earlier).map((segment) => duplicate(segment, epoch)),
    current: currentSegments(history).map((segment) => duplicate(segment, epoch + 1)),
  }
}

function withEpoch(
  history: History,
  next: Epoch & { seal: ReadonlySet<bigint>; segments: readonly StreamSegment[] },
): History {
  const { seal, segments, ...epoch } = next
  const kept = history.segments.map((segment) =>
    segment.sealedIn === undefined && seal.has(segment.id) ? { ...segment, sealedIn: epoch.epoch } : segment,
  )
  return { past: history.past, segments: [...kept, ...segments], epochs: [...history.epochs, epoch] }
}

export function currentEpoch(history: History): number {
  const last = history.epochs.at(-1)
  assert(last !== undefined, 'A stream has an epoch')
  return last.epoch
}

/** From the first one on. */
export function everyEpoch(history: History): readonly Epoch[] {
  return [...history.past.flatMap(({ epochs }) => epochs), ...history.epochs]
}

export function findEpoch(history: History, epoch: number): Epoch | undefined {
  const recent = history.epochs.find((known) => known.epoch === epoch)
  if (recent !== undefined) return recent
  for (const { epochs } of history.past) {
    const first = epochs[0]?.epoch ?? Number.POSITIVE_INFINITY
    if (epoch >= first && epoch < first + epochs.length) return epochs[epoch - first]
  }
  return undefined
}

/** Sorted by key; undefined if there has been no such epoch. */
export function segmentsOfEpoch(history: History, epoch: number): readonly StreamSegment[] | undefined {
  if (!Number.isInteger(epoch) || epoch < 0 || epoch > currentEpoch(history)) return undefined
  return [...segmentsBetweenEpochs(history, { first: epoch, last: epoch })].toSorted(byKey)
}

export function currentSegments(history: History): readonly StreamSegment[] {
  return history.segments.filter(({ sealedIn }) => sealedIn === undefined).toSorted(byKey)
}

/** Those that were open in one of these epochs at least, in no order. */
export function* segmentsBetweenEpochs(
  history: History,
  bounds: { first: number; last: number },
): Generator<StreamSegment> {
  const { first, last } = bounds
  for (const page of history.past) yield* page.segments({ createdBy: last, sealedAfter: first })
  for (const segment of history.segments)
    if (segment.epoch <= last && (segment.sealedIn === undefined || segment.sealedIn > first)) yield segment
}

export function everySegment(history: History): Iterable<StreamSegment> {
  return segmentsBetweenEpochs(history, { first: 0, last: currentEpoch(history) })
}

export function findSegment(history: History, id: bigint): StreamSegment | undefined {
  const recent = history.segments.find((segment) => segment.id === id)
  return recent ?? findPastSegment(history, id)
}

/** The same without the segments that are not past. */
export function findPastSegment(history: History, id: bigint): StreamSegment | undefined {
  const wanted = { number: Number(id & 0xffff_ffffn), epoch: Number(id >> 32n) }
  for (const page of history.past) {
    const found = page.find(wanted)
    if (found !== undefined) return found
  }
  return undefined
}

/** The number of the stream's very first segment: no other stream of the name has one with this number. */
export function firstNumber(history: History): number {
  return existingSegments(history, 0).reduce((first, { number }) => Math.min(first, number), Infinity)
}

/**
 * The current segments that events of an earlier epoch's segments may go to as they are: those of the same numbers and ranges.
 * Undefined if the stream is divided otherwise now.
 */
export function sameSegmentsNow(
  history: History,
  epoch: number,
): readonly { readonly then: StreamSegment; readonly now: StreamSegment }[] | undefined {
  const earlier = existingSegments(history, epoch)
  const current = currentSegments(history)
  if (earlier.length !== current.length) return undefined
  const pairs = earlier.map((then, i) => ({ then, now: current[i]! }))
  const isSame = pairs.every(
    ({ then, now }) => then.number === now.number && then.low === now.low && then.high === now.high,
  )
  return isSame ? pairs : undefined
}

function existingSegments(history: History, epoch: number): readonly StreamSegment[] {
  const segments = segmentsOfEpoch(history, epoch)
  assert(segments !== undefined, `The stream has had no epoch ${epoch}`)
  return segments
}

export interface Successor {
  readonly segment: StreamSegment
  /** All of them, not only the one that was asked about. */
  readonly predecessors: readonly StreamSegment[]
}

/** Who takes over the keys of a segment that was sealed by a scale; empty while it is open, and for one never heard of. */
export function successorsOf(history: History, id: bigint): readonly Successor[] {
  const sealed = findSegment(history, id)
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
  let last = -1
  for (const { numberLast } of history.past) last = Math.max(last, numberLast)
  for (const { number } of history.segments) last = Math.max(last, number)
  return last + 1
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
