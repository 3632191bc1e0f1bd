import { deepStrictEqual, ok } from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Clock } from '../../base/host.ts'
import type { HostRunner } from './host-runner.ts'

/** What every Clock does. */
export function clockSuite(name: string, run: HostRunner): void {
  void describe(`${name}: clock`, () => {
    test('timers fire in the order of their delays and never early', () =>
      run(async ({ clock }) => {
        const startMs = clock.monotonicMs()
        const fired: number[] = []
        await Promise.all(
          [12, 0, 5, 5, 8.5].map(async (delayMs) => {
            await sleep(clock, delayMs)
            ok(clock.monotonicMs() - startMs >= delayMs, `${delayMs} ms had passed`)
            fired.push(delayMs)
          }),
        )
        deepStrictEqual(fired, [0, 5, 5, 8.5, 12])
      }))

    test('a cancelled timer stays silent, and cancelling again does nothing', () =>
      run(async ({ clock }) => {
        const fired: string[] = []
        const cancelled = clock.setTimer(2, () => fired.push('cancelled'))
        const late = clock.setTimer(3, () => fired.push('late'))
        cancelled.cancel()
        cancelled.cancel()
        await sleep(clock, 6)
        late.cancel()
        deepStrictEqual(fired, ['late'])
      }))

    test('timers of one delay fire in the order they were set', () =>
      run(async ({ clock }) => {
        const fired: number[] = []
        const names = [1, 2, 3, 4, 5]
        await Promise.all(names.map(async (name) => sleep(clock, 3).then(() => fired.push(name))))
        deepStrictEqual(fired, names)
      }))

    test('a delay of two months does not fire at once', () =>
      run(async ({ clock }) => {
        const fired: string[] = []
        const timer = clock.setTimer(60 * 24 * 3600 * 1000, () => fired.push('far'))
        await sleep(clock, 4)
        timer.cancel()
        deepStrictEqual(fired, [])
      }))

    test('deferred calls come in a later turn, in order, after the promises of this one', () =>
      run(async ({ clock }) => {
        const order: string[] = []
        const done = new Promise<void>((resolve) => {
          clock.defer(() => order.push('first'))
          clock.defer(() => {
            order.push('second')
            clock.defer(resolve)
          })
        })
        order.push('now')
        void Promise.resolve().then(() => order.push('promise'))
        await done
        deepStrictEqual(order, ['now', 'promise', 'first', 'second'])
      }))

    test('the wall clock is in milliseconds since 1970', () =>
      run(async ({ clock }) => {
        ok(clock.now() > 1.6e12 && clock.now() < 1e13)
      }))
  })
}

function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(delayMs, resolve)
  })
}
