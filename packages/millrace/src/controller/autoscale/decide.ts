/**
 * Whether a stream is scaled, and how: a pure function of what is remembered of its load (stream-memory.ts).
 *
 * **Split.** A segment that has been hot for `sustainMs` is split, into as many as its rate holds targets, at least 2 and at most the
 * policy's scale factor. Others of the stream that are about to be ripe go along, so that one scale does for all.
 *
 * **Merge.** A run of neighbours whose peaks together are at most half the target becomes one segment, however long the run is. Once
 * there is such a run the decision waits for a third of `coldMs`: when load ends, more and more neighbours fit together from one
 * second to the next, and one scale shall do for all of them. Nothing goes below the policy's minimum; what is left then is cut so
 * that the ranges come out even.
 *
 * **Never back and forth.** (1) What is merged has to double its load before it is hot, and what is split has to halve it before it is
 * cold. (2) What a split made is not merged for `holdOffMs`. (3) A split of what was merged not long ago says that the merge was
 * wrong, as with load that comes every quarter of an hour: the stream's caution doubles, and with it the wait before the next
 * merge, up to a quarter of an hour with the usual settings. It fades with the hours.
 */
import { assert } from '../../base/assert.ts'
import { ScaleType } from '../../protocol/controller/messages.ts'
import type { KeyRange } from '../stream-segments.ts'
import { evidenceAgainst, isInVain, restOf } from './hot-key.ts'
import type { AutoScaleSettings } from './settings.ts'
import { type Look, peakOf, type SegmentMemory, type StreamMemory } from './stream-memory.ts'
import { duration, number, rate } from './wording.ts'

export interface PlannedScale {
  readonly kind: 'split' | 'merge'
  readonly seal: readonly bigint[]
  readonly into: readonly KeyRange[]
  /** Why, in a line. */
  readonly detail: string
}

export interface Decision {
  /** With what was decided in it. */
  readonly memory: StreamMemory
  readonly scale: PlannedScale | undefined
  /** What was decided not to be done, told once. */
  readonly notes: readonly string[]
}

/** What is about to be ripe for a split goes along with what is. */
const RIPENING = 0.75

/** For how long a load that comes in batches must show in the average of a minute. */
const SLOWLY_HOT_MS = 60_000

/** Below it a time over the target may be chance where events are few. */
const EVENTS_MIN = 30

/** Of the target, for all that becomes one segment. */
const COLD = 0.5

/** Narrower ranges are for single keys; and Pravega's clients compute borders to some twelve digits only. */
const RANGE_MIN = 1e-6

const CAUTION_MAX = 32

/** `look` is what the memory has just been brought up to; the stream is open and its policy scales. */
export function decide(memory: StreamMemory, look: Look, settings: AutoScaleSettings): Decision {
  assert(look.policy.scaleType !== ScaleType.FIXED_NUM_SEGMENTS, 'A stream of a fixed number is not scaled')
  assert(look.policy.targetRate > 0, 'There is a target')
  assert(memory.atMs === look.nowMs, 'The memory is of this look')
  const split = decideSplit(memory, look, settings)
  return split.scale === undefined ? decideMerge(split, look, settings) : split
}

/**
 * When to look at a stream again to which nothing comes any more; undefined: not before something does. Until then its rates can
 * only fall.
 */
export function nextLookMs(
  memory: StreamMemory,
  look: Look,
  settings: AutoScaleSettings,
): number | undefined {
  const { segments } = memory
  if (segments.length <= minOf(look)) return undefined
  if (memory.mergeableSinceMs !== undefined) return memory.mergeableSinceMs + patienceMs(memory, settings)
  let earliestMs = Infinity
  for (let i = 1; i < segments.length; i++) {
    const pairMs = Math.max(mayMergeAtMs(segments[i - 1]!, settings), mayMergeAtMs(segments[i]!, settings))
    earliestMs = Math.min(earliestMs, pairMs)
  }
  return Math.max(earliestMs, look.nowMs + settings.pollMs)
}

