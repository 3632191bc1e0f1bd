/** A stream that splits and merges, as far as readers of a group have to do with it, and a ledger of what they have read of it. */
import { ok } from 'node:assert/strict'
import type { Following, FollowingSegment } from '../client/group/holding.ts'
import { parseSegmentName, segmentIdOf, segmentNameOfId } from '../protocol/names.ts'
import type { KeyRange } from '../protocol/segment-fields.ts'

/** Where the segment ends once it is sealed. */
export const LENGTH = 100

interface ModelSegment {
  readonly name: string
  readonly range: KeyRange
  readonly predecessors: readonly string[]
  sealed: boolean
  /** How far it has been read, by whomever. */
  read: number
}

export class ScalingModel {
  readonly #segments = new Map<string, ModelSegment>()
  #open: ModelSegment[] = []
  #epoch = 0
  /** Somebody died, and what was not recorded comes again. */
  mayRepeat = false

  constructor(segments: number) {
    const bounds = Array.from({ length: segments + 1 }, (_, index) => index / segments)
    this.#open = rangesOf(bounds).map((range) => this.#add(range, []))
  }

  get open(): readonly string[] {
    return this.#open.map(({ name }) => name)
  }

  /** All of them, those that ended included. */
  get names(): readonly string[] {
    return [...this.#segments.keys()]
  }

  /** Puts `into` segments of different sizes in the place of up to `count`, from the one at `from` on. */
  scale({ from, count, into }: { from: number; count: number; into: number }): void {
    const first = from % this.#open.length
    const sealed = this.#open.slice(first, first + count)
    const low = sealed[0]!.range.low
    const high = sealed.at(-1)!.range.high
    const bounds = Array.from({ length: into + 1 }, (_, index) => low + (high - low) * (index / into) ** 2)
    bounds[into] = high
    this.#epoch++
    for (const segment of sealed) segment.sealed = true
    const added = rangesOf(bounds).map((range) => {
      const before = sealed.filter(({ range: old }) => old.low < range.high && old.high > range.low)
      return this.#add(
        range,
        before.map(({ name }) => name),
      )
    })
    this.#open.splice(first, sealed.length, ...added)
  }

  following(name: string): Following {
    const successors = [...this.#segments.values()]
      .filter(({ predecessors }) => predecessors.includes(name))
      .map(
        ({ name: segment, range, predecessors }): FollowingSegment => ({
          segment,
          range,
          predecessors: predecessors.map((one) => segmentIdOf(parseSegmentName(one))),
        }),
      )
    return { kind: 'successors', successors }
  }

  /** Somebody reads on from here; returns where that ends, and whether the segment does. */
  read(name: string, from: number, bytes: number): { to: number; ended: boolean } {
    const segment = this.#segments.get(name)!
    for (const predecessor of segment.predecessors) {
      const { sealed, read } = this.#segments.get(predecessor)!
      ok(sealed && read === LENGTH, `${name} is read before ${predecessor} has been`)
    }
    ok(from === segment.read || (this.mayRepeat && from < segment.read), `${name} is read on from ${from}`)
    const to = Math.min(from + bytes, LENGTH)
    segment.read = Math.max(segment.read, to)
    return { to, ended: segment.sealed && to === LENGTH }
  }

  get allRead(): boolean {
    return [...this.#segments.values()].every(({ read }) => read === LENGTH)
  }

  #add(range: KeyRange, predecessors: readonly string[]): ModelSegment {
    const id = segmentIdOf({ number: this.#segments.size, epoch: this.#epoch })
    const name = segmentNameOfId('shop', 'orders', id)
    const segment = { name, range, predecessors, sealed: false, read: 0 }
    this.#segments.set(name, segment)
    return segment
  }
}

function rangesOf(bounds: readonly number[]): KeyRange[] {
  return bounds.slice(1).map((high, index) => ({ low: bounds[index]!, high }))
}
