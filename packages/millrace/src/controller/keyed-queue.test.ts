import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { deferred } from '../testing/deferred.ts'
import { KeyedQueue } from './keyed-queue.ts'
import { inParallel } from './parallel.ts'

test('work on one key keeps its order, on another key it does not wait, a failure holds nobody up', async () => {
  const queue = new KeyedQueue()
  const gate = deferred<void>()
  const log: string[] = []
  const first = queue.run('a', async () => {
    await gate.promise
    log.push('a1')
    throw new Error('first')
  })
  const second = queue.run('a', async () => {
    log.push('a2')
  })
  await queue.run('b', async () => {
    log.push('b')
  })
  gate.resolve()
  await rejects(first, /first/)
  await second
  deepStrictEqual(log, ['b', 'a1', 'a2'])
  await Promise.resolve()
  strictEqual(queue.busy, 0)
})

test('only so many pieces run at once, each exactly once', async () => {
  let running = 0
  let most = 0
  const done: number[] = []
  await inParallel([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    most = Math.max(most, ++running)
    await Promise.resolve()
    running--
    done.push(item)
  })
  strictEqual(most, 3)
  deepStrictEqual(done, [1, 2, 3, 4, 5, 6, 7])
})

test('after a failure nothing more is begun, and nothing is left running', async () => {
  const begun: number[] = []
  let isOver = false
  const gate = deferred<void>()
  const work = inParallel([1, 2, 3, 4], 2, async (item) => {
    begun.push(item)
    if (item === 1) throw new Error('one')
    await gate.promise
    isOver = true
  })
  gate.resolve()
  await rejects(work, /one/)
  strictEqual(isOver, true)
  deepStrictEqual(begun, [1, 2])
})
