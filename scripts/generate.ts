/**
 * `npm run generate`: makes protocol/controller/gen/ from Controller.proto. The result is committed, so only who changes
 * the proto runs this. The generator is installed into scripts/generate/, apart from the workspace, on first use.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const tools = join(import.meta.dirname, 'generate')

function run(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { cwd: tools, stdio: 'inherit' })
  if (result.error !== undefined) throw result.error
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${result.status}`)
}

if (!existsSync(join(tools, 'node_modules'))) run('npm', ['ci', '--no-audit', '--no-fund'])
run(join('node_modules', '.bin', 'buf'), ['generate'])
