/** Streams that split and merge while Java writes and reads them, and what it costs the writers. */
import { within } from './child.ts'
import type { Case } from './cases.ts'
import { startJava } from './java.ts'
import { ServerProcess, withDirectory } from './server.ts'

const SECONDS_SHORT = 8
const SECONDS_LONG = 60
/** Beside the load itself: a JVM that starts, and readers that read what is left. */
const PATIENCE_SECONDS = 400

/** `long`: as long as the bars say, which then hold. */
export function elasticCases({ long }: { readonly long: boolean }): readonly Case[] {
  const seconds = long ? SECONDS_LONG : SECONDS_SHORT
  return [
    {
      name: 'elastic: eight writers and four readers on a stream that scales every second',
      run: () => underScales(seconds),
    },
  ]
}

async function underScales(seconds: number): Promise<void> {
  await withDirectory(async (data) => {
    const server = new ServerProcess({ data })
    try {
      const java = startJava('Elastic', [await server.ready, `${seconds}`], {
        onLine: (line) => console.log(`     ${line}`),
      })
      const status = await within(
        (2 * seconds + PATIENCE_SECONDS) * 1000,
        'all events are written and read',
        java.ended,
      )
      if (status !== 0) throw java.failure(`ended with ${status}`)
      await server.stop()
    } finally {
      await server.child.kill()
    }
  })
}
