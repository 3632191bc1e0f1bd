import { nodeHost } from '../base/node-host.ts'
import { type ControllerClient, ControllerError } from '../protocol/controller/service.ts'
import { connectController } from './controller-client.ts'
import { invalidArgument, MillraceError } from './errors.ts'
import { nodeReport } from './node-diagnostics.ts'
import type { Wait } from './segment-calls.ts'
import { createStore, type Store } from './store.ts'
import { orAborted } from './waiting.ts'

export type ConnectOptions = Wait

/**
 * The store behind a controller: `tcp://host:port`, or several `host:port` with commas between. Rejects `unavailable` if none
 * of them answers now; once connected, calls wait for a controller that is away.
 */
export async function connect(uri: string, options: ConnectOptions = {}): Promise<Store> {
  options.signal?.throwIfAborted()
  const controller = await orInvalid(connectController(uri))
  try {
    await orAborted(controller.getControllerServerList({}, { signal: options.signal }), options.signal)
  } catch (error) {
    // Who answers is there. Pravega in one process, for one, has no list of its controllers to answer with.
    if (error instanceof ControllerError && error.code !== 'unavailable') return storeOf(controller)
    await controller.close()
    if (error instanceof ControllerError)
      throw new MillraceError('unavailable', `No controller answers at ${uri}`, { cause: error })
    throw error
  }
  return storeOf(controller)
}

function storeOf(controller: ControllerClient): Store {
  return createStore({ host: nodeHost(), controller, report: nodeReport })
}

async function orInvalid(connecting: Promise<ControllerClient>): Promise<ControllerClient> {
  try {
    return await connecting
  } catch (error) {
    if (error instanceof ControllerError && error.code === 'invalid-argument')
      throw invalidArgument(error.message, error)
    throw error
  }
}
