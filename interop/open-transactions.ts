/** Thousands of transactions open at once, through a kill of the server: what they take, and that each ends as it should. */
import assert from 'node:assert/strict'
import type { Case } from './cases.ts'
import { JavaPeer } from './peer.ts'
import { freePorts, ServerProcess, withDirectory } from './server.ts'

const OPEN_SHORT = 1000
const OPEN_LONG = 5000
const GROWTH_BYTES_MAX = 100 * 1024 * 1024
const MIB = 1024 * 1024

/** `long`: as many as the bar says, which then holds. */
export function openTransactionCases({ long }: { readonly long: boolean }): readonly Case[] {
  const count = long ? OPEN_LONG : OPEN_SHORT
  return [
    {
      name: `open transactions: ${count}, half of them committed after a kill, the others timed out`,
      run: () => manyOpen(count),
    },
  ]
}

async function manyOpen(count: number): Promise<void> {
  await withDirectory(async (data) => {
    const [controllerPort = 0, segmentStorePort = 0] = await freePorts(2)
    const options = { data, controllerPort, segmentStorePort }
    let server = new ServerProcess(options)
    const peer = new JavaPeer(await server.ready, { main: 'OpenTransactions', args: ['stream'] })
    try {
      // What any traffic takes is not what open transactions take.
      await peer.command('open', count)
      await peer.command('end')
      const before = server.child.residentBytes
      const started = performance.now()
      await peer.command('open', count)
      const openMs = performance.now() - started
      const grown = server.child.residentBytes - before
      console.log(
        `     ${count} opened in ${(openMs / 1000).toFixed(1)} s; the server has ${(before / MIB).toFixed(0)} MiB before ` +
          `and ${(grown / MIB).toFixed(0)} MiB more with them`,
      )
      if (count >= OPEN_LONG) assert(grown <= GROWTH_BYTES_MAX, `${grown} bytes more are at most 100 MiB`)
      await peer.command('leave')
      await server.child.kill()
      server = new ServerProcess(options)
      await server.ready
      await peer.command('commit', count / 2)
      await peer.command('gone')
      await peer.command('events', count / 2)
      await server.stop()
    } finally {
      await peer.close()
      await server.child.kill()
    }
  })
}
