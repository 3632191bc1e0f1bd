/** A program that this one starts. None outlives it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

export interface ChildOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Of its standard output. Without it lines are only kept. */
  readonly onLine?: (line: string) => void
  readonly onErrorLine?: (line: string) => void
}

const LINES_KEPT = 60
const STOP_MS_MAX = 20_000
const running = new Set<ChildProcess>()

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Child {
  readonly name: string
  /** Resolves with its status, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
  readonly #process: ChildProcess
  readonly #lines: string[] = []

  constructor(options: ChildOptions) {
    this.name = options.name
    const child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process = child
    running.add(child)
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#keep(line)
      options.onLine?.(line)
    })
    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#keep(line)
      options.onErrorLine?.(line)
    })
    // It may end before it has read what it was told.
    child.stdin.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => {
        running.delete(child)
        this.#keep(error.message)
        resolve(127)
      })
      child.once('close', (status, signal) => {
        running.delete(child)
        resolve(status ?? signal ?? 127)
      })
    })
  }

  /** What it has in memory, by Linux. */
  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  }

  /** What it said last. */
  get said(): string {
    return this.#lines.join('\n')
  }

  tell(line: string): void {
    this.#process.stdin?.write(`${line}\n`)
  }

  endInput(): void {
    this.#process.stdin?.end()
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.ended
  }

  /** Asks it to end, and makes it end if it does not. Resolves with how it ended. */
  async stop(): Promise<number | NodeJS.Signals> {
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS_MAX)
    const status = await this.ended
    clearTimeout(timer)
    return status
  }

  /** An error about it, with what it said last. */
  failure(what: string): Error {
    return new Error(`${this.name} ${what}${this.said === '' ? '' : `; it said last:\n${this.said}`}`)
  }

  #keep(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > LINES_KEPT) this.#lines.shift()
  }
}

/** A signal ends this process, and what it has started with it. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143))
}

/** Resolves as the promise does, or rejects after so long with what was waited for. */
export async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${timeoutMs / 1000} s`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
