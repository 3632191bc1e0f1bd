import { assert } from '../../base/assert.ts'
import type { Random } from '../../base/host.ts'

const TWO_32 = 2 ** 32
const TWO_48 = 2 ** 48

/**
 * Chris Doty-Humphrey's sfc32: small, fast, long periods, and no arithmetic beyond 32 bits. A fork is a stream of its
 * own that depends on the seed and its label only, so drawing more from one stream does not shift another.
 */
export class SimRandom implements Random {
  readonly #seed: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: string) {
    this.#seed = seed
    this.#a = hashText(seed, 0x9e3779b9)
    this.#b = hashText(seed, 0x243f6a88)
    this.#c = hashText(seed, 0xb7e15162)
    for (let i = 0; i < 15; i++) this.word()
  }

  fork(label: string): SimRandom {
    return new SimRandom(`${this.#seed}/${label}`)
  }

  integer(bound: number): number {
    assert(Number.isSafeInteger(bound) && bound >= 1 && bound <= TWO_48, `No random bound: ${bound}`)
    // The bias of a remainder is below 2^-16 for every bound a simulation uses.
    if (bound <= TWO_32) return bound === TWO_32 ? this.word() : this.word() % bound
    return ((this.word() & 0xffff) * TWO_32 + this.word()) % bound
  }

  ratio(): number {
    return ((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53
  }

  bytes(length: number): Buffer {
    const buffer = Buffer.alloc(length)
    for (let i = 0; i < length; i++) buffer[i] = this.word()
    return buffer
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return probability > 0 && this.ratio() < probability
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.integer(high - low + 1)
  }

  pick<T>(choices: readonly T[]): T {
    assert(choices.length > 0, 'Nothing to pick from')
    return choices[this.integer(choices.length)]!
  }

  /** Exponentially distributed around `mean`. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.ratio())
  }

  /** The next 32 bits. */
  word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }
}

/** FNV-1a with a final mix. */
export function hashText(text: string, start: number): number {
  let hash = start | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
