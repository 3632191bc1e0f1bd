/** Everything that is known of a stream at a moment, asked together. */
import type { ScopedName } from '../protocol/names.ts'
import { showCut, type StreamCut, tailOf } from './cuts.ts'
import { policyOf, type StreamPolicy } from './policy.ts'
import { type SegmentCalls, SegmentError, type Wait } from './segment-calls.ts'
import type { StreamMetadata } from './stream-metadata.ts'
import { type Topology, topologyOf } from './topology.ts'

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
  const [tail, between, topology] = await Promise.all([
    tailOf(metadata, segments, wait),
    metadata.between(head, new Map(), wait),
    topologyOf(metadata, current, wait),
  ])
  const sizes = await Promise.all([...between].map((id) => sizeOf(segments, metadata.nameOf(id), wait)))
  return {
    name: metadata.stream,
    sealed: current.length === 0,
    head: showCut(scoped, head),
    tail: showCut(scoped, tail),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    policy: policyOf(config),
    topology,
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
