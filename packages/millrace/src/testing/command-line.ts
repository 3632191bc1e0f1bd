/** The command `millrace` for tests: inside this process where that will do, and as a process of its own where it will not. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable, Writable } from 'node:stream'
import { showAddress } from '../base/host.ts'
import { nodeHost } from '../base/node-host.ts'
import { runCommand } from '../cli/run-command.ts'
import { Terminal } from '../cli/terminal.ts'
import { startServer } from '../server/server.ts'

export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  /** The output as it is. */
  readonly bytes: Buffer
}

export interface Surroundings {
  readonly input?: string | Buffer | Readable | undefined
  /** Told of each piece of output. An error from it is one of the output. */
  readonly onOutput?: ((text: string) => Error | undefined | void) | undefined
  readonly stop?: AbortSignal | undefined
  /** Somebody sits in front of it. */
  readonly watched?: boolean | undefined
}

export type Millrace = (args: readonly string[], surroundings?: Surroundings) => Promise<Outcome>

/** Runs a command in this process. */
export const millrace: Millrace = async (args, surroundings = {}) => {
  const { input = '', onOutput, stop = new AbortController().signal, watched = false } = surroundings
  const stdout = collector(onOutput)
  const stderr = collector()
  const stdin = input instanceof Readable ? input : Readable.from([Buffer.from(input)])
  const terminal = new Terminal(
    {
      stdin: Object.assign(stdin, { isTTY: watched }),
      stdout: stdout.stream,
      stderr: Object.assign(stderr.stream, { isTTY: watched }),
    },
    () => stop,
  )
  const status = await runCommand(args, terminal)
  return {
    status,
    stdout: stdout.bytes().toString(),
    stderr: stderr.bytes().toString(),
    bytes: stdout.bytes(),
  }
}

function collector(onOutput?: Surroundings['onOutput']): { stream: Writable; bytes(): Buffer } {
  const pieces: Buffer[] = []
  const stream = new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(piece)
      done(onOutput?.(piece.toString()) ?? null)
    },
  })
  return { stream, bytes: () => Buffer.concat(pieces) }
}

/** A test with commands that talk to a server of its own in this process. */
export function withServer(scenario: (run: Millrace, uri: string) => Promise<void>): () => Promise<void> {
  return () =>
    inDirectory(async (data) => {
      const loopback = { host: '127.0.0.1', port: 0 }
      const listen = { controller: loopback, segmentStore: loopback }
      const server = await startServer({ host: nodeHost(), data, containers: 2, listen })
      try {
        // It was asked to listen.
        const uri = `tcp://${showAddress(server.controllerAddress!)}`
        await scenario((args, surroundings) => millrace([...args, '--server', uri], surroundings), uri)
      } finally {
        await server.close()
      }
    })
}

/** A directory for the time of a test. */
export async function inDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-'))
  try {
    return await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const COMMAND = join(import.meta.dirname, '../../bin/millrace.js')

/** A command as a process. */
export class CommandProcess implements AsyncDisposable {
  readonly child: ChildProcess
  readonly #ended: Promise<unknown[]>
  #stdout = ''
  #stderr = ''

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [COMMAND, ...args], { env: { ...process.env, ...env } })
    this.#ended = once(this.child, 'close')
    this.child.stdout?.on('data', (data: Buffer) => (this.#stdout += data.toString('latin1')))
    this.child.stderr?.on('data', (data: Buffer) => (this.#stderr += data.toString()))
    // One that ends early leaves its input to us.
    this.child.stdin?.on('error', () => undefined)
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** The next line of the output; rejects with what the process said instead. */
  async line(): Promise<string> {
    const lines = createInterface({ input: this.child.stdout! })
    const line = await Promise.race([once(lines, 'line'), this.#ended])
    if (typeof line[0] === 'string') return line[0]
    throw new Error(`The process ended with ${String(line[0] ?? line[1])}: ${this.#stderr}`)
  }

  /** The status, or the signal that ended it. */
  async end(signal?: NodeJS.Signals): Promise<number | string> {
    if (signal !== undefined) this.child.kill(signal)
    const [status, killed] = (await this.#ended) as [number | null, string | null]
    return status ?? killed ?? 'unknown'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL')
  }
}

export interface ReadyLine {
  readonly event: string
  readonly controller: string
  readonly segmentStore: string
  readonly data: string
  readonly readyMs: number
}

/** A server as a process, once it has said that it is ready. */
export async function serveProcess(
  data: string,
  args: readonly string[] = [],
): Promise<{ server: CommandProcess; ready: ReadyLine }> {
  const ports = ['--controller-port', '0', '--segment-store-port', '0']
  const server = new CommandProcess(['serve', '--data', data, '--json', ...ports, ...args])
  try {
    return { server, ready: JSON.parse(await server.line()) as ReadyLine }
  } catch (error) {
    await server.end('SIGKILL')
    throw error
  }
}
