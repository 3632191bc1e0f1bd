import { strictEqual } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

function url(path: string): string {
  return JSON.stringify(new URL(`../${path}`, import.meta.url).href)
}

/** Runs a program as a process of its own, with the `stream` of a server that is in the process, too, and does not keep it alive. */
async function run(program: string): Promise<string> {
  const source = `
    import { nodeHost } from ${url('base/node-host.ts')}
    import { createStore } from ${url('client/store.ts')}
    import { FakeController } from ${url('testing/fake-controller.ts')}
    import { FakeStore } from ${url('testing/fake-store.ts')}
    import { memoryNetwork } from ${url('base/memory-network.ts')}
    const host = { ...nodeHost() }
    host.network = memoryNetwork(host.clock)
    const segments = new FakeStore()
    const { address } = await segments.listen(host.network, { host: 'store.millrace', port: 1 })
    const controller = new FakeController(segments, address)
    const store = createStore({ host, controller: { ...controller.service, close: async () => undefined } })
    const stream = store.stream('demo/idle', { key: null })
    ${program}`
  const options = { timeout: 20_000 }
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', source],
    options,
  )
  return stdout
}

test('an open transaction, and a watch whose next step nobody awaits, do not keep the process alive', async () => {
  const output = await run(`
    const transaction = await stream.transaction()
    await transaction.write(1)
    const watch = stream.watch()[Symbol.asyncIterator]()
    console.log((await watch.next()).value.epoch)`)
  strictEqual(output, '0\n')
})

test('a watch that waits, and a commit, keep it alive until they have what they wait for', async () => {
  const output = await run(`
    controller.transactions.held = true
    const transaction = await stream.transaction()
    host.clock.setTimer(200, () => controller.transactions.finish(transaction.id), { weak: true })
    await transaction.commit()
    console.log('committed')
    host.clock.setTimer(200, () => controller.scale('demo/idle', [0n], [0.5, 1]), { weak: true })
    for await (const { epoch } of stream.watch()) {
      console.log(epoch)
      if (epoch === 1) break
    }`)
  strictEqual(output, 'committed\n0\n1\n')
})
