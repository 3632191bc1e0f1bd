/**
 * `npm run example -- exactly-once [--kills N] [--seed S]`: orders are written while the program that makes invoices of them is
 * killed again and again, and the server with it now and then, and the streams split and merge. In the end there must be an
 * invoice for every order, once, in order.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { connect, type Store } from 'millrace'
import { Child, endOnSignals, within } from '../../interop/child.ts'
import { seededRandom } from '../../interop/random.ts'
import { freePorts, ServerProcess, withDirectory } from '../../interop/server.ts'
import { faultsOf } from './invoices.ts'
import { type Invoice, invoicesIn, ordersIn, type Step } from './invoicing.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '10' },
    seed: { type: 'string', default: `${process.pid}${Date.now() % 100_000}` },
  },
})
const KILLS = Number(values.kills)
const SEED = Number(values.seed)
const CUSTOMERS = 20
/** Every so many milliseconds so many orders. */
const ORDERS_EACH = 5
const ORDER_EVERY_MS = 10
const STEPS: readonly Step[] = ['begun', 'written', 'prepared', 'committed', 'settled']
/** Most kills come right behind a step, half of them at once; the others at any moment, also while the program starts. */
const AT_STEP_CHANCE = 0.7
const AT_ONCE_CHANCE = 0.5
const AT_STEP_MS_MAX = 3
const ANY_MOMENT_MS_MAX = 1500
const SERVER_CHANCE = 0.1
const SCALE_CHANCE = 0.2
const SEGMENTS_MAX = 4
/** Now and then nobody comes back before the lease of what was prepared has run out. */
const LONG_PAUSE_CHANCE = 0.02
const LONG_PAUSE_MS = 12_000
const STEP_MS_MAX = 60_000
const LAST_MS_MAX = 120_000
const LAST_LOOK_MS = 1000

/** The program that is killed. */
class Worker {
  readonly #child: Child
  #last: Step | 'starting' = 'starting'
  #onStep: (step: Step) => void = () => undefined

  constructor(controller: string) {
    this.#child = new Child({
      name: 'the worker',
      command: process.execPath,
      args: [join(import.meta.dirname, 'invoicing.ts'), controller],
      onLine: (line) => {
        const step = STEPS.find((name) => name === line)
        if (step === undefined) return
        this.#last = step
        this.#onStep(step)
      },
    })
  }

  /** Resolves behind the next step of this kind. Rejects if the worker ends instead: nothing but a kill may end it. */
  async step(wanted: Step): Promise<void> {
    const stepped = new Promise<void>((resolve) => {
      this.#onStep = (step) => {
        if (step === wanted) resolve()
      }
    })
    const ended = this.#child.ended.then((status) => {
      throw this.#child.failure(`ended with ${status}`)
    })
    await within(STEP_MS_MAX, `the worker has ${wanted}`, Promise.race([stepped, ended]))
  }

  /** Resolves with the last thing that it did. */
  async kill(): Promise<Step | 'starting'> {
    this.#child.signal('SIGKILL')
    const status = await this.#child.ended
    if (status !== 'SIGKILL') throw this.#child.failure(`ended with ${status} before it was killed`)
    return this.#last
  }
}

/** Writes orders until it is told to stop. */
class Customers {
  /** By customer, how many are written. */
  readonly ordered = new Map<string, number>()
  readonly #stopping = new AbortController()
  readonly #done: Promise<void>

  constructor(store: Store) {
    this.#done = this.#run(store)
    this.#done.catch(() => undefined)
  }

  get count(): number {
    let sum = 0
    for (const count of this.ordered.values()) sum += count
    return sum
  }

