import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { test, type TestContext } from 'node:test'
import { NetworkError } from '../base/host.ts'
import { connectGrpcController } from '../client/grpc-controller.ts'
import {
  type CallContext,
  type ControllerClient,
  ControllerError,
  type RpcName,
  RPC_NAMES,
  serviceOf,
} from '../protocol/controller/service.ts'
import { type GrpcServer, startGrpcServer } from './grpc-server.ts'

type Handler = (rpc: RpcName, request: object, context: CallContext) => Promise<object>

async function serveWith(
  t: TestContext,
  handler: Handler,
): Promise<{ server: GrpcServer; client: ControllerClient }> {
  const server = await startGrpcServer({
    service: serviceOf(handler),
    address: { host: '127.0.0.1', port: 0 },
    graceMs: 200,
  })
  const client = connectGrpcController({ addresses: [server.address] })
  t.after(async () => {
    await client.close()
    await server.close()
  })
  return { server, client }
}

test('all 46 calls reach the service, each as itself', async (t) => {
  const seen: RpcName[] = []
  const { client } = await serveWith(t, async (rpc) => {
    seen.push(rpc)
    return {}
  })
  for (const rpc of RPC_NAMES) {
    const method = client[rpc] as (request: object) => Promise<object>
    await method({})
  }
  deepStrictEqual(seen, RPC_NAMES)
})

test('a request and its response cross unchanged, and the caller is described', async (t) => {
  let context: CallContext = {}
  const { server, client } = await serveWith(t, async (_rpc, request, called) => {
    context = called
    deepStrictEqual(request, {
      streamInfo: { scope: 'a', stream: 'b', accessOperation: 3 },
      segmentId: 2n ** 40n,
    })
    return { endpoint: 'store', port: 12345 }
  })
  const found = await client.getURI(
    { streamInfo: { scope: 'a', stream: 'b', accessOperation: 3 }, segmentId: 2n ** 40n },
    { metadata: { requestid: '7', 'millrace-local-address': 'elsewhere 1' } },
  )
  deepStrictEqual(found, { endpoint: 'store', port: 12345 })
  strictEqual(context.authority, `127.0.0.1:${server.address.port}`)
  deepStrictEqual(context.localAddress, server.address)
  strictEqual(context.metadata?.['requestid'], '7')
  strictEqual(context.metadata['millrace-local-address'], undefined)
})

test('trap 38: an error keeps its code and its sentence', async (t) => {
  const { client } = await serveWith(t, async (rpc) => {
    if (rpc === 'scale') throw new Error('a bug')
    throw new ControllerError('not-found', `Nothing for ${rpc}`)
  })
  const call = client.getCurrentSegments({ scope: 'a', stream: 'b' })
  await rejects(call, {
    name: 'ControllerError',
    code: 'not-found',
    message: 'Nothing for getCurrentSegments',
  })
  await rejects(client.scale({} as never), { code: 'unknown', message: 'a bug' })
})

test('an abort ends the waiting on both sides', async (t) => {
  const abort = new AbortController()
  let aborted: Promise<unknown> | undefined
  const { client } = await serveWith(t, async (_rpc, _request, { signal }) => {
    aborted = new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }))
    abort.abort(new Error('enough'))
    return new Promise(() => undefined)
  })
  await rejects(client.createScope({ scope: 'a' }, { signal: abort.signal }), /enough/)
  await aborted
})

test('trap 57: a client may ping as often as it likes', async (t) => {
  const { server, client } = await serveWith(t, async () => ({ exists: true }))
  const session = connect(`http://127.0.0.1:${server.address.port}`)
  t.after(() => session.destroy())
  await once(session, 'connect')
  for (let i = 0; i < 200; i++) {
    const error = await new Promise<Error | null>((resolve) => session.ping((failed) => resolve(failed)))
    strictEqual(error, null)
  }
  ok(!session.closed)
  deepStrictEqual(await client.checkScopeExists({ scope: 'a' }), { exists: true })
})

test('a taken port is a typed error that names it', async (t) => {
  const { server } = await serveWith(t, async () => ({}))
  const again = startGrpcServer({ service: serviceOf(async () => ({})), address: server.address })
  await rejects(again, (error) => {
    ok(error instanceof NetworkError)
    strictEqual(error.code, 'in-use')
    ok(error.message.includes(String(server.address.port)))
    return true
  })
})

test('a graceful stop answers what is under way', async (t) => {
  let started: (() => void) | undefined
  const underWay = new Promise<void>((resolve) => {
    started = resolve
  })
  let finish: (() => void) | undefined
  const { server, client } = await serveWith(t, async () => {
    started?.()
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    return { status: 2 }
  })
  const call = client.createScope({ scope: 'a' })
  await underWay
  const closed = server.close()
  finish?.()
  deepStrictEqual(await call, { status: 2 })
  await closed
  await rejects(client.createScope({ scope: 'a' }), { code: 'unavailable' })
})

test('with several addresses a call goes to one that answers', async (t) => {
  const { server } = await serveWith(t, async () => ({ exists: true }))
  const gone = await startGrpcServer({
    service: serviceOf(async () => ({})),
    address: { host: '127.0.0.1', port: 0 },
  })
  await gone.close()
  const client = connectGrpcController({ addresses: [gone.address, server.address] })
  t.after(() => client.close())
  deepStrictEqual(await client.checkScopeExists({ scope: 'a' }), { exists: true })
  deepStrictEqual(await client.checkScopeExists({ scope: 'a' }), { exists: true })
})
