/** `millrace stream`: streams themselves, apart from their events. */
import { Command } from 'commander'
import type { StreamInfo } from '../client/stream-info.ts'
import type { ControllerClient } from '../protocol/controller/service.ts'
import { isInternalName, scopedName } from '../protocol/names.ts'
import { parseStreamCut } from '../protocol/stream-cut.ts'
import { lastEpochs, showEpochs } from './epochs.ts'
import { CommandError, Exit } from './exit.ts'
import { scopesOf, streamNames } from './listing.ts'
import { parseName, parseNewName } from './names.ts'
import {
  addPolicyOptions,
  type PolicyOptions,
  policyOf,
  showRetention,
  showScaling,
} from './policy-options.ts'
import { handle } from './raw-events.ts'
import { withController, withStore } from './session.ts'
import { showBytes, showCount, showNumber, showTable } from './show.ts'
import type { Terminal } from './terminal.ts'
import { parseWhole } from './units.ts'
import { addVerb, type VerbOptions } from './verbs.ts'

const STREAM = '<stream>'

interface Options extends VerbOptions, PolicyOptions {}

interface DescribeOptions extends VerbOptions {
  /** How many; true for as many as usual. */
  readonly epochs?: number | true
}

const EPOCHS_SHOWN = 20

interface ListOptions extends VerbOptions {
  readonly tag?: string
  readonly long?: boolean
}

const CREATE_HELP = `
The scope is made, too, if there is none. A stream has one segment that splits and merges by itself with the bytes
that come in a second, and keeps everything, unless these options say otherwise.

Examples:
  millrace stream create shop/orders --segments 4
  millrace stream create shop/clicks --events-per-second 1000 --segments-min 2 --retain-for 7d
  millrace stream create shop/audit --retain-bytes 10GiB --tag legal --tag shop`

const UPDATE_HELP = `
What no option mentions stays as it is. A fixed number of segments that is not the present one scales the stream.

Examples:
  millrace stream update shop/orders --events-per-second 5000 --segments-min 4
  millrace stream update shop/clicks --segments 8`

const SCALE_HELP = `
Events of one key stay in order, and readers and writers go on meanwhile. A stream that scales by itself may be merged or
split again by its load.

Example:
  millrace stream scale shop/orders 4`

export function streamCommand(terminal: Terminal): Command {
  const command = new Command('stream').description(
    'create, list, describe, update, scale, seal and delete streams',
  )
  addPolicyOptions(addVerb(command, 'create', [STREAM], 'make a stream'))
    .option('--if-not-exists', 'one that exists is no failure; it stays as it is')
    .addHelpText('after', CREATE_HELP)
    .action((name: string, options: Options) => create(terminal, name, options))
  addVerb(command, 'list', ['[scope]'], 'print the names of the streams of a scope, or of all')
    .option('--tag <tag>', 'those with this tag')
    .option('-l, --long', 'with their segments, sizes and policies')
    .option('--all', 'those of the system, too')
    .action((scope: string | undefined, options: ListOptions) => list(terminal, scope, options))
  addVerb(command, 'describe', [STREAM], 'print segments, size and policy of a stream')
    .option(
      '--epochs [n]',
      `and when and why its segments changed, the last ${EPOCHS_SHOWN} times`,
      parseWhole,
    )
    .action((name: string, options: DescribeOptions) => describe(terminal, name, options))
  addPolicyOptions(addVerb(command, 'update', [STREAM], 'change what a stream is told to do by itself'))
    .addHelpText('after', UPDATE_HELP)
    .action((name: string, options: Options) => update(terminal, name, options))
  addVerb(command, 'scale', [STREAM, '<segments>'], 'split or merge a stream into so many equal segments')
    .addHelpText('after', SCALE_HELP)
    .action((name: string, segments: string, options: Options) => scale(terminal, name, segments, options))
  addVerb(command, 'seal', [STREAM], 'let a stream take no more events, for good').action(
    (name: string, options: Options) => seal(terminal, name, options),
  )
  addVerb(command, 'delete', [STREAM], 'delete a stream with all its events')
    .option('--yes', 'do not ask')
    .action((name: string, options: Options) => remove(terminal, name, options))
  return command
}

function fullName(name: string): string {
  const parsed = parseName(name)
  return scopedName(parsed.scope, parsed.name)
}

async function create(terminal: Terminal, text: string, options: Options): Promise<void> {
  const { scope, name } = parseNewName('stream', text)
  const stream = scopedName(scope, name)
  const policy = policyOf(options)
  const created = await withStore(options, (store) => handle(store, stream).create(policy))
  if (!created && options.ifNotExists !== true)
    throw new CommandError(Exit.failed, `There is a stream ${stream} already`)
  if (options.json === true) return terminal.json({ stream, created })
  await terminal.line(created ? `Made the stream ${stream}` : `There is a stream ${stream} already`)
}

async function list(terminal: Terminal, scope: string | undefined, options: ListOptions): Promise<void> {
  if (options.long === true) return listLong(terminal, scope, options)
  await withController(options, async (controller) => {
    for await (const names of pages(controller, scope, options)) {
      const lines = names.map((stream) => (options.json === true ? JSON.stringify({ stream }) : stream))
      if (lines.length > 0) await terminal.line(lines.join('\n'))
      if (terminal.outputGone.aborted) return
    }
  })
}

async function* pages(
  controller: ControllerClient,
  only: string | undefined,
  { all = false, tag }: ListOptions,
): AsyncGenerator<readonly string[]> {
  const shown = (name: string): boolean => all || !isInternalName(name)
  for await (const scope of scopesOf(controller, only)) {
    if (only === undefined && !shown(scope)) continue
    for await (const names of streamNames(controller, { scope, tag }))
      yield names.filter(shown).map((name) => scopedName(scope, name))
  }
}

