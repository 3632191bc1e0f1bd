/**
 * What a reader of a group does next, given the state of the group: join, take its share of what nobody reads, give from what
 * it has too much of, go on behind segments that have ended, report for checkpoints, record what was acknowledged, show life,
 * take out who shows none, leave. Pure.
 *
 * Readers in Java follow the same rules: shares are what Java computes, and nothing is taken or given while a checkpoint waits
 * for this reader, since then each segment is in one report exactly. Three things differ:
 * - Java's readers give only right after a checkpoint, when their users have stored positions; ours at any time, at the last
 *   acknowledged event, for that is what the group remembers;
 * - ours record the position of a segment that they keep, by releasing and acquiring it in one update;
 * - ours count segments, where Java weighs them with numbers that mean little (see `giving`).
 */
import { isSilentCheckpoint } from '../../protocol/reader-group/group-checkpoints.ts'
import type { GroupState } from '../../protocol/reader-group/group-state.ts'
import type { GroupUpdate, RangedOffset } from '../../protocol/reader-group/group-updates.ts'
import type { KeyRange } from '../../protocol/segment-fields.ts'
import { parseSegmentName, segmentIdOf } from '../../protocol/names.ts'
import type { Decided } from './group-synchronizer.ts'
import type { Following, FollowingSegment, Holding } from './holding.ts'
import { owesSigns, SIGN_MS, takeOut } from './life-signs.ts'
import type { ReadingBounds } from './reading-bounds.ts'

/** Java's unit: readers take turns in steps of it, those with the least to do first. */
const TURN_MS = 1000
/** What was acknowledged is written down within 5 s, the time of writing included. */
const RECORD_MS = 4000

/** Something given away is for others, who may look for it only every so often. */
const OFFER_REFRESHES = 3

/** When what is due, on the monotonic clock. Undefined: there is nothing to do. */
export interface Timers {
  readonly acquireMs: number | undefined
  readonly releaseMs: number | undefined
  readonly recordMs: number
  /** When to show life, if somebody looks for it. */
  readonly signMs: number
  readonly checkpointMs: number
}

export interface Member {
  readonly reader: string
  /** How often a reader of this name had joined when this one did; undefined while it has not. */
  readonly joined: number | undefined
  /** The same now. */
  readonly joins: number
  readonly holdings: ReadonlyMap<string, Holding>
  /** The one whose events the program has in hand: it cannot be given away. */
  readonly delivering: Holding | undefined
  readonly bounds: ReadingBounds | undefined
  readonly timers: Timers
  /** Others that are dead as far as can be told. */
  readonly silent: readonly string[]
  /** Whether another reader is known to have lived since this one joined. */
  lives(reader: string): boolean
  /** How many times longer than usual to wait before giving something away: nobody took what was given before. */
  readonly patience: number
  readonly nowMs: number
  readonly wallMs: number
  /** For a checkpoint that begins now. */
  readonly checkpointId: string
}

export type Decision =
  | GoOn
  /** Somebody has taken the reader out of the group. */
  | { readonly kind: 'removed' }
  /** Another reader has joined by its name. */
  | { readonly kind: 'replaced' }
  /** There is nothing left to read, now or ever. */
  | { readonly kind: 'over' }

export interface GoOn {
  readonly kind: 'go-on'
  /** The reader has joined: `Member.joined` from now on. */
  readonly joined: number | undefined
  readonly completed: readonly Holding[]
  readonly released: readonly Holding[]
  readonly acquired: readonly Place[]
  readonly recorded: readonly { readonly holding: Holding; readonly offset: number }[]
  readonly reported: boolean
  /** Readers that were taken out, for they are dead. */
  readonly takenOut: readonly string[]
  /** There may be more to do at once. */
  readonly again: boolean
  readonly timers: Timers
}

export interface Place {
  readonly segment: string
  readonly offset: number
}

export function firstTimers(nowMs: number): Timers {
  return {
    acquireMs: nowMs,
    releaseMs: undefined,
    recordMs: nowMs,
    signMs: nowMs,
    checkpointMs: Number.POSITIVE_INFINITY,
  }
}

/** When a decision is due though nothing has happened. */
export function dueMs(timers: Timers, nowMs: number): number {
  const { acquireMs, releaseMs, checkpointMs } = timers
  // What has passed without need comes up again when something happens.
  const record = timers.recordMs > nowMs ? timers.recordMs : nowMs + RECORD_MS
  const sign = timers.signMs > nowMs ? timers.signMs : record
  return Math.min(acquireMs ?? record, releaseMs ?? record, record, sign, checkpointMs)
}

