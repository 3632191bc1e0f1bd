import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { embeddedStore } from '../testing/embedded-store.ts'
import { simulate } from '../testing/sim/simulate.ts'
import { metricsText } from './metrics.ts'

test('a stream splits while much comes, merges when that ends, and says when and why', async () => {
  await simulate(1, async (world) => {
    const { store, server, close } = await embeddedStore(world.node('a').host, {
      autoScaling: { coldMs: 6000, holdOffMs: 10_000 },
    })
    const clicks = store.stream<number>('shop/clicks', {
      key: (n) => `visitor-${n % 97}`,
      create: { scaling: { eventsPerSecond: 50 } },
    })
    const segments = async (): Promise<number> => (await clicks.info()).topology.segments.length
    await clicks.create()
    strictEqual(await segments(), 1)
    for (let n = 0; n < 3000; n += 20) {
      await clicks.writeAll(Array.from({ length: 20 }, (_, index) => n + index))
      await world.sleep(100)
    }
    strictEqual(await segments(), 4)
    await world.sleep(60_000)
    strictEqual(await segments(), 1)
    const { splits, merges, failures } = server.autoScales
    deepStrictEqual({ splits, merges, failures }, { splits: 2, merges: 1, failures: 0 })
    match(metricsText(server), /^millrace_auto_splits_total 2$/m)
    const controller = server.connectController()
    const causes: string[] = []
    for (let epoch = 0; epoch <= 3; epoch++) {
      const streamInfo = { scope: 'shop', stream: 'clicks' }
      const { epochInfo } = await controller.getEpochSegments({ streamInfo, epoch })
      causes.push(`${epochInfo?.cause} ${epochInfo?.detail.split(': ').at(-1)}`)
    }
    deepStrictEqual(causes.slice(0, 1), ['created '])
    match(causes[1]!, /^load split in \d$/)
    match(causes[3]!, /^load 4 segments merged into 1$/)
    await controller.close()
    await close()
  })
})
