/** Which segments of a stream end and which ranges of keys get new ones, so that the stream is cut up as somebody wants it. */
import { invalidArgument, segmentNotOpen } from './errors.ts'
import type { Segment } from './stream-metadata.ts'
import { type KeyRange, parseSegmentId } from './topology.ts'

/** So many segments; or these segments end, and those ranges, which cover the same keys, get segments instead. */
export type ScaleTo =
  | number
  | {
      /** Ids of open segments, as in `Topology`. */
      readonly seal: readonly string[]
      readonly into: readonly KeyRange[]
    }

export interface ScalePlan {
  readonly seal: readonly bigint[]
  /** Sorted by key. */
  readonly into: readonly KeyRange[]
}

/** What our controller takes. */
const SEGMENTS_MAX = 10_000
/** Borders so near each other are the same one, computed in two ways. */
const BORDER_TOLERANCE = 1e-12

/** `current` are all open segments, sorted by key. Undefined if there is nothing to do. Throws for what cannot be done. */
export function planScale(stream: string, current: readonly Segment[], to: ScaleTo): ScalePlan | undefined {
  return typeof to === 'number' ? planEven(current, to) : planRanges(stream, current, to)
}

/** Segments that have the keys of one of `count` equal ranges stay; what is between them is cut anew. */
function planEven(current: readonly Segment[], count: number): ScalePlan | undefined {
  if (!Number.isInteger(count) || count < 1 || count > SEGMENTS_MAX)
    throw invalidArgument(`A stream has from 1 to ${SEGMENTS_MAX} segments, not ${count}`)
  const borders = bordersOf(current)
  const edges = Array.from({ length: count + 1 }, (_, index) => snap(borders, index / count))
  const byLow = new Map(current.map((segment) => [segment.low, segment]))
  const kept = new Set<bigint>()
  const into: KeyRange[] = []
  for (let index = 0; index < count; index++) {
    const range = { low: edges[index]!, high: edges[index + 1]! }
    const same = byLow.get(range.low)
    if (same?.high === range.high) kept.add(same.id)
    else into.push(range)
  }
  if (into.length === 0) return undefined
  return { seal: current.map(({ id }) => id).filter((id) => !kept.has(id)), into }
}

function planRanges(
  stream: string,
  current: readonly Segment[],
  { seal, into }: Exclude<ScaleTo, number>,
): ScalePlan {
  if (!Array.isArray(seal) || seal.length === 0 || !Array.isArray(into) || into.length === 0)
    throw invalidArgument('A scale takes the ids of segments to seal, and ranges to make segments for')
  const count = current.length - seal.length + into.length
  if (count > SEGMENTS_MAX)
    throw invalidArgument(`A stream has from 1 to ${SEGMENTS_MAX} segments, and this would make it ${count}`)
  const sealed = seal.map((id) => openSegment(stream, current, id))
  if (new Set(sealed).size < sealed.length)
    throw invalidArgument('A segment is sealed once: an id came twice')
  const borders = bordersOf(sealed)
  const ranges = into
    .map((range) => checkedRange(range))
    .map(({ low, high }) => ({ low: snap(borders, low), high: snap(borders, high) }))
    .toSorted(byKey)
  const overlap = ranges.findIndex(({ high }, index) => high > (ranges[index + 1]?.low ?? 1))
  if (overlap >= 0)
    throw invalidArgument(`The ranges ${show(ranges[overlap]!)} and ${show(ranges[overlap + 1]!)} overlap`)
  const before = showAll(joined(sealed.toSorted(byKey)))
  const after = showAll(joined(ranges))
  if (before !== after)
    throw invalidArgument(`New segments have the keys of those that are sealed: ${before}, not ${after}`)
  return { seal: sealed.map(({ id }) => id), into: ranges }
}

function openSegment(stream: string, current: readonly Segment[], id: string): Segment {
  const parsed = parseSegmentId(id)
  const segment = current.find((open) => open.id === parsed)
  if (segment === undefined) throw segmentNotOpen(stream, id)
  return segment
}

function checkedRange(range: KeyRange): KeyRange {
  const { low, high } = range
  if (low >= 0 && low < high && high <= 1) return range
  throw invalidArgument(`A range of keys goes up from 0 at least to 1 at most, not ${show(range)}`)
}

/** Ranges that touch as one. */
function joined(sorted: readonly KeyRange[]): readonly KeyRange[] {
  const whole: { low: number; high: number }[] = []
  for (const { low, high } of sorted) {
    const last = whole.at(-1)
    if (last?.high === low) last.high = high
    else whole.push({ low, high })
  }
  return whole
}

/** Sorted, each once. */
function bordersOf(ranges: readonly KeyRange[]): readonly number[] {
  return [...new Set(ranges.flatMap(({ low, high }) => [low, high]))].toSorted((one, two) => one - two)
}

/** The border that is meant: neighbours share the very same double (trap 33), so one that is there already is taken as it is. */
function snap(borders: readonly number[], value: number): number {
  let from = 0
  let to = borders.length
  while (from < to) {
    const middle = (from + to) >> 1
    if (borders[middle]! < value - BORDER_TOLERANCE) from = middle + 1
    else to = middle
  }
  const nearest = borders[from]
  return nearest !== undefined && nearest <= value + BORDER_TOLERANCE ? nearest : value
}

function byKey(one: KeyRange, two: KeyRange): number {
  return one.low - two.low
}

function show({ low, high }: KeyRange): string {
  return `[${low}, ${high})`
}

function showAll(ranges: readonly KeyRange[]): string {
  return ranges.map(show).join(' and ')
}
