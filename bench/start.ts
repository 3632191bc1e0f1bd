/** How long a server takes from nothing to its first client, as seen from outside. */
import { buildPackage } from './build.ts'
import { type Build, MillraceServer } from './millrace.ts'
import { median, type Results } from './results.ts'

const TIMES = 10
const BUILDS: readonly (readonly [build: Build, name: string])[] = [
  ['package', 'ready on an empty directory, packed'],
  ['sources', 'ready on an empty directory, from sources'],
]

export async function measureStart(results: Results): Promise<void> {
  await buildPackage()
  for (const [build, name] of BUILDS) {
    const values: number[] = []
    for (let time = 0; time < TIMES; time++) {
      await using server = await MillraceServer.start({ build, metrics: false })
      values.push(server.readyMs)
    }
    results.add({ record: 'figure', part: 'start', name, unit: 'ms', value: median(values), values })
  }
}
