/**
 * Durations in whole microseconds, counted in buckets whose width grows with the value: 32 per doubling, so a percentile
 * is at most 1/32 too high and never too low. Recording allocates nothing. Values from 0 to 2^32 - 1 (71 minutes);
 * larger ones count as the largest.
 */
const SUB_BITS = 5
const SUB_BUCKETS = 1 << SUB_BITS
const BUCKETS = (32 - SUB_BITS + 1) * SUB_BUCKETS
const VALUE_MAX = 2 ** 32 - 1

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS)
  #count = 0
  #sum = 0
  #max = 0
  #min = VALUE_MAX

  get count(): number {
    return this.#count
  }

  /** 0 while nothing is recorded, as are all of the following. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count
  }

  get max(): number {
    return this.#max
  }

  get min(): number {
    return this.#count === 0 ? 0 : this.#min
  }

  record(valueUs: number): void {
    const value = valueUs > 0 ? Math.min(Math.floor(valueUs), VALUE_MAX) : 0
    const index = bucketOf(value)
    this.#counts[index] = this.#counts[index]! + 1
    this.#count++
    this.#sum += value
    if (value > this.#max) this.#max = value
    if (value < this.#min) this.#min = value
  }

  /** The value that this share of all does not exceed; `percent` from 0 to 100. */
  percentile(percent: number): number {
    const rank = Math.max(Math.ceil((Math.min(percent, 100) / 100) * this.#count), 1)
    let seen = 0
    for (let index = 0; index < BUCKETS; index++) {
      seen += this.#counts[index]!
      if (seen >= rank) return Math.min(upperBoundOf(index), this.#max)
    }
    return 0
  }

  /** Adds what the other one has recorded. */
  merge(other: Histogram): void {
    for (let index = 0; index < BUCKETS; index++)
      this.#counts[index] = this.#counts[index]! + other.#counts[index]!
    this.#count += other.#count
    this.#sum += other.#sum
    this.#max = Math.max(this.#max, other.#max)
    this.#min = Math.min(this.#min, other.#min)
  }

  reset(): void {
    this.#counts.fill(0)
    this.#count = 0
    this.#sum = 0
    this.#max = 0
    this.#min = VALUE_MAX
  }
}

function bucketOf(value: number): number {
  if (value < SUB_BUCKETS) return value
  const shift = 31 - SUB_BITS - Math.clz32(value)
  return shift * SUB_BUCKETS + (value >>> shift)
}

function upperBoundOf(index: number): number {
  if (index < SUB_BUCKETS) return index
  const shift = Math.floor(index / SUB_BUCKETS) - 1
  return (index - shift * SUB_BUCKETS + 1) * 2 ** shift - 1
}
