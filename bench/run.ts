/** `npm run bench`: measures what was asked for, writes it down, and says which bars hold. */
import { mkdirSync } from 'node:fs'
import { measureCrash } from './crash.ts'
import { endOnSignals } from './child.ts'
import { CACHE } from './directories.ts'
import { measureElasticity } from './elastic.ts'
import { measureIdle } from './idle.ts'
import { describeCommit, describeMachine, freeGigabytes, hasProcFs, loadNow } from './machine.ts'
import { measureMemory } from './memory.ts'
import { measureOpening } from './opening.ts'
import { type Options, type Part, readOptions, USAGE, UsageError } from './options.ts'
import { measureRestart } from './restart.ts'
import { judge } from './bars.ts'
import { Results } from './results.ts'
import { runWorkloads } from './runs.ts'
import { measureStart } from './start.ts'
import { measureTransactions } from './transactions.ts'
import { WORKLOADS_OF } from './workload.ts'

/** A run at full speed keeps all it writes until it ends. */
const GIGABYTES = 25
const FULL_GIGABYTES = 60
/** A machine that does nothing else. */
const QUIET_LOAD_MAX = 0.5

async function main(args: readonly string[]): Promise<number> {
  let options: Options
  try {
    options = readOptions(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${error.message}\n\n${USAGE}`)
    return 2
  }
  mkdirSync(CACHE, { recursive: true })
  const obstacle = obstacleTo(options)
  if (obstacle !== undefined) {
    console.error(obstacle)
    return 2
  }
  endOnSignals()
  const began = performance.now()
  const results = begin(options)
  const workloads = options.parts.flatMap((part) => WORKLOADS_OF[part] ?? [])
  if (workloads.length > 0) await runWorkloads(results, workloads, options)
  const others: Readonly<Partial<Record<Part, () => Promise<void>>>> = {
    P11: () => measureElasticity(results),
    P12: () => measureRestart(results, options),
    transactions: () => measureTransactions(results),
    crash: () => measureCrash(results),
    start: () => measureStart(results),
    open: () => measureOpening(results),
    idle: () => measureIdle(results),
    memory: () => measureMemory(results, options),
  }
  for (const part of options.parts) {
    const measure = others[part]
    if (measure !== undefined) await results.attempt(part, measure)
  }
  console.log('')
  const bars = judge(results.records)
  for (const bar of bars) results.add(bar)
  const wrong = results.records.filter(
    (record) => record.record === 'failure' || (record.record === 'run' && record.problem !== undefined),
  )
  const minutes = ((performance.now() - began) / 60_000).toFixed(1)
  console.log(`\n${results.path}, ${minutes} minutes`)
  return bars.every(({ holds }) => holds) && wrong.length === 0 ? 0 : 1
}

/** Why it is no use to begin. */
function obstacleTo(options: Options): string | undefined {
  if (!hasProcFs()) return 'The benchmarks read what processes use from /proc, which only Linux has'
  const room = freeGigabytes(CACHE)
  const needed = options.full ? FULL_GIGABYTES : GIGABYTES
  if (room < needed) return `${CACHE} has room for ${room.toFixed(0)} GB, and ${needed} GB are needed`
  const { fileSystem } = describeMachine(CACHE)
  if (fileSystem === 'tmpfs') return `${CACHE} is in memory, where a sync does nothing`
  return undefined
}

function begin(options: Options): Results {
  const at = new Date().toISOString()
  const load = loadNow()
  const commit = describeCommit()
  const results = new Results({ path: options.out, at, commit })
  const { warmupMs, measureMs, pairs } = options
  results.add({ record: 'session', at, commit, warmupMs, measureMs, pairs, load, ...describeMachine(CACHE) })
  if (load > QUIET_LOAD_MAX)
    console.log(
      `Something else is running (load ${load.toFixed(1)}): these figures will not be worth keeping`,
    )
  return results
}

process.exitCode = await main(process.argv.slice(2))
