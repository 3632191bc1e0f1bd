/** What the controller knows of the segments of one stream, in the form that readers and writers use. */
import type { Host } from '../base/host.ts'
import type { SegmentRange, StreamConfig, StreamInfo } from '../protocol/controller/messages.ts'
import {
  ControllerError,
  type ControllerErrorCode,
  type ControllerService,
} from '../protocol/controller/service.ts'
import { type ScopedName, scopedName, segmentNameOfId } from '../protocol/names.ts'
import { invalidArgument, streamNotFound, streamSealed } from './errors.ts'
import type { Wait } from './segment-calls.ts'
import { Backoff } from './waiting.ts'

/** Keys from `low` up to, but not including, `high`. */
export interface Segment {
  readonly id: bigint
  readonly name: string
  readonly low: number
  readonly high: number
}

/** Offsets by segment id: a place in a stream. */
export type Cut = ReadonlyMap<bigint, number>

export interface Successor extends Segment {
  /** All segments whose keys it has taken over, wholly or in part. */
  readonly predecessors: readonly bigint[]
}

const MAY_MEAN_SEALED: readonly ControllerErrorCode[] = [
  'unknown',
  'invalid-argument',
  'failed-precondition',
  'aborted',
  'internal',
]

export class StreamMetadata {
  /** `scope/stream` */
  readonly stream: string
  readonly info: StreamInfo
  readonly #controller: ControllerService

  constructor(controller: ControllerService, { scope, name }: ScopedName) {
    this.#controller = controller
    this.info = { scope, stream: name }
    this.stream = scopedName(scope, name)
  }

  /** Those that take events now, sorted by key; none if the stream is sealed. Rejects `stream-not-found`. */
  async current({ signal }: Wait = {}): Promise<readonly Segment[]> {
    const response = this.#controller.getCurrentSegments(this.info, { signal })
    const { segmentRanges } = await this.#orNotFound(response)
    return segmentRanges.map((range) => this.segment(range))
  }

  /** As `current`, but a sealed stream is an error. */
  async writable(options: Wait = {}): Promise<readonly Segment[]> {
    const segments = await this.current(options)
    if (segments.length === 0) throw streamSealed(this.stream)
    return segments
  }

  /** Those of an epoch that has begun, sorted by key, whatever has become of them since. Rejects `stream-not-found`. */
  async ofEpoch(epoch: number, { signal }: Wait = {}): Promise<readonly Segment[]> {
    const response = this.#controller.getEpochSegments({ streamInfo: this.info, epoch }, { signal })
    const { segmentRanges } = await this.#orNotFound(response)
    return segmentRanges.map((range) => this.segment(range)).toSorted((one, two) => one.low - two.low)
  }

  /** Where the stream starts. */
  async head({ signal }: Wait = {}): Promise<Cut> {
    const request = { streamInfo: this.info, timestamp: 0n }
    const { segments } = await this.#orNotFound(this.#controller.getSegments(request, { signal }))
    return new Map(segments.map(({ segmentId, offset }) => [segmentId.segmentId, offset]))
  }

  async config({ signal }: Wait = {}): Promise<StreamConfig> {
    return this.#orNotFound(this.#controller.getStreamConfiguration(this.info, { signal }))
  }

  /** None while the segment takes events, none at the end of a stream, and none if the controller does not know it. */
  async successors(id: bigint, { signal }: Wait = {}): Promise<readonly Successor[]> {
    const request = { streamInfo: this.info, segmentId: id }
    try {
      const { segments } = await this.#controller.getSegmentsImmediatelyFollowing(request, { signal })
      return segments.map(({ segment, value }) => ({ ...this.segment(segment), predecessors: value }))
    } catch (error) {
      if (error instanceof ControllerError && error.code === 'not-found') return []
      throw error
    }
  }

  /**
   * What takes over from a segment that has ended, once that is known: `sealed` if nothing does, since the stream takes no more
   * events; `replaced` if the stream was deleted and made again. Rejects `stream-not-found`.
   */
  async following(
    id: bigint,
    { host, signal }: Wait & { host: Host },
  ): Promise<readonly Successor[] | 'sealed' | 'replaced'> {
    const backoff = new Backoff(host)
    for (;;) {
      const successors = await this.successors(id, { signal })
      if (successors.length > 0) return successors
      const current = await this.current({ signal })
      if (current.length === 0) return 'sealed'
      if (current.every((segment) => segment.id !== id)) return 'replaced'
      await backoff.wait(signal)
    }
  }

  /** The segments that have events between two cuts. Rejects `invalid-argument` for cuts that are none of this stream. */
  async between(from: Cut, to: Cut, { signal }: Wait = {}): Promise<ReadonlySet<bigint>> {
    const request = { streamInfo: this.info, from, to }
    try {
      const { segments } = await this.#orNotFound(this.#controller.getSegmentsBetween(request, { signal }))
      return new Set(segments.map(({ segmentId }) => segmentId))
    } catch (error) {
      if (error instanceof ControllerError && error.code !== 'unavailable')
        throw invalidArgument(`The cuts do not delimit a part of ${this.stream}: ${error.message}`, error)
      throw error
    }
  }

  /**
   * A call that only a stream that is not sealed takes. Controllers refuse it in ways of their own, so it is looked up afterwards
   * whether that was the reason. Rejects `stream-not-found` and `stream-sealed`.
   */
  async unlessSealed<R>(call: () => Promise<R>, wait: Wait): Promise<R> {
    try {
      return await this.#orNotFound(call())
    } catch (error) {
      if (error instanceof ControllerError && MAY_MEAN_SEALED.includes(error.code)) await this.writable(wait)
      throw error
    }
  }

  nameOf(id: bigint): string {
    return segmentNameOfId(this.info.scope, this.info.stream, id)
  }

  segment({ segmentId, minKey, maxKey }: SegmentRange): Segment {
    const id = segmentId.segmentId
    return { id, name: this.nameOf(id), low: minKey, high: maxKey }
  }

  async #orNotFound<T>(response: Promise<T>): Promise<T> {
    try {
      return await response
    } catch (error) {
      if (error instanceof ControllerError && error.code === 'not-found') throw streamNotFound(this.stream)
      throw error
    }
  }
}
