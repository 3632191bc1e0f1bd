/**
 * A client that lives through a restart of its server: a steady load on one stream, and on another one event after the other,
 * whose acknowledgements say when the server is back. `node bench/outage.ts uri=... loadStream=... probeStream=...`
 *
 * Says `loaded` when so much is acknowledged that a restart has something to read, `resumed` for an acknowledgement that came
 * long after the one before, and `result` after `stop` on stdin.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { connect, type Stream } from 'millrace'
import { streamOf } from './client.ts'
import { EventSource } from './events.ts'
import { readArguments } from './workload.ts'

const EVENT_BYTES = 1024
const LOAD_SEGMENTS = 16
const LOAD_PER_MS = 20
const LOADED_BYTES = 100 * 1024 * 1024
const TICK_MS = 5
const GAP_MS_MIN = 250

const args = readArguments(process.argv.slice(2))
const say = (event: Record<string, unknown>): void => void process.stdout.write(`${JSON.stringify(event)}\n`)
const stopping = new AbortController()

async function runLoad(stream: Stream<Buffer>): Promise<number> {
  const source = new EventSource({ eventBytes: EVENT_BYTES, writer: 0 })
  const writer = stream.writer()
  let loaded = false
  let owed = 0
  for (let last = performance.now(); !stopping.signal.aborted; ) {
    await setTimeout(TICK_MS)
    const now = performance.now()
    owed += (now - last) * LOAD_PER_MS
    last = now
    for (; owed >= 1; owed--) {
      const room = writer.push(source.next(now))
      if (room === undefined) continue
      await room
      // An outage is no reason for a burst.
      last = performance.now()
    }
    if (loaded || source.made * EVENT_BYTES < LOADED_BYTES) continue
    loaded = true
    await writer.flush()
    say({ event: 'loaded', bytes: source.made * EVENT_BYTES })
    last = performance.now()
  }
  await writer.flush()
  return source.made
}

async function runProbe(stream: Stream<Buffer>): Promise<number> {
  const source = new EventSource({ eventBytes: EVENT_BYTES, writer: 0 })
  let last = performance.now()
  while (!stopping.signal.aborted) {
    await stream.write(source.next(last))
    const now = performance.now()
    if (now - last > GAP_MS_MIN) say({ event: 'resumed', gapMs: now - last })
    last = now
  }
  return source.made
}

await using store = await connect(args.get('uri') ?? '')
const load = streamOf(store, { scope: 'bench', stream: args.get('loadStream') ?? '' }, LOAD_SEGMENTS)
const probe = streamOf(store, { scope: 'bench', stream: args.get('probeStream') ?? '' }, 1)
await load.create({ scaling: { segments: LOAD_SEGMENTS } })
await probe.create({ scaling: { segments: 1 } })
const input = createInterface({ input: process.stdin })
void once(input, 'line').then(() => {
  input.close()
  stopping.abort()
})
const [loadEvents, probeEvents] = await Promise.all([runLoad(load), runProbe(probe)])
say({ event: 'result', load: loadEvents, probe: probeEvents })
