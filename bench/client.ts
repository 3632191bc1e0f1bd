/**
 * Our own client under a load, as a process of its own: `node bench/client.ts name=value...`, with the names of `RunSpec`,
 * and `profile=FILE` for where its time goes. Says `measuring` and `measured` when what counts begins and has ended, and
 * `result` with the figures.
 */
import { Session } from 'node:inspector/promises'
import { writeFileSync } from 'node:fs'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { connect, type Store, type Stream, type Writer } from 'millrace'
import { Histogram } from '../packages/millrace/src/base/histogram.ts'
import { tuneCollector } from '../packages/millrace/src/cli/process-memory.ts'
import { EventChecker, EventSource, intendedMsOf, keyOf } from './events.ts'
import { type Latencies, latenciesOf } from './latencies.ts'
import { type RunSpec, readArguments, readRunSpec } from './workload.ts'

/** What clients in every language report. */
export interface ClientResult {
  /** Events whose acknowledgement fell into the measured time, and how long that was. */
  readonly events: number
  readonly seconds: number
  readonly eventsPerSecond: number
  readonly megabytesPerSecond: number
  /**
   * From the moment an event was due, or handed over where none is due, until it was known to be durable. Of transactions: from
   * the moment when one is to be committed, with its last events on their way, until they can be read.
   */
  readonly ackMs: Latencies
  /** From the moment an event was due until a reader had it. */
  readonly endToEndMs?: Latencies | undefined
  /** By writer, over the whole run. */
  readonly acknowledged: readonly number[]
  /** What a reader found wrong. */
  readonly problem?: string | undefined
}

/** Between two looks at the clock at full speed. */
const PUSHES_PER_LOOK = 64
/** How often the time to durability is taken at full speed. */
const SAMPLE_MS = 10
const TICK_MS = 1
const READ_LAST_MS_MAX = 10_000

export const BYTES = {
  encode: (event: Buffer): Buffer => event,
  decode: (event: Uint8Array): Buffer => event as Buffer,
}

/** Opens the stream of a run. */
export function streamOf(
  store: Store,
  name: { scope: string; stream: string },
  segments: number,
): Stream<Buffer> {
  const create = { scaling: { segments } }
  return store.stream(`${name.scope}/${name.stream}`, { key: keyOf, codec: BYTES, create })
}

/** The phases of a run, told to whoever watches. */
class Phases {
  readonly warmupEndMs: number
  readonly endMs: number
  readonly #profile: string | undefined
  #session: Session | undefined
  #begun: Promise<void> | undefined

  constructor(spec: RunSpec, profile: string | undefined) {
    this.warmupEndMs = performance.now() + spec.warmupMs
    this.endMs = this.warmupEndMs + spec.measureMs
    this.#profile = profile
  }

  /** Whether what happens now counts. Called often; the first time that it does, others are told. */
  measuring(nowMs: number): boolean {
    if (nowMs < this.warmupEndMs) return false
    this.#begun ??= this.#begin()
    return true
  }

