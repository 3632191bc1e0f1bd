/** The workloads P1 to P4: pairs of sessions, one with each side, whose figures are compared. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child, ownProgram } from './child.ts'
import type { ClientResult } from './client.ts'
import { CACHE } from './directories.ts'
import { buildJava, javaCommand } from './java.ts'
import { measureDisk } from './limits.ts'
import { dropPageCache, loadNow, settleDisk } from './machine.ts'
import { MillraceServer, startSink, type Target } from './millrace.ts'
import type { ClientName, Options, TargetName } from './options.ts'
import { fetchPravega, startPravega } from './pravega.ts'
import { type Usage, usageOf } from './process-usage.ts'
import { selfTimes, type CpuProfile } from './profile.ts'
import type { Results, RunRecord } from './results.ts'
import { type RunSpec, toArguments, WORKLOADS, type WorkloadName } from './workload.ts'

const MIB = 1024 ** 2
const SCOPE = 'bench'
const DISK_MS = 2000
const START_MS_MAX = 120_000
/** What a client may take to have everything acknowledged and, with a reader, read. */
const END_MS_MAX = 120_000
const CHECK_MS_MAX = 300_000
const PROFILE_LINES = 15
const PROFILES = join(CACHE, 'profiles')

/** Rates that depend on the client more than on any server are compared with those against the sink too. */
const WITH_SINK: readonly WorkloadName[] = ['P2', 'P4']

export async function runWorkloads(
  results: Results,
  names: readonly WorkloadName[],
  options: Options,
): Promise<void> {
  if (options.clients.includes('java')) await buildJava()
  const peer = options.targets.includes('pravega') && options.clients.includes('java')
  if (peer) await fetchPravega()
  for (let pair = 0; pair < options.pairs; pair++) {
    const ours = (): Promise<void> => runOurs(results, names, { ...options, pair })
    const theirs = (): Promise<void> => runTheirs(results, names, { ...options, pair })
    // Whoever comes first finds another machine than who comes second, so they take turns in that too.
    const order = pair % 2 === 0 ? [theirs, ours] : [ours, theirs]
    for (const side of order) if (side !== theirs || peer) await side()
  }
}

type PairOptions = Options & { readonly pair: number }

async function runOurs(
  results: Results,
  names: readonly WorkloadName[],
  options: PairOptions,
): Promise<void> {
  const { pair, profile } = options
  const load = loadNow()
  results.add({ record: 'limits', pair, load, ...(await measureDisk(CACHE, DISK_MS)) })
  for (const workload of names) {
    for (const client of options.clients) {
      const measure = (target: TargetName, start: () => Promise<Target>): Promise<void> =>
        results.attempt(`${workload} ${client} ${target}`, () =>
          withTarget(start, async (server) =>
            results.add(await runOnce(server, { workload, client, target, ...options })),
          ),
        )
      if (options.targets.includes('millrace'))
        await measure('millrace', () => MillraceServer.start({ profile }))
      if (options.targets.includes('sink') && WITH_SINK.includes(workload)) await measure('sink', startSink)
    }
  }
}

/** One cluster for all workloads: it takes long to come up. */
async function runTheirs(
  results: Results,
  names: readonly WorkloadName[],
  options: PairOptions,
): Promise<void> {
  const run = { client: 'java', target: 'pravega', ...options } as const
  await results.attempt('pravega', () =>
    withTarget(startPravega, async (server) => {
      for (const workload of names)
        await results.attempt(`${workload} java pravega`, async () =>
          results.add(await runOnce(server, { workload, ...run })),
        )
    }),
  )
}

async function withTarget<T>(start: () => Promise<Target>, use: (target: Target) => Promise<T>): Promise<T> {
  dropPageCache()
  const target = await start()
  try {
    return await use(target)
  } finally {
    await target.stop()
    settleDisk(CACHE)
  }
}

interface Run extends PairOptions {
  readonly workload: WorkloadName
  readonly client: ClientName
  readonly target: TargetName
}

