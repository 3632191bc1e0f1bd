/** How much of its stream a group has still to read. */
import { parseSegmentName, segmentIdOf } from '../../protocol/names.ts'
import type { GroupState } from '../../protocol/reader-group/group-state.ts'
import { SegmentError, type Wait } from '../segment-calls.ts'
import { allBehind } from './following.ts'
import type { GroupIdentity } from './group-access.ts'
import { shownReader } from './reader-id.ts'

export interface Lag {
  /** Between where the readers are, as far as they have recorded it, and the tail; headers of events included. */
  readonly bytes: number
  /** The ids of those in the group now. */
  readonly readers: readonly string[]
}

export async function lagOf(identity: GroupIdentity, state: GroupState, wait: Wait): Promise<Lag> {
  const { metadata } = identity
  const readers = state.readers.map(shownReader)
  const ends = new Map(state.endSegments)
  const positions = positionsOf(state, metadata.stream)
  const behind = await allBehind(
    metadata,
    [...positions.keys()].map(idOf),
    // Where the group ends in a segment it does not go on behind it.
    { signal: wait.signal, ends: new Set([...ends.keys()].map(idOf)) },
  )
  for (const id of behind.keys()) {
    const segment = metadata.nameOf(id)
    if (!positions.has(segment)) positions.set(segment, 0)
  }
  const unread = [...positions].map(([segment, offset]) =>
    unreadBytes(identity, { segment, offset, end: ends.get(segment) ?? Number.POSITIVE_INFINITY }, wait),
  )
  const bytes = (await Promise.all(unread)).reduce((sum, part) => sum + part, 0)
  return { bytes, readers }
}

function idOf(segment: string): bigint {
  return segmentIdOf(parseSegmentName(segment))
}

/** Readers in Java write down where they are more often than where others would go on without them. */
function positionsOf(state: GroupState, stream: string): Map<string, number> {
  const positions = new Map(state.positions().get(stream))
  const lastRead = state.lastReadPositions(stream)
  for (const [segment, offset] of positions) {
    const read = lastRead.get(segment) ?? offset
    if (offset >= 0 && read > offset && !state.unassigned.has(segment)) positions.set(segment, read)
  }
  return positions
}

async function unreadBytes(
  { context }: GroupIdentity,
  { segment, offset, end }: { segment: string; offset: number; end: number },
  wait: Wait,
): Promise<number> {
  if (offset < 0) return 0
  try {
    const { startOffset, writeOffset } = await context.segments.segmentState(segment, wait)
    return Math.max(0, Math.min(writeOffset, end) - Math.max(offset, startOffset))
  } catch (error) {
    // Truncated away.
    if (error instanceof SegmentError && error.code === 'no-such-segment') return 0
    throw error
  }
}
