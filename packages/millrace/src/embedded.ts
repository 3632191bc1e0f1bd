/** A server and its client in one process. */
import { MillraceError } from './client/errors.ts'
import type { Report } from './client/diagnostics.ts'
import { Gate } from './client/gate.ts'
import { createStore, type Store } from './client/store.ts'
import { type Server, type ServerOptions, startServer } from './server/server.ts'

/**
 * The store that closes the server when it is closed. When the server's disk fails everything rejects with `unavailable`: no
 * later attempt would be answered either.
 */
export async function embed(
  options: Omit<ServerOptions, 'onEvent'>,
  report: Report | undefined,
): Promise<{ readonly store: Store; readonly server: Server }> {
  const gate = new Gate()
  const server = await startServer({
    ...options,
    onEvent: (event) => {
      if (event.kind !== 'store-failed') return
      const message = `The store in ${options.data} has failed and has to be opened again: ${event.error.message}`
      gate.shut(new MillraceError('unavailable', message, { cause: event.error }))
    },
  })
  const store = createStore({
    host: gate.host(server.host),
    controller: gate.controller(server.connectController()),
    report,
    engineStats: () => {
      const { log, inFlightBytes, cacheBytes, cacheBytesMax } = server.store.stats()
      return {
        syncs: log.syncs,
        queuedBytes: inFlightBytes,
        memoryBytes: cacheBytes,
        memoryBytesMax: cacheBytesMax,
        loopDelayMsMax: server.takeLoopDelay().max / 1000,
      }
    },
    onClose: () => server.close(),
  })
  return { store, server }
}
