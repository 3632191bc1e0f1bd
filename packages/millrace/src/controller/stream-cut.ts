/**
 * Stream cuts as frontiers. A cut names segments with offsets; -1 stands for a segment that is not reached yet, because one
 * of its predecessors still is. Its frontier says for every key where the stream is divided: at an offset of a segment that
 * is reached or, where none is, right before the segment that comes next. Comparing cuts is comparing frontiers.
 *
 * Pravega compares the highest epoch each segment is part of instead, and so finds a cut with unreached segments to be behind
 * itself.
 */
import type { CutMap } from '../protocol/controller/messages.ts'
import {
  byKey,
  currentSegments,
  eachOverlap,
  findPastSegment,
  type History,
  type KeyRange,
  segmentsBetweenEpochs,
  segmentsOfEpoch,
  type StreamSegment,
} from './stream-segments.ts'

export interface FrontierPiece extends KeyRange {
  readonly id: bigint
  readonly offset: number
}

/** Pieces sorted by key that cover [0, 1] once. */
export type Frontier = readonly FrontierPiece[]

type ReachedSegment = StreamSegment & { readonly offset: number }

/** The frontier of a cut, or a sentence that says why it is none of this stream. */
export function frontierOf(history: History, cut: CutMap): Frontier | string {
  if (cut.size === 0) return 'The cut is empty'
  const known = new Map(history.segments.map((segment) => [segment.id, segment]))
  const reached: ReachedSegment[] = []
  const ahead: StreamSegment[] = []
  for (const [id, offset] of cut) {
    const segment = known.get(id) ?? findPastSegment(history, id)
    if (segment === undefined) return `The stream has no segment ${showId(id)}`
    if (offset < -1) return `Segment ${showId(id)} cannot be cut at ${offset}`
    if (offset === -1) ahead.push(segment)
    else reached.push({ ...segment, offset })
  }
  reached.sort(byKey)
  ahead.sort(byKey)

  let problem: string | undefined
  eachOverlap(ahead, reached, (later, earlier) => {
    if (later.id > earlier.id) return
    problem ??= `Segment ${showId(later.id)} is not reached, but ${showId(earlier.id)}, which follows it, is`
  })
  if (problem !== undefined) return problem
  return assemble(reached, ahead)
}

/** Where the stream begins, or the segments of its first epoch while nothing is truncated. */
export function headCut(history: History, truncatedAt: CutMap | undefined): CutMap {
  if (truncatedAt !== undefined) return truncatedAt
  return new Map(segmentsOfEpoch(history, 0)?.map((segment) => [segment.id, 0]))
}

export function tailFrontier(history: History): Frontier {
  return currentSegments(history).map((segment) => ({ ...segment, offset: Number.MAX_SAFE_INTEGER }))
}

/** Whether `a` divides the stream before `b` does for any key. */
export function isBehind(a: Frontier, b: Frontier): boolean {
  let behind = false
  eachOverlap(a, b, (one, other) => {
    if (one.id < other.id || (one.id === other.id && one.offset < other.offset)) behind = true
  })
  return behind
}

