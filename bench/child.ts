/**
 * Programs that a benchmark starts and listens to. What they print on stdout as lines of JSON with a field `event` are events;
 * all else they say is kept for the moment they fail. None outlives this process.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface ChildEvent {
  readonly event: string
  /** When it came, by this process's `performance.now()`. */
  readonly atMs: number
  readonly [field: string]: unknown
}

export interface ChildOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

const SAID_LENGTH_MAX = 64 * 1024
const STOP_MS_MAX = 30_000
const running = new Set<ChildProcess>()

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Child implements AsyncDisposable {
  readonly name: string
  readonly startedAtMs: number
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  #events: ChildEvent[] = []
  #said = ''
  #wake: () => void = () => undefined

  constructor(options: ChildOptions) {
    this.name = options.name
    this.startedAtMs = performance.now()
    const child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process = child
    running.add(child)
    createInterface({ input: child.stdout }).on('line', (line) => this.#onLine(line))
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    child.stdin.on('error', () => undefined)
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#hear(`${error.message}\n`)
        running.delete(child)
        this.#wake()
        resolve()
      })
      child.once('close', () => {
        running.delete(child)
        this.#wake()
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  get alive(): boolean {
    return running.has(this.#process)
  }

  /** What it printed last, other than events. */
  get said(): string {
    return this.#said
  }

  /** The next event of this name; others that came before it are dropped. Rejects when the program ends instead. */
  async event(name: string, timeoutMs: number): Promise<ChildEvent> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const at = this.#events.findIndex(({ event }) => event === name)
      const found = this.#events[at]
      if (found !== undefined) {
        this.#events = this.#events.slice(at + 1)
        return found
      }
      const left = deadline - performance.now()
      if (!this.alive) throw this.#failure(`ended (${this.#status}) before it was ${name}`)
      if (left <= 0) throw this.#failure(`was not ${name} within ${timeoutMs} ms`)
      await this.#nextChange(left)
    }
  }

  /** Resolves once stderr holds what the pattern says. */
  async heard(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const match = pattern.exec(this.#said)
      if (match !== null) return match
      const left = deadline - performance.now()
      if (!this.alive || left <= 0) throw this.#failure(`never said ${pattern}`)
      await this.#nextChange(left)
    }
  }

  /** Events that came before are not waited for any more. */
  forget(): void {
    this.#events = []
  }

  tell(line: string): void {
    this.#process.stdin?.write(`${line}\n`)
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  /** Resolves when it has ended. */
  async ended(): Promise<void> {
    await this.#ended
  }

  /** Asks it to end and, if it does not, ends it. */
  async stop(): Promise<void> {
    if (!this.alive) return
    this.kill('SIGTERM')
    const timer = setTimeout(() => this.kill('SIGKILL'), STOP_MS_MAX)
    await this.#ended
    clearTimeout(timer)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Waits for its end; rejects unless that is a good one. */
  async finish(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.kill('SIGKILL'), timeoutMs)
    await this.#ended
    clearTimeout(timer)
    if (this.#process.exitCode !== 0) throw this.#failure(`ended with ${this.#status}`)
  }

  get #status(): string {
    return this.#process.signalCode ?? `status ${this.#process.exitCode}`
  }

  async #nextChange(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, timeoutMs)
    })
    clearTimeout(timer)
  }

  #onLine(line: string): void {
    const event = line.startsWith('{') ? parse(line) : undefined
    if (event === undefined) return this.#hear(`${line}\n`)
    this.#events.push({ ...event, atMs: performance.now() })
    this.#wake()
  }

  #hear(text: string): void {
    this.#said = `${this.#said}${text}`.slice(-SAID_LENGTH_MAX)
    this.#wake()
  }

  #failure(what: string): Error {
    const last = this.#said.split('\n').slice(-20).join('\n').trim()
    return new Error(`${this.name} ${what}${last === '' ? '' : `; it said last:\n${last}`}`)
  }
}

/** One of our own programs beside this file, with `name=value` arguments or others. */
export function ownProgram(file: string, args: readonly string[]): Child {
  return new Child({
    name: file,
    command: process.execPath,
    args: [join(import.meta.dirname, file), ...args],
  })
}

/** Runs a program to its end. Rejects unless that is a good one; resolves with what it printed. */
export async function runToEnd(options: ChildOptions, timeoutMs: number): Promise<string> {
  const child = new Child(options)
  await child.finish(timeoutMs)
  return child.said
}

/** Resolves on the first signal that asks this process to end, after which it does so at once. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    void once(process, signal).then(() => process.exit(signal === 'SIGINT' ? 130 : 143))
}

function parse(line: string): { event: string } | undefined {
  try {
    const value = JSON.parse(line) as { event?: unknown }
    return typeof value.event === 'string' ? { ...value, event: value.event } : undefined
  } catch {
    return undefined
  }
}
