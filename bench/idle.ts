/** What a server costs that nobody uses: memory, processor time, wake-ups. */
import { setTimeout } from 'node:timers/promises'
import { connect } from 'millrace'
import { buildPackage } from './build.ts'
import { streamOf } from './client.ts'
import { EventSource } from './events.ts'
import { type Build, MillraceServer } from './millrace.ts'
import type { Results } from './results.ts'

const MIB = 1024 ** 2
const EVENTS = 1000
const EVENT_BYTES = 100
const SETTLE_MS = 5000
const WATCH_MS = 20_000
const BUILDS: readonly (readonly [build: Build, name: string])[] = [
  ['package', 'packed'],
  ['sources', 'from sources'],
]

export async function measureIdle(results: Results): Promise<void> {
  await buildPackage()
  for (const [build, name] of BUILDS) {
    await using server = await MillraceServer.start({ build, metrics: false })
    await setTimeout(SETTLE_MS)
    const unusedBytes = server.usage().residentBytes
    await useOnce(server.uri)
    await setTimeout(SETTLE_MS)
    const before = server.usage()
    await setTimeout(WATCH_MS)
    const after = server.usage()
    const seconds = WATCH_MS / 1000
    const figure = (what: string, unit: string, value: number): void =>
      results.add({ record: 'figure', part: 'idle', name: `${what}, ${name}`, unit, value })
    figure('resident before anyone came', 'MiB', unusedBytes / MIB)
    figure('resident', 'MiB', after.residentBytes / MIB)
    figure('of a core', '%', ((after.cpuSeconds - before.cpuSeconds) / seconds) * 100)
    figure('wake-ups', '/s', (after.wakeUps - before.wakeUps) / seconds)
  }
}

/** A server that nobody has ever used could leave much unloaded. */
async function useOnce(uri: string): Promise<void> {
  await using store = await connect(uri)
  const stream = streamOf(store, { scope: 'bench', stream: 'idle' }, 4)
  const source = new EventSource({ eventBytes: EVENT_BYTES, writer: 0 })
  const writer = stream.writer()
  for (let index = 0; index < EVENTS; index++) {
    const room = writer.push(source.next(0))
    if (room !== undefined) await room
  }
  await writer.close()
  let seen = 0
  for await (const batch of stream.read({ until: 'tail' }).batches()) seen += batch.length
  if (seen !== EVENTS) throw new Error(`${seen} events were read, ${EVENTS} written`)
}
