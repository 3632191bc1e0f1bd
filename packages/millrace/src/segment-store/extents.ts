/**
 * Which log files hold the bytes of which extent. An extent is the bytes that one segment was given, numbered like that
 * segment and addressed by the segment's own offsets; it outlives the segment when that is merged into another.
 *
 * Memory grows with extents times files, never with bytes: where in a file a byte stands is the log's to know.
 */
import { assert } from '../base/assert.ts'
import type { CacheBlock } from './block-cache.ts'
import type { Place } from './log/durable-log.ts'

export interface Extent {
  readonly id: number
  /** Segments that read from it, counted once for each run. */
  references: number
  /** Ascending; a range lasts until the next one begins. */
  readonly ranges: Range[]
  /** Behind the last byte that has a place. */
  end: number
  /** Bytes in memory, by offset. */
  readonly blocks: CacheBlock[]
  /** The bytes that the frame now being gathered has of it, as long as the next ones can join them. */
  run: { readonly block: CacheBlock; end: number } | undefined
}

interface Range {
  readonly from: number
  readonly place: Place
}

export class Extents {
  readonly #extents = new Map<number, Extent>()
  /** How many ranges lie in each file. */
  readonly #ranges = new Map<Place, number>()
  readonly #onFree: (place: Place) => void

  /** `onFree` hears of each place that holds nothing any more. */
  constructor(onFree: (place: Place) => void) {
    this.#onFree = onFree
  }

  get places(): Iterable<Place> {
    return this.#ranges.keys()
  }

  values(): Iterable<Extent> {
    return this.#extents.values()
  }

  get(id: number): Extent | undefined {
    return this.#extents.get(id)
  }

  add(id: number, references = 1): Extent {
    assert(!this.#extents.has(id), `Extent ${id} is there already`)
    const extent: Extent = { id, references, ranges: [], end: 0, blocks: [], run: undefined }
    this.#extents.set(id, extent)
    return extent
  }

  /**
   * Bytes from `offset` on are in this file. What was noted from there on before is void: after a restart the last frames are
   * given again, and some of them elsewhere.
   */
  note(extent: Extent, { offset, length }: { offset: number; length: number }, place: Place): void {
    const { ranges } = extent
    extent.end = offset + length
    for (let last = ranges.at(-1); last !== undefined && last.from >= offset; last = ranges.at(-1)) {
      ranges.pop()
      this.#leave(last.place)
    }
    if (ranges.at(-1)?.place === place) return
    ranges.push({ from: offset, place })
    this.#ranges.set(place, (this.#ranges.get(place) ?? 0) + 1)
  }

  /** Bytes that have stood elsewhere are in this file now. */
  move(extent: Extent, { offset, length }: { offset: number; length: number }, place: Place): void {
    const end = Math.min(offset + length, extent.end)
    if (end <= offset) return
    const kept: Range[] = []
    let behind: Place | undefined
    for (const [index, range] of extent.ranges.entries()) {
      const next = extent.ranges[index + 1]?.from ?? extent.end
      if (range.from < offset) kept.push(range)
      // What stood at the end of the moved bytes goes on behind them.
      if (range.from <= end && next > end) behind = range.place
      if (range.from >= end) kept.push(range)
    }
    const moved = [...kept.filter(({ from }) => from < offset), { from: offset, place }]
    const rest = kept.filter(({ from }) => from >= end)
    if (behind !== undefined && rest[0]?.from !== end) moved.push({ from: end, place: behind })
    this.#replace(extent, [...moved, ...rest])
  }

  /** How many bytes have their place in each file, as far as that is known without looking. */
  liveBytes(): Map<Place, number> {
    const live = new Map<Place, number>()
    for (const extent of this.#extents.values())
      for (const { place, from, to } of rangesOf(extent)) live.set(place, (live.get(place) ?? 0) + to - from)
    return live
  }

  placeOf(extent: Extent, offset: number): Place | undefined {
    const { ranges } = extent
    let low = 0
    let high = ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ranges[middle]!.from <= offset) low = middle + 1
      else high = middle
    }
    return ranges[low - 1]?.place
  }

  /** Nobody reads below `offset` any more; `end` is behind the extent's last byte. */
  trim(extent: Extent, offset: number, end: number): void {
    const { ranges } = extent
    while (ranges.length > 0 && (ranges[1]?.from ?? end) <= offset) this.#leave(ranges.shift()!.place)
  }

  /** One reader of it less; the last one takes it along. */
  release(extent: Extent): void {
    extent.references--
    if (extent.references > 0) return
    this.#extents.delete(extent.id)
    for (const { place } of extent.ranges.splice(0)) this.#leave(place)
  }

  #replace(extent: Extent, ranges: readonly Range[]): void {
    const before = extent.ranges.splice(0)
    for (const range of ranges) {
      // Neighbours in one file are one range.
      if (extent.ranges.at(-1)?.place === range.place) continue
      extent.ranges.push(range)
      this.#ranges.set(range.place, (this.#ranges.get(range.place) ?? 0) + 1)
    }
    for (const { place } of before) this.#leave(place)
  }

  #leave(place: Place): void {
    const left = this.#ranges.get(place)! - 1
    if (left > 0) {
      this.#ranges.set(place, left)
      return
    }
    this.#ranges.delete(place)
    this.#onFree(place)
  }
}

export function rangesOf(extent: Extent): { place: Place; from: number; to: number }[] {
  return extent.ranges.map(({ place, from }, index) => ({
    place,
    from,
    to: extent.ranges[index + 1]?.from ?? extent.end,
  }))
}
