/** `millrace group`: reader groups, Java's too. */
import { Command } from 'commander'
import {
  DeleteReaderGroupStatus,
  ReaderGroupConfigResponse,
  type ReaderGroupConfiguration,
} from '../protocol/controller/messages.ts'
import type { ControllerClient } from '../protocol/controller/service.ts'
import { groupOfStream, isInternalName, type ScopedName, scopedName } from '../protocol/names.ts'
import { CommandError, Exit } from './exit.ts'
import { scopesOf, streamNames } from './listing.ts'
import { parseName } from './names.ts'
import { withController } from './session.ts'
import { showTable } from './show.ts'
import type { Terminal } from './terminal.ts'
import { addVerb, type VerbOptions } from './verbs.ts'

const GROUP = '<group>'

export function groupCommand(terminal: Terminal): Command {
  const command = new Command('group').description('create, list, describe and delete reader groups')
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
  const group = parseName(text)
  const config = await withController(options, (controller) => configOf(controller, group))
  const streams = streamsOf(config)
  const name = scopedName(group.scope, group.name)
  if (options.json === true) return terminal.json({ group: name, streams })
  await terminal.line(`${name}\n${showTable([['reads', streams.join(', ')]], { indent: '  ' })}`)
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
