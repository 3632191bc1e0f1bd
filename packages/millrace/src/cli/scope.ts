/** `millrace scope`: the names that streams and groups live under. */
import { Command } from 'commander'
import { CreateScopeStatus, DeleteScopeStatus } from '../protocol/controller/messages.ts'
import type { ControllerClient } from '../protocol/controller/service.ts'
import { groupOfStream, isInternalName } from '../protocol/names.ts'
import { CommandError, Exit } from './exit.ts'
import { scopeNames, streamNames } from './listing.ts'
import { checkNewName } from './names.ts'
import { withController } from './session.ts'
import { showCount } from './show.ts'
import type { Terminal } from './terminal.ts'
import { addVerb, type VerbOptions } from './verbs.ts'

interface Options extends VerbOptions {
  readonly recursive?: boolean
}

export function scopeCommand(terminal: Terminal): Command {
  const command = new Command('scope').description('create, list, describe and delete scopes')
  addVerb(command, 'create', ['<scope>'], 'make a scope')
    .option('--if-not-exists', 'one that exists is no failure')
    .action((scope: string, options: Options) => create(terminal, scope, options))
  addVerb(command, 'list', [], 'print the names of all scopes')
    .option('--all', 'those of the system, too')
    .action((options: Options) => list(terminal, options))
  addVerb(command, 'describe', ['<scope>'], 'say what is in a scope').action(
    (scope: string, options: Options) => describe(terminal, scope, options),
  )
  addVerb(command, 'delete', ['<scope>'], 'delete an empty scope, or one with everything in it')
    .option('--recursive', 'with all its streams and groups')
    .option('--yes', 'do not ask')
    .action((scope: string, options: Options) => remove(terminal, scope, options))
  return command
}

async function create(terminal: Terminal, scope: string, options: Options): Promise<void> {
  checkNewName('scope', scope)
  const { status } = await withController(options, (controller) => controller.createScope({ scope }))
  const created = status === CreateScopeStatus.SUCCESS
  if (status === CreateScopeStatus.SCOPE_EXISTS && options.ifNotExists !== true)
    throw new CommandError(Exit.failed, `There is a scope ${scope} already`)
  if (!created && status !== CreateScopeStatus.SCOPE_EXISTS)
    throw new CommandError(Exit.failed, `The server could not make the scope ${scope}`)
  if (options.json === true) await terminal.json({ scope, created })
  else await terminal.line(created ? `Made the scope ${scope}` : `There is a scope ${scope} already`)
}

async function list(terminal: Terminal, options: Options): Promise<void> {
  await withController(options, async (controller) => {
    for await (const scopes of scopeNames(controller)) {
      const shown = scopes.filter((scope) => options.all === true || !isInternalName(scope))
      const lines = shown.map((scope) => (options.json === true ? JSON.stringify({ scope }) : scope))
      if (lines.length > 0) await terminal.line(lines.join('\n'))
      if (terminal.outputGone.aborted) return
    }
  })
}

async function describe(terminal: Terminal, scope: string, options: Options): Promise<void> {
  const counts = await withController(options, (controller) => countIn(controller, scope))
  if (options.json === true) return terminal.json({ scope, ...counts })
  await terminal.line(
    `${scope}: ${showCount(counts.streams, 'stream')}, ${showCount(counts.groups, 'group')}`,
  )
}

async function countIn(
  controller: ControllerClient,
  scope: string,
): Promise<{ streams: number; groups: number }> {
  let streams = 0
  let groups = 0
  for await (const names of streamNames(controller, { scope }))
    for (const name of names)
      if (groupOfStream(name) !== undefined) groups++
      else if (!isInternalName(name)) streams++
  return { streams, groups }
}

async function remove(terminal: Terminal, scope: string, options: Options): Promise<void> {
  const { recursive = false, yes = false } = options
  await withController(options, async (controller) => {
    const { exists } = await controller.checkScopeExists({ scope })
    if (!exists) throw noScope(scope)
    const what = recursive ? ' and all streams and groups in it, with their events' : ''
    await terminal.confirm(`Delete the scope ${scope}${what}?`, yes)
    const { status } = await (recursive
      ? controller.deleteScopeRecursive({ scope })
      : controller.deleteScope({ scope }))
    if (status === DeleteScopeStatus.SCOPE_NOT_FOUND) throw noScope(scope)
    if (status === DeleteScopeStatus.SCOPE_NOT_EMPTY)
      throw new CommandError(
        Exit.failed,
        `There are streams or groups in the scope ${scope}: delete them first, or add --recursive`,
      )
    if (status !== DeleteScopeStatus.SUCCESS)
      throw new CommandError(Exit.failed, `The server could not delete the scope ${scope}`)
  })
  if (options.json === true) await terminal.json({ scope, deleted: true })
  else await terminal.line(`Deleted the scope ${scope}`)
}

function noScope(scope: string): CommandError {
  return new CommandError(Exit.notFound, `There is no scope ${scope}`)
}
