/**
 * What is remembered of a stream from one look at its load to the next, as far as decisions need it: for how long each segment
 * has been hot, how much it has had at most lately, and what earlier scales have brought. Pure: a look makes a new memory.
 *
 * All rates are in the unit of the stream's policy: events a second, or kilobytes (1024 bytes) a second.
 *
 * **Hot.** What came since the last look follows from two averages over 2 s (the inverse of their formula), however far apart the
 * looks are. That, but at most `LEVEL_MAX` targets of it, goes into an average over 2 s of its own, the level. So a burst counts for
 * how long it lasts, not for how large it is: 2 s of anything lift the level over the target for less than 3 s, while a steady load
 * of three targets does so within a second, and one of 1.1 targets within 5. The time over the target counts up, the time
 * below counts down, at double speed.
 *
 * **Slowly hot.** Load that comes in batches, seconds apart, is never hot in that way. It is if the average over 60 s has been over
 * the target for a minute.
 *
 * **Peak.** The highest rate over 2 s during the last `coldMs`, to a sixth of that.
 */
import { type ScalingPolicy, ScaleType } from '../../protocol/controller/messages.ts'
import { eachOverlap, type KeyRange } from '../stream-segments.ts'
import type { DescribedSegment } from './scalable-streams.ts'
import type { AutoScaleSettings } from './settings.ts'

/** Per second. */
export interface Rates {
  readonly over2s: number
  readonly over10s: number
  readonly over60s: number
}

/** As the segment store measures it. */
export interface Load {
  readonly eventsPerSecond: Rates
  readonly bytesPerSecond: Rates
  /** Since its first event was measured. */
  readonly ageMs: number
}

/** The load of a stream's segments at one moment, by their ids; those without any may be absent. */
export interface Look {
  /** On a clock that only goes forward. */
  readonly nowMs: number
  readonly policy: ScalingPolicy
  readonly segments: readonly DescribedSegment[]
  readonly loads: ReadonlyMap<bigint, Load>
}

export interface SegmentMemory extends KeyRange {
  readonly id: bigint
  /** Watched since then; its load before is not known. */
  readonly sinceMs: number
  readonly rates: Rates
  /** Events a second, over 2 s, whatever the policy counts. */
  readonly eventRate: number
  readonly level: number
  readonly hotMs: number
  readonly slowlyHotMs: number
  /** The newest one comes last. */
  readonly peaks: readonly number[]
  /** Not merged before. */
  readonly heldUntilMs: number
  readonly mergedAtMs: number | undefined
  /** What it was split from, and into how many. */
  readonly parent: (KeyRange & { readonly ways: number }) | undefined
  /** How strongly earlier splits speak against another one (hot-key.ts): as it was when its parent was split, and now. */
  readonly evidenceBefore: number
  readonly evidence: number
  /** It is known to be no use to split it, and not tried again before. */
  readonly restUntilMs: number | undefined
}

export interface StreamMemory {
  readonly unit: ScalingPolicy['scaleType']
  readonly atMs: number
  /** When the newest peaks began. */
  readonly peaksFromMs: number
  /** Sorted by key. */
  readonly segments: readonly SegmentMemory[]
  /** Since when some neighbours could be merged. */
  readonly mergeableSinceMs: number | undefined
  /** Doubles whenever a merge turned out to be wrong (decide.ts). */
  readonly caution: number
  readonly cautiousSinceMs: number
  /** The cap on segments is in the way, and somebody was told. */
  readonly isCapped: boolean
}

/** A burst counts as at most so many targets, however large it is. */
const LEVEL_MAX = 3

const PEAKS = 6

const FAST_SECONDS = 2

const NO_RATES: Rates = { over2s: 0, over10s: 0, over60s: 0 }

export function peakOf(segment: SegmentMemory): number {
  return segment.peaks.reduce((peak, each) => Math.max(peak, each), 0)
}

export function observe(
  memory: StreamMemory | undefined,
  look: Look,
  settings: AutoScaleSettings,
): StreamMemory {
  const { nowMs, policy } = look
  const unit = policy.scaleType
  const known = memory?.unit === unit ? memory : undefined
  const peakMs = settings.coldMs / PEAKS
  const rolled = known === undefined ? 0 : Math.floor((nowMs - known.peaksFromMs) / peakMs)
  const before =
    known !== undefined && isLaidOutAs(known.segments, look.segments) ? known.segments : undefined
  const segments = before ?? inherited(known?.segments ?? [], look, settings)
  const step = { nowMs, unit, rolled, elapsedMs: nowMs - (known?.atMs ?? nowMs), target: policy.targetRate }
  return {
    unit,
    atMs: nowMs,
    peaksFromMs: (known?.peaksFromMs ?? nowMs) + rolled * peakMs,
    segments: segments.map((segment, i) => {
      const { id } = look.segments[i]!
      return advanced(segment, { ...step, id, load: look.loads.get(id), stepMsMax: 2 * settings.pollMs })
    }),
    mergeableSinceMs: known?.mergeableSinceMs,
    caution: known?.caution ?? 1,
    cautiousSinceMs: known?.cautiousSinceMs ?? nowMs,
    isCapped: known?.isCapped ?? false,
  }
}

/** The ids may differ: commits make segments anew with the ranges that they had. */
function isLaidOutAs(memories: readonly SegmentMemory[], segments: readonly KeyRange[]): boolean {
  return (
    memories.length === segments.length &&
    memories.every(({ low, high }, i) => low === segments[i]!.low && high === segments[i]!.high)
  )
}

