/**
 * Our client beside a stream that scales by itself: `node bench/elastic-client.ts uri=... scope=... stream=... eventBytes=...
 * target=... perSecondFirst=... perSecondLast=... risesMs=... staysMs=... mergeMsMax=...`. It writes at a rate that rises, reads at
 * the tail, and notes when there are how many segments; then it waits until all are one again, writes and reads once more, and
 * says `result`.
 */
import { setImmediate, setTimeout } from 'node:timers/promises'
import { connect, type Stream, type Writer } from 'millrace'
import { Histogram } from '../packages/millrace/src/base/histogram.ts'
import { tuneCollector } from '../packages/millrace/src/cli/process-memory.ts'
import { BYTES } from './client.ts'
import { EventChecker, EventSource, intendedMsOf, keyOf } from './events.ts'
import { type Latencies, latenciesOf } from './latencies.ts'
import { dueAtMs, dueBy, endMsOf, type Ramp, type SegmentsSeen } from './ramp.ts'
import { readArguments } from './workload.ts'

export interface ElasticResult {
  readonly events: number
  /** From the moment an event of the load was due until it was read. */
  readonly endToEndMs: Latencies
  /** The same, of every five seconds for themselves. */
  readonly windows: readonly Latencies[]
  /** By how much the last event left later than it was due: a client that cannot keep up makes no ramp. */
  readonly behindMs: number
  /** From the creation of the stream on. */
  readonly seen: readonly SegmentsSeen[]
  /** From the end of the load until one segment was left; undefined if that never came. */
  readonly mergedMs: number | undefined
  readonly acknowledged: readonly number[]
  readonly problem: string | undefined
}

export const WINDOW_MS = 5000
const TICK_MS = 1
const READ_LAST_MS_MAX = 10_000
/** What readers have come through is proved by what they read behind it. */
const EVENTS_AFTERWARDS = 10_000

/** What the segments are, followed in the background. */
class SegmentWatch {
  readonly seen: SegmentsSeen[] = []
  readonly #ending = new AbortController()
  readonly #run: Promise<void>
  #onChange: () => void = () => undefined
  #failure: unknown