export function decide(state: GroupState, member: Member): Decided<Decision> {
  if (member.joined === undefined) return join(state, member)
  if (member.joins !== member.joined) return { updates: [], result: { kind: 'replaced' } }
  const owned = state.segmentsOf(member.reader)
  if (owned === undefined) return { updates: [], result: { kind: 'removed' } }
  if (
    owned.size !== member.holdings.size ||
    [...member.holdings.keys()].some((segment) => !owned.has(segment))
  )
    return { updates: [], result: { kind: 'replaced' } }
  const pending = state.checkpoints.pendingFor(member.reader)
  if (pending !== undefined) return report(state, member, pending)
  if (member.silent.length > 0) return bury(state, member)
  if (isOver(state, member)) return { updates: [leave(member)], result: { kind: 'over' } }
  return goOn(state, member)
}

/** What a reader says that leaves. Others go on where it has acknowledged. */
export function leave({ reader, holdings }: Pick<Member, 'reader' | 'holdings'>): GroupUpdate {
  return { kind: 'remove-reader', reader, owned: positionsOf(holdings) }
}

function join(state: GroupState, member: Member): Decided<Decision> {
  const { reader, nowMs } = member
  // One of this name died, or was given up: this one takes its place, and what it had.
  const replaces = state.isReaderOnline(reader)
  if (!replaces && isOver(state, member)) return { updates: [], result: { kind: 'over' } }
  const updates: GroupUpdate[] = []
  if (replaces) updates.push({ kind: 'remove-reader', reader, owned: new Map() })
  updates.push({ kind: 'add-reader', reader })
  const readers = state.readers.length + (replaces ? 0 : 1)
  const acquired = candidates(state, member).slice(0, share(state, { owned: 0, readers }))
  for (const { segment } of acquired) updates.push({ kind: 'acquire-segment', reader, segment })
  updates.push(distance(member, new Map()))
  const timers = {
    acquireMs: undefined,
    releaseMs: undefined,
    recordMs: nowMs + RECORD_MS,
    signMs: nowMs + SIGN_MS,
    checkpointMs: checkpointDue(state, nowMs),
  }
  return {
    updates,
    result: { ...NOTHING, joined: member.joins + 1, acquired, again: true, timers },
  }
}

const NOTHING: Omit<GoOn, 'timers'> = {
  kind: 'go-on',
  joined: undefined,
  completed: [],
  released: [],
  acquired: [],
  recorded: [],
  reported: false,
  takenOut: [],
  again: false,
}

/** Nothing that this reader is to read is left, nor going to come. */
function isOver(state: GroupState, member: Member): boolean {
  if (state.isEndOfData) return true
  if (member.bounds === undefined || candidates(state, member).length > 0) return false
  if ([...member.holdings.values()].some(({ end }) => end?.kind !== 'at-cut')) return false
  return !mayInherit(state, member.bounds, member)
}

/**
 * Whether somebody who may be dead has something to read that this reader would. A program that is started again after it was
 * killed finds its former self in the group: it must not take that for somebody at work.
 */
function mayInherit(state: GroupState, bounds: ReadingBounds, { reader, lives }: Member): boolean {
  const hasWork = (other: string): boolean =>
    [...(state.segmentsOf(other) ?? [])].some(([segment, offset]) => bounds.isBefore(segment, offset))
  return state.readers.some((other) => other !== reader && !lives(other) && hasWork(other))
}

/** What the dead had is there to be taken once this is written. */
function bury(state: GroupState, member: Member): Decided<Decision> {
  const { silent, holdings, nowMs, timers } = member
  return {
    updates: [...silent.map(takeOut), distance(member, rangedPositions(state, [...holdings.values()]))],
    result: {
      ...NOTHING,
      takenOut: silent,
      again: true,
      timers: { ...timers, acquireMs: undefined, releaseMs: undefined, signMs: nowMs + SIGN_MS },
    },
  }
}

function report(state: GroupState, member: Member, checkpoint: string): Decided<Decision> {
  const { reader, holdings, nowMs, timers } = member
  const positions = positionsOf(holdings)
  // A silent checkpoint leaves the recorded positions as they are.
  const moves = !isSilentCheckpoint(checkpoint)
  const recorded = moves
    ? [...holdings.values()].map((holding) => ({ holding, offset: holding.position }))
    : []
  return {
    updates: [{ kind: 'report-checkpoint', checkpoint, reader, positions }],
    result: {
      ...NOTHING,
      recorded,
      reported: true,
      again: true,
      timers: {
        ...timers,
        recordMs: moves ? nowMs + RECORD_MS : timers.recordMs,
        signMs: nowMs + SIGN_MS,
        checkpointMs: checkpointDue(state, nowMs),
      },
    },
  }
}

