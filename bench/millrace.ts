/** Millrace's own server as a process, from the sources or as it is packed. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Child, ownProgram } from './child.ts'
import { makeDirectory, ROOT, removeDirectory } from './directories.ts'
import { type Usage, usageOf } from './process-usage.ts'
import { startProfile, type Profiling } from './profile.ts'

const READY_MS_MAX = 120_000

export type Build = 'sources' | 'package'

export const ENTRIES: Readonly<Record<Build, string>> = {
  sources: join(ROOT, 'packages/millrace/bin/millrace.js'),
  package: join(ROOT, 'dist/package/bin/millrace.js'),
}

/** What a server counts itself. */
export interface Counts {
  readonly syncs: number
  readonly frameBytes: number
}

/** A server under test, whoever has written it. */
export interface Target extends AsyncDisposable {
  readonly uri: string
  /** By name, as results show them. */
  usage(): Usage
  /** Undefined where the server does not tell. */
  counts(): Promise<Counts | undefined>
  /** Begins to record where the processor time goes; undefined where that is not possible. */
  profile(): Promise<Profiling | undefined>
  stop(): Promise<void>
}

export interface MillraceOptions {
  readonly build?: Build
  /** A new directory, removed in the end, unless it is given. */
  readonly directory?: string
  readonly controllerPort?: number
  readonly segmentStorePort?: number
  /** Further arguments of `serve`. */
  readonly flags?: readonly string[]
  readonly profile?: boolean
  /** The page of metrics costs a few wake-ups a second. */
  readonly metrics?: boolean
}

export class MillraceServer implements Target {
  readonly uri: string
  readonly segmentStore: string
  /** From the start of the process until it said that it serves, as seen from here. */
  readonly readyMs: number
  readonly child: Child
  readonly #directory: string | undefined
  readonly #http: string | undefined
  readonly #inspector: string | undefined

  static async start(options: MillraceOptions = {}): Promise<MillraceServer> {
    const {
      build = 'sources',
      controllerPort = 0,
      segmentStorePort = 0,
      profile = false,
      metrics = true,
    } = options
    const entry = ENTRIES[build]
    if (!existsSync(entry)) throw new Error(`${entry} is not there; node scripts/build.ts makes it`)
    const own = options.directory === undefined ? makeDirectory('millrace') : undefined
    const ports = ['--controller-port', `${controllerPort}`, '--segment-store-port', `${segmentStorePort}`]
    const child = new Child({
      name: 'millrace',
      command: process.execPath,
      args: [
        ...(profile ? ['--inspect=127.0.0.1:0'] : []),
        entry,
        'serve',
        '--json',
        '--log-level',
        'warn',
        '--data',
        join(options.directory ?? own!, 'store'),
        ...ports,
        ...(metrics ? ['--http-port', '0'] : []),
        ...(options.flags ?? []),
      ],
    })
    const ready = await child.event('ready', READY_MS_MAX)
    const inspector = profile ? (await child.heard(/ws:\/\/\S+/, READY_MS_MAX))[0] : undefined
    return new MillraceServer({ child, ready, inspector, directory: own })
  }

  private constructor(parts: {
    child: Child
    ready: Readonly<Record<string, unknown>> & { readonly atMs: number }
    inspector: string | undefined
    directory: string | undefined
  }) {
    const { child, ready } = parts
    this.child = child
    this.uri = String(ready['controller'])
    this.segmentStore = String(ready['segmentStore'])
    this.readyMs = ready.atMs - child.startedAtMs
    this.#http = typeof ready['http'] === 'string' ? ready['http'] : undefined
    this.#inspector = parts.inspector
    this.#directory = parts.directory
  }

  usage(): Usage {
    return usageOf([this.child.pid])
  }

  async counts(): Promise<Counts | undefined> {
    if (this.#http === undefined) return undefined
    const [syncs = 0, frameBytes = 0] = await this.metrics('log_syncs_total', 'log_frame_bytes_total')
    return { syncs, frameBytes }
  }

  /** By name, without the prefix, from the page of metrics. */
  async metrics(...names: readonly string[]): Promise<number[]> {
    const text = await (await fetch(`${this.#http}/metrics`)).text()
    return names.map((name) => Number(new RegExp(`^millrace_${name} (\\S+)`, 'm').exec(text)?.[1]))
  }

  async profile(): Promise<Profiling | undefined> {
    return this.#inspector === undefined ? undefined : startProfile(this.#inspector)
  }

  /** As a loss of power looks to the process. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.child.ended()
  }

  async stop(): Promise<void> {
    await this.child.stop()
    if (this.#directory !== undefined) removeDirectory(this.#directory)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

/** The server that acknowledges and keeps nothing. */
export async function startSink(): Promise<Target> {
  const directory = makeDirectory('sink')
  const child = ownProgram('sink.ts', [join(directory, 'store')])
  const ready = await child.event('ready', READY_MS_MAX)
  const stop = async (): Promise<void> => {
    await child.stop()
    removeDirectory(directory)
  }
  return {
    uri: String(ready['controller']),
    usage: () => usageOf([child.pid]),
    counts: async () => undefined,
    profile: async () => undefined,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
