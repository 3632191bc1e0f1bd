/** Ports for servers that have to come back where they were, or that cannot choose one themselves. */
import { type AddressInfo, createServer, type Server } from 'node:net'

const LOCAL = '127.0.0.1'

/** So many that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, listen))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function listen(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, LOCAL, () => resolve(server))
  })
}
