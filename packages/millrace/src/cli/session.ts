/** A connection to a server for the time of one command. */
import { type Command, Option } from 'commander'
import { connect } from '../client/connect.ts'
import { connectController } from '../client/controller-client.ts'
import type { Store } from '../client/store.ts'
import type { ControllerClient } from '../protocol/controller/service.ts'
import { CommandError, codeOf, Exit } from './exit.ts'

export interface ServerOption {
  readonly server: string
}

const SERVER = 'tcp://127.0.0.1:9090'

export function addServerOption(command: Command): Command {
  return command.addOption(
    new Option('--server <uri>', 'the controller of the server to use')
      .env('MILLRACE_SERVER')
      .default(SERVER),
  )
}

/** Runs with the controller alone. Calls are made once: a server that cannot be reached fails the command. */
export async function withController<T>(
  { server }: ServerOption,
  run: (controller: ControllerClient) => Promise<T>,
): Promise<T> {
  const controller = await connectController(server)
  try {
    return await run(controller)
  } catch (error) {
    throw unreachable(error, server)
  } finally {
    await controller.close()
  }
}

/** Runs with the whole client, once the server has answered. From then on the client waits for a server that is away. */
export async function withStore<T>({ server }: ServerOption, run: (store: Store) => Promise<T>): Promise<T> {
  const store = await connect(server).catch((error: unknown) => {
    throw unreachable(error, server)
  })
  try {
    return await run(store)
  } finally {
    await store.close()
  }
}

function unreachable(error: unknown, server: string): unknown {
  if (codeOf(error) !== 'unavailable' || !(error instanceof Error)) return error
  return new CommandError(
    Exit.unreachable,
    `Cannot reach ${server}: is millrace serve running? ` +
      `--server or MILLRACE_SERVER names another one. (${error.message})`,
    { cause: error },
  )
}
