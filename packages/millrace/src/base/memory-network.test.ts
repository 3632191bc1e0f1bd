import { rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { networkSuite } from '../testing/acceptance/network-suite.ts'
import { deferred } from '../testing/deferred.ts'
import type { Connection, Network } from './host.ts'
import { memoryNetwork, overlayNetwork } from './memory-network.ts'
import { nodeClock } from './node-clock.ts'
import { nodeHost } from './node-host.ts'

networkSuite('Memory', (scenario) =>
  scenario(
    { ...nodeHost(), network: memoryNetwork(nodeClock) },
    { directory: '', hostName: 'store.millrace' },
  ),
)

test('a large buffer without release crosses without a copy', async () => {
  const network = memoryNetwork(nodeClock)
  const accepted = deferred<Connection>()
  const listener = await network.listen({ host: 'store.millrace', port: 1 }, accepted.resolve)
  const near = await network.connect(listener.address)
  const far = await accepted.promise
  const sent = Buffer.alloc(1_000_000, 1)
  near.write(sent)
  const chunk = await new Promise<Buffer>((resolve) => {
    far.start({ data: resolve, closed: () => undefined })
  })
  strictEqual(chunk.buffer, sent.buffer)
})

test('an overlay sends the names of this process to memory and all others to the real network', async () => {
  const asked: string[] = []
  const real: Network = {
    listen: async (address) => {
      asked.push(address.host)
      return { address, close: async () => undefined }
    },
    connect: async (address) => {
      asked.push(address.host)
      throw new Error('not here')
    },
  }
  const network = overlayNetwork(memoryNetwork(nodeClock), real)
  const listener = await network.listen({ host: 'controller.millrace', port: 0 }, (connection) =>
    connection.end(),
  )
  const connection = await network.connect(listener.address)
  connection.destroy()
  await rejects(network.connect({ host: '127.0.0.1', port: 9 }))
  await network.listen({ host: 'millrace', port: 9 }, () => undefined)
  strictEqual(asked.join(), '127.0.0.1,millrace')
})
