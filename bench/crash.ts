/** A server is killed under load and started again at once: how long its clients wait, and whether anything is missing. */
import { setTimeout } from 'node:timers/promises'
import { ownProgram } from './child.ts'
import { temporaryDirectory } from './directories.ts'
import { MillraceServer } from './millrace.ts'
import { freePorts } from './ports.ts'
import { median, type Results } from './results.ts'
import { check } from './runs.ts'
import { toArguments } from './workload.ts'

const TIMES = 3
const EVENT_BYTES = 1024
const MS_MAX = 120_000
const AFTERWARDS_MS = 2000

export async function measureCrash(results: Results): Promise<void> {
  const values: number[] = []
  for (let time = 0; time < TIMES; time++) values.push(await crashOnce())
  const name = 'kill -9 under load until acks flow again'
  results.add({ record: 'figure', part: 'crash', name, unit: 'ms', value: median(values), values })
}

async function crashOnce(): Promise<number> {
  using temporary = temporaryDirectory('crash')
  const [controllerPort = 0, segmentStorePort = 0] = await freePorts(2)
  const options = { directory: temporary.path, controllerPort, segmentStorePort }
  await using before = await MillraceServer.start(options)
  const streams = { load: 'crash-load', probe: 'crash-probe' }
  const names = { uri: before.uri, loadStream: streams.load, probeStream: streams.probe }
  await using client = ownProgram('outage.ts', toArguments(names))
  await client.event('loaded', MS_MAX)
  // The load goes on while the server dies.
  await setTimeout(AFTERWARDS_MS / 4)
  client.forget()
  const killedAtMs = performance.now()
  await before.kill()
  await using server = await MillraceServer.start(options)
  const resumed = await client.event('resumed', MS_MAX)
  await setTimeout(AFTERWARDS_MS)
  client.tell('stop')
  const result = await client.event('result', MS_MAX)
  await client.finish(MS_MAX)
  for (const [kind, stream] of Object.entries(streams)) {
    const where = { uri: server.uri, scope: 'bench', stream, eventBytes: EVENT_BYTES }
    const { problem } = await check(where, [Number(result[kind])])
    if (problem !== undefined) throw new Error(`After the crash something is wrong in ${stream}: ${problem}`)
  }
  return resumed.atMs - killedAtMs
}
