import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Clock } from '../base/host.ts'
import { type Dated, Deadlines } from './deadlines.ts'

interface Thing extends Dated {
  readonly name: string
}

function thing(name: string): Thing {
  return { name, dueMs: 0, place: -1 }
}

/** A clock that goes on when it is told to, and counts its timers. */
class HandClock implements Clock {
  #nowMs = 1000
  #timers: { readonly atMs: number; readonly callback: () => void }[] = []
  timersSet = 0

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  setTimer(delayMs: number, callback: () => void, options?: { weak?: boolean }): { cancel(): void } {
    ok(options?.weak === true, 'It keeps no process alive')
    this.timersSet++
    const timer = { atMs: this.#nowMs + delayMs, callback }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  defer(): void {
    throw new Error('Nothing is deferred')
  }

  get timers(): number {
    return this.#timers.length
  }

  advanceTo(ms: number): void {
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > ms) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
    }
    this.#nowMs = ms
  }
}

test('things come due in their order, those of one moment together, with one timer', () => {
  const clock = new HandClock()
  const due: string[] = []
  const deadlines = new Deadlines<Thing>(clock, (things) =>
    due.push(
      things
        .map(({ name }) => name)
        .toSorted()
        .join('+'),
    ),
  )
  const [a, b, c] = ['a', 'b', 'c'].map(thing) as [Thing, Thing, Thing]
  deadlines.set(a, 2000)
  deadlines.set(b, 1500)
  deadlines.set(c, 2000)
  strictEqual(clock.timers, 1)
  clock.advanceTo(1499)
  deepStrictEqual(due, [])
  clock.advanceTo(5000)
  deepStrictEqual(due, ['b', 'a+c'])
  strictEqual(clock.timers, 0)
})

test('what is put off, brought forward or taken out comes due accordingly, and no timer is left for nothing', () => {
  const clock = new HandClock()
  const due: string[] = []
  const deadlines = new Deadlines<Thing>(clock, (things) => due.push(...things.map(({ name }) => name)))
  const [a, b, c] = ['a', 'b', 'c'].map(thing) as [Thing, Thing, Thing]
  for (const each of [a, b, c]) deadlines.set(each, 2000)
  deadlines.set(a, 9000)
  deadlines.set(b, 1200)
  deadlines.remove(c)
  deadlines.remove(c)
  clock.advanceTo(3000)
  deepStrictEqual(due, ['b'])
  deadlines.remove(a)
  strictEqual(clock.timers, 0)
  clock.advanceTo(10_000)
  deepStrictEqual(due, ['b'])
})

test('putting things off costs no timer each time', () => {
  const clock = new HandClock()
  const deadlines = new Deadlines<Thing>(clock, () => undefined)
  const a = thing('a')
  for (let ms = 2000; ms < 3000; ms++) deadlines.set(a, ms)
  strictEqual(clock.timersSet, 1)
})

test('whatever is done with them, all come due at their time and none comes otherwise', () => {
  const step = fc.record({
    of: fc.nat({ max: 9 }),
    at: fc.integer({ min: 0, max: 500 }),
    kind: fc.constantFrom('set', 'set', 'remove', 'wait'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const clock = new HandClock()
      const things = Array.from({ length: 10 }, (_, i) => thing(String(i)))
      const expected = new Map<Thing, number>()
      const deadlines = new Deadlines<Thing>(clock, (due) => {
        for (const each of due) {
          strictEqual(expected.get(each), each.dueMs)
          ok(each.dueMs <= clock.monotonicMs())
          expected.delete(each)
        }
      })
      for (const { of, at, kind } of steps) {
        const each = things[of]!
        if (kind === 'set') {
          expected.set(each, clock.monotonicMs() + at)
          deadlines.set(each, clock.monotonicMs() + at)
        } else if (kind === 'remove') {
          expected.delete(each)
          deadlines.remove(each)
        } else {
          clock.advanceTo(clock.monotonicMs() + at)
          for (const dueMs of expected.values()) ok(dueMs > clock.monotonicMs())
        }
        strictEqual(deadlines.size, expected.size)
      }
    }),
    { seed: 3, numRuns: 300 },
  )
})
