/**
 * `npm run sim -- [SCENARIO] --seed S` plays one seed of a simulation again; `--minutes M` plays new seeds for that long and
 * says how many it gets through in an hour. Without a name each seed is played by every scenario in turn. Ends with status 1 at
 * the first failure, which says how to play it again.
 */
import { parseArgs } from 'node:util'
import { crashes } from '../packages/millrace/src/testing/product/crashes.ts'
import { elastic } from '../packages/millrace/src/testing/product/elastic.ts'
import { groups } from '../packages/millrace/src/testing/product/groups.ts'
import { type Simulation, simulate, SimulationError } from '../packages/millrace/src/testing/sim/simulate.ts'
import type { World } from '../packages/millrace/src/testing/sim/world.ts'

type Scenario = (world: World) => Promise<number>

const SCENARIOS: Readonly<Record<string, Scenario>> = { crashes, elastic, groups }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, minutes: { type: 'string' }, first: { type: 'string' } },
})
const unknown = positionals.find((name) => SCENARIOS[name] === undefined)
const names = positionals.length > 0 ? positionals : Object.keys(SCENARIOS)
const minutes = Number(values.minutes ?? 1)
const first = Number(values.first ?? 1000)

/** What a scenario leaves to nobody fails the seed that is being played. */
let onStray: (error: unknown) => void = () => undefined
process.on('unhandledRejection', (error) => onStray(error))
process.on('uncaughtException', (error) => onStray(error))

if (unknown !== undefined)
  refuse(`There is no scenario ${unknown}; there are ${Object.keys(SCENARIOS).join(', ')}`)
else if (!(minutes > 0) || !Number.isSafeInteger(first)) refuse('--minutes and --first are numbers')
else process.exitCode = await (values.seed === undefined ? explore() : replay(values.seed))

function refuse(problem: string): void {
  console.error(problem)
  process.exitCode = 2
}

async function replay(seed: string): Promise<number> {
  for (const name of names) {
    const one = await play(name, seed)
    if (one === undefined) return 1
    const { value, simulatedMs, traceHash } = one
    console.log(
      `${name}, seed ${seed}: ${value} events, ${simulatedMs} ms of simulated time, trace ${traceHash}`,
    )
  }
  return 0
}

async function explore(): Promise<number> {
  const started = performance.now()
  let played = 0
  let events = 0
  for (let seed = first; performance.now() - started < minutes * 60_000; seed++) {
    for (const name of names) {
      const one = await play(name, String(seed))
      if (one === undefined) return 1
      played++
      events += one.value
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${played} seeds, ${events} events`)
  }
  const hours = (performance.now() - started) / 3_600_000
  console.log(
    `${names.join(', ')}: ${played} seeds from ${first} on, ${events} events, ` +
      `${Math.round(played / hours)} seeds an hour, ${((hours * 3600) / played).toFixed(3)} s a seed`,
  )
  return 0
}

async function play(name: string, seed: string): Promise<Simulation<number> | undefined> {
  const command = `npm run sim -- ${name}`
  const stray = new Promise<never>((_, reject) => {
    onStray = reject
  })
  try {
    return await Promise.race([simulate(seed, SCENARIOS[name]!, { command }), stray])
  } catch (error) {
    const known = error instanceof SimulationError
    console.error(
      known ? `\n${error.message}\nWhat happened last:` : `\nPlay it again: ${command} --seed ${seed}`,
    )
    if (known) for (const line of error.recent.slice(-40)) console.error(`  ${line}`)
    console.error(known ? error.cause : error)
    return undefined
  }
}
