/** `millrace write`: every line of the input becomes an event. */
import { Command } from 'commander'
import type { Store } from '../client/store.ts'
import type { Writer } from '../client/writer.ts'
import { withClientNotes } from './client-notes.ts'
import { CommandError, codeOf, Exit, explain } from './exit.ts'
import { addKeyOptions, type KeyOptions, type KeySelector, keySelector } from './keys.ts'
import { LineSplitter } from './lines.ts'
import { parseName } from './names.ts'
import { rawEvents } from './raw-events.ts'
import { addServerOption, type ServerOption, withStore } from './session.ts'
import { showBytes, showCount, showNumber, showSeconds } from './show.ts'
import type { Terminal } from './terminal.ts'

const HELP = `
The bytes of a line are the event, without the newline and with everything else. Events of one key keep
their order; without a key no order is promised. A stream that does not exist is made, with one segment.
The command ends when every event is synced to the disks of the server.

Examples:
  seq 1 1000 | millrace write demo/orders --key-field 1
  millrace write shop/orders --key /customer < orders.jsonl
  tail -F access.log | millrace write logs/access`

interface WriteOptions extends ServerOption, KeyOptions {
  readonly json?: boolean
}

export function writeCommand(terminal: Terminal): Command {
  const command = new Command('write')
    .description('write the lines of the standard input to a stream')
    .argument('<stream>', 'scope/name, or a name in the scope default')
  return addServerOption(addKeyOptions(command))
    .option('--json', 'print the summary as JSON, on the output')
    .addHelpText('after', HELP)
    .action(async (name: string, options: WriteOptions) => {
      const { scope, name: stream } = parseName(name)
      const selector = keySelector(options)
      const settings = { stream: `${scope}/${stream}`, selector, json: options.json === true }
      await withStore(options, (store) =>
        withClientNotes(terminal, () => new LineWriter(terminal, settings).run(store)),
      )
    })
}

/** So often it is asked how much is durable. */
const FLUSH_MS = 250
/** Nothing became durable for so long: whoever looks is told that the server is waited for. */
const STALLED_MS = 3000

class LineWriter {
  readonly #terminal: Terminal
  readonly #stream: string
  readonly #selector: KeySelector | undefined
  readonly #json: boolean
  readonly #startedMs = performance.now()
  readonly #stop: AbortSignal
  /** Of the event that is being pushed. */
  #key = ''
  #events = 0
  #bytes = 0
  #durable = 0
  #flushing = false
  #flushedMs = performance.now()

  constructor(
    terminal: Terminal,
    options: { stream: string; selector: KeySelector | undefined; json: boolean },
  ) {
    this.#terminal = terminal
    this.#stop = terminal.stopSignal()
    this.#stream = options.stream
    this.#selector = options.selector
    this.#json = options.json
  }

  async run(store: Store): Promise<void> {
    const key = this.#selector === undefined ? null : () => this.#key
    const writer = store.stream(this.#stream, { key, codec: rawEvents }).writer()
    if (this.#terminal.stdin.isTTY === true)
      this.#terminal.note('Reading events from the terminal, one a line. Ctrl-D ends.')
    const ticker = setInterval(() => this.#tick(writer), FLUSH_MS)
    const failures: unknown[] = []
    const failed = (error: unknown): number => failures.push(error)
    // What came before the line that failed is written all the same.
    await this.#pushAll(writer).catch(failed)
    await writer.flush().then(() => (this.#durable = this.#events), failed)
    await writer.close().catch(failed)
    clearInterval(ticker)
    this.#terminal.endProgress()
    if (failures.length > 0) throw this.#stopped(failures[0])
    if (this.#stop.aborted) throw this.#stopped(undefined)
    await this.#summarize()
  }

  async #pushAll(writer: Writer<Uint8Array>): Promise<void> {
    const { stdin } = this.#terminal
    const lines = new LineSplitter()
    const onStop = (): void => {
      this.#terminal.note('Stopping when what was read is durable; Ctrl-C again stops at once.')
      stdin.destroy()
    }
    if (this.#stop.aborted) return
    this.#stop.addEventListener('abort', onStop)
    try {
      for await (const chunk of stdin) {
        lines.push(chunk as Buffer)
        for (let line = lines.next(); line !== undefined; line = lines.next()) {
          const room = this.#push(writer, line, lines.number)
          if (room !== undefined) await room
        }
      }
      const last = lines.rest()
      if (last !== undefined) await this.#push(writer, last, lines.number)
    } catch (error) {
      if (this.#stop.aborted) return
      if (isReadError(error))
        throw new CommandError(Exit.failed, `Cannot read the input: ${error.message}`, { cause: error })
      throw error
    } finally {
      this.#stop.removeEventListener('abort', onStop)
    }
  }

  #push(writer: Writer<Uint8Array>, line: Buffer, number: number): undefined | Promise<void> {
    if (this.#selector !== undefined) {
      const key = this.#selector.select(line)
      if (key === undefined)
        throw new CommandError(Exit.failed, `Line ${number} ${this.#selector.explain(line)}`)
      this.#key = key
    }
    const room = writer.push(line)
    this.#events++
    this.#bytes += line.length
    return room
  }

  #tick(writer: Writer<Uint8Array>): void {
    const now = performance.now()
    const waitedMs = now - this.#flushedMs
    const pushed = this.#events
    if (!this.#flushing && pushed > this.#durable) {
      this.#flushing = true
      this.#flushedMs = now
      // What fails here fails the next push or flush, too, and is told from there.
      writer.flush().then(
        () => {
          this.#flushing = false
          this.#durable = pushed
        },
        () => undefined,
      )
    }
    const rate = Math.round((this.#durable / Math.max(now - this.#startedMs, 1)) * 1000)
    const figures = `${showCount(this.#durable, 'event')} written, ${showBytes(this.#bytes)} read, ${showNumber(rate)} a second`
    const stalled = this.#flushing && waitedMs > STALLED_MS
    this.#terminal.progress(stalled ? `${figures}; waiting for the server` : figures)
  }

  async #summarize(): Promise<void> {
    const ms = performance.now() - this.#startedMs
    const { events, bytes } = { events: this.#events, bytes: this.#bytes }
    if (this.#json)
      await this.#terminal.json({ stream: this.#stream, events, bytes, durable: true, ms: Math.round(ms) })
    else
      this.#terminal.note(
        `${showCount(events, 'event')} written to ${this.#stream}, all durable, ${showSeconds(ms)}`,
      )
  }

  #stopped(cause: unknown): CommandError {
    const least = this.#durable === this.#events ? '' : 'At least '
    const state = `${least}${showCount(this.#durable, 'event')} from before that ${this.#durable === 1 ? 'is' : 'are'} durable`
    if (cause === undefined)
      return new CommandError(Exit.failed, `Interrupted: the rest of the input was not read. ${state}`)
    const { exit, message } = explain(cause)
    return new CommandError(exit, `${message}\n${state}`, { cause })
  }
}

function isReadError(error: unknown): error is Error {
  return error instanceof Error && typeof codeOf(error) === 'string' && 'syscall' in error
}
