/**
 * The life of a stream as one pure thing: what each event makes of its record, and what the record's state asks to be done.
 *
 *     (nothing) --create--> creating --> active --seal--> sealing --> sealed --delete--> deleting --> (nothing)
 *                                        active --truncate--> truncating --> active
 *                                        active --scale, configure--> scaling --> active
 *                                        active --roll--> rolling --> rolled --> active
 *
 * Arrows without a name are taken when the work of a state is done (`afterWork`). The work follows from the record alone and
 * may be repeated, so that whoever finds a stream in the middle of it finishes it. What changes nothing but the record
 * (configuration, subscribers) has no state of its own.
 *
 * A scale has its epoch in the history from the start: its segments are created before any is sealed, so whoever hears that one is
 * sealed finds its successors. A roll commits transactions that were opened before the stream scaled: their segments are
 * created over again, take the events, and are sealed; then those of the current epoch are, in favour of their duplicates. The
 * history gets both epochs between the two halves, so readers wait for the second, short one only.
 */
import { assert, unreachable } from '../base/assert.ts'
import type { CutMap, RetentionPolicy, ScalingPolicy } from '../protocol/controller/messages.ts'
import { ScaleType } from '../protocol/controller/messages.ts'
import { planScale, type ScaleRefusal, type ScaleRequest } from './scale-plan.ts'
import { epochsOf, frontierOf, headCut, isBehind, segmentsBefore, segmentsBetween } from './stream-cut.ts'
import {
  currentEpoch,
  currentSegments,
  type EpochCause,
  everySegment,
  firstEpoch,
  type History,
  nextSegmentNumber,
  rolledHistory,
  rolledSegments,
  scaledHistory,
  segmentsOfEpoch,
  splitEvenly,
  type StreamSegment,
} from './stream-segments.ts'

export interface StreamSettings {
  readonly scalingPolicy: ScalingPolicy
  readonly retentionPolicy: RetentionPolicy | undefined
  readonly tags: readonly string[]
  readonly timestampAggregationTimeout: bigint
  readonly rolloverSizeBytes: bigint
}

/** A reader group that retention waits for. */
export interface Subscriber {
  /** `scope/group` */
  readonly name: string
  readonly groupId: string
  readonly generation: bigint
  /** Up to where it has read; undefined before it said so. */
  readonly cut: CutMap | undefined
}

export type StreamState =
  | { readonly kind: 'creating' }
  | { readonly kind: 'active' }
  /** The stream begins at `cut` already; `obsolete` are the segments that lie wholly before it. */
  | { readonly kind: 'truncating'; readonly cut: CutMap; readonly obsolete: Obsolete }
  /** The current epoch is the one that begins. */
  | { readonly kind: 'scaling' }
  /** The current epoch is the one before the two that the roll adds. */
  | ({ readonly kind: 'rolling'; readonly startedAtMs: number } & Roll)
  /** The current epoch is the last one of the roll. */
  | ({ readonly kind: 'rolled' } & Roll)
  | { readonly kind: 'sealing' }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'deleting' }

/** Their ids or, where those are too many for the record, the epoch that none of them is older than. */
export type Obsolete = readonly bigint[] | { readonly sinceEpoch: number }

/** Transactions of one epoch, as the 32 digits of their ids, in the order in which they are committed. */
export interface Roll {
  readonly epoch: number
  readonly transactions: readonly string[]
}

export interface StreamRecord extends History {
  readonly state: StreamState
  readonly createdAtMs: number
  readonly settings: StreamSettings
  /** Whether it has a stream for its watermarks; those streams themselves have none. */
  readonly hasMark: boolean
  /** Where it has been truncated; undefined while it is being truncated, and while it begins with its first epoch. */
  readonly truncatedAt: CutMap | undefined
  readonly subscribers: readonly Subscriber[]
}