// Splitting.

interface Candidate {
  readonly segment: SegmentMemory
  readonly rate: number
  readonly hotMs: number
  readonly evidence: number
}

function decideSplit(memory: StreamMemory, look: Look, settings: AutoScaleSettings): Decision {
  const { segments } = memory
  const nothing = { memory, scale: undefined, notes: [] }
  if (!segments.some((segment) => heatOf(segment, look, settings) >= 1)) return nothing
  const candidates = segments
    .filter((segment) => heatOf(segment, look, settings) >= RIPENING && !isResting(segment, look))
    .map((segment) => candidateOf(segment, memory, look, settings))
    .toSorted((a, b) => b.rate - a.rate)
  const notes: string[] = []
  const changed = new Map<SegmentMemory, SegmentMemory>()
  const splits: (Candidate & { readonly ways: number })[] = []
  let room = settings.segmentsMax - segments.length
  // Until there is room again, nobody needs to be told once more.
  let isCapped = memory.isCapped && room === 0
  for (const candidate of candidates) {
    const { segment, evidence } = candidate
    const waysMax = waysMaxOf(segment)
    const isHopeless = waysMax < 2 || (isInVain(evidence) && segment.restUntilMs === undefined)
    if (isHopeless) {
      const restMs = restOf(evidence, settings.restMs)
      changed.set(segment, { ...segment, evidence, restUntilMs: look.nowMs + restMs })
      notes.push(whyLeftAlone(candidate, look, restMs))
      continue
    }
    const wanted = Math.min(waysFor(candidate, look), waysMax)
    const ways = Math.min(wanted, room + 1)
    if (ways < wanted) isCapped = true
    if (ways < 2) continue
    room -= ways - 1
    changed.set(segment, { ...segment, evidence })
    splits.push({ ...candidate, ways })
  }
  if (isCapped && !memory.isCapped) notes.push(whyCapped(candidates[0]!, look, settings))
  const after: StreamMemory = {
    ...memory,
    isCapped,
    segments: changed.size === 0 ? segments : segments.map((segment) => changed.get(segment) ?? segment),
  }
  if (splits.length === 0) return { memory: after, scale: undefined, notes }
  const isRegret = splits.some(({ segment }) => isRecentMerge(segment, look, settings))
  return {
    memory: isRegret ? moreCautious(after, look, settings) : after,
    scale: {
      kind: 'split',
      seal: splits.map(({ segment }) => segment.id),
      into: splits.flatMap(({ segment, ways }) => splitRange(segment, ways)),
      detail: whySplit(splits, look),
    },
    notes,
  }
}

/** 1 or more: ripe for a split. */
function heatOf(segment: SegmentMemory, look: Look, settings: AutoScaleSettings): number {
  const isSlowlyHot = segment.slowlyHotMs >= SLOWLY_HOT_MS && segment.rates.over10s > look.policy.targetRate
  return isSlowlyHot ? 1 : fastHeatOf(segment, look, settings)
}

function fastHeatOf(
  { level, hotMs, eventRate }: SegmentMemory,
  { policy }: Look,
  { sustainMs, pollMs }: AutoScaleSettings,
): number {
  if (level <= policy.targetRate) return 0
  // Chance has its say where a handful of events decides; where bytes do, a handful of events may well be a load.
  const isByEvents = policy.scaleType === ScaleType.BY_RATE_IN_EVENTS_PER_SEC
  const certainty = isByEvents ? ((hotMs / 1000) * eventRate) / EVENTS_MIN : 1
  // To the nearest look: a timer that comes a moment early must not cost a whole one.
  return Math.min((hotMs + pollMs / 2) / sustainMs, certainty)
}

function isResting(segment: SegmentMemory, look: Look): boolean {
  return segment.restUntilMs !== undefined && look.nowMs < segment.restUntilMs
}

