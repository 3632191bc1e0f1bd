/** What comes behind segments of a stream. */
import type { Host } from '../../base/host.ts'
import type { Wait } from '../segment-calls.ts'
import type { Cut, StreamMetadata } from '../stream-metadata.ts'
import type { Following, FollowingSegment } from './holding.ts'

/** Behind one that has been read to its end. Waits if that is not known yet. */
export async function followingOf(
  metadata: StreamMetadata,
  id: bigint,
  wait: Wait & { host: Host },
): Promise<Following> {
  const following = await metadata.following(id, wait)
  if (following === 'sealed') return { kind: 'successors', successors: [] }
  if (following === 'replaced') return replacement(metadata, wait)
  const successors = following.map(({ name, low, high, predecessors }) => ({
    segment: name,
    range: { low, high },
    predecessors,
  }))
  return { kind: 'successors', successors }
}

async function replacement(metadata: StreamMetadata, wait: Wait): Promise<Following> {
  const head = await metadata.head(wait)
  const known = await metadata.between(head, new Map(), wait)
  const segments = [...head.keys()].map(
    (id): FollowingSegment => ({ segment: metadata.nameOf(id), range: undefined, predecessors: [] }),
  )
  return { kind: 'replaced', head: segments, known }
}

/** All segments behind these, up to the end of the stream, each with those that it takes over from. Not what is behind `ends`. */
export async function allBehind(
  metadata: StreamMetadata,
  ids: Iterable<bigint>,
  { signal, ends }: Wait & { ends?: ReadonlySet<bigint> },
): Promise<ReadonlyMap<bigint, readonly bigint[]>> {
  const behind = new Map<bigint, readonly bigint[]>()
  const asked = new Set<bigint>()
  let next = [...ids]
  while (next.length > 0) {
    for (const id of next) asked.add(id)
    const open = ends === undefined ? next : next.filter((id) => !ends.has(id))
    const successors = await Promise.all(open.map((id) => metadata.successors(id, { signal })))
    for (const { id, predecessors } of successors.flat()) behind.set(id, predecessors)
    next = [...behind.keys()].filter((id) => !asked.has(id))
  }
  return behind
}

/**
 * Segments that were read to their ends before a cut was made, which then does not name them, though something behind it takes
 * over from them. So are cuts of groups, amid a merge.
 */
export async function missingBefore(
  metadata: StreamMetadata,
  cut: Cut,
  wait: Wait,
): Promise<ReadonlySet<bigint>> {
  const behind = await allBehind(metadata, cut.keys(), wait)
  return new Set([...behind.values()].flat().filter((id) => !cut.has(id) && !behind.has(id)))
}