  /** Resolves when all is durable. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#done
  }

  async #run(store: Store): Promise<void> {
    const writer = ordersIn(store).writer()
    for (let index = 0; !this.#stopping.signal.aborted; await setTimeout(ORDER_EVERY_MS)) {
      for (let left = ORDERS_EACH; left > 0; left--, index++) {
        const customer = `customer-${index % CUSTOMERS}`
        const number = this.ordered.get(customer) ?? 0
        const room = writer.push({ customer, number, cents: 100 + (index % 900) })
        this.ordered.set(customer, number + 1)
        if (room !== undefined) await room
      }
    }
    await writer.close()
  }
}

async function run(directory: string): Promise<undefined> {
  const random = seededRandom(SEED)
  const [controllerPort = 0, segmentStorePort = 0] = await freePorts(2)
  const site = { data: join(directory, 'data'), controllerPort, segmentStorePort }
  let server = new ServerProcess(site)
  try {
    const controller = await server.ready
    await using store = await connect(controller)
    const customers = new Customers(store)
    const killedBehind: Record<string, number> = {}
    for (let kill = 1; kill <= KILLS; kill++) {
      const worker = new Worker(controller)
      const scaling = random() < SCALE_CHANCE ? scaleOne(store, random) : undefined
      if (random() < AT_STEP_CHANCE) {
        await worker.step(STEPS[Math.floor(random() * STEPS.length)]!)
        if (random() >= AT_ONCE_CHANCE) await setTimeout(random() * AT_STEP_MS_MAX)
      } else await setTimeout(random() * ANY_MOMENT_MS_MAX)
      const isServerKilled = random() < SERVER_CHANCE
      if (isServerKilled) await server.child.kill()
      const last = await worker.kill()
      killedBehind[last] = (killedBehind[last] ?? 0) + 1
      if (isServerKilled) {
        server = new ServerProcess(site)
        await server.ready
      }
      await scaling
      if (random() < LONG_PAUSE_CHANCE) await setTimeout(LONG_PAUSE_MS)
      const also = isServerKilled ? ', the server with it' : ''
      console.log(`kill ${kill}: behind '${last}'${also}; ${customers.count} orders`)
    }
    console.log(`killed behind: ${JSON.stringify(killedBehind)}`)
    await customers.stop()
    await check(store, controller, customers)
    await server.stop()
  } catch (error) {
    console.log(`the server said last:\n${server.child.said}`)
    throw error
  } finally {
    await server.child.kill()
  }
  return undefined
}

/** Both streams change their segments while they are written and read. */
async function scaleOne(store: Store, random: () => number): Promise<void> {
  const stream = random() < 0.5 ? ordersIn(store) : invoicesIn(store)
  await stream.create()
  const { segments } = await stream.scale(1 + Math.floor(random() * SEGMENTS_MAX))
  console.log(`${stream.name} has ${segments.length} segments`)
}

/** Lets a last worker finish, and looks at every invoice. */
async function check(store: Store, controller: string, customers: Customers): Promise<void> {
  const began = performance.now()
  const worker = new Worker(controller)
  const last: Invoice[] = []
  const reading = (async () => {
    for await (const { value } of invoicesIn(store).read()) if (last.push(value) >= customers.count) break
  })()
  await within(LAST_MS_MAX, `${customers.count} invoices are there`, reading).catch((error: unknown) => {
    console.log(`${last.length} invoices for ${customers.count} orders`)
    throw error
  })
  // Whatever comes too often comes now.
  await setTimeout(LAST_LOOK_MS)
  await worker.kill()
  const invoices: Invoice[] = []
  for await (const { value } of invoicesIn(store).read({ until: 'tail' })) invoices.push(value)
  const faults = faultsOf(invoices, customers.ordered)
  if (faults.length > 0) throw new Error(`${faults.length} faults:\n${faults.slice(0, 20).join('\n')}`)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(`${customers.count} orders, ${invoices.length} invoices, each once and in order (${seconds} s)`)
}

endOnSignals()
console.log(`seed ${SEED}; again with: npm run example -- exactly-once --kills ${KILLS} --seed ${SEED}`)
const failure = await withDirectory(run).catch((error: unknown) => error as Error)
console.log(failure === undefined ? 'exactly once: passed' : `exactly once: FAILED: ${failure.message}`)
process.exit(failure === undefined ? 0 : 1)
