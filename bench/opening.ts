/** How long a program waits from `open()` until it has read its first value. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildPackage } from './build.ts'
import { ownProgram } from './child.ts'
import { ROOT, temporaryDirectory } from './directories.ts'
import { median, type Results } from './results.ts'

const TIMES = 10
const MS_MAX = 60_000
const MODULES: readonly (readonly [path: string, name: string])[] = [
  ['dist/package/dist/index.js', 'open() to the first value read, packed'],
  ['packages/millrace/src/index.ts', 'open() to the first value read, from sources'],
]

export async function measureOpening(results: Results): Promise<void> {
  await buildPackage()
  for (const [path, name] of MODULES) {
    const values: number[] = []
    for (let time = 0; time < TIMES; time++) values.push(await openOnce(path))
    results.add({ record: 'figure', part: 'open', name, unit: 'ms', value: median(values), values })
  }
}

async function openOnce(path: string): Promise<number> {
  using directory = temporaryDirectory('open')
  await using child = ownProgram('open-once.ts', [
    pathToFileURL(join(ROOT, path)).href,
    join(directory.path, 'store'),
  ])
  const { tookMs } = await child.event('read', MS_MAX)
  await child.finish(MS_MAX)
  return Number(tookMs)
}
