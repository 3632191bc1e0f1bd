/** Everything that is known of a stream at a moment, asked together. */
import { type ScopedName, splitSegmentId } from '../protocol/names.ts'
import { showCut, type StreamCut, tailOf } from './cuts.ts'
import { policyOf, type StreamPolicy } from './policy.ts'
import { type SegmentCalls, SegmentError, type Wait } from './segment-calls.ts'
import type { StreamMetadata } from './stream-metadata.ts'

/** Keys hash into [0, 1): from `low` up to, but not including, `high`. */
export interface KeyRange {
  readonly low: number
  readonly high: number
}

export interface TopologySegment {
  /** `number.#epoch.epoch`, as in the segment's name. */
  readonly id: string
  readonly range: KeyRange
  /** The segments that this one has taken over from, as far as they have not been truncated away. */
  readonly predecessors: readonly string[]
}

export interface Topology {
  /** Rises with each change. */
  readonly epoch: number
  /** Those that take events now; none of a sealed stream. */
  readonly segments: readonly TopologySegment[]
}

export interface StreamInfo {
  readonly name: string
  readonly sealed: boolean
  readonly head: StreamCut
  readonly tail: StreamCut
  /** Between head and tail, headers of events included. */
  readonly bytes: number
  readonly policy: StreamPolicy
  readonly topology: Topology
}

export async function describeStream(
  segments: SegmentCalls,
  metadata: StreamMetadata,
  scoped: ScopedName,
  wait: Wait,
): Promise<StreamInfo> {
  const [config, head, current] = await Promise.all([
    metadata.config(wait),
    metadata.head(wait),
    metadata.current(wait),
  ])
  const [tail, between] = await Promise.all([
    tailOf(metadata, segments, wait),
    metadata.between(head, new Map(), wait),
  ])
  const sizes = await Promise.all([...between].map((id) => sizeOf(segments, metadata.nameOf(id), wait)))
  const predecessors = await predecessorsOf(
    metadata,
    current.map(({ id }) => id),
    between,
    wait,
  )
  return {
    name: metadata.stream,
    sealed: current.length === 0,
    head: showCut(scoped, head),
    tail: showCut(scoped, tail),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    policy: policyOf(config),
    topology: {
      epoch: Math.max(0, ...[...between].map((id) => splitSegmentId(id).epoch)),
      segments: current.map(({ id, low, high }) => ({
        id: showSegmentId(id),
        range: { low, high },
        predecessors: (predecessors.get(id) ?? []).map(showSegmentId),
      })),
    },
  }
}

async function sizeOf(segments: SegmentCalls, segment: string, wait: Wait): Promise<number> {
  try {
    const { startOffset, writeOffset } = await segments.segmentState(segment, wait)
    return writeOffset - startOffset
  } catch (error) {
    // Truncated away since the list was made.
    if (error instanceof SegmentError && error.code === 'no-such-segment') return 0
    throw error
  }
}

/** Asked of those that have ended: what has taken over from them says from whom it has. */
async function predecessorsOf(
  metadata: StreamMetadata,
  current: readonly bigint[],
  all: ReadonlySet<bigint>,
  wait: Wait,
): Promise<ReadonlyMap<bigint, readonly bigint[]>> {
  const ended = [...all].filter((id) => !current.includes(id))
  const successors = await Promise.all(ended.map((id) => metadata.successors(id, wait)))
  return new Map(successors.flat().map(({ id, predecessors }) => [id, predecessors]))
}

function showSegmentId(id: bigint): string {
  const { number, epoch } = splitSegmentId(id)
  return `${number}.#epoch.${epoch}`
}
