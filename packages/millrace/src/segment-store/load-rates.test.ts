import { ok } from 'node:assert/strict'
import { test } from 'node:test'
import { SimRandom } from '../testing/sim/sim-random.ts'
import { MovingRates, stretchOf } from './load-rates.ts'

function near(actual: number, expected: number, tolerance = 1e-9): void {
  ok(Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)), `${actual}, not ${expected}`)
}

test('a steady stream of events approaches its rate by 63 % in each horizon', () => {
  const moving = new MovingRates()
  for (let second = 1; second <= 60; second++) {
    moving.pass(stretchOf(1000), 500)
    if (second === 2) near(moving.rates.over2s, 500 * (1 - Math.exp(-1)))
    if (second === 10) near(moving.rates.over10s, 500 * (1 - Math.exp(-1)))
    if (second === 60) near(moving.rates.over60s, 500 * (1 - Math.exp(-1)))
  }
  near(moving.rates.over2s, 500)
})

test('what stops fades by the same law, and never below nothing', () => {
  const moving = new MovingRates()
  moving.pass(stretchOf(600_000), 600_000)
  near(moving.rates.over60s, 1000, 1e-4)
  moving.pass(stretchOf(20_000), 0)
  near(moving.rates.over10s, 1000 * Math.exp(-2))
  moving.pass(stretchOf(24 * 3600_000), 0)
  ok(moving.rates.over60s >= 0 && moving.rates.over60s < 1e-9)
})

test('it does not matter how often somebody looks', () => {
  const random = new SimRandom('looks')
  for (let round = 0; round < 100; round++) {
    const [often, seldom] = [new MovingRates(), new MovingRates()]
    const rate = 1 + random.integer(100_000)
    const steps = Array.from({ length: 1 + random.integer(50) }, () => 1 + random.integer(5000))
    for (const ms of steps) often.pass(stretchOf(ms), (rate * ms) / 1000)
    const wholeMs = steps.reduce((sum, ms) => sum + ms, 0)
    seldom.pass(stretchOf(wholeMs), (rate * wholeMs) / 1000)
    for (const horizon of ['over2s', 'over10s', 'over60s'] as const)
      near(often.rates[horizon], seldom.rates[horizon], 1e-6)
  }
})

test('an event that comes a moment before it is asked for is no burst', () => {
  const moving = new MovingRates()
  moving.pass(stretchOf(0.001), 1)
  near(moving.rates.over2s, 0.5, 1e-3)
})
