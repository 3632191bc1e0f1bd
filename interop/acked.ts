/**
 * `acked.ts URI SCOPE STREAM LOG SEED plain|elastic`: what Acked.java is, with our client. Writers and a reader go on while the
 * server is killed under them, until their input ends. What was acknowledged, sent and read is written to LOG, LOG.sent and LOG.read.
 * An elastic one also scales the stream now and then, and writes transactions, which it lists in LOG.transactions.
 */
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { connect } from 'millrace'
import { writeTransactions } from './acked-transactions.ts'
import { type NumberedEvent, type SizedEvent, sizedStream } from './numbered.ts'
import { seededRandom } from './random.ts'

/** Those of the Java program are below. */
const WRITER_FIRST = 100
const WRITERS = 4
const KEYS = 16
/** More of both, and Java's writers fall behind, as Acked.java says. */
const TRANSACTION_WRITERS = [150]
const SEGMENTS_MIN = 2
const SEGMENTS_MAX = 8
const SCALE_PAUSE_MS_MIN = 2000
const SCALE_PAUSE_MS_MAX = 8000
const UNDER_WAY_MAX = 256
const EVENTS_PER_PAUSE = 8
const PAUSE_MS = 4
const TELL_MS = 20

const [uri = '', scope = '', streamName = '', logPath = '', seed = '', manner = ''] = process.argv.slice(2)
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
const stream = sizedStream(store, `${scope}/${streamName}`)
const telling = setInterval(tell, TELL_MS)
const reading = read()
const writing = Array.from({ length: WRITERS }, (_, index) => write(WRITER_FIRST + index))
if (manner === 'elastic') writing.push(transact(), scale())
await Promise.all(writing)
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
    await pause(PAUSE_MS)
  }
  await Promise.all(underWay)
}

async function send(event: SizedEvent): Promise<void> {
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

function transact(): Promise<void> {
  return writeTransactions({
    uri,
    stream: `${scope}/${streamName}`,
    log: `${logPath}.transactions`,
    seed: Number(seed),
    writers: TRANSACTION_WRITERS,
    stopping: stopping.signal,
  })
}

/** Others scale as well, so a request may come too late, and it may be cut off at any point. */
async function scale(): Promise<void> {
  const random = seededRandom(Number(seed))
  const { signal } = stopping
  while (!signal.aborted) {
    await pause(SCALE_PAUSE_MS_MIN + random() * (SCALE_PAUSE_MS_MAX - SCALE_PAUSE_MS_MIN))
    const to = SEGMENTS_MIN + Math.floor(random() * (SEGMENTS_MAX - SEGMENTS_MIN + 1))
    try {
      await stream.scale(to, { signal })
    } catch (error) {
      if (!signal.aborted) console.log(`a scale to ${to} was not done: ${(error as Error).message}`)
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
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
      await pause(1000)
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
