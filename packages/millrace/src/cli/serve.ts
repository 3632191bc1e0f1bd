/** `millrace serve`: a server in a directory, until it is told to stop. */
import { Command, Option } from 'commander'
import { readConfig, type ServerConfig, SETTINGS } from '../server/config.ts'
import type { Terminal } from './terminal.ts'

const HELP = `
Each setting comes from its option, else from the environment variable behind it, else from the file, else it is
as said. Without --host only programs on this machine reach the server: there is no access control.

Examples:
  millrace serve
  millrace serve --data /var/lib/millrace --host 0.0.0.0 --advertise store.example.org
  millrace serve --controller-port 0 --segment-store-port 0 --json

With --json the line with "event":"ready" says where it listens. SIGTERM or Ctrl-C stops it: what was
acknowledged is durable in any case.`

export function serveCommand(terminal: Terminal): Command {
  const command = new Command('serve')
    .description('run a server that Pravega clients and millrace programs use')
    .option('--config <file>', 'JSON file of settings (MILLRACE_CONFIG)')
    .option('--json', 'print what happens as JSON lines')
    .addHelpText('after', HELP)
  const names = new Map<keyof ServerConfig, string>()
  for (const setting of Object.values(SETTINGS)) {
    const fallback = setting.fallback === undefined ? '' : `, ${show(setting)} unless given`
    const option = new Option(
      `${setting.flag} <${setting.argument}>`,
      `${setting.help}${fallback} (${setting.env})`,
    )
    names.set(setting.key, option.attributeName())
    command.addOption(option)
  }
  return command.action(async (options: Record<string, string | boolean | undefined>) => {
    const flags = Object.fromEntries(
      [...names].map(([key, name]) => [key, options[name] as string | undefined]),
    )
    const config = readConfig({ flags, env: process.env, file: options['config'] as string | undefined })
    // The server is loaded only where one runs.
    const { serve } = await import('./run-server.ts')
    await serve(terminal, config, { json: options['json'] === true })
  })
}

function show({ key, fallback }: (typeof SETTINGS)[keyof ServerConfig]): string {
  if (key === 'memoryBytes') return `${Number(fallback) / 1024 ** 2}MiB`
  if (key === 'mergeHoldOffMs' || key === 'mergeColdMs') return `${Number(fallback) / 1000}s`
  return typeof fallback === 'object' ? fallback.host : String(fallback)
}
