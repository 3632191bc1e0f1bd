import { randomBytes, randomFillSync } from 'node:crypto'
import type { Random } from './host.ts'

const TWO_48 = 2 ** 48

/** Cryptographic randomness; small draws come from a pool, since each call into the generator costs microseconds. */
class NodeRandom implements Random {
  readonly #pool = Buffer.allocUnsafeSlow(4096)
  #used = this.#pool.length

  integer(bound: number): number {
    if (!Number.isSafeInteger(bound) || bound < 1 || bound > TWO_48)
      throw new RangeError(`A random bound is a whole number from 1 to 2^48, not ${bound}`)
    // Above the last whole multiple of the bound a remainder would favour small numbers.
    const fair = TWO_48 - (TWO_48 % bound)
    for (;;) {
      const value = this.#draw(6).readUIntBE(0, 6)
      if (value < fair) return value % bound
    }
  }

  ratio(): number {
    const drawn = this.#draw(7)
    return (drawn.readUIntBE(0, 3) * 2 ** 29 + (drawn.readUInt32BE(3) >>> 3)) / 2 ** 53
  }

  bytes(length: number): Buffer {
    return length > 256 ? randomBytes(length) : Buffer.from(this.#draw(length))
  }

  #draw(length: number): Buffer {
    if (this.#used + length > this.#pool.length) {
      randomFillSync(this.#pool)
      this.#used = 0
    }
    const start = this.#used
    this.#used += length
    return this.#pool.subarray(start, this.#used)
  }
}

export const nodeRandom: Random = new NodeRandom()