/** What is known of each segment of another layout: from the one it was split from, or those that were merged into it. */
function inherited(
  memories: readonly SegmentMemory[],
  look: Look,
  settings: AutoScaleSettings,
): readonly SegmentMemory[] {
  const parents = new Map<DescribedSegment, SegmentMemory[]>()
  const ways = new Map<SegmentMemory, number>()
  eachOverlap(look.segments, memories, (segment, memory) => {
    const others = parents.get(segment)
    if (others === undefined) parents.set(segment, [memory])
    else others.push(memory)
    ways.set(memory, (ways.get(memory) ?? 0) + 1)
  })
  return look.segments.map((segment) => {
    const before = parents.get(segment) ?? []
    const fresh = newborn(segment, look.nowMs, settings)
    const [parent] = before
    if (parent === undefined) return fresh
    if (parent.low === segment.low && parent.high === segment.high) return parent
    if (before.length === 1 && isWithin(segment, parent)) {
      const { low, high, evidence } = parent
      return { ...fresh, parent: { low, high, ways: ways.get(parent)! }, evidenceBefore: evidence, evidence }
    }
    if (!before.every((each) => isWithin(each, segment))) return fresh
    return {
      ...fresh,
      mergedAtMs: look.nowMs,
      sinceMs: Math.max(...before.map(({ sinceMs }) => sinceMs)),
      peaks: summed(before.map(({ peaks }) => peaks)),
    }
  })
}

function newborn(segment: DescribedSegment, nowMs: number, { holdOffMs }: AutoScaleSettings): SegmentMemory {
  const { id, low, high, splitAgeMs } = segment
  return {
    id,
    low,
    high,
    sinceMs: nowMs,
    rates: NO_RATES,
    eventRate: 0,
    level: 0,
    hotMs: 0,
    slowlyHotMs: 0,
    peaks: [0],
    heldUntilMs: splitAgeMs === undefined ? nowMs : nowMs + Math.max(0, holdOffMs - splitAgeMs),
    mergedAtMs: undefined,
    parent: undefined,
    evidenceBefore: 0,
    evidence: 0,
    restUntilMs: undefined,
  }
}

function isWithin(inner: KeyRange, outer: KeyRange): boolean {
  return inner.low >= outer.low && inner.high <= outer.high
}

/** The newest ones, which come last, are of the same time. */
function summed(lists: readonly (readonly number[])[]): readonly number[] {
  const length = Math.max(...lists.map((list) => list.length))
  return Array.from({ length }, (_, i) => lists.reduce((sum, list) => sum + (list.at(i - length) ?? 0), 0))
}

interface Step {
  readonly id: bigint
  readonly load: Load | undefined
  readonly unit: ScalingPolicy['scaleType']
  readonly target: number
  readonly nowMs: number
  readonly elapsedMs: number
  readonly stepMsMax: number
  readonly rolled: number
}

function advanced(memory: SegmentMemory, step: Step): SegmentMemory {
  const { id, load, target } = step
  const rates = load === undefined ? NO_RATES : ratesOf(load, step.unit)
  // Rates that began after the last look, or that are seen for the first time, began at zero when they began.
  const isGoingOn =
    load === undefined || (memory.id === id && memory.rates !== NO_RATES && load.ageMs >= step.elapsedMs)
  const spanMs = isGoingOn ? step.elapsedMs : load.ageMs
  let { level, hotMs, slowlyHotMs } = memory
  if (spanMs > 0) {
    const kept = Math.exp(-spanMs / 1000 / FAST_SECONDS)
    const carried = isGoingOn ? memory.rates.over2s * kept : 0
    const came = Math.max(0, (rates.over2s - carried) / (1 - kept))
    level += (1 - kept) * (Math.min(came, LEVEL_MAX * target) - level)
    const stepMs = Math.min(spanMs, step.stepMsMax)
    // Being hot for an hour, without having been split, is forgotten as fast as being so for a moment.
    const capMs = 4 * step.stepMsMax
    hotMs = level > target ? hotMs + stepMs : Math.max(0, Math.min(hotMs, capMs) - 2 * stepMs)
    slowlyHotMs = rates.over60s > target ? slowlyHotMs + stepMs : 0
  }
  const peaks = withPeak(memory.peaks, rates.over2s, step.rolled)
  const eventRate = load?.eventsPerSecond.over2s ?? 0
  return { ...memory, id, rates, eventRate, level, hotMs, slowlyHotMs, peaks }
}

function withPeak(peaks: readonly number[], rate: number, rolled: number): readonly number[] {
  const newest = peaks.at(-1) ?? 0
  if (rolled === 0) return rate <= newest ? peaks : [...peaks.slice(0, -1), rate]
  // Between two looks that are far apart nothing came, or the rate would show it.
  const fresh = Array.from({ length: Math.min(rolled, PEAKS + 1) }, () => rate)
  return [...peaks, ...fresh].slice(-(PEAKS + 1))
}

function ratesOf(load: Load, unit: Step['unit']): Rates {
  if (unit !== ScaleType.BY_RATE_IN_KBYTES_PER_SEC) return load.eventsPerSecond
  const { over2s, over10s, over60s } = load.bytesPerSecond
  return { over2s: over2s / 1024, over10s: over10s / 1024, over60s: over60s / 1024 }
}
