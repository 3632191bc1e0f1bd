import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Host } from '../base/host.ts'
import { memoryNetwork } from '../base/memory-network.ts'
import { nodeHost } from '../base/node-host.ts'
import { connectLocalController } from '../client/local-controller.ts'
import { LocalFrameReader, encodeLocalFrame, type LocalFrame } from '../protocol/controller/local-messages.ts'
import type { StreamCut } from '../protocol/controller/messages.ts'
import {
  type CallContext,
  type ControllerClient,
  ControllerError,
  type RpcName,
  serviceOf,
} from '../protocol/controller/service.ts'
import { type LocalServer, startLocalServer } from './local-server.ts'

const address = { host: 'controller.millrace', port: 1 }
const streamInfo = { scope: 'shop', stream: 'orders' }

type Handler = (rpc: RpcName, request: object, context: CallContext) => Promise<object>

async function serveWith(
  t: TestContext,
  handler: Handler,
): Promise<{ host: Host; server: LocalServer; client: ControllerClient }> {
  const real = nodeHost()
  const host = { ...real, network: memoryNetwork(real.clock) }
  const server = await startLocalServer({ host, service: serviceOf(handler), address })
  const client = connectLocalController(host, address)
  t.after(async () => {
    await client.close()
    await server.close()
  })
  return { host, server, client }
}

test('a call crosses with its big numbers and maps, and many at once find their answers', async (t) => {
  const { client } = await serveWith(t, async (_rpc, request, context) => {
    deepStrictEqual(context.localAddress, address)
    return { ...request, delegationToken: '' }
  })
  const cut: StreamCut = { streamInfo, cut: new Map([[(5n << 32n) | 2n, 17]]) }
  deepStrictEqual(await client.truncateStream(cut), { ...cut, delegationToken: '' })
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => client.getSegments({ streamInfo, timestamp: BigInt(i) })),
  )
  deepStrictEqual(
    answers.map((answer) => (answer as unknown as { timestamp: bigint }).timestamp),
    Array.from({ length: 50 }, (_, i) => BigInt(i)),
  )
})

test('an error keeps its code and sentence, a bug is unknown', async (t) => {
  const { client } = await serveWith(t, async (rpc) => {
    if (rpc === 'scale') throw new TypeError('a bug')
    throw new ControllerError('not-found', 'no such stream')
  })
  await rejects(client.getCurrentSegments(streamInfo), { code: 'not-found', message: 'no such stream' })
  await rejects(client.scale({} as never), { name: 'ControllerError', code: 'unknown', message: 'a bug' })
})

test('a caller that leaves aborts its calls, one that aborts only that call', async (t) => {
  const signals: AbortSignal[] = []
  let begun: (() => void) | undefined
  const { client } = await serveWith(t, async (_rpc, _request, { signal }) => {
    if (signal !== undefined) signals.push(signal)
    begun?.()
    return new Promise((resolve) => signal?.addEventListener('abort', () => resolve({})))
  })
  const start = (signal?: AbortSignal): { call: Promise<unknown>; reached: Promise<void> } => {
    const reached = new Promise<void>((resolve) => {
      begun = resolve
    })
    return { call: client.createScope({ scope: 'a' }, { signal }), reached }
  }
  const abort = new AbortController()
  const first = start(abort.signal)
  await first.reached
  const second = start()
  await second.reached
  abort.abort(new Error('enough'))
  await rejects(first.call, /enough/)
  const unavailable = rejects(second.call, { code: 'unavailable' })
  await client.close()
  await unavailable
  await Promise.all(
    signals.map(async (signal) => {
      if (!signal.aborted) await new Promise((done) => signal.addEventListener('abort', done))
    }),
  )
  await rejects(client.createScope({ scope: 'a' }), { code: 'unavailable' })
})

test('after a restart of the server the next call connects again', async (t) => {
  const { host, server, client } = await serveWith(t, async () => ({ exists: true }))
  deepStrictEqual(await client.checkScopeExists({ scope: 'a' }), { exists: true })
  await server.close()
  await rejects(client.checkScopeExists({ scope: 'a' }), { code: 'unavailable' })
  const again = await startLocalServer({ host, service: serviceOf(async () => ({ exists: false })), address })
  t.after(() => again.close())
  deepStrictEqual(await client.checkScopeExists({ scope: 'a' }), { exists: false })
})

test('frames come together from any cut', () => {
  const frames: LocalFrame[] = [
    { id: 1, rpc: 'createScope', request: { scope: 'ä'.repeat(50), n: -(2n ** 63n) } },
    { id: 2, response: { cut: new Map([[1n, -1]]), absent: null } },
    { id: 3, code: 'not-found', message: '' },
  ]
  const bytes = Buffer.concat(frames.map(encodeLocalFrame))
  for (let step = 1; step <= bytes.length; step++) {
    const reader = new LocalFrameReader()
    const read: LocalFrame[] = []
    for (let at = 0; at < bytes.length; at += step) read.push(...reader.push(bytes.subarray(at, at + step)))
    deepStrictEqual(read, frames)
  }
  strictEqual(new LocalFrameReader().push(Buffer.from([0, 0])).length, 0)
})

test('bytes that are no frame end the connection, and nobody else notices', async (t) => {
  const { host, client } = await serveWith(t, async () => ({ exists: true }))
  const connection = await host.network.connect(address)
  const closed = new Promise<void>((resolve) => {
    connection.start({ data: () => undefined, closed: () => resolve() })
  })
  connection.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]))
  await closed
  deepStrictEqual(await client.checkScopeExists({ scope: 'a' }), { exists: true })
})
