import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  byEvents,
  even,
  LoadModel,
  type LoadOf,
  type ScaleEvent,
  withHotKey,
} from '../../testing/load-model.ts'
import { SimRandom } from '../../testing/sim/sim-random.ts'

const TARGET = 5000
const DAY = 86_400
const LOOK_SECONDS = 2
const HOLD_OFF_MS = 600_000

/** Events a second at a time of the day. */
type Curve = (second: number) => number

/** A day with a look every two seconds. */
function day(
  curve: Curve,
  options: { spread?: (rate: number) => LoadOf; scaleFactor?: number } = {},
): LoadModel {
  const { spread = even, scaleFactor = 4 } = options
  const stream = new LoadModel({ policy: byEvents(TARGET, { scaleFactor }) })
  for (let second = 0; second < DAY; second += LOOK_SECONDS)
    stream.step(LOOK_SECONDS * 1000, spread(curve(second)))
  return stream
}

function diurnal(peak: number): Curve {
  return (second) => 50 + (peak / 2) * (1 - Math.cos((2 * Math.PI * second) / DAY))
}

/** Each value somewhere within 30 % of the curve's. */
function noisy(curve: Curve, seed: string): Curve {
  const random = new SimRandom(seed)
  return (second) => curve(second) * (0.7 + 0.6 * random.ratio())
}

/** No range is merged soon after it was split, nor split soon after it was merged. */
function assertNoFlapping(scales: readonly ScaleEvent[]): void {
  for (const [i, later] of scales.entries())
    for (const earlier of scales.slice(0, i)) {
      if (later.kind === earlier.kind || later.atMs - earlier.atMs >= HOLD_OFF_MS) continue
      const touches = later.into.some((range) =>
        earlier.into.some((other) => range.low < other.high && other.low < range.high),
      )
      ok(
        !touches,
        `${earlier.kind} at ${earlier.atMs} ms, ${later.kind} at ${later.atMs} ms: ${later.detail}`,
      )
    }
}

test('through a day, streams of any size follow the load with few scales, never back and forth', () => {
  for (const segments of [0.4, 2, 5, 12]) {
    const stream = day(noisy(diurnal(segments * TARGET), `diurnal ${segments}`))
    assertNoFlapping(stream.scales)
    const most = Math.max(1, ...stream.scales.map(({ count }) => count))
    ok(most >= Math.floor(segments) && most <= 2.5 * segments + 1, `${most} segments for ${segments}`)
    ok(stream.scales.length <= 4 + 2 * Math.log2(most) * 2, `${stream.scales.length} scales for ${segments}`)
    strictEqual(stream.count, 1)
  }
})

test('a steady load near the target, or near half of it, is left as it is', () => {
  const near = day(noisy(() => 0.95 * TARGET, 'near'))
  ok(near.scales.length <= 1, `${near.scales.length} scales`)
  const half = day(noisy(() => 0.5 * TARGET, 'half'))
  deepStrictEqual(half.scales, [])
})

test('a spike every ten minutes is no reason, nor is an event now and then', () => {
  const spikes = day((second) => (second % 600 < 2 ? 60 * TARGET : 1000))
  deepStrictEqual(spikes.scales, [])
  const trickle = day((second) => (second % 600 === 0 ? 1 : 0))
  deepStrictEqual(trickle.scales, [])
})

test('one hot key costs a handful of scales, and what lies beside it is merged', () => {
  const stream = day(
    noisy(() => 3 * TARGET, 'hot key'),
    { spread: (rate) => withHotKey(rate, 0.3, 0.95) },
  )
  ok(stream.scales.length <= 12, `${stream.scales.length} scales`)
  assertNoFlapping(stream.scales)
  strictEqual(stream.count, 3)
})

test('load that comes and goes every quarter of an hour is given up on', () => {
  const stream = day((second) => (second % 900 < 450 ? 4 * TARGET : 0))
  // Twelve scales in the first hours, then one back and forth every few hours: without caution it would be 192.
  ok(stream.scales.length <= 24, `${stream.scales.length} scales`)
})
