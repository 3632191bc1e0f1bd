/**
 * `npm run sim -- [SCENARIO] --seed S` plays one seed of a simulation again; `--minutes M` plays new seeds for that long and
 * says how many it got through. Ends with status 1 at the first failure, which names its seed.
 */
import { parseArgs } from 'node:util'
import { crashes } from '../packages/millrace/src/testing/product/crashes.ts'
import { groups } from '../packages/millrace/src/testing/product/groups.ts'
import { simulate, SimulationError } from '../packages/millrace/src/testing/sim/simulate.ts'
import type { World } from '../packages/millrace/src/testing/sim/world.ts'

const SCENARIOS: Readonly<Record<string, (world: World) => Promise<number>>> = { crashes, groups }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, minutes: { type: 'string' }, first: { type: 'string' } },
})
const name = positionals[0] ?? 'crashes'
const scenario = SCENARIOS[name]
if (scenario === undefined) {
  console.error(`There is no scenario ${name}; there are ${Object.keys(SCENARIOS).join(', ')}`)
  process.exitCode = 2
} else {
  process.exitCode = await (values.seed === undefined
    ? explore(scenario, Number(values.minutes ?? 1), Number(values.first ?? 1000))
    : replay(scenario, values.seed))
}

async function replay(play: (world: World) => Promise<number>, seed: string): Promise<number> {
  const one = await run(play, seed)
  if (one === undefined) return 1
  console.log(
    `seed ${seed}: ${one.value} events, ${one.simulatedMs} ms of simulated time, trace ${one.traceHash}`,
  )
  return 0
}

async function explore(
  play: (world: World) => Promise<number>,
  minutes: number,
  first: number,
): Promise<number> {
  const started = performance.now()
  let seeds = 0
  let events = 0
  while (performance.now() - started < minutes * 60_000) {
    const one = await run(play, String(first + seeds))
    if (one === undefined) return 1
    seeds++
    events += one.value
    if (process.stderr.isTTY) process.stderr.write(`\r${seeds} seeds, ${events} events`)
  }
  const hours = (performance.now() - started) / 3_600_000
  console.log(`${seeds} seeds from ${first} on, ${events} events, ${Math.round(seeds / hours)} seeds an hour`)
  return 0
}

async function run(
  play: (world: World) => Promise<number>,
  seed: string,
): Promise<Awaited<ReturnType<typeof simulate<number>>> | undefined> {
  try {
    return await simulate(seed, play, { command: `npm run sim -- ${name}` })
  } catch (error) {
    if (!(error instanceof SimulationError)) throw error
    console.error(`\n${error.message}\nWhat happened last:`)
    for (const line of error.recent.slice(-40)) console.error(`  ${line}`)
    console.error(error.cause)
    return undefined
  }
}
