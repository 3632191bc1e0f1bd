/** `millrace read`: the events of a stream, one a line. */
import { isUtf8 } from 'node:buffer'
import { Command, Option } from 'commander'
import type { Event } from '../client/events.ts'
import type { Reader } from '../client/reader.ts'
import type { Store } from '../client/store.ts'
import { withClientNotes } from './client-notes.ts'
import { addKeyOptions, type KeyOptions, type KeySelector, keySelector } from './keys.ts'
import { parseName } from './names.ts'
import { handle } from './raw-events.ts'
import { addServerOption, type ServerOption, withStore } from './session.ts'
import type { Terminal } from './terminal.ts'
import { parseWhole } from './units.ts'

const HELP = `
An event's bytes are printed unchanged, with a newline behind them. With --json every event is an object with
its "pointer", its "value", or "base64" where it is no text, and its "key" if --key-field or --key says
where it stands.
A group remembers where it stopped: reading again with it goes on behind what was printed. All who read
with one group share the events, in Java too.

Examples:
  millrace read demo/orders
  millrace read demo/orders --follow --from tail
  millrace read shop/orders --group billing --max 100 --json`

interface ReadOptions extends ServerOption, KeyOptions {
  readonly from?: string
  readonly follow?: boolean
  readonly group?: string
  readonly max?: number
  readonly json?: boolean
}

export function readCommand(terminal: Terminal): Command {
  const command = new Command('read')
    .description('print the events of a stream')
    .argument('<stream>', 'scope/name, or a name in the scope default')
    .option(
      '--from <place>',
      'head, tail or a stream cut; with --group only where a new group starts (head unless given)',
    )
    .option('-f, --follow', 'wait for more at the end')
    .option('--group <name>', 'read as a reader of this group')
    .addOption(new Option('--max <n>', 'end after so many events').argParser(parseWhole))
    .option('--json', 'print an object for each event')
  return addServerOption(addKeyOptions(command))
    .addHelpText('after', HELP)
    .action(async (name: string, options: ReadOptions) => {
      const { scope, name: stream } = parseName(name)
      const selector = keySelector(options)
      await withStore(options, (store) =>
        withClientNotes(terminal, () =>
          readEvents(terminal, store, `${scope}/${stream}`, { ...options, selector }),
        ),
      )
    })
}

type Options = ReadOptions & { readonly selector: KeySelector | undefined }

async function readEvents(terminal: Terminal, store: Store, stream: string, options: Options): Promise<void> {
  const { max = Number.POSITIVE_INFINITY } = options
  const signal = AbortSignal.any([terminal.stopSignal(), terminal.outputGone])
  const show = options.json === true ? jsonOf(options.selector) : linesOf
  const reader = openReader(store, stream, { ...options, signal })
  let left = max
  try {
    for await (const batch of reader.batches()) {
      const events = batch.length > left ? batch.slice(0, left) : batch
      await terminal.write(show(events))
      if (terminal.outputGone.aborted) break
      left -= events.length
      if (left > 0) continue
      // Leaving the loop would have the last ones delivered again.
      events.at(-1)?.ack()
      break
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await reader.close()
  }
}

function openReader(
  store: Store,
  name: string,
  options: Options & { readonly signal: AbortSignal },
): Reader<Uint8Array> {
  const { from, group, signal } = options
  const stream = handle(store, name)
  const until = options.follow === true ? {} : { until: 'tail' as const }
  const start = from === undefined ? {} : { from }
  if (group === undefined) return stream.read({ ...start, ...until, signal })
  return stream.group(group, start).reader({ ...until, signal })
}

const NEWLINE = 10

/** All in one piece: one write for as many events as came together. */
function linesOf(events: readonly Event<Uint8Array>[]): Buffer {
  let length = events.length
  for (const { value } of events) length += value.length
  const lines = Buffer.allocUnsafe(length)
  let position = 0
  for (const { value } of events) {
    lines.set(value, position)
    position += value.length
    lines[position++] = NEWLINE
  }
  return lines
}

function jsonOf(selector: KeySelector | undefined): (events: readonly Event<Uint8Array>[]) => string {
  return (events) => {
    let text = ''
    for (const { pointer, value } of events) {
      const key = selector?.select(value)
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      const content = isUtf8(bytes) ? { value: bytes.toString() } : { base64: bytes.toString('base64') }
      text += `${JSON.stringify({ ...(key === undefined ? {} : { key }), pointer, ...content })}\n`
    }
    return text
  }
}
