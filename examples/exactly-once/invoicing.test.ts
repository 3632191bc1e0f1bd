import { deepEqual, equal, rejects } from 'node:assert/strict'
import { test } from 'node:test'
import { testStore } from 'millrace/testing'
import type { Store } from 'millrace'
import { seededRandom } from '../../interop/random.ts'
import { faultsOf } from './invoices.ts'
import { type Invoice, invoicesIn, ordersIn, type Step, work } from './invoicing.ts'
import { Progress } from './progress.ts'

const STEPS: readonly Step[] = ['begun', 'written', 'prepared', 'committed', 'settled']
const PROGRESS = 'shop/invoicing-progress'

const CUSTOMERS = 20

/** More orders; how many each customer has then. */
async function order(store: Store, ordered: Map<string, number>, count: number): Promise<void> {
  await ordersIn(store).writeAll(
    Array.from({ length: count }, (_, index) => {
      const customer = `customer-${index % CUSTOMERS}`
      const number = ordered.get(customer) ?? 0
      ordered.set(customer, number + 1)
      return { customer, number, cents: 100 * (index + 1) }
    }),
  )
}

/** Works until the step has come so often, and then fails as a program does that is not prepared for it. */
async function workUntil(
  store: Store,
  step: Step,
  times = 1,
  { orEnd = false }: { orEnd?: boolean } = {},
): Promise<void> {
  const failure = new Error(`behind ${step}`)
  let left = times
  const onStep = (present: Step): void => {
    if (present === step && --left === 0) throw failure
  }
  const working = work(store, { until: 'tail', onStep })
  if (!orEnd) return rejects(working, failure)
  await working.catch((error: unknown) => {
    if (error !== failure) throw error
  })
}

async function invoicesOf(store: Store): Promise<readonly Invoice[]> {
  const invoices: Invoice[] = []
  for await (const { value } of invoicesIn(store).read({ until: 'tail' })) invoices.push(value)
  return invoices
}

for (const step of STEPS)
  test(`work that ends behind '${step}' leaves neither gap nor double`, async () => {
    await using store = await testStore()
    const ordered = new Map<string, number>()
    // The first time before anything was ever done, then on top of what was.
    for (let round = 0; round < 3; round++) {
      await order(store, ordered, 10)
      await workUntil(store, step)
    }
    await work(store, { until: 'tail' })
    deepEqual(faultsOf(await invoicesOf(store), ordered), [])
  })

test('the orders are invoiced with their tax, and again nothing is done when nothing has come', async () => {
  await using store = await testStore()
  await ordersIn(store).write({ customer: 'ada', number: 0, cents: 1000 })
  await work(store, { until: 'tail' })
  await work(store, { until: 'tail' })
  deepEqual(await invoicesOf(store), [{ customer: 'ada', number: 0, cents: 1000, taxCents: 200 }])
})

test('what was prepared and whose lease has run out is done again', async () => {
  await using store = await testStore()
  const ordered = new Map<string, number>()
  await order(store, ordered, 10)
  await workUntil(store, 'prepared')
  const progress = await Progress.begin(store, PROGRESS)
  const { prepared } = progress
  await progress.close()
  // A program that is gone pings no more; here the handle lives on, so it is told what the lease would do.
  const abandoned = await invoicesIn(store).openTransaction(prepared?.transaction ?? '')
  await abandoned.abort()
  await order(store, ordered, 10)
  await work(store, { until: 'tail' })
  deepEqual(faultsOf(await invoicesOf(store), ordered), [])
})

test('orders and invoices split and merge, and power is cut, between the steps', async () => {
  await using store = await testStore()
  const ordered = new Map<string, number>()
  let segments = 1
  for (const step of [...STEPS, ...STEPS]) {
    await order(store, ordered, 10)
    await workUntil(store, step)
    segments = (segments % 3) + 1
    await ordersIn(store).scale(segments)
    await order(store, ordered, 5)
    await invoicesIn(store).create()
    await invoicesIn(store).scale(4 - segments)
    await store.crash()
  }
  await work(store, { until: 'tail' })
  deepEqual(faultsOf(await invoicesOf(store), ordered), [])
})

for (const seed of [13, 20, 24])
  test(`work that dies amid merges of what it reads goes on behind what it has done (seed ${seed})`, async () => {
    await using store = await testStore({ seed })
    const random = seededRandom(seed)
    const below = (count: number): number => Math.floor(random() * count)
    const ordered = new Map<string, number>()
    for (let round = 0; round < 12; round++) {
      await order(store, ordered, 60)
      await ordersIn(store).scale(1 + below(4))
      await order(store, ordered, below(60))
      await workUntil(store, STEPS[below(STEPS.length)]!, 1 + below(5), { orEnd: true })
    }
    await work(store, { until: 'tail' })
    deepEqual(faultsOf(await invoicesOf(store), ordered), [])
  })

test('a worker that was replaced commits nothing more', async () => {
  await using store = await testStore()
  const ordered = new Map<string, number>()
  await order(store, ordered, 10)
  let other: Progress | undefined
  const taking: Promise<void>[] = []
  const onStep = (step: Step): void => {
    if (step !== 'written') return
    taking.push(
      Progress.begin(store, PROGRESS).then((progress) => {
        other = progress
      }),
    )
  }
  await rejects(work(store, { until: 'tail', onStep }), /Another worker has begun/)
  await Promise.all(taking)
  equal(other?.prepared, undefined)
  await other?.close()
  deepEqual(await invoicesOf(store), [])
  await work(store, { until: 'tail' })
  deepEqual(faultsOf(await invoicesOf(store), ordered), [])
})