function goOn(state: GroupState, member: Member): Decided<Decision> {
  const { reader, holdings, nowMs, timers } = member
  const updates: GroupUpdate[] = []
  const completed = [...holdings.values()].filter(isComplete)
  for (const holding of completed) updates.push(complete(state, reader, holding))
  const give = giving(state, member)
  for (const { segment, position } of give.released)
    updates.push({ kind: 'release-segment', reader, segment, offset: position })
  const take = taking(state, member)
  for (const { segment } of take.acquired) updates.push({ kind: 'acquire-segment', reader, segment })

  const kept = [...holdings.values()].filter(
    (holding) => !completed.includes(holding) && !give.released.includes(holding),
  )
  const changed = kept.filter(({ position, recorded }) => position !== recorded)
  const records = changed.length > 0 && (updates.length > 0 || nowMs >= timers.recordMs)
  const recorded = records ? changed.map((holding) => ({ holding, offset: holding.position })) : []
  for (const { holding, offset } of recorded) updates.push(...record(reader, holding.segment, offset))
  const creates = nowMs >= timers.checkpointMs && !state.checkpoints.ongoing
  const signs = nowMs >= timers.signMs && owesSigns(state, reader)
  // Whatever this reader writes is a sign of its life, so it names the reader.
  if (updates.length > 0 || creates || signs) updates.push(distance(member, rangedPositions(state, kept)))
  if (creates) updates.push(...begin(member.checkpointId))
  return {
    updates,
    result: {
      ...NOTHING,
      completed,
      released: give.released,
      acquired: take.acquired,
      recorded,
      again: completed.length > 0 || creates,
      timers: {
        acquireMs: completed.length > 0 ? nowMs : (give.offeredUntilMs ?? take.acquireMs),
        releaseMs: give.releaseMs,
        recordMs: records ? nowMs + RECORD_MS : timers.recordMs,
        signMs: updates.length > 0 ? nowMs + SIGN_MS : timers.signMs,
        checkpointMs: nowMs >= timers.checkpointMs ? checkpointDue(state, nowMs) : timers.checkpointMs,
      },
    },
  }
}

function isComplete({ end }: Holding): boolean {
  return end?.kind === 'at-group-end' || (end?.kind === 'ended' && end.following !== undefined)
}

function complete(state: GroupState, reader: string, { segment, end }: Holding): GroupUpdate {
  const following = end?.kind === 'ended' ? end.following : undefined
  const ended = state.endSegments.has(segment) || following === undefined
  const next = ended ? [] : nextSegments(state, following)
  const ranges = new Map<string, KeyRange | undefined>([[segment, state.rangeOf(segment)]])
  for (const { segment: name, range } of next) ranges.set(name, range)
  const successors = new Map(next.map(({ segment: name, predecessors }) => [name, predecessors]))
  return { kind: 'complete-segment', reader, segment, successors, ranges }
}

/** Behind the segments of a stream that is no more comes the head of its successor, once all of them are done with. */
function nextSegments(state: GroupState, following: Following): readonly FollowingSegment[] {
  const present = new Set<string>()
  for (const segments of state.positions().values())
    for (const segment of segments.keys()) present.add(segment)
  if (following.kind === 'successors')
    return following.successors.filter(({ segment }) => !present.has(segment))
  for (const segment of state.future.keys()) present.add(segment)
  const lost = [...present]
    .map((segment) => segmentIdOf(parseSegmentName(segment)))
    .filter((id) => !following.known.has(id))
  return following.head
    .filter(({ segment }) => !present.has(segment))
    .map((segment) => ({ ...segment, predecessors: lost }))
}

interface Giving {
  readonly released: readonly Holding[]
  readonly releaseMs: number | undefined
  /** Until then this reader does not take anything itself. */
  readonly offeredUntilMs?: number
}

/**
 * A reader gives when it has more than one segment more than another, unless that one finds enough anyway. Java weighs segments
 * with how far behind their readers are, which its readers tell only once they have read something: in a quiet group segments
 * wander from reader to reader. Counting them comes to the same where all readers have something to read.
 */
