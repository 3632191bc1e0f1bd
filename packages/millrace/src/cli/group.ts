/** `millrace group`: reader groups, Java's too. */
import { Command } from 'commander'
import { assert } from '../base/assert.ts'
import type { Stream } from '../client/stream.ts'
import {
  DeleteReaderGroupStatus,
  ReaderGroupConfigResponse,
  type ReaderGroupConfiguration,
} from '../protocol/controller/messages.ts'
import type { ControllerClient } from '../protocol/controller/service.ts'
import { groupOfStream, isInternalName, type ScopedName, scopedName } from '../protocol/names.ts'
import { CommandError, Exit } from './exit.ts'
import { scopesOf, streamNames } from './listing.ts'
import { parseName, parseNewName } from './names.ts'
import { handle } from './raw-events.ts'
import { withController, withStore } from './session.ts'
import { showBytes, showTable } from './show.ts'
import type { Terminal } from './terminal.ts'
import { addVerb, type VerbOptions } from './verbs.ts'

const GROUP = '<group>'

const CREATE_HELP = `
A group lives in the scope of its stream. Reading with --group makes it, too: this is for groups that shall
start at a place of their own before anybody reads.

Example:
  millrace group create shop/billing shop/orders --from tail`

interface CreateOptions extends VerbOptions {
  readonly from?: string
}

export function groupCommand(terminal: Terminal): Command {
  const command = new Command('group').description('create, list, describe and delete reader groups')
  addVerb(command, 'create', [GROUP, '<stream>'], 'make a group that reads a stream')
    .option('--from <place>', 'where it starts: head, tail or a stream cut (head unless given)')
    .option('--if-not-exists', 'one that exists is no failure; it stays where it is')
    .addHelpText('after', CREATE_HELP)
    .action((name: string, stream: string, options: CreateOptions) =>
      create(terminal, { name, stream }, options),
    )
  addVerb(command, 'list', ['[scope]'], 'print the names of the groups of a scope, or of all').action(
    (scope: string | undefined, options: VerbOptions) => list(terminal, scope, options),
  )
  addVerb(command, 'describe', [GROUP], 'say what a group reads and how far it is').action(
    (name: string, options: VerbOptions) => describe(terminal, name, options),
  )
  addVerb(command, 'delete', [GROUP], 'delete a group, which forgets where it stopped')
    .option('--yes', 'do not ask')
    .action((name: string, options: VerbOptions) => remove(terminal, name, options))
  return command
}

async function create(
  terminal: Terminal,
  names: { name: string; stream: string },
  options: CreateOptions,
): Promise<void> {
  const { scope, name } = parseNewName('reader group', names.name)
  const stream = parseName(names.stream)
  if (stream.scope !== scope)
    throw new CommandError(
      Exit.usage,
      `A group is in the scope of its stream: ${scopedName(stream.scope, name)}, not ${names.name}`,
    )
  const group = scopedName(scope, name)
  const created = await withStore(options, async (store) => {
    if (await withController(options, (controller) => exists(controller, { scope, name }))) return false
    await makeGroup(handle(store, scopedName(stream.scope, stream.name)), name, options)
    return true
  })
  if (!created && options.ifNotExists !== true)
    throw new CommandError(Exit.failed, `There is a group ${group} already`)
  if (options.json === true) return terminal.json({ group, created })
  await terminal.line(created ? `Made the group ${group}` : `There is a group ${group} already`)
}

/** The first reader makes a group; one with nothing to read leaves again at once. */
async function makeGroup(
  stream: Stream<Uint8Array>,
  group: string,
  { from }: { readonly from?: string },
): Promise<void> {
  const until = await stream.cut('head')
  const reader = stream.group(group, from === undefined ? {} : { from }).reader({ until })
  try {
    for await (const batch of reader.batches())
      assert(batch.length === 0, 'There is nothing before the head of a stream')
  } finally {
    await reader.close()
  }
}

async function exists(controller: ControllerClient, { scope, name }: ScopedName): Promise<boolean> {
  const request = { scope, readerGroup: name, readerGroupId: '', generation: 0n }
  const { status } = await controller.getReaderGroupConfig(request)
  return status === ReaderGroupConfigResponse.SUCCESS
}

async function list(terminal: Terminal, only: string | undefined, options: VerbOptions): Promise<void> {
  await withController(options, async (controller) => {
    for await (const scope of scopesOf(controller, only)) {
      if (only === undefined && isInternalName(scope)) continue
      for await (const streams of streamNames(controller, { scope })) {
        const names = streams.map(groupOfStream).filter((group) => group !== undefined)
        const groups = names.map((name) => scopedName(scope, name))
        const lines = groups.map((group) => (options.json === true ? JSON.stringify({ group }) : group))
        if (lines.length > 0) await terminal.line(lines.join('\n'))
        if (terminal.outputGone.aborted) return
      }
    }
  })
}

async function describe(terminal: Terminal, text: string, options: VerbOptions): Promise<void> {
  const { scope, name } = parseName(text)
  const config = await withController(options, (controller) => configOf(controller, { scope, name }))
  const streams = streamsOf(config)
  const [stream] = streams
  // Java's groups may read several streams, or be in another scope than theirs; our client does not follow them.
  const isOurs = streams.length === 1 && stream?.startsWith(`${scope}/`) === true
  const lag = isOurs
    ? await withStore(options, (store) => handle(store, stream).group(name).lag())
    : undefined
  const group = scopedName(scope, name)
  if (options.json === true) return terminal.json({ group, streams, ...(lag === undefined ? {} : { lag }) })
  const facts = [['reads', streams.join(', ')]]
  if (lag !== undefined)
    facts.push(
      ['lag', showBytes(lag.bytes)],
      ['readers', lag.readers.length === 0 ? 'none' : lag.readers.join(', ')],
    )
  await terminal.line(`${group}\n${showTable(facts, { indent: '  ' })}`)
}

function streamsOf(config: ReaderGroupConfiguration): readonly string[] {
  return config.startingStreamCuts.map(({ streamInfo }) => scopedName(streamInfo.scope, streamInfo.stream))
}

async function configOf(
  controller: ControllerClient,
  { scope, name }: ScopedName,
): Promise<ReaderGroupConfiguration> {
  const response = await controller.getReaderGroupConfig({
    scope,
    readerGroup: name,
    readerGroupId: '',
    generation: 0n,
  })
  if (response.status === ReaderGroupConfigResponse.RG_NOT_FOUND)
    throw new CommandError(Exit.notFound, `There is no group ${scopedName(scope, name)}`)
  if (response.status !== ReaderGroupConfigResponse.SUCCESS || response.config === undefined)
    throw new CommandError(Exit.failed, `The server could not say what ${scopedName(scope, name)} is`)
  return response.config
}

async function remove(terminal: Terminal, text: string, options: VerbOptions): Promise<void> {
  const { scope, name } = parseName(text)
  const group = scopedName(scope, name)
  await withController(options, async (controller) => {
    const { readerGroupId, generation } = await configOf(controller, { scope, name })
    await terminal.confirm(`Delete the group ${group}?`, options.yes === true)
    const request = { scope, readerGroup: name, readerGroupId, generation }
    const { status } = await controller.deleteReaderGroup(request)
    if (status === DeleteReaderGroupStatus.RG_NOT_FOUND)
      throw new CommandError(Exit.notFound, `There is no group ${group}`)
    if (status !== DeleteReaderGroupStatus.SUCCESS)
      throw new CommandError(Exit.failed, `The server could not delete the group ${group}`)
  })
  if (options.json === true) await terminal.json({ group, deleted: true })
  else await terminal.line(`Deleted the group ${group}`)
}
