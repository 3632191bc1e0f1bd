import { ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Histogram } from './histogram.ts'

test('an empty histogram answers zero everywhere', () => {
  const histogram = new Histogram()
  strictEqual(
    [histogram.count, histogram.mean, histogram.min, histogram.max, histogram.percentile(99)].join(),
    '0,0,0,0,0',
  )
})

test('small values are exact, and values outside the range count as its ends', () => {
  const histogram = new Histogram()
  for (let value = 0; value < 32; value++) histogram.record(value + 0.9)
  strictEqual(histogram.percentile(50), 15)
  strictEqual(histogram.percentile(100), 31)
  strictEqual(histogram.percentile(0), 0)
  histogram.record(-5)
  histogram.record(Number.NaN)
  histogram.record(1e15)
  strictEqual(histogram.min, 0)
  strictEqual(histogram.max, 2 ** 32 - 1)
  strictEqual(histogram.percentile(100), 2 ** 32 - 1)
})

test('every percentile is at most a thirty-second above the true value and never below', () => {
  const values = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(values, fc.integer({ min: 0, max: 100 }), (recorded, percent) => {
      const histogram = new Histogram()
      for (const value of recorded) histogram.record(value)
      const sorted = recorded.toSorted((left, right) => left - right)
      const truth = sorted[Math.max(Math.ceil((percent / 100) * sorted.length), 1) - 1]!
      const answer = histogram.percentile(percent)
      ok(answer >= truth && answer <= truth * (1 + 1 / 32), `${answer} for ${truth}`)
    }),
    { seed: 1 },
  )
})

test('merging is recording both, and reset forgets', () => {
  const one = new Histogram()
  const two = new Histogram()
  const both = new Histogram()
  for (let value = 1; value < 5000; value += 7) {
    const half = value % 2 === 0 ? one : two
    half.record(value * value)
    both.record(value * value)
  }
  one.merge(two)
  for (const percent of [1, 50, 90, 99, 99.9]) strictEqual(one.percentile(percent), both.percentile(percent))
  strictEqual(one.count, both.count)
  strictEqual(one.mean, both.mean)
  strictEqual(one.min, both.min)
  one.reset()
  strictEqual(one.count + one.max + one.min, 0)
})
