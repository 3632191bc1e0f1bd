/**
 * `acked.ts URI SCOPE STREAM LOG SEED`: what Acked.java is, with our client. Writers and a reader go on while the server is killed
 * under them, until their input ends. What was acknowledged, sent and read is written to LOG, LOG.sent and LOG.read.
 */
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { connect, type Stream } from 'millrace'
import { decodeNumbered, encodeNumbered, keyName, type NumberedEvent } from './numbered.ts'
import { seededRandom } from './random.ts'

interface Sized extends NumberedEvent {
  readonly bytes: number
}

/** Those of the Java program are below. */
const WRITER_FIRST = 100
const WRITERS = 4
const KEYS = 16
const SEGMENTS = 4
const UNDER_WAY_MAX = 256
const EVENTS_PER_PAUSE = 8
const PAUSE_MS = 4
const TELL_MS = 20

const [uri = '', scope = '', streamName = '', logPath = '', seed = ''] = process.argv.slice(2)
const logs = {
  acked: createWriteStream(logPath),
  sent: createWriteStream(`${logPath}.sent`),
  read: createWriteStream(`${logPath}.read`),
}
let acked = 0
let failed = 0
let told = 0
const stopping = new AbortController()
process.stdin.resume().once('end', () => stopping.abort())

const store = await connect(uri)
const stream: Stream<Sized> = store.stream<Sized>(`${scope}/${streamName}`, {
  key: ({ key }) => keyName(key),
  create: { scaling: { segments: SEGMENTS } },
  codec: {
    encode: (event) => encodeNumbered(event, event.bytes),
    decode: (bytes) => ({ ...decodeNumbered(bytes), bytes: bytes.length }),
  },
})
const telling = setInterval(tell, TELL_MS)
const reading = read()
await Promise.all(Array.from({ length: WRITERS }, (_, index) => write(WRITER_FIRST + index)))
await reading
clearInterval(telling)
tell()
await store.close()
for (const log of Object.values(logs)) await finished(log.end())
console.log(`done ${acked} acknowledged, ${failed} given up by the client`)

async function write(writer: number): Promise<void> {
  const random = seededRandom(Number(seed) * 31 + writer)
  const next = Array.from({ length: KEYS }, () => 0)
  const underWay = new Set<Promise<void>>()
  while (!stopping.signal.aborted) {
    for (let i = 0; i < EVENTS_PER_PAUSE && underWay.size < UNDER_WAY_MAX; i++) {
      const key = Math.floor(random() * KEYS)
      const sequence = next[key]!++
      const bytes = Math.floor(random() * (random() < 1 / 200 ? 300_000 : 500))
      const writing = send({ writer, key, sequence, bytes }).finally(() => underWay.delete(writing))
      underWay.add(writing)
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  await Promise.all(underWay)
}

async function send(event: Sized): Promise<void> {
  note(logs.sent, event)
  try {
    await stream.write(event)
    note(logs.acked, event)
    acked++
  } catch (error) {
    // Whether it is there is unknown; it is not sent again.
    failed++
    if (failed === 1) console.log(`an event was given up: ${(error as Error).message}`)
  }
}

async function read(): Promise<void> {
  const { signal } = stopping
  while (!signal.aborted) {
    try {
      const reader = stream.group('tail-typescript').reader({ signal })
      for await (const { value } of reader) note(logs.read, value)
    } catch (error) {
      if (signal.aborted) return
      console.log(`the reader begins anew after ${(error as Error).message}`)
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
  }
}

function note(log: typeof logs.sent, { writer, key, sequence }: NumberedEvent): void {
  log.write(`${writer} ${key} ${sequence}\n`)
}

function tell(): void {
  if (acked > told) console.log(`acked ${acked}`)
  told = acked
}