  async end(): Promise<void> {
    await this.#begun
    say({ event: 'measured' })
    if (this.#session === undefined || this.#profile === undefined) return
    const { profile } = await this.#session.post('Profiler.stop')
    writeFileSync(this.#profile, JSON.stringify(profile))
  }

  async #begin(): Promise<void> {
    say({ event: 'measuring' })
    if (this.#profile === undefined) return
    this.#session = new Session()
    this.#session.connect()
    await this.#session.post('Profiler.enable')
    await this.#session.post('Profiler.setSamplingInterval', { interval: 200 })
    await this.#session.post('Profiler.start')
  }
}

function say(event: { event: string } & Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`)
}

/** What a load leaves behind: when the measured time really ended, and what happened in it. */
interface Outcome {
  readonly events: number
  readonly seconds: number
  readonly ack: Histogram
  readonly acknowledged: readonly number[]
}

async function runSingle(stream: Stream<Buffer>, spec: RunSpec, phases: Phases): Promise<Outcome> {
  const source = new EventSource({ eventBytes: spec.eventBytes, writer: 0 })
  const ack = new Histogram()
  let beganMs = 0
  let now = performance.now()
  while (now < phases.endMs) {
    const before = now
    await stream.write(source.next(before))
    now = performance.now()
    if (!phases.measuring(before)) continue
    beganMs ||= before
    ack.record((now - before) * 1000)
  }
  await phases.end()
  return { events: ack.count, seconds: (now - beganMs) / 1000, ack, acknowledged: [source.made] }
}

async function runMax(stream: Stream<Buffer>, spec: RunSpec, phases: Phases): Promise<Outcome> {
  const ack = new Histogram()
  const pushers = Array.from({ length: spec.writers }, (_, writer) => ({
    source: new EventSource({ eventBytes: spec.eventBytes, writer }),
    writer: stream.writer(),
  }))
  // What was under way when the measured time began is acknowledged within it and is not counted: the rate is never too good.
  let madeBefore = 0
  let beganMs = 0
  const begin = (nowMs: number): void => {
    beganMs = nowMs
    madeBefore = pushers.reduce((sum, { source }) => sum + source.made, 0)
  }
  const sampling = new AbortController()
  const sampled = sampleFlushes(pushers[0]!.writer, { phases, ack, signal: sampling.signal })
  await Promise.all(
    pushers.map(async ({ source, writer }) => {
      for (let now = performance.now(); now < phases.endMs; now = performance.now()) {
        if (phases.measuring(now) && beganMs === 0) begin(now)
        for (let left = PUSHES_PER_LOOK; left > 0; left--) {
          const room = writer.push(source.next(now))
          if (room !== undefined) await room
        }
      }
      await writer.flush()
    }),
  )
  const seconds = (performance.now() - beganMs) / 1000
  await phases.end()
  sampling.abort()
  await sampled
  const acknowledged = pushers.map(({ source }) => source.made)
  await Promise.all(pushers.map(({ writer }) => writer.close()))
  return {
    events: acknowledged.reduce((sum, count) => sum + count, 0) - madeBefore,
    seconds,
    ack,
    acknowledged,
  }
}

/** Takes the time of one flush after the other. */
async function sampleFlushes(
  writer: Writer<Buffer>,
  options: { phases: Phases; ack: Histogram; signal: AbortSignal },
): Promise<void> {
  const { phases, ack, signal } = options
  while (!signal.aborted) {
    await setTimeout(SAMPLE_MS)
    const before = performance.now()
    await writer.flush()
    if (phases.measuring(before)) ack.record((performance.now() - before) * 1000)
  }
}

async function runPaced(
  stream: Stream<Buffer>,
  spec: RunSpec,
  phases: Phases,
  options: { perSecond: number },
): Promise<Outcome> {
  const perMs = options.perSecond / 1000
  const source = new EventSource({ eventBytes: spec.eventBytes, writer: 0 })
  const writer = stream.writer()
  const ack = new Histogram()
  const begin = performance.now()
  let beganMs = 0
  let madeBefore = 0
  for (let now = begin; now < phases.endMs; now = performance.now()) {
    const measuring = phases.measuring(now)
    if (measuring && beganMs === 0) {
      beganMs = now
      madeBefore = source.made
    }
    const first = source.made
    const due = Math.floor((now - begin) * perMs)
    for (let index = first; index < due; index++) {
      const room = writer.push(source.next(begin + index / perMs))
      if (room !== undefined) await room
    }
    // All events of a tick are counted as the first one of it, which has waited longest.
    if (measuring && due > first) void noteFlush(writer, begin + first / perMs, ack)
    if (performance.now() - now < TICK_MS) await setTimeout(TICK_MS)
    else await setImmediate()
  }
  const seconds = (performance.now() - beganMs) / 1000
  const events = source.made - madeBefore
  await writer.flush()
  await phases.end()
  await writer.close()
  return { events, seconds, ack, acknowledged: [source.made] }
}

/** As many transactions at a time as there are writers. */
async function runTransactions(stream: Stream<Buffer>, spec: RunSpec, phases: Phases): Promise<Outcome> {
  const { transactionEvents = 1 } = spec
  const commit = new Histogram()
  const sources = Array.from(
    { length: spec.writers },
    (_, writer) => new EventSource({ eventBytes: spec.eventBytes, writer }),
  )
  let beganMs = 0
  await Promise.all(
    sources.map(async (source) => {
      for (let now = performance.now(); now < phases.endMs; now = performance.now()) {
        const counts = phases.measuring(now)
        if (counts && beganMs === 0) beganMs = now
        const tookMs = await runTransaction(stream, source, transactionEvents)
        if (counts) commit.record(tookMs * 1000)
      }
    }),
  )
  const seconds = (performance.now() - beganMs) / 1000
  await phases.end()
  const acknowledged = sources.map(({ made }) => made)
  return { events: commit.count * transactionEvents, seconds, ack: commit, acknowledged }
}

/** Resolves with what the commit took. */
async function runTransaction(stream: Stream<Buffer>, source: EventSource, events: number): Promise<number> {
  const transaction = await stream.transaction()
  const values = Array.from({ length: events }, () => source.next(0))
  // As Java's does it: handed over, not waited for, until the commit waits for all of them.
  const written = transaction.writeAll(values)
  const before = performance.now()
  await Promise.all([written, transaction.commit()])
  return performance.now() - before
}

async function noteFlush(writer: Writer<Buffer>, dueMs: number, ack: Histogram): Promise<void> {
  await writer.flush()
  ack.record((performance.now() - dueMs) * 1000)
}

/** Reads from the tail on, beside the load. */
class TailReader {
  readonly times: Histogram = new Histogram()
  readonly checker: EventChecker
  readonly #reader: ReturnType<Stream<Buffer>['read']>
  readonly #done: Promise<void>

  constructor(stream: Stream<Buffer>, spec: RunSpec, phases: Phases) {
    this.checker = new EventChecker(spec.eventBytes)
    this.#reader = stream.read({ from: 'head' })
    this.#done = this.#run(phases)
  }

  /** Waits for what was acknowledged and says what was wrong. */
  async finish(acknowledged: readonly number[]): Promise<string | undefined> {
    const expected = acknowledged.reduce((sum, count) => sum + count, 0)
    const deadline = performance.now() + READ_LAST_MS_MAX
    while (this.checker.seen < expected && performance.now() < deadline) await setTimeout(10)
    await this.#reader.close()
    await this.#done
    return this.checker.finish(acknowledged)
  }

  async #run(phases: Phases): Promise<void> {
    for await (const batch of this.#reader.batches()) {
      const now = performance.now()
      for (const { value } of batch) {
        this.checker.see(value)
        const dueMs = intendedMsOf(value)
        if (dueMs >= phases.warmupEndMs && dueMs < phases.endMs) this.times.record((now - dueMs) * 1000)
      }
    }
  }
}

async function run(spec: RunSpec, profile: string | undefined): Promise<ClientResult> {
  await using store = await connect(spec.uri)
  const stream = streamOf(store, spec, spec.segments)
  await stream.create({ scaling: { segments: spec.segments } })
  const phases = new Phases(spec, profile)
  const reader = spec.reader ? new TailReader(stream, spec, phases) : undefined
  const outcome = await runLoad(stream, spec, phases)
  const problem = await reader?.finish(outcome.acknowledged)
  const eventsPerSecond = outcome.events / outcome.seconds
  return {
    events: outcome.events,
    seconds: outcome.seconds,
    eventsPerSecond,
    megabytesPerSecond: (eventsPerSecond * spec.eventBytes) / 1e6,
    ackMs: latenciesOf(outcome.ack),
    endToEndMs: reader === undefined ? undefined : latenciesOf(reader.times),
    acknowledged: outcome.acknowledged,
    problem,
  }
}

function runLoad(stream: Stream<Buffer>, spec: RunSpec, phases: Phases): Promise<Outcome> {
  if (spec.load === 'single') return runSingle(stream, spec, phases)
  if (spec.load === 'max') return runMax(stream, spec, phases)
  if (spec.load === 'transactions') return runTransactions(stream, spec, phases)
  return runPaced(stream, spec, phases, { perSecond: spec.load })
}

if (import.meta.main) {
  // As the server does, and as any program may that makes much garbage in a small heap.
  tuneCollector()
  const args = readArguments(process.argv.slice(2))
  say({ event: 'result', ...(await run(readRunSpec(args), args.get('profile'))) })
}