export type StreamEvent =
  | { readonly kind: 'configure'; readonly settings: StreamSettings; readonly nowMs: number }
  | { readonly kind: 'truncate'; readonly cut: CutMap }
  | ({ readonly kind: 'scale'; readonly nowMs: number } & Scale)
  | ({ readonly kind: 'roll'; readonly nowMs: number } & Roll)
  | { readonly kind: 'seal' }
  /** `evenOpen`: without having been sealed, which is how internal streams go with what they belong to. */
  | { readonly kind: 'delete'; readonly evenOpen: boolean }
  | {
      readonly kind: 'subscribe'
      readonly name: string
      readonly groupId: string
      readonly generation: bigint
    }
  | { readonly kind: 'unsubscribe'; readonly name: string }
  | { readonly kind: 'note-cut'; readonly name: string; readonly cut: CutMap }

export interface Scale extends ScaleRequest {
  readonly cause: EpochCause
  readonly detail?: string | undefined
}

export type Refusal =
  | 'sealed'
  | 'not-sealed'
  | 'invalid-cut'
  /** The cut lies before an earlier one. */
  | 'cut-behind'
  | 'no-such-subscriber'
  | ScaleRefusal

/** The next record (the same one if nothing changes), or why there is none. */
export type StreamChange =
  | { readonly record: StreamRecord; readonly refused?: undefined }
  | { readonly refused: Refusal; readonly reason: string }

export type StreamWork =
  | { readonly kind: 'create-segment' | 'seal-segment' | 'delete-segment'; readonly id: bigint }
  | { readonly kind: 'truncate-segment'; readonly id: bigint; readonly offset: number }
  /** Into the segment `id`, of the transactions' parts of their segment `from`, one after the other. */
  | {
      readonly kind: 'merge-transactions'
      readonly id: bigint
      readonly from: bigint
      readonly transactions: readonly string[]
    }
  /** All that they had is merged. */
  | { readonly kind: 'finish-transactions'; readonly transactions: readonly string[] }
  | { readonly kind: 'create-mark' | 'delete-mark' }
  /** Remembers the number that segments of a stream of this name begin with from now on. */
  | { readonly kind: 'bury'; readonly nextNumber: number }

export function newStream(birth: {
  settings: StreamSettings
  firstNumber: number
  hasMark: boolean
  nowMs: number
}): StreamRecord {
  const { settings, firstNumber, hasMark, nowMs } = birth
  const count = settings.scalingPolicy.minNumSegments
  return {
    state: { kind: 'creating' },
    createdAtMs: nowMs,
    settings,
    hasMark,
    ...firstEpoch({ number: firstNumber, count, startedAtMs: nowMs }),
    truncatedAt: undefined,
    subscribers: [],
  }
}

/** Whether there is work to do before the record may change again. */
export function isUnderWay(record: StreamRecord): boolean {
  return record.state.kind !== 'active' && record.state.kind !== 'sealed'
}

/** Whether what the record says is true though there is work under way. */
export function isTrueMeanwhile(record: StreamRecord): boolean {
  return record.state.kind === 'rolling'
}

/** What an event makes of a stream that is not under way. */
export function changeStream(record: StreamRecord, event: StreamEvent): StreamChange {
  switch (event.kind) {
    case 'configure':
      return configure(record, event)
    case 'truncate':
      return truncate(record, event.cut)
    case 'scale':
      return scale(record, event)
    case 'roll': {
      if (record.state.kind === 'sealed')
        return { refused: 'sealed', reason: 'Nothing is committed to a sealed stream' }
      const { epoch, transactions, nowMs } = event
      return { record: { ...record, state: { kind: 'rolling', epoch, transactions, startedAtMs: nowMs } } }
    }
    case 'seal':
      if (record.state.kind === 'sealed') return { record }
      return { record: { ...record, state: { kind: 'sealing' } } }
    case 'delete':
      if (record.state.kind !== 'sealed' && !event.evenOpen)
        return { refused: 'not-sealed', reason: 'Only a sealed stream can be deleted' }
      return { record: { ...record, state: { kind: 'deleting' } } }
    case 'subscribe':
      return { record: subscribe(record, event) }
    case 'unsubscribe':
      if (!record.subscribers.some(({ name }) => name === event.name)) return { record }
      return {
        record: { ...record, subscribers: record.subscribers.filter(({ name }) => name !== event.name) },
      }
    case 'note-cut':
      return noteCut(record, event)
    default:
      return unreachable(event)
  }
}

