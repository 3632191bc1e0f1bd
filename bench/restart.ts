/** P12: a server is killed with a gigabyte in its log, and is started again with nothing of it in the page cache. */
import { connect } from 'millrace'
import { ownProgram } from './child.ts'
import { temporaryDirectory } from './directories.ts'
import { dropPageCache } from './machine.ts'
import { MillraceServer } from './millrace.ts'
import type { Options } from './options.ts'
import type { Results } from './results.ts'
import { check } from './runs.ts'
import { toArguments } from './workload.ts'

const MIB = 1024 ** 2
const EVENT_BYTES = 1024
const EVENTS = 1024 ** 2
const SEGMENTS = 16
const SCOPE = 'bench'
const STREAM = 'restart'
const MANY_STREAMS = 10
const MANY_SEGMENTS_EACH = 1000
const MS_MAX = 300_000

export async function measureRestart(results: Results, options: Options): Promise<void> {
  using temporary = temporaryDirectory('restart')
  const directory = temporary.path
  await using before = await MillraceServer.start({ directory })
  if (options.full) await makeManySegments(before.uri)
  const acknowledged = await fill(before.uri)
  await before.kill()
  const cold = dropPageCache()
  await using client = ownProgram('first.ts', toArguments({ scope: SCOPE, stream: STREAM }))
  await client.event('waiting', MS_MAX)
  await using server = await MillraceServer.start({ directory })
  client.tell(server.uri)
  const sinceStart = async (event: string): Promise<number> =>
    (await client.event(event, MS_MAX)).atMs - server.child.startedAtMs
  const ackedMs = await sinceStart('acked')
  const readMs = await sinceStart('read')
  await client.finish(MS_MAX)
  const peakMiB = server.usage().residentBytesPeak / MIB
  const { problem } = await check(
    { uri: server.uri, scope: SCOPE, stream: STREAM, eventBytes: EVENT_BYTES },
    acknowledged,
  )
  if (problem !== undefined) throw new Error(`After the restart something is wrong: ${problem}`)
  const figure = (name: string, unit: string, value: number): void =>
    results.add({ record: 'figure', part: 'P12', name, unit, value, cold, segments: segmentsOf(options) })
  figure('ready with a log of 1 GiB', 'ms', server.readyMs)
  figure('until the first acknowledgement', 'ms', ackedMs)
  figure('until the first event is read', 'ms', readMs)
  figure('resident at most', 'MiB', peakMiB)
}

function segmentsOf(options: Options): number {
  return SEGMENTS + (options.full ? MANY_STREAMS * MANY_SEGMENTS_EACH : 0)
}

async function makeManySegments(uri: string): Promise<void> {
  await using store = await connect(uri)
  for (let number = 0; number < MANY_STREAMS; number++)
    await store
      .stream(`${SCOPE}/many-${number}`, { key: null })
      .create({ scaling: { segments: MANY_SEGMENTS_EACH } })
}

async function fill(uri: string): Promise<readonly number[]> {
  const values = {
    uri,
    scope: SCOPE,
    stream: STREAM,
    eventBytes: EVENT_BYTES,
    segments: SEGMENTS,
    events: EVENTS,
  }
  await using child = ownProgram('fill.ts', toArguments(values))
  const { acknowledged } = await child.event('filled', MS_MAX)
  await child.finish(MS_MAX)
  return acknowledged as number[]
}
