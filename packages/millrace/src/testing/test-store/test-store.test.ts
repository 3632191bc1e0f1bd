import { deepStrictEqual, match, notStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { promisify } from 'node:util'
import { isMillraceError } from '../../client/errors.ts'
import type { Stream } from '../../client/stream.ts'
import { testStore, type TestStore } from './test-store.ts'

interface Order {
  readonly id: number
  readonly customer: string
}

function ordersOf(store: TestStore): Stream<Order> {
  return store.stream<Order>('shop/orders', { key: ({ customer }) => customer })
}

function numbered(from: number, to: number): Order[] {
  return Array.from({ length: to - from }, (_, index) => ({
    id: from + index,
    customer: `customer ${(from + index) % 7}`,
  }))
}

async function idsIn(orders: Stream<Order>): Promise<number[]> {
  const ids: number[] = []
  for await (const { value } of orders.read({ until: 'tail' })) ids.push(value.id)
  return ids.toSorted((one, other) => one - other)
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => isMillraceError(error) && error.code === code
}

test('writes, scales, commits and reads without anybody letting time pass', async () => {
  await using store = await testStore()
  const orders = ordersOf(store)
  await orders.writeAll(numbered(0, 50))
  strictEqual((await orders.scale(3)).segments.length, 3)
  await orders.writeAll(numbered(50, 100))
  const transaction = await orders.transaction()
  await transaction.writeAll(numbered(100, 110))
  await transaction.commit()
  const ids: number[] = []
  for await (const { value } of orders.group('billing').reader({ until: 'tail' })) ids.push(value.id)
  strictEqual(ids.length, 110)
})

test('a writer that lost its connection finds its segment sealed, and goes on behind it', async () => {
  await using store = await testStore()
  const orders = ordersOf(store)
  await orders.write({ id: 0, customer: 'ada' })
  await store.crash()
  await orders.scale(4)
  await orders.write({ id: 1, customer: 'ada' })
  deepStrictEqual(await idsIn(orders), [0, 1])
})

test('what was acknowledged is there after a crash, and all handles go on', async () => {
  await using store = await testStore()
  const orders = ordersOf(store)
  const writer = orders.writer()
  const reader = orders.read()[Symbol.asyncIterator]()
  await orders.write({ id: 0, customer: 'ada' })
  strictEqual((await reader.next()).value?.value.id, 0)
  // Nobody has been told of this one; its writer sends it again.
  const pending = orders.write({ id: 1, customer: 'ada' })
  await store.crash()
  await pending
  void writer.push({ id: 2, customer: 'ada' })
  await writer.flush()
  strictEqual((await reader.next()).value?.value.id, 1)
  strictEqual((await reader.next()).value?.value.id, 2)
  await reader.return?.()
  deepStrictEqual(await idsIn(orders), [0, 1, 2])
})

test('after a sync that failed everything says so, until the store has started again', async () => {
  await using store = await testStore()
  const orders = ordersOf(store)
  await orders.write({ id: 0, customer: 'ada' })
  store.failSync()
  await rejects(orders.write({ id: 1, customer: 'ada' }), hasCode('unavailable'))
  await rejects(orders.write({ id: 2, customer: 'ada' }), hasCode('unavailable'))
  await rejects(idsIn(orders), hasCode('unavailable'))
  await rejects(orders.info(), hasCode('unavailable'))
  await store.crash()
  deepStrictEqual(await idsIn(orders), [0])
  await orders.write({ id: 3, customer: 'ada' })
  deepStrictEqual(await idsIn(orders), [0, 3])
})

test('calls of every kind that are under way when a sync fails reject', async () => {
  await using store = await testStore()
  const orders = ordersOf(store)
  await orders.write({ id: 0, customer: 'ada' })
  const tail = orders.read({ from: 'tail' })[Symbol.asyncIterator]()
  const waiting = tail.next()
  const transaction = await orders.transaction()
  await transaction.write({ id: 1, customer: 'ada' })
  store.failSync()
  const outcomes = await Promise.allSettled([
    waiting,
    orders.write({ id: 2, customer: 'ada' }),
    orders.scale(4),
    transaction.commit(),
  ])
  for (const outcome of outcomes) strictEqual(outcome.status, 'rejected')
  await store.crash()
  ok((await idsIn(orders)).includes(0))
})

test('a store that has failed can be closed', async () => {
  const store = await testStore()
  store.failSync()
  await rejects(ordersOf(store).write({ id: 0, customer: 'ada' }), hasCode('unavailable'))
  await store.close()
  await rejects(store.crash(), hasCode('closed'))
})

test('a transaction that its program holds stays open, however much time passes', async () => {
  await using store = await testStore()
  const orders = ordersOf(store)
  const { id } = await orders.transaction({ leaseMs: 20_000 })
  await store.clock.advance(60_000)
  strictEqual(await orders.transactionStatus(id), 'open')
})

test('time passes in order, and what comes due has happened when it has passed', async () => {
  const start = new Date('2030-05-06T07:08:09Z')
  await using store = await testStore({ start })
  const orders = ordersOf(store)
  await orders.write({ id: 0, customer: 'ada' })
  const epochs: number[] = []
  const leave = new AbortController()
  const watching = (async () => {
    for await (const { epoch } of orders.watch({ signal: leave.signal })) epochs.push(epoch)
  })()
  await store.clock.advance(1000)
  deepStrictEqual(epochs, [0])
  await orders.scale(2)
  await store.clock.advance(1000)
  deepStrictEqual(epochs, [0, 1])
  leave.abort()
  await rejects(watching)
  await Promise.all([store.clock.advance(10), store.clock.advance(10)])
  await rejects(store.clock.advance(-1), hasCode('invalid-argument'))
})

test('one seed is one store, and another seed another', async () => {
  async function idOf(seed: number): Promise<string> {
    await using store = await testStore({ seed })
    const orders = ordersOf(store)
    await orders.write({ id: 0, customer: 'ada' })
    const { id } = await orders.transaction()
    return id
  }
  const first = await idOf(7)
  strictEqual(await idOf(7), first)
  notStrictEqual(await idOf(8), first)
})

test('somebody else has replaced all timers, and does not let them run', async () => {
  mock.timers.enable()
  try {
    await using store = await testStore()
    const orders = ordersOf(store)
    await orders.writeAll(numbered(0, 10))
    await orders.scale(2)
    await store.crash()
    strictEqual((await idsIn(orders)).length, 10)
    await store.clock.advance(3_600_000)
  } finally {
    mock.timers.reset()
  }
})

test('a store opens within milliseconds', async () => {
  const took: number[] = []
  for (let i = 0; i < 20; i++) {
    const startMs = performance.now()
    const store = await testStore()
    took.push(performance.now() - startMs)
    await store.close()
  }
  const median = took.toSorted((one, other) => one - other)[10]!
  // Five on a machine that has time for it.
  ok(median < 50, `${median} ms`)
})

test('timers that were replaced before anything of this was loaded stop nothing', async () => {
  const program = `
    import { syncBuiltinESMExports } from 'node:module'
    import timers from 'node:timers'
    import promises from 'node:timers/promises'
    const never = () => ({ ref() {}, unref() {}, hasRef: () => false })
    for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
      globalThis[name] = timers[name] = never
      promises[name] = () => new Promise(() => undefined)
    }
    globalThis.Date = class extends Date { static now() { return 0 } }
    globalThis.performance = { now: () => 0 }
    globalThis.queueMicrotask = process.nextTick = never
    syncBuiltinESMExports()
    const { testStore } = await import('millrace/testing')
    const store = await testStore()
    const orders = store.stream('shop/orders', { key: null })
    await orders.write('first')
    await orders.scale(2)
    await store.crash()
    await store.clock.advance(1000)
    const values = []
    for await (const { value } of orders.read({ until: 'tail' })) values.push(value)
    await store.close()
    if (values.join() !== 'first') throw new Error(values.join())
    process.reallyExit(42)`
  await rejects(runModule(program), { code: 42 })
})

test('the program in README.md that tests with a store does what it says', async () => {
  const readme = readFileSync(join(import.meta.dirname, '../../../../../README.md'), 'utf8')
  const programs = Array.from(readme.matchAll(/```ts\n([\s\S]*?)```/g), ([, program = '']) => program)
  const program = programs.find((text) => text.includes('millrace/testing'))
  const { stdout } = await runModule(program ?? '')
  match(stdout, /pass 1\n/)
  match(stdout, /fail 0\n/)
})

/** Runs TypeScript as if it lay beside this file. */
function runModule(program: string): Promise<{ stdout: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const options = ['--input-type=module-typescript', '--test-reporter=spec', '-e', program]
  return promisify(execFile)(process.execPath, options, { cwd: import.meta.dirname, env })
}
