/** A store with its server in one host, as `open` makes it, for tests that decide about the host. */
import type { Host } from '../base/host.ts'
import type { Report } from '../client/diagnostics.ts'
import { createStore, type Store } from '../client/store.ts'
import { embed } from '../embedded.ts'
import type { Server, ServerOptions } from '../server/server.ts'

export interface EmbeddedStore {
  readonly store: Store
  readonly server: Server
  /** Another client of the same server. */
  connect(): Store
  close(): Promise<void>
}

export interface EmbeddedOptions {
  readonly data?: string
  /** Also for others than this process, on free ports. */
  readonly listen?: boolean
  readonly report?: Report
  readonly autoScaling?: ServerOptions['autoScaling']
}

export async function embeddedStore(host: Host, options: EmbeddedOptions = {}): Promise<EmbeddedStore> {
  const { data = 'data', listen = false, report, autoScaling } = options
  const loopback = { host: '127.0.0.1', port: 0 }
  const { store, server } = await embed(
    {
      host,
      data,
      containers: 4,
      autoScaling,
      log: { fileBytesFirst: 256 * 1024, fileBytesMax: 1024 * 1024 },
      ...(listen ? { listen: { controller: loopback, segmentStore: loopback } } : {}),
    },
    report,
  )
  const connect = (): Store =>
    createStore({ host: server.host, controller: server.connectController(), report })
  return { store, server, connect, close: () => store.close() }
}
