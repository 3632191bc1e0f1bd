/** The segment store's protocol on one address or several: takes connections and keeps count of them. */
import type { Address, Connection, Host, Listener } from '../../base/host.ts'
import type { SegmentStore } from '../segment-store.ts'
import { type ConnectionGroup, ServerConnection } from './server-connection.ts'
import { UnfinishedFrames } from './unfinished-frames.ts'

export interface SegmentServer {
  /** Where it listens, in the order asked for; ports are the real ones where 0 was. */
  readonly addresses: readonly Address[]
  readonly connections: number
  /** Takes no more connections and cuts those there are once their replies have left. */
  close(): Promise<void>
}

export interface SegmentServerOptions {
  readonly host: Pick<Host, 'network'>
  readonly store: SegmentStore
  readonly addresses: readonly Address[]
  /** A connection that ended otherwise than by its client's will. */
  readonly onBroken?: (remote: string, reason: Error) => void
}

export async function startSegmentServer(options: SegmentServerOptions): Promise<SegmentServer> {
  const { host, store } = options
  const connections = new Set<ServerConnection>()
  const group: ConnectionGroup = {
    store,
    writers: new Map(),
    paused: new Set(),
    unfinished: new UnfinishedFrames({ clock: store.host.clock, bytesMax: store.replyBytesMax }),
    onClosed: (connection, reason) => {
      connections.delete(connection)
      if (reason !== undefined) options.onBroken?.(connection.remote, reason)
    },
  }
  store.onRoom = () => {
    for (const connection of group.paused) connection.regulate()
  }
  const listeners: Listener[] = []
  try {
    for (const address of options.addresses)
      listeners.push(await host.network.listen(address, (connection) => take(connection)))
  } catch (error) {
    for (const listener of listeners) await listener.close()
    throw error
  }
  function take(connection: Connection): void {
    connections.add(new ServerConnection(group, connection))
  }
  return {
    addresses: listeners.map(({ address }) => address),
    get connections(): number {
      return connections.size
    },
    close: async () => {
      for (const listener of listeners) await listener.close()
      for (const connection of connections) connection.close()
    },
  }
}