/** Segments with a place between two frontiers, those that they divide included; in the order of their ids. */
export function segmentsBetween(
  history: History,
  bounds: { from: Frontier; to: Frontier },
): readonly StreamSegment[] {
  const { from, to } = bounds
  const epochs = { first: epochsOf(from).first, last: epochsOf(to).last }
  const candidates = [...segmentsBetweenEpochs(history, epochs)].toSorted(byKey)
  const outside = new Set<bigint>()
  const divided = new Set(from.map(({ id }) => id))
  eachOverlap(candidates, from, (segment, piece) => {
    // Amid a merge a segment has a piece of its own beside that of one behind it.
    if (segment.id < piece.id && !divided.has(segment.id)) outside.add(segment.id)
  })
  eachOverlap(candidates, to, (segment, piece) => {
    if (segment.id > piece.id) outside.add(segment.id)
  })
  return candidates.filter(({ id }) => !outside.has(id)).toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** Segments that were created in `sinceEpoch` or later and have a place before the frontier; in the order of their ids. */
export function segmentsBefore(
  history: History,
  bounds: { sinceEpoch: number; to: Frontier },
): readonly StreamSegment[] {
  const from = [{ id: BigInt(bounds.sinceEpoch) << 32n, offset: 0, low: 0, high: 1 }]
  return segmentsBetween(history, { from, to: bounds.to })
}

/** The epochs that the earliest and the latest of its segments were created in. */
export function epochsOf(frontier: Frontier): { readonly first: number; readonly last: number } {
  let [first, last] = [Number.POSITIVE_INFINITY, 0]
  for (const { id } of frontier) {
    const epoch = Number(id >> 32n)
    first = Math.min(first, epoch)
    last = Math.max(last, epoch)
  }
  return { first, last }
}

/** `number.#epoch.epoch`, as in the segment's name. */
function showId(id: bigint): string {
  return `${id & 0xffff_ffffn}.#epoch.${id >> 32n}`
}

function assemble(reached: readonly ReachedSegment[], ahead: readonly StreamSegment[]): Frontier | string {
  const own = ownPieces(reached)
  if (typeof own === 'string') return own
  const pieces: FrontierPiece[] = []
  let covered = 0
  for (const piece of [...own, undefined]) {
    const gap = fillGap({ low: covered, high: piece?.low ?? 1 }, ahead)
    if (typeof gap === 'string') return gap
    pieces.push(...gap)
    if (piece === undefined) break
    pieces.push(piece)
    covered = piece.high
  }
  return pieces
}

/**
 * Sorted by key, without overlaps. A segment that stands in a cut beside one that takes over some of its keys was read to its end:
 * amid a merge, what takes over the rest of them still waits for other segments. It has those other keys only.
 */
function ownPieces(reached: readonly ReachedSegment[]): readonly FrontierPiece[] | string {
  const later = new Map<bigint, KeyRange[]>()
  eachOverlap(reached, reached, (one, other) => {
    if (one.id >= other.id) return
    const taken = later.get(one.id)
    if (taken === undefined) later.set(one.id, [other])
    else taken.push(other)
  })
  const pieces: FrontierPiece[] = []
  for (const { id, offset, low, high } of reached) {
    const rest = without({ low, high }, later.get(id) ?? [])
    if (rest.length === 0) return `Segments of the cut share the keys from ${low} to ${high}`
    for (const range of rest) pieces.push({ id, offset, ...range })
  }
  return pieces.toSorted(byKey)
}

/** What is left of a range without others. */
function without({ low, high }: KeyRange, others: readonly KeyRange[]): readonly KeyRange[] {
  const rest: KeyRange[] = []
  let from = low
  for (const other of others.toSorted(byKey)) {
    if (other.low > from) rest.push({ low: from, high: other.low })
    from = Math.max(from, other.high)
  }
  if (from < high) rest.push({ low: from, high })
  return rest
}

/** Pieces for a range in which the cut has reached no segment: the earliest of those ahead holds each key. */
function fillGap(gap: KeyRange, ahead: readonly StreamSegment[]): FrontierPiece[] | string {
  const pieces: FrontierPiece[] = []
  if (gap.low === gap.high) return pieces
  const near = ahead.filter((segment) => segment.low < gap.high && segment.high > gap.low)
  const borders = [gap.low, gap.high]
  for (const { low, high } of near) {
    if (low > gap.low) borders.push(low)
    if (high < gap.high) borders.push(high)
  }
  borders.sort((a, b) => a - b)
  for (let i = 1; i < borders.length; i++) {
    const low = borders[i - 1]!
    const high = borders[i]!
    if (low === high) continue
    let next: StreamSegment | undefined
    for (const segment of near) {
      const holds = segment.low <= low && segment.high >= high
      if (holds && (next === undefined || segment.id < next.id)) next = segment
    }
    if (next === undefined) return `The cut leaves out the keys from ${low} to ${high}`
    pieces.push({ id: next.id, offset: -1, low, high })
  }
  return pieces
}
