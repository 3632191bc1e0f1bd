/** What takes more than a client and a server that stays: servers that are killed, and programs in two languages on one stream. */
import assert from 'node:assert/strict'
import { JavaPeer } from './peer.ts'
import { freePorts, ServerProcess, withDirectory } from './server.ts'

export interface Case {
  readonly name: string
  run(): Promise<void>
}

export const cases: readonly Case[] = [
  {
    name: 'kill: an acknowledged event survives a server that is killed',
    run: () => survivesKill(1),
  },
  {
    name: 'kill: ten thousand acknowledged events survive a server that is killed',
    run: () => survivesKill(10_000),
  },
]

async function survivesKill(count: number): Promise<void> {
  await withDirectory(async (data) => {
    const [controllerPort = 0, segmentStorePort = 0] = await freePorts(2)
    const options = { data, controllerPort, segmentStorePort }
    let server = new ServerProcess(options)
    const peer = new JavaPeer(await server.ready)
    try {
      await peer.command('scope', 'scope')
      await peer.command('stream', 'scope', 'stream', 2)
      const acked = await peer.events('write', 'scope', 'stream', 1, 10, count, 100)
      assert.equal(acked.length, count)
      await server.child.kill()
      server = new ServerProcess(options)
      await server.ready
      // The batch client reads by segments, so the order of a key is the order of its writer.
      const read = await peer.events('batch', 'scope', 'stream')
      assert.deepEqual(read.map(nameOf).toSorted(), acked.map(nameOf).toSorted())
      for (let key = 0; key < 10; key++) {
        const sequences = read.filter((event) => event.key === key).map(({ sequence }) => sequence)
        assert.deepEqual(sequences, [...sequences.keys()], `the events of key ${key} are in order`)
      }
      await server.stop()
    } finally {
      await peer.close()
      await server.child.kill()
    }
  })
}

function nameOf(event: { writer: number; key: number; sequence: number }): string {
  return `${event.writer} ${event.key} ${event.sequence}`
}
