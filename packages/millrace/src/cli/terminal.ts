/**
 * Where a command writes and whom it asks. Results go to the output; progress, notes and errors go to the error output, so
 * that a pipe carries results alone.
 */
import { createInterface } from 'node:readline/promises'
import type { Readable, Writable } from 'node:stream'
import { CommandError, codeOf, Exit } from './exit.ts'

interface MaybeTerminal {
  readonly isTTY?: boolean | undefined
}

export interface Streams {
  readonly stdin: Readable & MaybeTerminal
  readonly stdout: Writable & MaybeTerminal
  readonly stderr: Writable & MaybeTerminal
}

export class Terminal {
  readonly #streams: Streams
  readonly #stopSignal: () => AbortSignal
  readonly #gone: AbortController = new AbortController()
  /** Characters of the line that the next one overwrites. */
  #progressLength = 0

  /** `stopSignal`: for a command that goes on until it is told to stop. */
  constructor(streams: Streams, stopSignal: () => AbortSignal) {
    this.#streams = streams
    this.#stopSignal = stopSignal
    // Other errors are told by the write that met them.
    streams.stdout.on('error', (error) => {
      if (codeOf(error) === 'EPIPE') this.#gone.abort(error)
    })
    // Nobody is left to tell.
    streams.stderr.on('error', () => undefined)
  }

  /** Aborted when nobody takes the output any more, as after `head` has seen enough. */
  get outputGone(): AbortSignal {
    return this.#gone.signal
  }

  /** The error output is a terminal that somebody looks at. */
  get watched(): boolean {
    return this.#streams.stderr.isTTY === true
  }

  get stdin(): Streams['stdin'] {
    return this.#streams.stdin
  }

  /** Aborted when somebody wants the command to end; asked for only by those that do so in an orderly way. */
  stopSignal(): AbortSignal {
    return this.#stopSignal()
  }

  /** Resolves when the data have been taken, or when nobody takes them any more. */
  async write(data: string | Uint8Array): Promise<void> {
    const error = await new Promise<Error | undefined | null>((resolve) => {
      if (this.outputGone.aborted) resolve(undefined)
      else this.#streams.stdout.write(data, resolve)
    })
    if (error === undefined || error === null || codeOf(error) === 'EPIPE') return
    throw new CommandError(Exit.failed, `Cannot write the output: ${error.message}`, { cause: error })
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`)
  }

  json(value: object): Promise<void> {
    return this.line(JSON.stringify(value))
  }

  note(text: string): void {
    this.endProgress()
    this.#streams.stderr.write(`${text}\n`)
  }

  /** A line that stands until the next one or the end; nothing where nobody looks. */
  progress(text: string): void {
    if (!this.watched) return
    this.#streams.stderr.write(`\r${text.padEnd(this.#progressLength)}`)
    this.#progressLength = text.length
  }

  endProgress(): void {
    if (this.#progressLength === 0) return
    this.#streams.stderr.write(`\r${' '.repeat(this.#progressLength)}\r`)
    this.#progressLength = 0
  }

  /** Asks before something that cannot be undone. Rejects unless the answer is yes, or `yes` was said beforehand. */
  async confirm(question: string, yes: boolean): Promise<void> {
    if (yes) return
    const { stdin, stderr } = this.#streams
    if (stdin.isTTY !== true || stderr.isTTY !== true)
      throw new CommandError(
        Exit.usage,
        `${question} There is no terminal to answer on: add --yes to go ahead.`,
      )
    const prompt = createInterface({ input: stdin, output: stderr })
    const ended = new AbortController()
    prompt.once('close', () => ended.abort())
    try {
      const answer = await prompt.question(`${question} [y/N] `, { signal: ended.signal }).catch(() => '')
      if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError(Exit.failed, 'Nothing was done.')
    } finally {
      prompt.close()
    }
  }
}
