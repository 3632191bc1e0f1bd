/**
 * Rates as exponentially weighted moving averages over a horizon `t`: after `d` seconds with `n` events
 *
 *     rate += (1 - e^(-d/t)) * (n/d - rate)
 *
 * the form that Unix load averages and Pravega's SegmentAggregates have, but with the time that has really passed for `d` instead
 * of a fixed tick. Two short steps then give exactly what one long step gives, so it does not matter who looks when, and nothing
 * has to tick. After a step from 0 to `r` the rate is 63 % of `r` after one horizon, and 95 % after three.
 */
import { assert } from '../base/assert.ts'

/** Per second. */
export interface Rates {
  readonly over2s: number
  readonly over10s: number
  readonly over60s: number
}

/** A stretch of time and what it weighs in each horizon: computed once for all that are brought up to date with it. */
export interface Stretch {
  readonly seconds: number
  readonly weight2s: number
  readonly weight10s: number
  readonly weight60s: number
}

export function stretchOf(ms: number): Stretch {
  assert(ms > 0, `A rate needs time: ${ms} ms`)
  const seconds = ms / 1000
  return {
    seconds,
    weight2s: -Math.expm1(-seconds / 2),
    weight10s: -Math.expm1(-seconds / 10),
    weight60s: -Math.expm1(-seconds / 60),
  }
}

export class MovingRates {
  #over2s = 0
  #over10s = 0
  #over60s = 0

  /** `count` of them have come during the stretch, evenly. */
  pass(stretch: Stretch, count: number): void {
    const rate = count / stretch.seconds
    this.#over2s += stretch.weight2s * (rate - this.#over2s)
    this.#over10s += stretch.weight10s * (rate - this.#over10s)
    this.#over60s += stretch.weight60s * (rate - this.#over60s)
  }

  get over10s(): number {
    return this.#over10s
  }

  get rates(): Rates {
    return { over2s: this.#over2s, over10s: this.#over10s, over60s: this.#over60s }
  }
}
