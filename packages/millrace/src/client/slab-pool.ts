/**
 * Memory that events are encoded into. Slabs come in few sizes and are used again, so a steady stream of events allocates
 * nothing. One goes back when nobody holds it any more: neither the queue that fills it, nor events that are not durable
 * yet, nor a connection that still sends from it.
 */
import { assert } from '../base/assert.ts'

const SIZES = [16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024] as const

/** What does not fit among those that wait to be used again is left to the collector. */
const FREE_BYTES_MAX = 16 * 1024 * 1024

export class Slab {
  readonly bytes: Buffer
  /** How much of it is filled. */
  used = 0
  readonly #pool: SlabPool
  #holds = 1

  constructor(pool: SlabPool, bytes: Buffer) {
    this.#pool = pool
    this.bytes = bytes
  }

  get room(): number {
    return this.bytes.length - this.used
  }

  hold(): void {
    this.#holds++
  }

  letGo(): void {
    assert(this.#holds > 0, 'Nobody lets go of a slab that is not held')
    if (--this.#holds === 0) this.#pool.giveBack(this)
  }

  /** Taken from the pool again. */
  renew(): this {
    this.used = 0
    this.#holds = 1
    return this
  }
}

export class SlabPool {
  readonly #free: Slab[][] = SIZES.map(() => [])
  #freeBytes = 0

  /** A slab of at least `bytes`, held once. What is larger than the largest size is made to measure. */
  take(bytes: number): Slab {
    const index = SIZES.findIndex((size) => size >= bytes)
    const free = this.#free[index]?.pop()
    if (free !== undefined) {
      this.#freeBytes -= free.bytes.length
      return free.renew()
    }
    return new Slab(this, Buffer.allocUnsafeSlow(SIZES[index] ?? bytes))
  }

  giveBack(slab: Slab): void {
    const size = slab.bytes.length
    const free = this.#free[SIZES.findIndex((candidate) => candidate === size)]
    if (free === undefined || this.#freeBytes + size > FREE_BYTES_MAX) return
    this.#freeBytes += size
    free.push(slab)
  }
}