async function runOnce(server: Target, run: Run): Promise<RunRecord> {
  const parameters = WORKLOADS[run.workload][run.client]
  const { warmupMs, measureMs } = run
  const stream = `${run.workload}-${run.client}`.toLowerCase()
  const spec: RunSpec = { ...parameters, uri: server.uri, scope: SCOPE, stream, warmupMs, measureMs }
  const load = loadNow()
  const profileName = join(PROFILES, `${run.workload}-${run.target}-${run.client}`)
  if (run.profile) mkdirSync(PROFILES, { recursive: true })
  await using child = startClient(
    run.client,
    spec,
    run.profile ? `${profileName}-client.cpuprofile` : undefined,
  )
  await child.event('measuring', START_MS_MAX + warmupMs)
  const profiling = run.profile ? await server.profile() : undefined
  const before = await snapshot(server, child)
  await child.event('measured', measureMs + END_MS_MAX)
  const after = await snapshot(server, child)
  await profiling?.save(`${profileName}-server.cpuprofile`)
  const {
    event: _event,
    atMs: _atMs,
    acknowledged,
    ...result
  } = (await child.event('result', END_MS_MAX)) as unknown as ClientResult & { event: string; atMs: number }
  await child.finish(END_MS_MAX)
  if (run.profile) showProfiles(profileName)
  const readBack =
    run.target === 'millrace' && !parameters.reader ? await check(spec, acknowledged) : undefined
  const problem = result.problem ?? readBack?.problem
  return {
    record: 'run',
    workload: run.workload,
    target: run.target,
    client: run.client,
    durability: run.target === 'sink' ? 'D0' : 'D2',
    pair: run.pair,
    parameters,
    load,
    ...result,
    ...costs(before, after, { events: result.events, eventBytes: parameters.eventBytes }),
    ...(readBack === undefined
      ? {}
      : { readBack: { events: readBack.events, megabytesPerSecond: readBack.megabytesPerSecond } }),
    ...(problem === undefined ? {} : { problem }),
  }
}

function startClient(client: ClientName, spec: RunSpec, profile: string | undefined): Child {
  const args = toArguments(spec)
  if (client === 'java') return new Child({ name: 'the Java client', ...javaCommand(args) })
  return ownProgram('client.ts', [...args, ...(profile === undefined ? [] : [`profile=${profile}`])])
}

interface Snapshot {
  readonly server: Usage
  readonly client: Usage
  readonly syncs: number | undefined
  readonly frameBytes: number | undefined
}

async function snapshot(server: Target, client: Child): Promise<Snapshot> {
  const usage = { server: server.usage(), client: usageOf([client.pid]) }
  const counts = await server.counts()
  return { ...usage, syncs: counts?.syncs, frameBytes: counts?.frameBytes }
}

function costs(
  before: Snapshot,
  after: Snapshot,
  run: { events: number; eventBytes: number },
): Pick<
  RunRecord,
  | 'serverCpuSeconds'
  | 'serverCpuSecondsPerMillionEvents'
  | 'serverCpuSecondsPerGigabyte'
  | 'serverMiBPeak'
  | 'clientCpuSeconds'
  | 'clientMiBPeak'
  | 'syncs'
  | 'syncsPerEvent'
  | 'writeAmplification'
> {
  const { events } = run
  const bytes = events * run.eventBytes
  const serverCpuSeconds = after.server.cpuSeconds - before.server.cpuSeconds
  const syncs = difference(after.syncs, before.syncs)
  const frameBytes = difference(after.frameBytes, before.frameBytes)
  return {
    serverCpuSeconds,
    serverCpuSecondsPerMillionEvents: serverCpuSeconds / (events / 1e6),
    serverCpuSecondsPerGigabyte: serverCpuSeconds / (bytes / 1e9),
    serverMiBPeak: after.server.residentBytesPeak / MIB,
    clientCpuSeconds: after.client.cpuSeconds - before.client.cpuSeconds,
    clientMiBPeak: after.client.residentBytesPeak / MIB,
    syncs,
    syncsPerEvent: syncs === undefined ? undefined : syncs / events,
    writeAmplification: frameBytes === undefined ? undefined : frameBytes / bytes,
  }
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before
}

interface Checked {
  readonly events: number
  readonly megabytesPerSecond: number
  readonly problem?: string | undefined
}

/** Everything that was acknowledged is read again, by a process that knows nothing of the load. */
export async function check(
  where: Pick<RunSpec, 'uri' | 'scope' | 'stream' | 'eventBytes'>,
  acknowledged: readonly number[],
): Promise<Checked> {
  const { uri, scope, stream, eventBytes } = where
  const values = { uri, scope, stream, eventBytes, acknowledged: acknowledged.join(',') }
  await using child = ownProgram('check.ts', toArguments(values))
  const checked = (await child.event('checked', CHECK_MS_MAX)) as unknown as Checked
  await child.finish(END_MS_MAX)
  return checked
}

function showProfiles(name: string): void {
  for (const side of ['server', 'client']) {
    const path = `${name}-${side}.cpuprofile`
    let profile: CpuProfile
    try {
      profile = JSON.parse(readFileSync(path, 'utf8')) as CpuProfile
    } catch {
      continue // Java, and the peer, have none.
    }
    console.log(`\n${path}`)
    for (const { name: where, share } of selfTimes(profile).slice(0, PROFILE_LINES))
      console.log(`${(share * 100).toFixed(1).padStart(8)} %  ${where}`)
  }
}