async function listLong(terminal: Terminal, scope: string | undefined, options: ListOptions): Promise<void> {
  if (options.all === true) throw new CommandError(Exit.usage, '--long and --all exclude one another')
  await withController(options, async (controller) => {
    if (scope === undefined || (await controller.checkScopeExists({ scope })).exists) return
    throw new CommandError(Exit.notFound, `There is no scope ${scope}`)
  })
  const rows: string[][] = [['STREAM', 'SEGMENTS', 'SIZE', 'SCALING', 'KEEPS']]
  await withStore(options, async (store) => {
    for await (const info of store.streams({ scope, tag: options.tag })) {
      if (options.json === true) await terminal.json(info)
      else rows.push(rowOf(info))
      if (terminal.outputGone.aborted) return
    }
  })
  if (options.json !== true) await terminal.line(showTable(rows, { right: [1, 2] }))
}

function rowOf({ name, sealed, topology, bytes, policy }: StreamInfo): string[] {
  const segments = sealed ? 'sealed' : showNumber(topology.segments.length)
  return [name, segments, showBytes(bytes), showScaling(policy.scaling), showRetention(policy.retention)]
}

async function describe(terminal: Terminal, text: string, options: DescribeOptions): Promise<void> {
  const name = parseName(text)
  const stream = scopedName(name.scope, name.name)
  const info = await withStore(options, (store) => handle(store, stream).info())
  const count = options.epochs === true ? EPOCHS_SHOWN : options.epochs
  const { epoch: current } = info.topology
  const epochs =
    count === undefined
      ? undefined
      : await withController(options, (controller) => lastEpochs(controller, name, { current, count }))
  if (options.json === true) return terminal.json(epochs === undefined ? info : { ...info, epochs })
  await terminal.line([showInfo(info), ...(epochs === undefined ? [] : [showEpochs(epochs)])].join('\n'))
}

async function update(terminal: Terminal, name: string, options: Options): Promise<void> {
  const stream = fullName(name)
  const policy = policyOf(options)
  if (Object.keys(policy).length === 0)
    throw new CommandError(Exit.usage, 'Nothing is to be changed: give an option that says what')
  await withStore(options, (store) => handle(store, stream).update(policy))
  if (options.json === true) await terminal.json({ stream, updated: true })
  else await terminal.line(`Updated the stream ${stream}`)
}

async function scale(terminal: Terminal, name: string, to: string, options: Options): Promise<void> {
  const stream = fullName(name)
  if (!/^[1-9]\d*$/.test(to))
    throw new CommandError(Exit.usage, `The number of segments is a whole number from 1 on, not '${to}'`)
  const topology = await withStore(options, (store) => handle(store, stream).scale(Number(to)))
  const { epoch, segments } = topology
  if (options.json === true) await terminal.json({ stream, ...topology })
  else
    await terminal.line(
      `The stream ${stream} has ${showCount(segments.length, 'segment')} now, in epoch ${epoch}`,
    )
}

function showInfo(info: StreamInfo): string {
  const { name, sealed, bytes, policy, topology } = info
  const facts = [
    ['state', sealed ? 'sealed, takes no more events' : `open, epoch ${topology.epoch}`],
    ['size', bytes < 1024 ? showBytes(bytes) : `${showBytes(bytes)} (${showCount(bytes, 'byte')})`],
    ['scaling', showScaling(policy.scaling)],
    ['keeps', showRetention(policy.retention)],
    ...(policy.tags === undefined ? [] : [['tags', policy.tags.join(', ')]]),
    ['head', info.head],
    ['tail', info.tail],
  ]
  const segments = segmentRows(info)
  return [name, showTable(facts, { indent: '  ' }), ...(segments === '' ? [] : [segments])].join('\n')
}

function segmentRows({ topology, head, tail }: StreamInfo): string {
  if (topology.segments.length === 0) return ''
  const starts = offsetsOf(head)
  const ends = offsetsOf(tail)
  const rows = topology.segments.map(({ id, range }) => {
    const bytes = (ends.get(id) ?? 0) - (starts.get(id) ?? 0)
    return [id, `${range.low}`, `${range.high}`, showNumber(Math.max(bytes, 0))]
  })
  return showTable([['SEGMENT', 'KEYS FROM', 'TO', 'BYTES'], ...rows], { indent: '  ', right: [3] })
}

function offsetsOf(cut: string): ReadonlyMap<string, number> {
  const { positions } = parseStreamCut(cut)
  return new Map(
    [...positions].map(([id, offset]) => [`${id & 0xffff_ffffn}.#epoch.${id >> 32n}`, offset] as const),
  )
}

async function seal(terminal: Terminal, name: string, options: Options): Promise<void> {
  const stream = fullName(name)
  await withStore(options, (store) => handle(store, stream).seal())
  if (options.json === true) await terminal.json({ stream, sealed: true })
  else await terminal.line(`Sealed the stream ${stream}`)
}

async function remove(terminal: Terminal, name: string, options: Options): Promise<void> {
  const stream = fullName(name)
  await withStore(options, async (store) => {
    const { bytes } = await handle(store, stream).info()
    await terminal.confirm(
      `Delete the stream ${stream} with ${showBytes(bytes)} of events?`,
      options.yes === true,
    )
    await handle(store, stream).delete()
  })
  if (options.json === true) await terminal.json({ stream, deleted: true })
  else await terminal.line(`Deleted the stream ${stream}`)
}
