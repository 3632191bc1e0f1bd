/** `/healthz`, `/readyz` and `/metrics`. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Address, NetworkError, showAddress } from '../base/host.ts'
import { metricsText } from './metrics.ts'
import type { Server } from './server.ts'

export interface HttpServer {
  readonly address: Address
  close(): Promise<void>
}

/** Rejects with `NetworkError` `in-use` when the port is taken. */
export async function startHttp(server: Server, address: Address): Promise<HttpServer> {
  const http = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(response, 405, 'Only GET is possible\n')
    if (path === '/healthz') return healthy(server, response)
    if (path === '/readyz') return ready(server, response)
    if (path === '/metrics')
      return answer(response, 200, metricsText(server), 'text/plain; version=0.0.4; charset=utf-8')
    answer(response, 404, 'There are /healthz, /readyz and /metrics\n')
  })
  await new Promise<void>((resolve, reject) => {
    http.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EADDRINUSE' ? 'in-use' : 'unreachable'
      reject(
        new NetworkError(code, `Cannot listen on ${showAddress(address)}: ${error.message}`, {
          cause: error,
        }),
      )
    })
    http.listen({ host: address.host, port: address.port }, resolve)
  })
  return {
    address: { host: address.host, port: (http.address() as AddressInfo).port },
    close: async () => {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
}

/** The process works; whether it can do its job is the other question. */
function healthy(server: Server, response: ServerResponse): void {
  const { failure } = server.store
  if (failure === undefined) answer(response, 200, 'ok\n')
  else answer(response, 503, `${failure.message}\n`)
}

function ready(server: Server, response: ServerResponse): void {
  const { store } = server
  if (store.failure !== undefined) return answer(response, 503, `${store.failure.message}\n`)
  if (store.full)
    return answer(response, 503, 'disk-full: appends are refused until there is room on the volume\n')
  const shut = store.containers.filter(({ failure }) => failure !== undefined)
  if (shut.length === 0) return answer(response, 200, 'ready\n')
  answer(response, 503, shut.map(({ id, failure }) => `container ${id}: ${failure?.message}\n`).join(''))
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
  response.end(body)
}
