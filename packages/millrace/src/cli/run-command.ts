/** Finds the command in the arguments, runs it, and turns what became of it into a status. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError, type OutputConfiguration } from 'commander'
import { CommandError, Exit, explain } from './exit.ts'
import type { Terminal } from './terminal.ts'

interface Entry {
  readonly summary: string
  readonly usage?: string
  load(): Promise<(terminal: Terminal) => Command>
}

/** Only the command that is asked for is loaded: loading is most of what a short command costs. */
const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    summary: 'run a server that Pravega clients and millrace programs use',
    load: async () => (await import('./serve.ts')).serveCommand,
  },
  write: {
    summary: 'write the lines of the standard input to a stream',
    load: async () => (await import('./write.ts')).writeCommand,
  },
  read: {
    summary: 'print the events of a stream',
    load: async () => (await import('./read.ts')).readCommand,
  },
  stream: {
    summary: 'create, list, describe, seal and delete streams',
    load: async () => (await import('./stream.ts')).streamCommand,
  },
  scope: {
    summary: 'create, list, describe and delete scopes',
    load: async () => (await import('./scope.ts')).scopeCommand,
  },
  group: {
    summary: 'create, list, describe and delete reader groups',
    load: async () => (await import('./group.ts')).groupCommand,
  },
}

const HELP = `
Start a server and try it:
  millrace serve
  seq 1 1000 | millrace write demo/orders --key-field 1
  millrace read demo/orders --follow

The server is tcp://127.0.0.1:9090 unless --server or MILLRACE_SERVER says otherwise.
Status: 0 done, 1 failed, 2 wrong usage, 3 server unreachable, 4 no such thing, 70 a bug in Millrace.`

/** Resolves with the exit status. Never rejects. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const program = await programFor(args, terminal)
    await program.parseAsync([...args], { from: 'user' })
    return Exit.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.ok : Exit.usage
    // Nobody takes the output: what else went wrong on the way out is of no interest.
    if (terminal.outputGone.aborted && !(error instanceof CommandError)) return Exit.ok
    const { exit, message } = explain(error)
    terminal.note(message)
    return exit
  }
}

async function programFor(args: readonly string[], terminal: Terminal): Promise<Command> {
  const program = new Command('millrace')
    .description('Elastic stream storage: a durable store that speaks Pravega')
    .helpCommand('help [command]', 'say more about a command')
    .addHelpText('after', HELP)
  if (args[0] === '--version' || args[0] === '-V') program.version(version())
  else program.option('-V, --version', 'print the version')
  const wanted = args[0] === 'help' ? args[1] : args[0]
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    const command = name === wanted ? (await load())(terminal) : new Command(name).description(summary)
    program.addCommand(command)
  }
  settle(program, {
    writeOut: (text) => void terminal.write(text).catch(() => undefined),
    writeErr: (text) => terminal.note(text.trimEnd()),
  })
  return program
}

/** Commander ends the process and writes where it likes unless it is told otherwise, and it is told for every command apart. */
function settle(command: Command, output: OutputConfiguration): void {
  command
    .exitOverride()
    .configureOutput(output)
    .showSuggestionAfterError()
    .showHelpAfterError(`(millrace ${pathOf(command)}--help says more)`)
  for (const child of command.commands) settle(child, output)
}

function pathOf(command: Command): string {
  const parent = command.parent
  return parent === null || parent === undefined ? '' : `${pathOf(parent)}${command.name()} `
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}
