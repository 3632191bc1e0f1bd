/** What comes behind segments of a stream. */
import type { Host } from '../../base/host.ts'
import type { Wait } from '../segment-calls.ts'
import type { StreamMetadata } from '../stream-metadata.ts'
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

/** All segments behind these, up to the end of the stream, each with those that it takes over from. */
export async function allBehind(
  metadata: StreamMetadata,
  ids: Iterable<bigint>,
  wait: Wait,
): Promise<ReadonlyMap<bigint, readonly bigint[]>> {
  const behind = new Map<bigint, readonly bigint[]>()
  const asked = new Set<bigint>(ids)
  // A set hands on what is added to it meanwhile.
  for (const id of asked) {
    for (const successor of await metadata.successors(id, wait)) {
      behind.set(successor.id, successor.predecessors)
      asked.add(successor.id)
    }
  }
  return behind
}
