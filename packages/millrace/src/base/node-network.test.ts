import { ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as net from 'node:net'
import { test, type TestContext } from 'node:test'
import { deferred } from '../testing/deferred.ts'
import type { Connection, Listener } from './host.ts'
import { nodeNetwork } from './node-network.ts'

test('what is written in one turn leaves together', async (t) => {
  const { listener, accepted } = await listen(t)
  const near = await nodeNetwork.connect(listener.address)
  t.after(() => near.destroy())
  near.start({ data: () => undefined, closed: () => undefined })
  const far = await accepted
  let chunks = 0
  let bytes = 0
  const done = deferred<void>()
  far.start({
    data: (chunk) => {
      chunks++
      bytes += chunk.length
      if (bytes === 1000) done.resolve()
    },
    closed: () => undefined,
  })
  for (let i = 0; i < 1000; i++) near.write(Buffer.from([i & 255]))
  await done.promise
  ok(chunks <= 3, `${chunks} chunks`)
})

test('a peer that says it is done still gets what was written for it', async (t) => {
  const { listener, accepted } = await listen(t)
  const socket = net.connect({ ...listener.address, allowHalfOpen: true })
  const far = await accepted
  const closed = deferred<Error | undefined>()
  far.start({
    data: (chunk) => void far.write(Buffer.alloc(chunk.length * 100_000, 1)),
    closed: closed.resolve,
  })
  socket.end('12345')
  let received = 0
  for await (const chunk of socket) received += (chunk as Buffer).length
  strictEqual(received, 500_000)
  socket.destroy()
  strictEqual(await closed.promise, undefined)
})

test('a peer that resets is an error with the address in it', async (t) => {
  const { listener, accepted } = await listen(t)
  const socket = net.connect(listener.address)
  const far = await accepted
  const closed = deferred<Error | undefined>()
  far.start({ data: () => undefined, closed: closed.resolve })
  socket.resetAndDestroy()
  const error = await closed.promise
  strictEqual((error as { code?: string }).code, 'closed')
  ok(error?.message.includes('127.0.0.1:'))
})

test('a connection that need not keep the process alive lets it end', async (t) => {
  const { listener, accepted } = await listen(t)
  const module = JSON.stringify(new URL('node-network.ts', import.meta.url).href)
  const program = `
    const { nodeNetwork } = await import(${module})
    const connection = await nodeNetwork.connect({ host: '127.0.0.1', port: ${listener.address.port} })
    connection.start({ data() {}, closed() {} })
    connection.setKeepsAlive(false)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' })
  t.after(() => child.kill('SIGKILL'))
  const far = await accepted
  far.start({ data: () => undefined, closed: () => undefined })
  const [code] = (await once(child, 'close')) as [number]
  strictEqual(code, 0)
})

async function listen(t: TestContext): Promise<{ listener: Listener; accepted: Promise<Connection> }> {
  const accepted = deferred<Connection>()
  const listener = await nodeNetwork.listen({ host: '127.0.0.1', port: 0 }, (connection) => {
    t.after(() => connection.destroy())
    accepted.resolve(connection)
  })
  t.after(() => listener.close())
  return { listener, accepted: accepted.promise }
}