function giving(state: GroupState, member: Member): Giving {
  const { reader, holdings, nowMs, timers } = member
  const counts = countsOf(state)
  // What this reader is done with may be for others, who read on.
  const done = counts.size > 1 ? [...holdings.values()].filter(({ end }) => end?.kind === 'at-cut') : []
  const least = Math.min(...counts.values())
  if (holdings.size <= least + Math.max(1, state.unassigned.size))
    return { released: done, releaseMs: undefined }
  const turn = 1 + rankOf(reader, counts)
  const releaseMs = timers.releaseMs ?? nowMs + TURN_MS * turn * member.patience
  if (nowMs < releaseMs) return { released: done, releaseMs }
  const spare = [...holdings.values()].filter(
    (holding) => holding !== member.delivering && holding.end === undefined,
  )
  const fair = Math.ceil(state.segmentCount / state.readers.length)
  const count = Math.max(1, holdings.size - fair)
  const offeredUntilMs = nowMs + OFFER_REFRESHES * Number(state.config.groupRefreshTimeMs)
  return { released: [...done, ...spare.slice(-count)], releaseMs: undefined, offeredUntilMs }
}

interface Taking {
  readonly acquired: readonly Place[]
  readonly acquireMs: number | undefined
}

function taking(state: GroupState, member: Member): Taking {
  const { reader, holdings, nowMs, timers } = member
  const free = candidates(state, member)
  if (free.length === 0) return { acquired: [], acquireMs: undefined }
  const counts = countsOf(state)
  const readers = counts.size
  const rank = rankOf(reader, counts)
  // Those with less to do come first.
  const acquireMs = timers.acquireMs ?? nowMs + TURN_MS * (readers - rank - 1)
  if (nowMs < acquireMs) return { acquired: [], acquireMs }
  const acquired = free.slice(0, share(state, { owned: holdings.size, readers }))
  const isMore = acquired.length < free.length
  return { acquired, acquireMs: isMore ? nowMs + TURN_MS * (readers - rank) : undefined }
}

function countsOf(state: GroupState): ReadonlyMap<string, number> {
  return new Map(state.readers.map((reader) => [reader, state.segmentsOf(reader)?.size ?? 0]))
}

/** 0 for the reader with the most segments. No two have the same, in the eyes of all. */
function rankOf(reader: string, counts: ReadonlyMap<string, number>): number {
  const own = counts.get(reader) ?? 0
  let rank = 0
  for (const [other, count] of counts) if (count > own || (count === own && other < reader)) rank++
  return rank
}

/** What nobody reads and this reader would. */
function candidates(state: GroupState, { bounds }: Member): readonly Place[] {
  const places = [...state.unassigned].map(([segment, offset]) => ({ segment, offset }))
  return bounds === undefined
    ? places
    : places.filter(({ segment, offset }) => bounds.isBefore(segment, offset))
}

/** How many unassigned segments a reader takes that owns so many: what Java's takes. */
function share(state: GroupState, { owned, readers }: { owned: number; readers: number }): number {
  const free = state.unassigned.size
  const equal = Math.floor(free / readers)
  const fair = Math.min(free, Math.round(state.segmentCount / readers) - owned)
  return Math.max(equal, fair, 1)
}

/** Nobody else sees the segment unassigned: updates that are written together are applied together. */
function record(reader: string, segment: string, offset: number): readonly GroupUpdate[] {
  return [
    { kind: 'release-segment', reader, segment, offset },
    { kind: 'acquire-segment', reader, segment },
  ]
}

/** Together with the checkpoint all before it are forgotten, as in Java. */
function begin(checkpoint: string): readonly GroupUpdate[] {
  return [
    { kind: 'create-checkpoint', checkpoint },
    { kind: 'clear-checkpoints-before', checkpoint },
  ]
}

/**
 * How far behind Java's readers say that they are is the time since 1970, once they have read anything. They weigh segments with
 * it, so that in a group with both kinds ours must say the same.
 */
function distance({ reader, wallMs }: Member, lastRead: ReadonlyMap<string, RangedOffset>): GroupUpdate {
  return { kind: 'update-distance-to-tail', reader, distanceMs: Math.max(0, Math.floor(wallMs)), lastRead }
}

function checkpointDue({ config }: GroupState, nowMs: number): number {
  const intervalMs = Number(config.automaticCheckpointIntervalMs)
  return intervalMs > 0 ? nowMs + intervalMs : Number.POSITIVE_INFINITY
}

function positionsOf(holdings: ReadonlyMap<string, Holding>): ReadonlyMap<string, number> {
  return new Map([...holdings.values()].map(({ segment, position }) => [segment, position]))
}

function rangedPositions(state: GroupState, holdings: readonly Holding[]): ReadonlyMap<string, RangedOffset> {
  return new Map(
    holdings.map(({ segment, position }) => [segment, { offset: position, range: state.rangeOf(segment) }]),
  )
}