/** Stages of work, one after the other; the order inside a stage does not matter. */
export function workOf(record: StreamRecord): readonly (readonly StreamWork[])[] {
  const { state } = record
  switch (state.kind) {
    case 'active':
    case 'sealed':
      return []
    case 'creating':
      return [
        each('create-segment', currentSegments(record)),
        record.hasMark ? [{ kind: 'create-mark' }] : [],
      ]
    case 'truncating':
      return [
        // At offset 0 and before there is nothing to truncate.
        [...state.cut]
          .filter(([, offset]) => offset > 0)
          .map(([id, offset]) => ({ kind: 'truncate-segment', id, offset }) as const),
        obsoleteIds(record, state).map((id) => ({ kind: 'delete-segment', id }) as const),
      ]
    case 'scaling': {
      const epoch = currentEpoch(record)
      const created = currentSegments(record).filter((segment) => segment.epoch === epoch)
      return [each('create-segment', created), each('seal-segment', sealedBy(record, epoch))]
    }
    case 'rolling': {
      const { again, current } = rolledSegments(record, state.epoch)
      const parts = segmentsOfEpoch(record, state.epoch) ?? []
      const merges = parts.map(({ id: from }, i) => {
        return {
          kind: 'merge-transactions',
          id: again[i]!.id,
          from,
          transactions: state.transactions,
        } as const
      })
      return [each('create-segment', [...again, ...current]), merges, each('seal-segment', again)]
    }
    case 'rolled':
      return [
        each('seal-segment', sealedBy(record, currentEpoch(record) - 1)),
        [{ kind: 'finish-transactions', transactions: state.transactions }],
      ]
    case 'sealing':
      return [each('seal-segment', currentSegments(record))]
    case 'deleting':
      return [
        // First of all: whatever comes after this, no later stream of the name may use these numbers.
        [{ kind: 'bury', nextNumber: nextSegmentNumber(record) }],
        record.hasMark ? [{ kind: 'delete-mark' }] : [],
        each('delete-segment', [...everySegment(record)]),
      ]
    default:
      return unreachable(state)
  }
}

/** The record once the work of its state is done; undefined when nothing is left of the stream. */
export function afterWork(record: StreamRecord): StreamRecord | undefined {
  const { state } = record
  switch (state.kind) {
    case 'active':
    case 'sealed':
      return record
    case 'creating':
    case 'scaling':
    case 'rolled':
      return { ...record, state: { kind: 'active' } }
    case 'rolling': {
      const { epoch, transactions, startedAtMs } = state
      const history = rolledHistory(record, epoch, { startedAtMs, cause: 'commit' })
      return { ...record, ...history, state: { kind: 'rolled', epoch, transactions } }
    }
    case 'truncating':
      return { ...record, state: { kind: 'active' }, truncatedAt: state.cut }
    case 'sealing':
      return { ...record, state: { kind: 'sealed' } }
    case 'deleting':
      return undefined
    default:
      return unreachable(state)
  }
}

/** Where the stream begins. */
export function headOf(record: StreamRecord): CutMap {
  const cut = record.state.kind === 'truncating' ? record.state.cut : record.truncatedAt
  return headCut(record, cut)
}

function each(
  kind: 'create-segment' | 'seal-segment' | 'delete-segment',
  segments: readonly StreamSegment[],
): readonly StreamWork[] {
  return segments.map(({ id }) => ({ kind, id }))
}

/** The segments of the epoch before that this one is without. */
function sealedBy(record: StreamRecord, epoch: number): readonly StreamSegment[] {
  return (segmentsOfEpoch(record, epoch - 1) ?? []).filter(({ sealedIn }) => sealedIn === epoch)
}

/** A stream whose number of segments is not what the policy asks for is divided anew, as Pravega does. */
function configure(record: StreamRecord, event: { settings: StreamSettings; nowMs: number }): StreamChange {
  const { settings, nowMs } = event
  if (record.state.kind === 'sealed')
    return { refused: 'sealed', reason: 'A sealed stream keeps its configuration' }
  const { scaleType, minNumSegments } = settings.scalingPolicy
  const open = currentSegments(record)
  const isFixed = scaleType === ScaleType.FIXED_NUM_SEGMENTS
  const isServed = isFixed ? open.length === minNumSegments : open.length >= minNumSegments
  if (isServed) return { record: { ...record, settings } }
  const seal = open.map(({ id }) => id)
  const detail = `${isFixed ? '' : 'at least '}${minNumSegments} segments instead of ${open.length}`
  const into = splitEvenly(minNumSegments)
  return scale({ ...record, settings }, { seal, into, nowMs, cause: 'policy', detail })
}

