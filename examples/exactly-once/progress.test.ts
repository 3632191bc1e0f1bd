import { deepEqual, equal, rejects } from 'node:assert/strict'
import { test } from 'node:test'
import { testStore } from 'millrace/testing'
import { Progress } from './progress.ts'

const NAME = 'shop/progress'

function checkpoint(name: string): { name: string; cuts: Record<string, string> } {
  return { name, cuts: { 'shop/orders': name } }
}

test('nothing was done before the first worker; the next one finds what was prepared and settled', async () => {
  await using store = await testStore()
  const first = await Progress.begin(store, NAME)
  equal(first.place, 'head')
  equal(first.prepared, undefined)
  await first.prepare({ transaction: 'one', to: checkpoint('a') })
  await first.settle(checkpoint('a'))
  await first.prepare({ transaction: 'two', to: checkpoint('b') })

  const second = await Progress.begin(store, NAME)
  deepEqual(second.place, checkpoint('a'))
  deepEqual(second.prepared, { transaction: 'two', to: checkpoint('b') })
  await second.settle(checkpoint('b'))
  equal(second.prepared, undefined)
})

test('what a worker says after another has begun does not count, and it learns so', async () => {
  await using store = await testStore()
  const first = await Progress.begin(store, NAME)
  const second = await Progress.begin(store, NAME)
  await rejects(first.prepare({ transaction: 'late', to: checkpoint('a') }), /Another worker has begun/)
  await second.prepare({ transaction: 'right', to: checkpoint('b') })
  await rejects(first.settle(checkpoint('a')), /Another worker has begun/)
  const third = await Progress.begin(store, NAME)
  deepEqual(third.prepared, { transaction: 'right', to: checkpoint('b') })
})

test('when it is compacted one entry says all that is known', async () => {
  await using store = await testStore()
  const first = await Progress.begin(store, NAME)
  for (const name of ['a', 'b', 'c']) {
    await first.prepare({ transaction: name, to: checkpoint(name) })
    await first.settle(checkpoint(name))
  }
  await first.compact()
  const entries: unknown[] = []
  for await (const { value } of store.stream(NAME, { key: null }).read({ until: 'tail' })) entries.push(value)
  equal(entries.length, 1)
  const second = await Progress.begin(store, NAME)
  deepEqual(second.place, checkpoint('c'))
  equal(second.prepared, undefined)
})

test('a worker that was replaced drops nothing', async () => {
  await using store = await testStore()
  const first = await Progress.begin(store, NAME)
  await first.settle(checkpoint('a'))
  const second = await Progress.begin(store, NAME)
  await rejects(first.compact(), /Another worker has begun/)
  await second.prepare({ transaction: 'one', to: checkpoint('b') })
  const third = await Progress.begin(store, NAME)
  deepEqual(third.place, checkpoint('a'))
  deepEqual(third.prepared, { transaction: 'one', to: checkpoint('b') })
})
