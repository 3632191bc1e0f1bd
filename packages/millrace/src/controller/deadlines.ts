/**
 * Things that come due, with one timer for the earliest of them, and none while there are none. They may be put off, brought
 * forward and taken out at any time, thousands of them, in logarithmic time: a heap whose things know their place in it.
 */
import type { Clock, Timer } from '../base/host.ts'

export interface Dated {
  /** Of the monotonic clock. */
  dueMs: number
  /** Where it is kept here; -1 while it is not. */
  place: number
}

export class Deadlines<T extends Dated> {
  readonly #clock: Clock
  readonly #onDue: (things: readonly T[]) => void
  readonly #heap: T[] = []
  #timer: { readonly timer: Timer; readonly dueMs: number } | undefined

  constructor(clock: Clock, onDue: (things: readonly T[]) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  get size(): number {
    return this.#heap.length
  }

  /** Puts it in, or at another time. */
  set(thing: T, dueMs: number): void {
    const isLater = dueMs > thing.dueMs
    thing.dueMs = dueMs
    if (thing.place < 0) {
      thing.place = this.#heap.push(thing) - 1
      this.#rise(thing)
    } else if (isLater) this.#sink(thing)
    else this.#rise(thing)
    this.#arm()
  }

  remove(thing: T): void {
    if (thing.place < 0) return
    this.#takeOut(thing)
    this.#arm()
  }

  clear(): void {
    for (const thing of this.#heap.splice(0)) thing.place = -1
    this.#arm()
  }

  #arm(): void {
    const first = this.#heap[0]
    // One that fires too early only looks again, which is cheaper than a new timer for every change.
    if (first !== undefined && this.#timer !== undefined && this.#timer.dueMs <= first.dueMs) return
    this.#timer?.timer.cancel()
    this.#timer = undefined
    if (first === undefined) return
    const { dueMs } = first
    const delayMs = Math.max(dueMs - this.#clock.monotonicMs(), 0)
    this.#timer = { dueMs, timer: this.#clock.setTimer(delayMs, () => this.#fire(), { weak: true }) }
  }

  #fire(): void {
    this.#timer = undefined
    const now = this.#clock.monotonicMs()
    const due: T[] = []
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= now; first = this.#heap[0]) {
      due.push(first)
      this.#takeOut(first)
    }
    this.#arm()
    if (due.length > 0) this.#onDue(due)
  }

  #takeOut(thing: T): void {
    const { place } = thing
    const last = this.#heap.pop()!
    thing.place = -1
    if (last === thing) return
    this.#put(last, place)
    this.#rise(last)
    this.#sink(last)
  }

  #rise(thing: T): void {
    while (thing.place > 0) {
      const parent = this.#heap[(thing.place - 1) >> 1]!
      if (parent.dueMs <= thing.dueMs) return
      this.#swap(parent, thing)
    }
  }

  #sink(thing: T): void {
    for (;;) {
      const left = this.#heap[thing.place * 2 + 1]
      const right = this.#heap[thing.place * 2 + 2]
      if (left === undefined) return
      const least = right !== undefined && right.dueMs < left.dueMs ? right : left
      if (thing.dueMs <= least.dueMs) return
      this.#swap(thing, least)
    }
  }

  #swap(parent: T, child: T): void {
    const { place } = parent
    this.#put(parent, child.place)
    this.#put(child, place)
  }

  #put(thing: T, place: number): void {
    this.#heap[place] = thing
    thing.place = place
  }
}
