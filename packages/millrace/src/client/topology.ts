/** Which segments a stream has, and whom each of them has taken over from. */
import { segmentIdOf, splitSegmentId } from '../protocol/names.ts'
import { invalidArgument, isMillraceError } from './errors.ts'
import type { Wait } from './segment-calls.ts'
import type { Segment, StreamMetadata } from './stream-metadata.ts'

const INT32_MAX = 2 ** 31 - 1

/** Keys hash into [0, 1): from `low` up to, but not including, `high`. */
export interface KeyRange {
  readonly low: number
  readonly high: number
}

export interface TopologySegment {
  /** `number.#epoch.epoch`, as in the segment's name. */
  readonly id: string
  readonly range: KeyRange
  /** The segments that this one has taken over from; none of one that the stream began with. */
  readonly predecessors: readonly string[]
}

export interface Topology {
  /** Rises with each change of the segments. */
  readonly epoch: number
  /** Those that take events now, sorted by key; none of a sealed stream. */
  readonly segments: readonly TopologySegment[]
}

/** Of a stream as it is now. Rejects `stream-not-found`. */
export async function currentTopology(metadata: StreamMetadata, wait: Wait): Promise<Topology> {
  return topologyOf(metadata, await metadata.current(wait), wait)
}

/** `current` are the stream's open segments. */
export async function topologyOf(
  metadata: StreamMetadata,
  current: readonly Segment[],
  wait: Wait,
): Promise<Topology> {
  const [epoch, segments] = await Promise.all([
    epochOf(metadata, current, wait),
    describeSegments(metadata, current, wait),
  ])
  return { epoch, segments }
}

/** After a change, without asking: what stays is known, and what is new has taken over from what was there. */
export function topologyAfter({ segments: before }: Topology, segments: readonly Segment[]): Topology {
  const known = new Map(before.map((segment) => [segment.id, segment]))
  return {
    epoch: latestEpoch(segments.map(({ id }) => id)),
    segments: segments.map(({ id, low, high }) => {
      const shown = showSegmentId(id)
      const predecessors = (): readonly TopologySegment[] =>
        before.filter(({ range }) => range.low < high && range.high > low)
      return (
        known.get(shown) ?? {
          id: shown,
          range: { low, high },
          predecessors: predecessors().map((segment) => segment.id),
        }
      )
    }),
  }
}

/** In which the segments are that are open, or of a sealed stream were last. */
export async function epochOf(
  metadata: StreamMetadata,
  current: readonly Segment[],
  wait: Wait,
): Promise<number> {
  if (current.length > 0) return latestEpoch(current.map(({ id }) => id))
  return latestEpoch(await metadata.between(await metadata.head(wait), new Map(), wait))
}

/** Each change makes segments and says in their ids when: the latest of them is as old as the last change. */
function latestEpoch(ids: Iterable<bigint>): number {
  let latest = 0
  for (const id of ids) latest = Math.max(latest, splitSegmentId(id).epoch)
  return latest
}

async function describeSegments(
  metadata: StreamMetadata,
  segments: readonly Segment[],
  wait: Wait,
): Promise<readonly TopologySegment[]> {
  const epochs = new Set(segments.map(({ id }) => splitSegmentId(id).epoch))
  const before = new Map<number, readonly Segment[]>()
  await Promise.all(
    [...epochs].map(async (epoch) => before.set(epoch, await segmentsBefore(metadata, epoch, wait))),
  )
  return segments.map(({ id, low, high }) => {
    const earlier = before.get(splitSegmentId(id).epoch) ?? []
    const predecessors = earlier.filter((segment) => segment.low < high && segment.high > low)
    return {
      id: showSegmentId(id),
      range: { low, high },
      predecessors: predecessors.map((segment) => showSegmentId(segment.id)),
    }
  })
}

/** Those of the epoch before; none before the first one, and where nothing is known of it any more. */
async function segmentsBefore(
  metadata: StreamMetadata,
  epoch: number,
  wait: Wait,
): Promise<readonly Segment[]> {
  if (epoch === 0) return []
  try {
    return await metadata.ofEpoch(epoch - 1, wait)
  } catch (error) {
    if (isMillraceError(error) && error.code === 'stream-not-found') return []
    throw error
  }
}

export function showSegmentId(id: bigint): string {
  const { number, epoch } = splitSegmentId(id)
  return `${number}.#epoch.${epoch}`
}

/** Throws `invalid-argument` if the text is the id of no segment. */
export function parseSegmentId(text: string): bigint {
  const match = typeof text === 'string' ? /^(\d{1,10})\.#epoch\.(\d{1,10})$/.exec(text) : null
  const number = Number(match?.[1])
  const epoch = Number(match?.[2])
  if (match === null || number > INT32_MAX || epoch > INT32_MAX)
    throw invalidArgument(`The id of a segment is number.#epoch.epoch, not '${String(text).slice(0, 60)}'`)
  return segmentIdOf({ number, epoch })
}