function scale(record: StreamRecord, event: Scale & { nowMs: number }): StreamChange {
  if (record.state.kind === 'sealed') return { refused: 'sealed', reason: 'A sealed stream does not scale' }
  const plan = planScale(record, event, record.settings.scalingPolicy.minNumSegments)
  if (plan.refused !== undefined) return plan
  const { nowMs: startedAtMs, cause, detail } = event
  const history = scaledHistory(record, { ...plan, began: { startedAtMs, cause, detail } })
  return { record: { ...record, ...history, state: { kind: 'scaling' } } }
}

function truncate(record: StreamRecord, cut: CutMap): StreamChange {
  if (record.state.kind === 'sealed') return { refused: 'sealed', reason: 'A sealed stream is not truncated' }
  const to = frontierOf(record, cut)
  if (typeof to === 'string') return { refused: 'invalid-cut', reason: to }
  const from = frontierOf(record, headOf(record))
  if (typeof from === 'string') return { refused: 'invalid-cut', reason: from }
  if (isBehind(to, from))
    return { refused: 'cut-behind', reason: 'The stream begins behind this cut already' }
  if (!isBehind(from, to)) return { record }
  const passed = segmentsBetween(record, { from, to }).flatMap(({ id }) => (cut.has(id) ? [] : [id]))
  const obsolete = passed.length <= OBSOLETE_IDS_MAX ? passed : { sinceEpoch: epochsOf(from).first }
  // The stream begins at the new cut from now on; the old one would only make the record of a wide stream too large.
  return { record: { ...record, truncatedAt: undefined, state: { kind: 'truncating', cut, obsolete } } }
}

/** More would not fit into the record of a wide stream. */
const OBSOLETE_IDS_MAX = 1000

/** By epoch they are some too many: segments that earlier truncations have deleted already. */
function obsoleteIds(
  record: StreamRecord,
  truncation: { cut: CutMap; obsolete: Obsolete },
): readonly bigint[] {
  const { cut, obsolete } = truncation
  if (!('sinceEpoch' in obsolete)) return obsolete
  const to = frontierOf(record, cut)
  assert(typeof to !== 'string', 'A stream begins at a cut of its own')
  const passed = segmentsBefore(record, { sinceEpoch: obsolete.sinceEpoch, to })
  return passed.flatMap(({ id }) => (cut.has(id) ? [] : [id]))
}

function subscribe(
  record: StreamRecord,
  group: { name: string; groupId: string; generation: bigint },
): StreamRecord {
  const { name, groupId, generation } = group
  const known = record.subscribers.find((subscriber) => subscriber.name === name)
  if (known?.groupId === groupId && known.generation >= generation) return record
  // A group of the same name that is another one has read nothing yet.
  const cut = known?.groupId === groupId ? known.cut : undefined
  const others = record.subscribers.filter((subscriber) => subscriber !== known)
  return { ...record, subscribers: [...others, { name, groupId, generation, cut }] }
}

function noteCut(record: StreamRecord, note: { name: string; cut: CutMap }): StreamChange {
  const known = record.subscribers.find(({ name }) => name === note.name)
  if (known === undefined)
    return { refused: 'no-such-subscriber', reason: `${note.name} is no subscriber of the stream` }
  const now = frontierOf(record, note.cut)
  if (typeof now === 'string') return { refused: 'invalid-cut', reason: now }
  const before = known.cut === undefined ? undefined : frontierOf(record, known.cut)
  if (typeof before === 'string') return { refused: 'invalid-cut', reason: before }
  if (before !== undefined && isBehind(now, before))
    return { refused: 'cut-behind', reason: 'The subscriber has noted a later cut already' }
  const noted = { ...known, cut: note.cut }
  const subscribers = record.subscribers.map((subscriber) => (subscriber === known ? noted : subscriber))
  return { record: { ...record, subscribers } }
}
