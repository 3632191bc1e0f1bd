import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AssertionError } from './assert.ts'
import { ByteBudget } from './byte-budget.ts'

test('a small request waits behind a large one, until that one goes away', async () => {
  const budget = new ByteBudget({ bytesMax: 10 })
  await budget.acquire(6)
  const controller = new AbortController()
  const large = budget.acquire(8, { signal: controller.signal })
  const order: string[] = []
  const small = budget.acquire(4).then(() => order.push('small'))
  strictEqual(budget.tryAcquire(1), false)
  await Promise.resolve()
  deepStrictEqual(order, [])
  strictEqual(budget.waiters, 2)
  controller.abort(new Error('too late'))
  await rejects(large, /too late/)
  await small
  strictEqual(budget.bytesUsed, 10)
})

test('a release lets in as many as fit, in order', async () => {
  const budget = new ByteBudget({ bytesMax: 10 })
  await budget.acquire(10)
  const admitted: number[] = []
  const all = [3, 5, 7].map((bytes) => budget.acquire(bytes).then(() => admitted.push(bytes)))
  budget.release(10)
  await Promise.all(all.slice(0, 2))
  deepStrictEqual(admitted, [3, 5])
  budget.release(5)
  await all[2]
  strictEqual(budget.bytesUsed, 10)
})

test('a request beyond the budget gets all of it, alone', async () => {
  const budget = new ByteBudget({ bytesMax: 10 })
  await budget.acquire(1)
  const huge = budget.acquire(1000)
  strictEqual(budget.waiters, 1)
  budget.release(1)
  await huge
  strictEqual(budget.bytesUsed, 10)
  budget.release(1000)
  strictEqual(budget.bytesUsed, 0)
})

test('an aborted signal takes nothing, and mistakes of the program are told', async () => {
  const budget = new ByteBudget({ bytesMax: 10 })
  await rejects(budget.acquire(1, { signal: AbortSignal.abort(new Error('over')) }), /over/)
  await rejects(budget.acquire(-1), AssertionError)
  await rejects(async () => budget.release(1), AssertionError)
})

test('whatever is asked and given back, the budget holds and everybody gets a turn', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 50 }), async (requests) => {
      const budget = new ByteBudget({ bytesMax: 20 })
      let served = 0
      await Promise.all(
        requests.map(async (bytes) => {
          await budget.acquire(bytes)
          await Promise.resolve()
          strictEqual(budget.bytesUsed <= budget.bytesMax, true)
          served++
          budget.release(bytes)
        }),
      )
      strictEqual(served, requests.length)
      strictEqual(budget.bytesUsed, 0)
    }),
    { numRuns: 50, seed: 1 },
  )
})
