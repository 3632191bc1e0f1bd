/**
 * `npm run interop -- [--server URI | --pravega URI] [--long] [PATTERN...]`: Pravega's own Java client against Millrace, and programs
 * in both languages together. Runs what has one of the patterns in its name. With `--server` it uses one that runs already; with
 * `--pravega` one of Pravega's own, to see that the cases are right. With `--long` loads are as large as our bars say, which then
 * hold. Status 0 when all passed, 1 when not, 2 when they cannot run.
 */
import { parseArgs } from 'node:util'
import { type Case, cases } from './cases.ts'
import { endOnSignals } from './child.ts'
import { elasticCases } from './elastic.ts'
import { needJava, startJava } from './java.ts'
import { mixedElasticCases } from './mixed-elastic.ts'
import { mixedCases } from './mixed.ts'
import { openTransactionCases } from './open-transactions.ts'
import { ServerProcess, withDirectory } from './server.ts'

const NOTHING_CHOSEN = 3
/** Each is a server and one or two Java programs. */
const AT_ONCE = 3

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: 'string' },
    pravega: { type: 'string' },
    long: { type: 'boolean', default: false },
  },
})
const given = values.server ?? values.pravega

endOnSignals()
await needJava()
const outcomes = [await runSuite(), ...(given === undefined ? await runCases() : [])]
const ran = outcomes.filter((outcome) => outcome !== 'none')
if (ran.length === 0) console.log(`no case has ${positionals.join(' or ')} in its name`)
const passed = ran.length > 0 && ran.every((outcome) => outcome === 'passed')
if (!passed) process.exitCode = 1
console.log(passed ? 'interop passed' : 'interop FAILED')

type Outcome = 'passed' | 'failed' | 'none'

/** The cases in Java, all against one server. */
async function runSuite(): Promise<Outcome> {
  if (given !== undefined) return suite(given)
  return withDirectory(async (data) => {
    const server = new ServerProcess({ data })
    try {
      const outcome = await suite(await server.ready)
      if (outcome === 'failed') console.log(`the server said last:\n${server.child.said}`)
      await server.stop()
      return outcome
    } catch (error) {
      console.log(`FAIL the server: ${(error as Error).message}`)
      return 'failed'
    } finally {
      await server.child.kill()
    }
  })
}

async function suite(controller: string): Promise<Outcome> {
  const flags = values.pravega === undefined ? [] : ['--pravega']
  const java = startJava('Suite', [...flags, controller, ...positionals], {
    onLine: (line) => console.log(line),
    onErrorLine: (line) => console.error(line),
  })
  const status = await java.ended
  if (status === NOTHING_CHOSEN) return 'none'
  return status === 0 ? 'passed' : 'failed'
}

/** The cases that start servers of their own: most of them mostly wait, so several at once; those that measure, alone. */
async function runCases(): Promise<Outcome[]> {
  const together = [...cases, ...mixedCases, ...mixedElasticCases].filter(isChosen)
  const alone = [...elasticCases(values), ...openTransactionCases(values)].filter(isChosen)
  const outcomes: Outcome[] = []
  const runNext = async (): Promise<void> => {
    for (let each = together.shift(); each !== undefined; each = together.shift())
      outcomes.push(await runCase(each))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, runNext))
  for (const each of alone) outcomes.push(await runCase(each))
  return outcomes
}

function isChosen({ name }: Case): boolean {
  return positionals.length === 0 || positionals.some((pattern) => name.includes(pattern.toLowerCase()))
}

async function runCase({ name, run }: Case): Promise<Outcome> {
  const started = performance.now()
  try {
    await run()
    console.log(`ok   ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
    return 'passed'
  } catch (error) {
    console.log(`FAIL ${name}: ${(error as Error).message}`)
    return 'failed'
  }
}
