/**
 * What a writer of events waits for: that all of his are durable. Many events share one, so that an event by itself needs no
 * promise; and no promise exists before somebody waits, so a failure that nobody asks about rejects nothing.
 */
import { assert } from '../base/assert.ts'

export class Completion {
  #pending = 0
  #error: Error | undefined
  #waiters: { resolve: () => void; reject: (error: Error) => void }[] = []

  /** The first failure. */
  get error(): Error | undefined {
    return this.#error
  }

  get settled(): boolean {
    return this.#pending === 0
  }

  /** One more event. */
  add(): void {
    this.#pending++
  }

  succeed(events: number): void {
    this.#pending -= events
    assert(this.#pending >= 0, 'An event is settled once')
    if (this.#pending > 0) return
    for (const { resolve } of this.#waiters.splice(0)) resolve()
  }

  fail(error: Error, events: number): void {
    this.#error ??= error
    for (const { reject } of this.#waiters.splice(0)) reject(this.#error)
    this.succeed(events)
  }

  /** Resolves when all events added so far, and until then, are durable; rejects with the first failure. */
  done(): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    if (this.#pending === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
  }
}
