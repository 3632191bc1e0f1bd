/** The package as it is published, made anew: an old one would be measured instead of what is there. */
import { join } from 'node:path'
import { runToEnd } from './child.ts'
import { ROOT } from './directories.ts'

const BUILD_MS_MAX = 300_000

export async function buildPackage(): Promise<void> {
  await runToEnd(
    { name: 'the build', command: process.execPath, args: [join(ROOT, 'scripts/build.ts')], cwd: ROOT },
    BUILD_MS_MAX,
  )
}
