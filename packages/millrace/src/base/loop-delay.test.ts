import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from './host.ts'
import { LoopDelay } from './loop-delay.ts'

test('the delay of a turn is from deferring to being called, and is told once', () => {
  let nowMs = 100
  const deferred: (() => void)[] = []
  const clock: Clock = {
    now: () => 0,
    monotonicMs: () => nowMs,
    setTimer: () => ({ cancel: () => undefined }),
    defer: (callback) => deferred.push(callback),
  }
  const delay = new LoopDelay()
  const watched = delay.watch(clock)
  let called = 0
  watched.defer(() => called++)
  nowMs += 12
  deferred.shift()?.()
  watched.defer(() => called++)
  deferred.shift()?.()
  strictEqual(called, 2)
  const taken = delay.take()
  strictEqual(taken.count, 2)
  strictEqual(taken.max, 12_000)
  strictEqual(delay.take().count, 0)
})
