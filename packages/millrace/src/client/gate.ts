/** The way from a client to a server that has said why it is not going to answer any more, as against one that is slow. */
import type { Host } from '../base/host.ts'
import {
  callByName,
  type ControllerClient,
  ControllerError,
  serviceOf,
} from '../protocol/controller/service.ts'

/**
 * While it is shut everything that needs the server rejects with one error, which clients do not take for a connection that may be
 * there again with the next attempt.
 */
export class Gate {
  #error: Error | undefined
  readonly #calls = new Set<(error: Error) => void>()

  shut(error: Error): void {
    this.#error = error
    for (const reject of this.#calls) reject(error)
  }

  open(): void {
    this.#error = undefined
  }

  /** The same host, whose network leads through the gate. */
  host(host: Host): Host {
    const { network } = host
    return {
      ...host,
      network: {
        listen: (address, onConnection) => network.listen(address, onConnection),
        connect: (address, options) => this.#through(() => network.connect(address, options)),
      },
    }
  }

  controller(controller: ControllerClient): ControllerClient {
    const service = serviceOf((rpc, request, context) =>
      this.#through(() => callByName(controller, { rpc, request, context })),
    )
    return { ...service, close: () => controller.close() }
  }

  async #through<T>(call: () => Promise<T>): Promise<T> {
    if (this.#error !== undefined) throw this.#error
    return new Promise<T>((resolve, reject) => {
      this.#calls.add(reject)
      const settled = (): boolean => this.#calls.delete(reject)
      call()
        .then(resolve, (error: unknown) => {
          // Of what was lost on the way the gate knows better.
          const unreachable = !(error instanceof ControllerError) || error.code === 'unavailable'
          reject(unreachable && this.#error !== undefined ? this.#error : error)
        })
        .finally(settled)
    })
  }
}
