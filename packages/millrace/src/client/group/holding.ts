/** A segment that a reader of a group owns, from when it acquires it until it gives it away or loses it. */
import { parseSegmentName, segmentIdOf } from '../../protocol/names.ts'
import type { KeyRange } from '../../protocol/segment-fields.ts'
import type { Claim } from '../events.ts'

/** What takes over from a segment that has been read to its end. */
export type Following =
  | { readonly kind: 'successors'; readonly successors: readonly FollowingSegment[] }
  /**
   * The stream was deleted, and there is another one of its name now. `head` is where that begins, and `known` are all its
   * segments.
   */
  | {
      readonly kind: 'replaced'
      readonly head: readonly FollowingSegment[]
      readonly known: ReadonlySet<bigint>
    }

export interface FollowingSegment {
  readonly segment: string
  readonly range: KeyRange | undefined
  /** All of the segments that it takes over from. */
  readonly predecessors: readonly bigint[]
}

/** Why there is nothing more to be read. */
export type HoldingEnd =
  /** The reader was asked to read up to there. */
  | { readonly kind: 'at-cut' }
  /** The group ends there. */
  | { readonly kind: 'at-group-end' }
  /** The segment has been read to its end. `following` is undefined until it is known. */
  | { readonly kind: 'ended'; readonly following: Following | undefined }

export class Holding implements Claim {
  readonly segment: string
  readonly id: bigint
  /** What the group's state has for `position`. */
  recorded: number
  end: HoldingEnd | undefined
  lost = false
  /** Not being read, since it may be about to be given away. */
  paused = false
  #position: number

  constructor(segment: string, offset: number) {
    this.segment = segment
    this.id = segmentIdOf(parseSegmentName(segment))
    this.recorded = offset
    this.#position = offset
  }

  /** Everything before has been acknowledged: whoever goes on with the segment starts here. */
  get position(): number {
    return this.#position
  }

  ack(offset: number): void {
    if (!this.lost && offset > this.#position) this.#position = offset
  }
}
