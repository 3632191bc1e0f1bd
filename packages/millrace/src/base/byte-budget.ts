import { assert } from './assert.ts'

/**
 * Memory for a purpose, shared out in bytes in the order of asking. Who gets none yet waits where the bytes come from, so a
 * queue never grows with what clients send.
 *
 * Invariants: (1) 0 <= bytesUsed <= bytesMax. (2) Nobody is overtaken: behind a large request small ones wait too, or the
 * large one might wait for ever. (3) A request beyond the whole budget counts as the whole budget, both when it is
 * acquired and when it is released; it gets its turn alone.
 */
export class ByteBudget {
  readonly bytesMax: number
  #bytesUsed = 0
  /** In the order of asking. */
  readonly #waiters = new Set<Waiter>()

  constructor(options: { bytesMax: number }) {
    assert(Number.isSafeInteger(options.bytesMax) && options.bytesMax > 0, 'A budget has room')
    this.bytesMax = options.bytesMax
  }

  get bytesUsed(): number {
    return this.#bytesUsed
  }

  get waiters(): number {
    return this.#waiters.size
  }

  /** Takes the bytes if that is possible at once. */
  tryAcquire(bytes: number): boolean {
    const share = this.#share(bytes)
    if (this.#waiters.size > 0 || this.#bytesUsed + share > this.bytesMax) return false
    this.#bytesUsed += share
    return true
  }

  /** Takes the bytes once there is room; rejects with the signal's reason if that comes first. */
  acquire(bytes: number, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    return new Promise((resolve, reject) => {
      const signal = options?.signal
      signal?.throwIfAborted()
      if (this.tryAcquire(bytes)) return resolve()
      const waiter: Waiter = {
        share: this.#share(bytes),
        admit: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = (): void => {
        this.#waiters.delete(waiter)
        reject(signal?.reason as Error)
        this.#admit() // Smaller ones may have waited only for this one.
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
    })
  }

  /** Gives back what was acquired, in the same portions. */
  release(bytes: number): void {
    this.#bytesUsed -= this.#share(bytes)
    assert(this.#bytesUsed >= 0, 'No more is released than was acquired')
    this.#admit()
  }

  #share(bytes: number): number {
    assert(Number.isSafeInteger(bytes) && bytes >= 0, `No number of bytes: ${bytes}`)
    return Math.min(bytes, this.bytesMax)
  }

  #admit(): void {
    for (const waiter of this.#waiters) {
      if (this.#bytesUsed + waiter.share > this.bytesMax) return
      this.#waiters.delete(waiter)
      this.#bytesUsed += waiter.share
      waiter.admit()
    }
  }
}

interface Waiter {
  readonly share: number
  readonly admit: () => void
}
