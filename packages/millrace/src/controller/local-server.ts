/** The controller's service over `Host.network`, for callers in the same process and in simulations. */
import type { Address, Connection, Host, Listener } from '../base/host.ts'
import { encodeLocalFrame, LocalFrameReader, type LocalFrame } from '../protocol/controller/local-messages.ts'
import { callByName, ControllerError, type ControllerService } from '../protocol/controller/service.ts'

export interface LocalServer {
  readonly address: Address
  /** Cuts every connection; calls under way go on, but nobody hears of their end. */
  close(): Promise<void>
}

export async function startLocalServer(options: {
  readonly host: Host
  readonly service: ControllerService
  readonly address: Address
}): Promise<LocalServer> {
  const { host, service, address } = options
  const connections = new Set<Connection>()
  const listener: Listener = await host.network.listen(address, (connection) => {
    connections.add(connection)
    serveConnection(service, connection, () => connections.delete(connection))
  })
  return {
    address: listener.address,
    async close() {
      for (const connection of connections) connection.destroy()
      await listener.close()
    },
  }
}

function serveConnection(service: ControllerService, connection: Connection, closed: () => void): void {
  const reader = new LocalFrameReader()
  const running = new Map<number, AbortController>()

  async function answer(frame: { id: number } & LocalFrame): Promise<void> {
    if ('cancel' in frame) running.get(frame.id)?.abort()
    if (!('rpc' in frame)) return
    const abort = new AbortController()
    running.set(frame.id, abort)
    const context = { localAddress: connection.local, signal: abort.signal }
    let reply: LocalFrame
    try {
      const response = await callByName(service, { rpc: frame.rpc, request: frame.request, context })
      reply = { id: frame.id, response }
    } catch (error) {
      const code = error instanceof ControllerError ? error.code : 'unknown'
      reply = { id: frame.id, code, message: error instanceof Error ? error.message : String(error) }
    }
    // A call whose caller has left is no longer listed; nobody waits for its answer.
    if (running.delete(frame.id)) connection.write(encodeLocalFrame(reply))
  }

  connection.start({
    data(chunk) {
      try {
        for (const frame of reader.push(chunk)) void answer(frame)
      } catch (error) {
        connection.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    },
    closed() {
      for (const abort of running.values()) abort.abort()
      running.clear()
      closed()
    },
  })
}