  constructor(stream: Stream<Buffer>, beginMs: number) {
    this.#run = this.#follow(stream, beginMs).catch((error: unknown) => {
      if (!this.#ending.signal.aborted) this.#failure = error
    })
  }

  /** When the stream was first seen with one segment, from now on; undefined if that does not come in time. */
  async untilOne(timeoutMs: number): Promise<number | undefined> {
    const timeout = AbortSignal.timeout(timeoutMs)
    const late = new Promise<void>((resolve) => timeout.addEventListener('abort', () => resolve()))
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const last = this.seen.at(-1)
      if (last?.segments === 1) return last.atMs
      if (timeout.aborted) return undefined
      await Promise.race([late, new Promise<void>((resolve) => (this.#onChange = resolve))])
    }
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.#run
  }

  async #follow(stream: Stream<Buffer>, beginMs: number): Promise<void> {
    for await (const { segments } of stream.watch({ signal: this.#ending.signal })) {
      this.seen.push({ atMs: performance.now() - beginMs, segments: segments.length })
      this.#onChange()
    }
  }
}

/** Reads from the head on, beside the load. */
class RampReader {
  readonly times: Histogram = new Histogram()
  readonly windows: Histogram[] = []
  readonly checker: EventChecker
  readonly #reader: ReturnType<Stream<Buffer>['read']>
  readonly #done: Promise<void>

  constructor(stream: Stream<Buffer>, options: { eventBytes: number; beginMs: number; endMs: number }) {
    this.checker = new EventChecker(options.eventBytes)
    this.#reader = stream.read()
    this.#done = this.#run(options)
  }

  async untilRead(events: number): Promise<void> {
    const deadline = performance.now() + READ_LAST_MS_MAX
    while (this.checker.seen < events && performance.now() < deadline) await setTimeout(10)
  }

  async close(): Promise<void> {
    await this.#reader.close()
    await this.#done
  }

  async #run({ beginMs, endMs }: { beginMs: number; endMs: number }): Promise<void> {
    for await (const batch of this.#reader.batches()) {
      const now = performance.now()
      for (const { value } of batch) {
        this.checker.see(value)
        const dueMs = intendedMsOf(value) - beginMs
        if (dueMs >= endMs) continue
        const window = (this.windows[Math.floor(dueMs / WINDOW_MS)] ??= new Histogram())
        const tookUs = (now - beginMs - dueMs) * 1000
        window.record(tookUs)
        this.times.record(tookUs)
      }
    }
  }
}

/** Resolves with how far the load was behind in the end. */
async function writeRamp(
  writer: Writer<Buffer>,
  source: EventSource,
  { ramp, beginMs }: { ramp: Ramp; beginMs: number },
): Promise<number> {
  const endMs = endMsOf(ramp)
  const last = Math.floor(dueBy(endMs, ramp))
  while (source.made < last) {
    const nowMs = performance.now() - beginMs
    const due = Math.min(last, Math.floor(dueBy(Math.min(nowMs, endMs), ramp)))
    while (source.made < due) {
      const room = writer.push(source.next(beginMs + dueAtMs(source.made, ramp)))
      if (room !== undefined) await room
    }
    if (performance.now() - beginMs - nowMs < TICK_MS) await setTimeout(TICK_MS)
    else await setImmediate()
  }
  const behindMs = performance.now() - beginMs - endMs
  await writer.flush()
  return behindMs
}

async function writeAfterwards(writer: Writer<Buffer>, source: EventSource): Promise<void> {
  const afterwards = performance.now()
  for (let left = EVENTS_AFTERWARDS; left > 0; left--) {
    const room = writer.push(source.next(afterwards))
    if (room !== undefined) await room
  }
  await writer.close()
}

interface ElasticSpec {
  readonly uri: string
  readonly name: string
  readonly eventBytes: number
  readonly target: number
  readonly ramp: Ramp
  readonly mergeMsMax: number
}

async function run(spec: ElasticSpec): Promise<ElasticResult> {
  const { uri, name, eventBytes, target, ramp, mergeMsMax } = spec
  await using store = await connect(uri)
  const stream = store.stream(name, { key: keyOf, codec: BYTES })
  await stream.create({ scaling: { eventsPerSecond: target } })
  const source = new EventSource({ eventBytes, writer: 0 })
  const writer = stream.writer()
  const beginMs = performance.now()
  const endMs = endMsOf(ramp)
  const watch = new SegmentWatch(stream, beginMs)
  const reader = new RampReader(stream, { eventBytes, beginMs, endMs })
  const behindMs = await writeRamp(writer, source, { ramp, beginMs })
  const events = source.made
  await reader.untilRead(events)
  const oneAtMs = await watch.untilOne(mergeMsMax)
  await writeAfterwards(writer, source)
  await reader.untilRead(source.made)
  await Promise.all([reader.close(), watch.stop()])
  const acknowledged = [source.made]
  return {
    events,
    endToEndMs: latenciesOf(reader.times),
    windows: reader.windows.map(latenciesOf),
    behindMs,
    seen: watch.seen,
    mergedMs: oneAtMs === undefined ? undefined : oneAtMs - endMs,
    acknowledged,
    problem: reader.checker.finish(acknowledged),
  }
}

function readSpec(args: ReadonlyMap<string, string>): ElasticSpec {
  const number = (name: string): number => {
    const value = Number(args.get(name))
    if (!(value > 0)) throw new Error(`${name} is a number above 0, not '${args.get(name)}'`)
    return value
  }
  return {
    uri: args.get('uri') ?? '',
    name: `${args.get('scope')}/${args.get('stream')}`,
    eventBytes: number('eventBytes'),
    target: number('target'),
    ramp: {
      perSecondFirst: number('perSecondFirst'),
      perSecondLast: number('perSecondLast'),
      risesMs: number('risesMs'),
      staysMs: number('staysMs'),
    },
    mergeMsMax: number('mergeMsMax'),
  }
}

if (import.meta.main) {
  tuneCollector()
  const result = await run(readSpec(readArguments(process.argv.slice(2))))
  process.stdout.write(`${JSON.stringify({ event: 'result', ...result })}\n`)
}
