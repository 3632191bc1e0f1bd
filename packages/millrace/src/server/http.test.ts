import { match, ok, strictEqual } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { nodeHost } from '../base/node-host.ts'
import { LogError } from '../segment-store/log/durable-log.ts'
import { startHttp } from './http.ts'
import { type Server, startServer } from './server.ts'

async function serve(
  t: TestContext,
): Promise<{ server: Server; get(path: string): Promise<[number, string]> }> {
  const data = await mkdtemp(join(tmpdir(), 'millrace-http-'))
  const server = await startServer({ host: nodeHost(), data, log: { fileBytesFirst: 64 * 1024 } })
  const http = await startHttp(server, { host: '127.0.0.1', port: 0 })
  t.after(async () => {
    await http.close()
    await server.close()
    await rm(data, { recursive: true })
  })
  return {
    server,
    get: async (path) => {
      const response = await fetch(`http://127.0.0.1:${http.address.port}${path}`)
      return [response.status, await response.text()]
    },
  }
}

test('a server that works is healthy and ready, and counts what it does', async (t) => {
  const { server, get } = await serve(t)
  const controller = server.connectController()
  await controller.createScope({ scope: 'shop' })
  await controller.close()
  strictEqual((await get('/healthz')).join(), '200,ok\n')
  strictEqual((await get('/readyz?verbose')).join(), '200,ready\n')
  const [status, text] = await get('/metrics')
  strictEqual(status, 200)
  const syncs = /^millrace_log_syncs_total (\d+)$/m.exec(text)?.[1]
  ok(Number(syncs) > 0, text)
  match(text, /^# TYPE millrace_cache_bytes gauge$/m)
  match(text, /^millrace_event_loop_delay_seconds\{quantile="1"\} [\d.e-]+$/m)
  strictEqual((await get('/other'))[0], 404)
})

test('a container that stays shut is said by /readyz, a log that has failed by both', async (t) => {
  const { server, get } = await serve(t)
  server.store.containers[3]!.fail(new LogError('damaged', 'log-0000000001 at 8192 is damaged'))
  const [status, text] = await get('/readyz')
  strictEqual(status, 503)
  match(text, /^container 3: log-0000000001 at 8192 is damaged\n$/)
  strictEqual((await get('/healthz'))[0], 200)
})
