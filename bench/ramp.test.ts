import { deepEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { crossingsOf, dueAtMs, dueBy, endMsOf, type Ramp } from './ramp.ts'

const RAMP: Ramp = { perSecondFirst: 1000, perSecondLast: 5000, risesMs: 10_000, staysMs: 4000 }

test('the rate rises evenly from the first to the last, and then stays', () => {
  equal(dueBy(0, RAMP), 0)
  // On average half of the way between 1,000 and 3,000, then between 1,000 and 5,000.
  equal(dueBy(5000, RAMP), 10_000)
  equal(dueBy(10_000, RAMP), 30_000)
  equal(dueBy(12_000, RAMP), 40_000)
  equal(endMsOf(RAMP), 14_000)
})

test('an event is due when as many are due as there are before it', () => {
  for (const index of [0, 1, 500, 29_999, 30_000, 30_001, 45_000]) {
    const atMs = dueAtMs(index, RAMP)
    ok(Math.abs(dueBy(atMs, RAMP) - index) < 1e-6, `event ${index} at ${atMs} ms`)
  }
})

test('each multiple of the target asks for one more segment, from when the load crosses it', () => {
  const seen = [
    { atMs: -100, segments: 1 },
    { atMs: 6000, segments: 2 },
    { atMs: 9000, segments: 4 },
  ]
  const crossings = crossingsOf(RAMP, 1500, seen)
  deepEqual(
    crossings.map(({ segments, crossedMs, lateMs }) => [segments, crossedMs, lateMs]),
    [
      [1, 1250, 4750],
      [2, 5000, 4000],
      // Split in more than it took: the next crossing is met before it comes.
      [3, 8750, 250],
    ],
  )
  deepEqual(
    crossingsOf(RAMP, 1500, [{ atMs: 1000, segments: 8 }]).map(({ lateMs }) => lateMs),
    [0, 0, 0],
  )
})

test('a split that comes with the end of the load, or never, is late by all that was left of it', () => {
  const [first] = crossingsOf(RAMP, 4000, [
    { atMs: -100, segments: 1 },
    { atMs: 14_500, segments: 2 },
  ])
  equal(first?.crossedMs, 7500)
  equal(first?.splitMs, undefined)
  equal(first?.lateMs, 6500)
  deepEqual(crossingsOf(RAMP, 5000, []), [])
})
