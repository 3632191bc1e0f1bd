/** What auto-scaling sees of streams, and what it does to them. */
import type { Clock } from '../../base/host.ts'
import { type ScalingPolicy, ScaleType } from '../../protocol/controller/messages.ts'
import { scopedName } from '../../protocol/names.ts'
import type { Scopes } from '../scopes.ts'
import type { StreamRecord } from '../stream-life.ts'
import { currentSegments, type KeyRange, overlap, type StreamSegment } from '../stream-segments.ts'
import type { Streams } from '../streams.ts'

export interface StreamName {
  readonly scope: string
  readonly stream: string
}

export interface ScalableStreams {
  /** Undefined if there is no such stream. */
  describe(name: StreamName): Promise<StreamDescription | undefined>
  /** Resolves when the scale is done, or with why it is not. */
  scale(name: StreamName, change: LoadScale): Promise<'done' | { readonly refused: string }>
}

/** `into` has exactly the keys of the segments in `seal`. */
export interface LoadScale {
  readonly seal: readonly bigint[]
  readonly into: readonly KeyRange[]
  readonly cause: 'load'
  /** A line for people. */
  readonly detail: string
}

export interface StreamDescription {
  readonly policy: ScalingPolicy
  /** Neither sealed nor on its way out. */
  readonly isOpen: boolean
  /** Sorted by key; together they cover [0, 1] once. */
  readonly segments: readonly DescribedSegment[]
}

export interface DescribedSegment extends KeyRange {
  readonly id: bigint
  /** How long ago a split has given it its range; undefined if none has, or long ago. */
  readonly splitAgeMs: number | undefined
}

export function mayScale({ policy, isOpen }: StreamDescription): boolean {
  return isOpen && policy.scaleType !== ScaleType.FIXED_NUM_SEGMENTS && policy.targetRate > 0
}

/** The streams of a controller. `withinMs` is the longest time for which it matters that a segment came from a split. */
export function scalableStreams(
  { scopes, streams, clock }: Controlled,
  { withinMs }: { withinMs: number },
): ScalableStreams {
  return {
    async describe({ scope, stream }) {
      const open = await scopes.open(scope)
      const record = open === undefined ? undefined : await streams.read(open, stream)
      return record === undefined ? undefined : describeStream(record, { nowMs: clock.now(), withinMs })
    },
    async scale({ scope, stream }, change) {
      const open = await scopes.open(scope)
      const outcome = open === undefined ? 'missing' : await streams.scale(open, stream, change)
      if (outcome === 'missing')
        return { refused: `There is no stream ${scopedName(scope, stream)} any more` }
      return outcome.refused === undefined ? 'done' : { refused: outcome.reason }
    },
  }
}

interface Controlled {
  readonly scopes: Pick<Scopes, 'open'>
  readonly streams: Pick<Streams, 'read' | 'scale'>
  readonly clock: Clock
}

/** `nowMs` is the time of day, as epochs have it. Of splits longer ago than `withinMs` nothing is said. */
export function describeStream(
  record: Pick<StreamRecord, 'state' | 'settings' | 'past' | 'segments' | 'epochs'>,
  time: { readonly nowMs: number; readonly withinMs: number },
): StreamDescription {
  const ageOf = splitAges(record, time)
  return {
    policy: record.settings.scalingPolicy,
    isOpen: record.state.kind === 'active',
    segments: currentSegments(record).map((segment) => {
      const { id, low, high } = segment
      return { id, low, high, splitAgeMs: ageOf(segment) }
    }),
  }
}

function splitAges(
  record: Pick<StreamRecord, 'segments' | 'epochs'>,
  { nowMs, withinMs }: { nowMs: number; withinMs: number },
): (segment: StreamSegment) => number | undefined {
  const ages = new Map<number, number>()
  for (const { epoch, startedAtMs } of record.epochs) {
    // A clock that was set back makes nothing older than new.
    const ageMs = Math.max(0, nowMs - startedAtMs)
    if (ageMs < withinMs) ages.set(epoch, ageMs)
  }
  const sealedIn = new Map<number, StreamSegment[]>()
  for (const segment of record.segments) {
    if (segment.sealedIn === undefined || !ages.has(segment.sealedIn)) continue
    const others = sealedIn.get(segment.sealedIn)
    if (others === undefined) sealedIn.set(segment.sealedIn, [segment])
    else others.push(segment)
  }
  return (segment) => {
    let at: StreamSegment | undefined = segment
    while (at !== undefined) {
      const { low, high, epoch }: StreamSegment = at
      const before: readonly StreamSegment[] = (sealedIn.get(epoch) ?? []).filter((predecessor) =>
        overlap(predecessor, segment),
      )
      if (before.some((predecessor) => predecessor.low < low || predecessor.high > high))
        return ages.get(epoch)
      // Commits make segments anew with the ranges that they had.
      at = before.length === 1 ? before[0] : undefined
    }
    return undefined
  }
}
