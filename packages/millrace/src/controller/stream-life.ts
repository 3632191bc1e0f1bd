/**
 * The life of a stream as one pure thing: what each event makes of its record, and what the record's state asks to be done.
 *
 *     (nothing) --create--> creating --> active --seal--> sealing --> sealed --delete--> deleting --> (nothing)
 *                                        active --truncate--> truncating --> active
 *
 * Arrows without a name are taken when the work of a state is done (`afterWork`). The work follows from the record alone and
 * may be repeated, so that whoever finds a stream in the middle of it finishes it. What changes nothing but the record
 * (configuration, subscribers) has no state of its own. Scaling and transactions are further events: they add segments, epochs
 * and states, the history stays what it is.
 */
import { unreachable } from '../base/assert.ts'
import type { CutMap, RetentionPolicy, ScalingPolicy } from '../protocol/controller/messages.ts'
import { ScaleType } from '../protocol/controller/messages.ts'
import { frontierOf, headCut, isBehind, segmentsBetween } from './stream-cut.ts'
import { currentSegments, firstEpoch, type History, nextSegmentNumber } from './stream-segments.ts'

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
  | { readonly kind: 'truncating'; readonly cut: CutMap; readonly obsolete: readonly bigint[] }
  | { readonly kind: 'sealing' }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'deleting' }

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
  | { readonly kind: 'configure'; readonly settings: StreamSettings }
  | { readonly kind: 'truncate'; readonly cut: CutMap }
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

export type Refusal =
  | 'sealed'
  | 'not-sealed'
  | 'invalid-cut'
  /** The cut lies before an earlier one. */
  | 'cut-behind'
  | 'needs-scale'
  | 'no-such-subscriber'

/** The next record (the same one if nothing changes), or why there is none. */
export type StreamChange =
  | { readonly record: StreamRecord; readonly refused?: undefined }
  | { readonly refused: Refusal; readonly reason: string }

export type StreamWork =
  | { readonly kind: 'create-segment' | 'seal-segment' | 'delete-segment'; readonly id: bigint }
  | { readonly kind: 'truncate-segment'; readonly id: bigint; readonly offset: number }
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

/** What an event makes of a stream that is not under way. */
export function changeStream(record: StreamRecord, event: StreamEvent): StreamChange {
  switch (event.kind) {
    case 'configure':
      return configure(record, event.settings)
    case 'truncate':
      return truncate(record, event.cut)
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
    case 'creating': {
      const segments = currentSegments(record).map(({ id }) => ({ kind: 'create-segment', id }) as const)
      return [segments, record.hasMark ? [{ kind: 'create-mark' }] : []]
    }
    case 'truncating':
      return [
        // At offset 0 and before there is nothing to truncate.
        [...state.cut]
          .filter(([, offset]) => offset > 0)
          .map(([id, offset]) => ({ kind: 'truncate-segment', id, offset }) as const),
        state.obsolete.map((id) => ({ kind: 'delete-segment', id }) as const),
      ]
    case 'sealing':
      return [currentSegments(record).map(({ id }) => ({ kind: 'seal-segment', id }) as const)]
    case 'deleting':
      return [
        // First of all: whatever comes after this, no later stream of the name may use these numbers.
        [{ kind: 'bury', nextNumber: nextSegmentNumber(record) }],
        record.hasMark ? [{ kind: 'delete-mark' }] : [],
        record.segments.map(({ id }) => ({ kind: 'delete-segment', id }) as const),
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
      return { ...record, state: { kind: 'active' } }
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

function configure(record: StreamRecord, settings: StreamSettings): StreamChange {
  if (record.state.kind === 'sealed')
    return { refused: 'sealed', reason: 'A sealed stream keeps its configuration' }
  const { scaleType, minNumSegments } = settings.scalingPolicy
  const count = currentSegments(record).length
  const isFixed = scaleType === ScaleType.FIXED_NUM_SEGMENTS
  if (isFixed ? count !== minNumSegments : count < minNumSegments)
    return {
      refused: 'needs-scale',
      reason: `The policy asks for ${isFixed ? '' : 'at least '}${minNumSegments} segments and the stream has ${count}`,
    }
  return { record: { ...record, settings } }
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
  const obsolete = segmentsBetween(record, { from, to })
    .map(({ id }) => id)
    .filter((id) => !cut.has(id))
  // The stream begins at the new cut from now on; the old one would only make the record of a wide stream too large.
  return { record: { ...record, truncatedAt: undefined, state: { kind: 'truncating', cut, obsolete } } }
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
