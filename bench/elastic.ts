/** P11: a stream that scales by itself, while the load of it rises from little to much and ends. */
import { ownProgram } from './child.ts'
import type { ElasticResult } from './elastic-client.ts'
import { MillraceServer } from './millrace.ts'
import { crossingsOf, endMsOf, type Ramp } from './ramp.ts'
import type { Results } from './results.ts'
import { check } from './runs.ts'
import { toArguments } from './workload.ts'

const RAMP: Ramp = { perSecondFirst: 1000, perSecondLast: 50_000, risesMs: 60_000, staysMs: 10_000 }
/** Events a second that one segment is to take. */
const TARGET = 5000
const EVENT_BYTES = 1024
const SCOPE = 'bench'
const STREAM = 'elastic'
/** Twice what it may take, so that a bar that does not hold says by how much. */
const MERGE_MS_MAX = 180_000
/** Starting, reading what is left, writing and reading once more. */
const OTHER_MS_MAX = 120_000
/** A ramp that was later than this at its end was none. */
const BEHIND_MS_MAX = 1000

export async function measureElasticity(results: Results): Promise<void> {
  await using server = await MillraceServer.start({ flags: ['--merge-hold-off', '30s'] })
  const values = {
    uri: server.uri,
    scope: SCOPE,
    stream: STREAM,
    eventBytes: EVENT_BYTES,
    target: TARGET,
    ...RAMP,
    mergeMsMax: MERGE_MS_MAX,
  }
  await using client = ownProgram('elastic-client.ts', toArguments(values))
  const msMax = endMsOf(RAMP) + MERGE_MS_MAX + OTHER_MS_MAX
  const result = (await client.event('result', msMax)) as unknown as ElasticResult
  await client.finish(OTHER_MS_MAX)
  const { acknowledged, behindMs } = result
  const { problem = result.problem } = await check(
    { uri: server.uri, scope: SCOPE, stream: STREAM, eventBytes: EVENT_BYTES },
    acknowledged,
  )
  if (problem !== undefined) throw new Error(`Through splits and merges something went wrong: ${problem}`)
  if (behindMs > BEHIND_MS_MAX)
    throw new Error(`The client was ${behindMs.toFixed(0)} ms behind the ramp in the end`)
  report(results, result)
}

function report(results: Results, { endToEndMs, windows, seen, mergedMs, events }: ElasticResult): void {
  const figure = (name: string, unit: string, value: number, details: object = {}): void =>
    results.add({ record: 'figure', part: 'P11', name, unit, value, ...details })
  const crossings = crossingsOf(RAMP, TARGET, seen)
  const latestMs = Math.max(...crossings.map(({ lateMs }) => lateMs))
  figure('split after the load crossed a multiple of the target, the latest', 's', latestMs / 1000, {
    crossings,
    seen,
  })
  figure('segments at the most', '', Math.max(...seen.map(({ segments }) => segments)))
  figure('written to read p99', 'ms', endToEndMs.p99, { events, endToEndMs })
  const p99s = windows.map(({ p99 }) => p99)
  figure('written to read p99 in the worst 5 s', 'ms', Math.max(...p99s), { windows: p99s })
  figure('written to read at the most', 'ms', endToEndMs.max)
  if (mergedMs === undefined)
    throw new Error(
      `${MERGE_MS_MAX / 1000} s after the load the stream had ${seen.at(-1)?.segments} segments`,
    )
  figure('merged into one segment after the load', 's', mergedMs / 1000)
}
