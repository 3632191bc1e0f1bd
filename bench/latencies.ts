/** Latencies as results hold them: milliseconds. */
import type { Histogram } from '../packages/millrace/src/base/histogram.ts'

export interface Latencies {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** From a histogram of microseconds. */
export function latenciesOf(histogram: Histogram): Latencies {
  const at = (percent: number): number => histogram.percentile(percent) / 1000
  return {
    count: histogram.count,
    p50: at(50),
    p95: at(95),
    p99: at(99),
    p999: at(99.9),
    max: histogram.max / 1000,
  }
}
