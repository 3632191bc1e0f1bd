/**
 * `npm run crash -- [--cycles N] [--seed S] [--power] [--sync-does-nothing] [--keep]`: a server is killed again and again while
 * writers and readers work on it, in and out of transactions, and the stream scales, and comes back at once where it was. In the end
 * all that was acknowledged must be there, once and in order, and of a transaction all or nothing, as it was told. With `--power` a
 * kill also loses what was not synced. `--sync-does-nothing` plants a bug, under writers and a reader alone, and the run passes when
 * the check names the events that it has lost.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { endOnSignals, within } from './child.ts'
import { needJava, startJava } from './java.ts'
import { seededRandom } from './random.ts'
import { freePorts, ServerProcess, withDirectory } from './server.ts'
import { type Load, startLoads } from './load.ts'

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '20' },
    seed: { type: 'string', default: `${process.pid}${Date.now() % 100_000}` },
    power: { type: 'boolean', default: false },
    'sync-does-nothing': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})
const CYCLES = Number(values.cycles)
const SEED = Number(values.seed)
const BUG = values['sync-does-nothing']
const POWER = values.power || BUG
const SCOPE = 'crash'
const STREAM = 'stream'

/** After a restart. The client waits between its attempts, at most a second here but for what it asks of the controller. */
const FIRST_ACK_MS_MAX = 60_000
const KILL_AT_START_CHANCE = 0.2
const KILL_AT_START_MS_MAX = 300
const LOAD_MS_MIN = 200
const LOAD_MS_MAX = 1500
/** For a sync that is only pretended and for what it acknowledges. */
const LIES_MS = 100
const LAST_ACKS_MS_MAX = 150_000
const CHECK_MS_MAX = 300_000

/** The check has named events that are missing, doubled, out of order or of nobody. */
class Faults extends Error {}

/** How long after the start of a server, by the name of the load, in ms. */
type FirstAcks = ReadonlyMap<string, number>

interface Site {
  readonly data: string
  readonly controllerPort: number
  readonly segmentStorePort: number
}

endOnSignals()
await needJava()
console.log(
  `seed ${SEED}; again with: node interop/crash.ts --cycles ${CYCLES} --seed ${SEED}${values.power ? ' --power' : ''}${BUG ? ' --sync-does-nothing' : ''}`,
)
const failure = await withDirectory(run, { keep: values.keep }).catch((error: unknown) => error as Error)
if (failure !== undefined) console.log(failure.message)
const passed = BUG ? failure instanceof Faults : failure === undefined
if (BUG) console.log(passed ? 'the planted bug was found' : 'the planted bug was NOT found')
else console.log(passed ? 'crash passed' : 'crash FAILED')
process.exit(passed ? 0 : 1)

async function run(directory: string): Promise<undefined> {
  const [controllerPort = 0, segmentStorePort = 0] = await freePorts(2)
  const site = { data: join(directory, 'data'), controllerPort, segmentStorePort }
  const random = seededRandom(SEED)
  let server = startServer(site, 0)
  try {
    const controller = await server.ready
    const loads = startLoads({
      controller,
      scope: SCOPE,
      stream: STREAM,
      directory,
      seed: SEED,
      elastic: !BUG,
    })
    await untilAcked(loads)
    const firstAcks: FirstAcks[] = []
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      const next = await killAndRestart(site, { server, loads, random, cycle })
      server = next.server
      firstAcks.push(next.firstAcks)
    }
    for (const { name } of loads)
      tellFirstAcks(
        name,
        firstAcks.map((acks) => acks.get(name)!),
      )
    await Promise.all(loads.map((load) => within(LAST_ACKS_MS_MAX, `${load.name} ends`, load.finish())))
    await check(
      controller,
      loads.map((load) => load.log),
    )
    await server.stop()
  } catch (error) {
    if (!BUG) console.log(`the server said last:\n${server.child.said}`)
    throw error
  } finally {
    await server.child.kill()
  }
  return undefined
}

function startServer(site: Site, cycle: number): ServerProcess {
  if (!POWER) return new ServerProcess(site)
  return new ServerProcess({
    ...site,
    program: join(import.meta.dirname, 'power-server.ts'),
    env: { MILLRACE_TEST_POWER_SEED: `${SEED} ${cycle}` },
  })
}

/** Lets it run under load, kills it, starts it, and sees that work goes on. */
async function killAndRestart(
  site: Site,
  parts: { server: ServerProcess; loads: readonly Load[]; random: () => number; cycle: number },
): Promise<{ readonly server: ServerProcess; readonly firstAcks: FirstAcks }> {
  const { loads, random, cycle } = parts
  const loadMs = LOAD_MS_MIN + random() * (LOAD_MS_MAX - LOAD_MS_MIN)
  await sleep(loadMs)
  if (BUG) {
    parts.server.child.signal('SIGUSR2')
    await sleep(LIES_MS)
  }
  await parts.server.child.kill()
  let server = startServer(site, cycle)
  let killedAtStart = ''
  while (random() < KILL_AT_START_CHANCE) {
    const startMs = random() * KILL_AT_START_MS_MAX
    await sleep(startMs)
    await server.child.kill()
    server = startServer(site, cycle)
    killedAtStart += `, again ${startMs.toFixed(0)} ms after its start`
  }
  const restartedAt = performance.now()
  await server.ready
  const readyMs = performance.now() - restartedAt
  const firstAcks = await untilAcked(loads, restartedAt)
  const ackedMs = loads.map(({ name }) => `${name} after ${firstAcks.get(name)!.toFixed(0)} ms`).join(', ')
  const acked = loads.reduce((sum, load) => sum + load.acked, 0)
  console.log(
    `cycle ${cycle}: killed after ${loadMs.toFixed(0)} ms of load${killedAtStart}; ready in ${readyMs.toFixed(0)} ms, ` +
      `acknowledging to ${ackedMs}; ${acked} events`,
  )
  return { server, firstAcks }
}

/** Answers after how long, by the name of the load. */
async function untilAcked(loads: readonly Load[], since = performance.now()): Promise<FirstAcks> {
  const acks = loads.map(async (load) => {
    await within(FIRST_ACK_MS_MAX, `${load.name} has an event acknowledged`, load.nextAck())
    return [load.name, performance.now() - since] as const
  })
  return new Map(await Promise.all(acks))
}

function tellFirstAcks(name: string, ms: readonly number[]): void {
  if (ms.length === 0) return
  const sorted = ms.toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)]!
  const worst = sorted.at(-1)!
  console.log(
    `first acknowledgement after a restart, ${name}: median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms`,
  )
}

async function check(controller: string, logs: readonly string[]): Promise<void> {
  const checking = startJava('Check', [controller, SCOPE, STREAM, ...logs], {
    onLine: (line) => console.log(line),
    onErrorLine: (line) => console.error(line),
  })
  const status = await within(CHECK_MS_MAX, 'the check ends', checking.ended)
  if (status !== 0) throw new Faults(`the check ended with ${status}`)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
