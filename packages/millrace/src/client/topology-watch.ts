/** The segments of a stream as they change: polled, with the epochs between two polls fetched, so that none is left out. */
import type { Host } from '../base/host.ts'
import { asMillraceError, isMillraceError } from './errors.ts'
import type { Wait } from './segment-calls.ts'
import type { Segment, StreamMetadata } from './stream-metadata.ts'
import { currentTopology, epochOf, showSegmentId, type Topology, topologyAfter } from './topology.ts'
import { sleep } from './waiting.ts'

export interface WatchParts {
  readonly host: Host
  readonly metadata: StreamMetadata
  /** Aborted when the store closes. */
  readonly closing: AbortSignal
}

/** A look is one small call to the controller. */
const LOOK_EVERY_MS = 1000

/** Each iteration watches by itself, and asks nothing between its steps. */
export function watchTopology(parts: WatchParts, { signal }: Wait): AsyncIterable<Topology> {
  return {
    [Symbol.asyncIterator]() {
      const left = new AbortController()
      const signals = [parts.closing, left.signal, ...(signal === undefined ? [] : [signal])]
      const wait = { signal: AbortSignal.any(signals) }
      const topologies = follow(parts, wait, left.signal)
      return {
        next: () => topologies.next(),
        return: () => {
          left.abort()
          return topologies.return(undefined)
        },
      }
    },
  }
}

/** Ends when the stream is deleted, and when whoever watches leaves while it waits. */
async function* follow(
  { host, metadata }: WatchParts,
  wait: { readonly signal: AbortSignal },
  left: AbortSignal,
): AsyncGenerator<Topology, undefined> {
  let last: Topology | undefined
  try {
    wait.signal.throwIfAborted()
    last = await currentTopology(metadata, wait)
    yield last
    for (;;) {
      await sleep(host.clock, LOOK_EVERY_MS, wait.signal)
      const current = await metadata.current(wait)
      const epoch = await epochOf(metadata, current, wait)
      if (!(await isLaterThan(metadata, last, { epoch, current }, wait))) return
      while (last.epoch < epoch) {
        const next = last.epoch + 1
        const isCurrent = next === epoch && current.length > 0
        last = topologyAfter(last, isCurrent ? current : await metadata.ofEpoch(next, wait))
        yield last
      }
      if (current.length > 0 || last.segments.length === 0) continue
      last = { epoch, segments: [] }
      yield last
    }
  } catch (error) {
    if (left.aborted) return
    if (last !== undefined && isMillraceError(error) && error.code === 'stream-not-found') return
    throw asMillraceError(error, metadata.stream)
  }
}

/** The same stream as before, that is, and not one that was made again under its name. */
async function isLaterThan(
  metadata: StreamMetadata,
  last: Topology,
  { epoch, current }: { readonly epoch: number; readonly current: readonly Segment[] },
  wait: Wait,
): Promise<boolean> {
  if (epoch < last.epoch) return false
  const sealed = current.length === 0
  if (last.segments.length === 0) return sealed && epoch === last.epoch
  if (epoch === last.epoch && sealed) return true
  const then = epoch === last.epoch ? current : await metadata.ofEpoch(last.epoch, wait)
  const known = new Set(last.segments.map(({ id }) => id))
  return then.length === known.size && then.every(({ id }) => known.has(showSegmentId(id)))
}
