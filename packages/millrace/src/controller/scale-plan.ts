/**
 * What is asked for with a scale, judged: which segments are sealed, and the ranges that take their place to the last bit.
 *
 * Callers compute borders with their own arithmetic (`i * (1 / n)` gives other doubles than `i / n`), so a border that is meant to
 * be one that exists is taken for it, and borders that are meant to be the same become the same.
 */
import { SEGMENTS_MAX } from './limits.ts'
import {
  byKey,
  currentSegments,
  type History,
  type KeyRange,
  nextSegmentNumber,
  type StreamSegment,
} from './stream-segments.ts'

export interface ScaleRequest {
  /** Ids of open segments. */
  readonly seal: readonly bigint[]
  readonly into: readonly KeyRange[]
}

export type ScaleRefusal =
  /** One of the segments is not open, or is none of the stream. */
  | 'wrong-segments'
  /** The ranges are not exactly those of the segments that are sealed. */
  | 'wrong-ranges'
  | 'below-minimum'
  | 'too-many-segments'
  /** There are 2^31 numbers of segments, and as many of epochs. */
  | 'out-of-numbers'

export type ScalePlan =
  /** `into` is sorted by key. */
  | { readonly seal: ReadonlySet<bigint>; readonly into: readonly KeyRange[]; readonly refused?: undefined }
  | { readonly refused: ScaleRefusal; readonly reason: string }

/** Borders that are closer than this are the same: far below any range that holds keys of its own in practice. */
const TOLERANCE = 1e-9

const INT32_MAX = 2 ** 31 - 1

export function planScale(history: History, request: ScaleRequest, minSegments: number): ScalePlan {
  const open = currentSegments(history)
  const seal = new Set(request.seal)
  const sealed = open.filter(({ id }) => seal.has(id))
  if (sealed.length < seal.size)
    return {
      refused: 'wrong-segments',
      reason: `Of the ${seal.size} segments to seal ${seal.size - sealed.length} are not open`,
    }
  const into = snap(request.into, sealed)
  const problem = rangeProblem(into, sealed)
  if (problem !== undefined) return { refused: 'wrong-ranges', reason: problem }
  return bounded(history, { open, seal, into, minSegments }) ?? { seal, into }
}

/** Why a stream can have no such segments; undefined if it can. */
function bounded(
  history: History,
  plan: {
    open: readonly StreamSegment[]
    seal: ReadonlySet<bigint>
    into: readonly KeyRange[]
    minSegments: number
  },
): { refused: ScaleRefusal; reason: string } | undefined {
  const { open, seal, into, minSegments } = plan
  const count = open.length - seal.size + into.length
  if (count < minSegments)
    return {
      refused: 'below-minimum',
      reason: `The policy asks for at least ${minSegments} segments, the scale leaves ${count}`,
    }
  if (count > SEGMENTS_MAX)
    return {
      refused: 'too-many-segments',
      reason: `A stream has at most ${SEGMENTS_MAX} segments at a time, the scale makes it ${count}`,
    }
  const epoch = history.epochs.at(-1)?.epoch ?? 0
  if (nextSegmentNumber(history) + into.length > INT32_MAX || epoch === INT32_MAX)
    return { refused: 'out-of-numbers', reason: 'The stream has used up the numbers of segments, 2^31' }
  return undefined
}

/** The ranges sorted by key, with every border that is near one of the sealed segments, or near another one, made the same. */
function snap(ranges: readonly KeyRange[], sealed: readonly KeyRange[]): readonly KeyRange[] {
  const exact = sealed.flatMap(({ low, high }) => [low, high])
  const meant = [...exact, ...ranges.flatMap(({ low, high }) => [low, high])]
    .map((border, i) => ({ border, isExact: i < exact.length }))
    .filter(({ border }) => Number.isFinite(border))
    .toSorted((a, b) => a.border - b.border || Number(b.isExact) - Number(a.isExact))
  const snapped = new Map<number, number>()
  for (let i = 0; i < meant.length; ) {
    let end = i + 1
    while (end < meant.length && meant[end]!.border - meant[i]!.border <= TOLERANCE) end++
    const group = meant.slice(i, end)
    const { border } = group.find(({ isExact }) => isExact) ?? group[0]!
    // Borders that exist stay what they are, even if there are two so close to one another.
    for (const { border: each, isExact } of group) if (!isExact) snapped.set(each, border)
    i = end
  }
  for (const border of exact) snapped.set(border, border)
  return ranges
    .map(({ low, high }) => ({ low: snapped.get(low) ?? low, high: snapped.get(high) ?? high }))
    .toSorted(byKey)
}

/** Both lists are sorted by key and, joined where they touch, must be the same. */
function rangeProblem(into: readonly KeyRange[], sealed: readonly KeyRange[]): string | undefined {
  if (sealed.length === 0) return 'There is nothing to scale: no segment is to be sealed'
  for (const { low, high } of into) if (!(low < high)) return `The keys from ${low} to ${high} are no range`
  const [asked, replaced] = [joined(into), joined(sealed)]
  const isSame =
    asked.length === replaced.length &&
    asked.every(({ low, high }, i) => low === replaced[i]!.low && high === replaced[i]!.high)
  if (isSame) return undefined
  return `The new segments are to have the keys ${show(asked)}, those to be sealed have ${show(replaced)}`
}

/** Neighbours as one range; ranges that overlap stay apart, as nothing that is sealed does. */
function joined(ranges: readonly KeyRange[]): readonly KeyRange[] {
  const blocks: KeyRange[] = []
  for (const { low, high } of ranges) {
    const last = blocks.at(-1)
    if (last !== undefined && last.high === low) blocks[blocks.length - 1] = { low: last.low, high }
    else blocks.push({ low, high })
  }
  return blocks
}

function show(blocks: readonly KeyRange[]): string {
  const shown = blocks.slice(0, 4).map(({ low, high }) => `${low} to ${high}`)
  return shown.join(', ') + (blocks.length > 4 ? ' and more' : '')
}
