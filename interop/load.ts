/** Programs that write while the server is killed, and keep lists of what was sent, acknowledged and read, as Check.java reads them. */
import { join } from 'node:path'
import { Child } from './child.ts'
import { startJava } from './java.ts'

export interface Load {
  readonly name: string
  /** Where its lists are; they are complete once it has finished. */
  readonly log: string
  /** Events acknowledged so far. */
  readonly acked: number
  /** Resolves once more is acknowledged than now; rejects if it ends first. */
  nextAck(): Promise<void>
  /** Sends no more, waits for the last acknowledgements and ends. */
  finish(): Promise<void>
}

export interface LoadOptions {
  readonly controller: string
  readonly scope: string
  readonly stream: string
  readonly directory: string
  readonly seed: number
  /** Whether they also scale the stream, and write transactions. */
  readonly elastic: boolean
}

/** One of each language. */
export function startLoads(options: LoadOptions): Load[] {
  const java = new ProgramLoad('the Java client', join(options.directory, 'java'), (log, onLine) =>
    startJava('Acked', argumentsOf(options, log), { onLine }),
  )
  const program = join(import.meta.dirname, 'acked.ts')
  const typescript = new ProgramLoad('our client', join(options.directory, 'typescript'), (log, onLine) => {
    const args = [program, ...argumentsOf(options, log)]
    return new Child({ name: 'acked.ts', command: process.execPath, args, onLine })
  })
  return [java, typescript]
}

function argumentsOf({ controller, scope, stream, seed, elastic }: LoadOptions, log: string): string[] {
  return [controller, scope, stream, log, `${seed}`, elastic ? 'elastic' : 'plain']
}

class ProgramLoad implements Load {
  readonly name: string
  readonly log: string
  acked = 0
  readonly #child: Child
  #wake: () => void = () => undefined

  constructor(name: string, log: string, start: (log: string, onLine: (line: string) => void) => Child) {
    this.name = name
    this.log = log
    this.#child = start(log, (line) => this.#onLine(line))
  }

  async nextAck(): Promise<void> {
    const next = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    const ended = this.#child.ended.then((status) => {
      throw this.#child.failure(`ended with ${status} while it should write`)
    })
    await Promise.race([next, ended])
  }

  async finish(): Promise<void> {
    this.#child.endInput()
    const status = await this.#child.ended
    if (status !== 0) throw this.#child.failure(`ended with ${status}`)
  }

  #onLine(line: string): void {
    const count = /^acked (\d+)$/.exec(line)?.[1]
    if (count === undefined) {
      console.log(`${this.name}: ${line}`)
      return
    }
    this.acked = Number(count)
    this.#wake()
  }
}
