/** `npm run example -- NAME ...`: runs the example of this name. */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'

const [name = '', ...args] = process.argv.slice(2)
const names = globSync('*/run.ts', { cwd: import.meta.dirname }).map((path) => path.split(/[/\\]/)[0])
const program = join(import.meta.dirname, name, 'run.ts')
if (name === '' || !existsSync(program)) {
  console.error(`Which example? There is ${names.join(', ')}: npm run example -- ${names[0]}`)
  process.exitCode = 2
} else {
  const { status } = spawnSync(process.execPath, [program, ...args], { stdio: 'inherit' })
  process.exitCode = status ?? 1
}