function candidateOf(
  segment: SegmentMemory,
  memory: StreamMemory,
  look: Look,
  settings: AutoScaleSettings,
): Candidate {
  // Of a load that comes in batches, the rate over 2 s tells what the last batch was.
  const isFast = fastHeatOf(segment, look, settings) >= RIPENING
  return {
    segment,
    rate: isFast ? segment.rates.over2s : segment.rates.over60s,
    hotMs: isFast ? segment.hotMs : segment.slowlyHotMs,
    evidence: evidenceAgainst(segment, memory),
  }
}

function waysFor(candidate: Candidate, { policy }: Look): number {
  const wanted = Math.max(2, Math.ceil(candidate.rate / policy.targetRate))
  return Math.min(wanted, Math.max(2, policy.scaleFactor))
}

/** Into how many the range can be split at all. */
function waysMaxOf({ low, high }: KeyRange): number {
  return Math.floor((high - low) / RANGE_MIN)
}

/** Each border is computed once, so that neighbours share it bit by bit; the outer ones are those that were. */
function splitRange({ low, high }: KeyRange, ways: number): readonly KeyRange[] {
  const borders = Array.from({ length: ways + 1 }, (_, i) =>
    i === ways ? high : low + ((high - low) * i) / ways,
  )
  return Array.from({ length: ways }, (_, i) => ({ low: borders[i]!, high: borders[i + 1]! }))
}

// Merging.

function decideMerge(before: Decision, look: Look, settings: AutoScaleSettings): Decision {
  const { memory, notes } = before
  const groups = coldGroups(memory, look, settings)
  if (groups.length === 0) {
    const isWaiting = memory.mergeableSinceMs !== undefined
    return {
      memory: isWaiting ? { ...memory, mergeableSinceMs: undefined } : memory,
      scale: undefined,
      notes,
    }
  }
  const sinceMs = memory.mergeableSinceMs ?? look.nowMs
  if (look.nowMs - sinceMs < patienceMs(memory, settings))
    return { memory: { ...memory, mergeableSinceMs: sinceMs }, scale: undefined, notes }
  return {
    memory: { ...memory, mergeableSinceMs: undefined },
    scale: {
      kind: 'merge',
      seal: groups.flatMap((group) => group.map(({ id }) => id)),
      into: groups.map((group) => ({ low: group[0]!.low, high: group.at(-1)!.high })),
      detail: whyMerged(groups, look, settings),
    },
    notes,
  }
}

function patienceMs(memory: StreamMemory, { coldMs, holdOffMs }: AutoScaleSettings): number {
  return coldMs / 3 + (cautionAt(memory, memory.atMs, holdOffMs) - 1) * coldMs
}

function mayMergeAtMs(segment: SegmentMemory, { coldMs }: AutoScaleSettings): number {
  return Math.max(segment.heldUntilMs, segment.sinceMs + coldMs)
}

/** Groups of neighbours, each to become one segment. */
function coldGroups(
  memory: StreamMemory,
  look: Look,
  settings: AutoScaleSettings,
): readonly (readonly SegmentMemory[])[] {
  const coldMax = COLD * look.policy.targetRate
  let spare = memory.segments.length - minOf(look)
  if (spare <= 0) return []
  const groups: (readonly SegmentMemory[])[] = []
  let run: SegmentMemory[] = []
  let sum = 0
  const close = (): void => {
    const parts = evenParts(run, Math.max(1, run.length - spare))
    spare -= run.length - parts.length
    for (const part of parts) if (part.length > 1) groups.push(part)
    run = []
    sum = 0
  }
  for (const segment of memory.segments) {
    const isReady = mayMergeAtMs(segment, settings) <= look.nowMs
    const peak = peakOf(segment)
    if (!isReady || sum + peak > coldMax) close()
    if (!isReady || peak > coldMax) continue
    run.push(segment)
    sum += peak
  }
  close()
  return groups
}

