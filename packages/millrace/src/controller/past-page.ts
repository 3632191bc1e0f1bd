/**
 * Sealed segments and epochs of long ago. They never change again, so a stream that has scaled very often keeps them in pages
 * of their own, apart from the record that is written with every change (stream-records.ts). Nobody asks for them often; what
 * counts is that they take little memory and that most pages are skipped.
 */
import { assert } from '../base/assert.ts'
import { type Epoch, type History, newSegment, type StreamSegment } from './stream-segments.ts'

/** Number, epoch, low, high and the epoch that sealed it. */
const FIELDS = 5

export interface PastContent {
  readonly segments: readonly StreamSegment[]
  readonly epochs: readonly Epoch[]
}

export class PastPage {
  /** Names the page where it is stored. */
  readonly id: string
  readonly epochs: readonly Epoch[]
  /** The earliest epoch that one of the segments was created in, and the last one that sealed one. */
  readonly createdFirst: number
  readonly sealedLast: number
  readonly numberLast: number
  readonly #fields: Float64Array

  constructor(id: string, { segments, epochs }: PastContent) {
    this.id = id
    this.epochs = epochs
    this.#fields = new Float64Array(segments.length * FIELDS)
    let [createdFirst, sealedLast, numberLast] = [Number.POSITIVE_INFINITY, -1, -1]
    for (const [i, { number, epoch, low, high, sealedIn }] of segments.entries()) {
      assert(sealedIn !== undefined, 'What is open is not past')
      this.#fields.set([number, epoch, low, high, sealedIn], i * FIELDS)
      createdFirst = Math.min(createdFirst, epoch)
      sealedLast = Math.max(sealedLast, sealedIn)
      numberLast = Math.max(numberLast, number)
    }
    this.createdFirst = createdFirst
    this.sealedLast = sealedLast
    this.numberLast = numberLast
  }

  /** A page of which only the name is known yet. */
  static unread(id: string): PastPage {
    return new PastPage(id, { segments: [], epochs: [] })
  }

  /** No page is empty. */
  get isUnread(): boolean {
    return this.length === 0
  }

  get length(): number {
    return this.#fields.length / FIELDS
  }

  /** The segments that were created in `createdBy` at the latest and sealed after `sealedAfter`. */
  *segments(bounds: { createdBy: number; sealedAfter: number }): Generator<StreamSegment> {
    const { createdBy, sealedAfter } = bounds
    if (this.createdFirst > createdBy || this.sealedLast <= sealedAfter) return
    for (let at = 0; at < this.#fields.length; at += FIELDS)
      if (this.#fields[at + 1]! <= createdBy && this.#fields[at + 4]! > sealedAfter) yield this.#segmentAt(at)
  }

  find(wanted: { number: number; epoch: number }): StreamSegment | undefined {
    const { number, epoch } = wanted
    if (this.createdFirst > epoch || this.sealedLast <= epoch || this.numberLast < number) return undefined
    for (let at = 0; at < this.#fields.length; at += FIELDS)
      if (this.#fields[at] === number && this.#fields[at + 1] === epoch) return this.#segmentAt(at)
    return undefined
  }

  #segmentAt(at: number): StreamSegment {
    const [number, epoch, low, high, sealedIn] = this.#fields.subarray(at, at + FIELDS)
    return { ...newSegment({ number: number!, epoch: epoch!, low: low!, high: high! }), sealedIn }
  }
}

/** Sealed segments and epochs that stay in the record when others leave it, and how many there may be before some do. */
const KEPT = 256
const KEPT_MAX = 768

/** Of a page, which is one value of a table. */
const PAGE_SEGMENTS_MAX = 2048

/** What is to leave the record, in pages, and the history without it. */
export function splitPast(history: History): {
  readonly pages: readonly PastContent[]
  readonly rest: History
} {
  const sealed = history.segments.filter(({ sealedIn }) => sealedIn !== undefined)
  if (sealed.length <= KEPT_MAX) return { pages: [], rest: history }
  const leaving = sealed
    .toSorted((a, b) => (a.sealedIn ?? 0) - (b.sealedIn ?? 0))
    .slice(0, sealed.length - KEPT)
  const epochs = history.epochs.slice(0, -KEPT)
  const pages = Array.from({ length: Math.ceil(leaving.length / PAGE_SEGMENTS_MAX) }, (_, i) => ({
    segments: leaving.slice(i * PAGE_SEGMENTS_MAX, (i + 1) * PAGE_SEGMENTS_MAX),
    epochs: i === 0 ? epochs : [],
  }))
  const gone = new Set(leaving)
  const rest = {
    past: history.past,
    segments: history.segments.filter((segment) => !gone.has(segment)),
    epochs: history.epochs.slice(epochs.length),
  }
  return { pages, rest }
}
