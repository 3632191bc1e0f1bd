import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { nodeClock } from './node-clock.ts'

test('a program that fakes its timers and its date does not stop the clock', async (t) => {
  t.mock.timers.enable()
  strictEqual(Date.now(), 0)
  strictEqual(nodeClock.now() > 1e12, true)
  await new Promise<void>((resolve) => {
    nodeClock.defer(() => void nodeClock.setTimer(1, resolve))
  })
})