/** The run cut into `count` parts, each at the border nearest to where equal widths would have it. */
function evenParts(run: readonly SegmentMemory[], count: number): readonly (readonly SegmentMemory[])[] {
  const [first, last] = [run[0], run.at(-1)]
  if (first === undefined || last === undefined) return []
  const parts: (readonly SegmentMemory[])[] = []
  let from = 0
  for (let part = 1; part < count; part++) {
    const ideal = first.low + ((last.high - first.low) * part) / count
    const latest = run.length - (count - part)
    let to = from + 1
    while (to < latest && Math.abs(run[to]!.high - ideal) < Math.abs(run[to - 1]!.high - ideal)) to++
    parts.push(run.slice(from, to))
    from = to
  }
  parts.push(run.slice(from))
  return parts
}

function minOf({ policy }: Look): number {
  return Math.max(1, policy.minNumSegments)
}

// Caution.

function isRecentMerge({ mergedAtMs }: SegmentMemory, look: Look, { holdOffMs }: AutoScaleSettings): boolean {
  return mergedAtMs !== undefined && look.nowMs - mergedAtMs < 2 * holdOffMs
}

function moreCautious(memory: StreamMemory, look: Look, { holdOffMs }: AutoScaleSettings): StreamMemory {
  const caution = Math.min(CAUTION_MAX, 2 * cautionAt(memory, look.nowMs, holdOffMs))
  return { ...memory, caution, cautiousSinceMs: look.nowMs }
}

/** It halves in so many hold-offs, which usually are six hours. */
const CAUTION_FADES = 36

function cautionAt({ caution, cautiousSinceMs }: StreamMemory, nowMs: number, holdOffMs: number): number {
  if (caution === 1 || holdOffMs === 0) return 1
  return Math.max(1, caution / 2 ** Math.floor((nowMs - cautiousSinceMs) / (CAUTION_FADES * holdOffMs)))
}

// Saying why.

function whySplit(splits: readonly (Candidate & { ways: number })[], look: Look): string {
  const [hottest] = splits
  assert(hottest !== undefined, 'Something is split')
  const { targetRate, scaleType } = look.policy
  const load = `${rate(hottest.rate, scaleType)} for ${duration(hottest.hotMs)}, target ${number(targetRate)}`
  if (splits.length === 1) return `${load}: split in ${hottest.ways}`
  const pieces = splits.reduce((sum, { ways }) => sum + ways, 0)
  return `${splits.length} segments over target, the hottest at ${load}: split into ${pieces} in all`
}

function whyMerged(
  groups: readonly (readonly SegmentMemory[])[],
  look: Look,
  settings: AutoScaleSettings,
): string {
  const segments = groups.flat()
  const busiest = Math.max(...groups.map((group) => group.reduce((sum, each) => sum + peakOf(each), 0)))
  const { targetRate, scaleType } = look.policy
  const each = groups.length === 1 ? '' : ' each'
  const load = `at most ${rate(busiest, scaleType)} together${each} for ${duration(settings.coldMs)}`
  return `${load}, target ${number(targetRate)}: ${segments.length} segments merged into ${groups.length}`
}

function whyLeftAlone(candidate: Candidate, look: Look, restMs: number): string {
  const { segment, evidence } = candidate
  const load = `${rate(candidate.rate, look.policy.scaleType)} on keys ${segment.low} to ${segment.high}`
  const why = isInVain(evidence)
    ? 'stayed together in every split, as the load of a single key does'
    : 'lie too close together to be split'
  return `${load} ${why}: left alone for ${duration(restMs)}`
}

function whyCapped(hottest: Candidate, look: Look, { segmentsMax }: AutoScaleSettings): string {
  const { targetRate, scaleType } = look.policy
  const load = `${rate(hottest.rate, scaleType)} for ${duration(hottest.hotMs)}, target ${number(targetRate)}`
  return `${load}: not split as far as that asks for, the stream may have ${number(segmentsMax)} segments`
}
