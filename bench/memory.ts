/** Whether memory is bounded by configuration: full load, and readers that ask for everything and take nothing. */
import { setTimeout } from 'node:timers/promises'
import { type Child, ownProgram } from './child.ts'
import { MillraceServer } from './millrace.ts'
import type { Options } from './options.ts'
import { usageOf } from './process-usage.ts'
import type { Results } from './results.ts'
import { toArguments, WORKLOADS } from './workload.ts'

const MIB = 1024 ** 2
const MEMORY_MIB = 256
const STALLED = 50
const LOAD_MS = 90_000
const LOAD_MS_MAX = 300_000
const START_MS_MAX = 60_000
/** So much is in every segment before the readers come. */
const BEFORE_READERS_MS = 3000
const WATCH_MS = 250

export async function measureMemory(results: Results, options: Options): Promise<void> {
  await using server = await MillraceServer.start({ flags: ['--memory', `${MEMORY_MIB}MiB`] })
  const scope = 'bench'
  const stream = 'memory'
  const workload = WORKLOADS.P4.ts
  const measureMs = Math.max(LOAD_MS, options.measureMs)
  const spec = { ...workload, uri: server.uri, scope, stream, warmupMs: BEFORE_READERS_MS, measureMs }
  await using load = ownProgram('client.ts', toArguments(spec))
  await load.event('measuring', START_MS_MAX)
  await using readers = stalledReaders(server, { scope, stream, segments: workload.segments })
  await readers.event('stalled', START_MS_MAX)
  const resident: number[] = []
  const watching = load.event('measured', LOAD_MS_MAX)
  let over = false
  void watching.finally(() => (over = true)).catch(() => undefined)
  while (!over) {
    resident.push(usageOf([server.child.pid]).residentBytes / MIB)
    await setTimeout(WATCH_MS)
  }
  await watching
  const [connections = 0, replyBytes = 0] = await server.metrics('connections', 'reply_bytes')
  if (connections < STALLED)
    throw new Error(`Of ${STALLED} stalled readers some were cut: ${connections} connections`)
  const { megabytesPerSecond } = await load.event('result', START_MS_MAX)
  const peakMiB = server.usage().residentBytesPeak / MIB
  await load.finish(START_MS_MAX)
  results.add({
    record: 'figure',
    part: 'memory',
    name: `resident above --memory, P4 with ${STALLED} stalled readers`,
    unit: 'MiB',
    value: peakMiB - MEMORY_MIB,
    megabytesPerSecond,
    connections,
    replyBytes,
    residentMiBMax: Math.max(...resident),
    residentMiBEverySecond: resident
      .filter((_value, index) => index % (1000 / WATCH_MS) === 0)
      .map(Math.round),
  })
}

function stalledReaders(
  server: MillraceServer,
  of: { scope: string; stream: string; segments: number },
): Child {
  const { hostname, port } = new URL(server.segmentStore)
  const segments = Array.from(
    { length: of.segments },
    (_, number) => `${of.scope}/${of.stream}/${number}.#epoch.0`,
  )
  return ownProgram('stall.ts', [hostname, port, `${STALLED}`, ...segments])
}
