import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { nodeHost } from '../../base/node-host.ts'
import { LogStore, putDurably } from '../../testing/log-store.ts'

test('on a real disk a log is written, read, closed and opened again', async (t) => {
  const directory = join(await temporary(t), 'data', 'log')
  const host = nodeHost()
  const sizes = { directory, fileBytesFirst: 256 * 1024, fileBytesMax: 1024 * 1024 }
  const store = new LogStore(3)
  await store.open(host, sizes)
  for (let nth = 0; nth < 40; nth++)
    await Promise.all(
      store.containers.map((container) => putDurably(container, { lengths: [20_000, 1, 700] })),
    )
  await store.container(0).checkpoint()
  for (const container of store.containers) await container.verify()
  ok(store.log.stats.syncs < 100, `${store.log.stats.syncs} syncs for 120 frames`)
  await store.log.close()
  await store.open(host, sizes)
  deepStrictEqual(
    store.containers.map(({ through, replayed }) => [through, replayed]),
    [
      [40, 0],
      [40, 40],
      [40, 40],
    ],
  )
  for (const container of store.containers) await container.verify()
  await store.log.close()
})

test('on a real disk a log that was not closed opens with all that was acknowledged', async (t) => {
  const directory = join(await temporary(t), 'log')
  const host = nodeHost()
  const store = new LogStore(2)
  await store.open(host, { directory })
  const abandoned = store.log
  for (let nth = 0; nth < 10; nth++)
    await Promise.all(store.containers.map((container) => putDurably(container, { lengths: [5000] })))
  await store.open(host, { directory })
  for (const container of store.containers) {
    strictEqual(container.through, 10)
    await container.verify()
    await putDurably(container, { lengths: [5000] })
  }
  await store.log.close()
  await abandoned.close()
})

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-log-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}
