/**
 * The controller of this process over `Host.network`. It connects with the first call and again after a break; a call that
 * was under way when the connection broke rejects with `unavailable`, and whether to repeat it is its caller's decision.
 */
import type { Address, Connection, Host } from '../base/host.ts'
import { encodeLocalFrame, LocalFrameReader, type LocalFrame } from '../protocol/controller/local-messages.ts'
import {
  type CallContext,
  type ControllerClient,
  ControllerError,
  type RpcName,
  serviceOf,
} from '../protocol/controller/service.ts'

export function connectLocalController(host: Host, address: Address): ControllerClient {
  const session = new Session(host, address)
  return {
    ...serviceOf((rpc, request, context) => session.call(rpc, request, context)),
    close: () => session.close(),
  }
}

interface Pending {
  readonly resolve: (response: object) => void
  readonly reject: (error: unknown) => void
}

class Session {
  readonly #host: Host
  readonly #address: Address
  readonly #pending = new Map<number, Pending>()
  #connection: Promise<Connection> | undefined
  #lastId = 0
  #closed = false

  constructor(host: Host, address: Address) {
    this.#host = host
    this.#address = address
  }

  async call(rpc: RpcName, request: object, { signal }: CallContext): Promise<object> {
    signal?.throwIfAborted()
    const connection = await this.#connect()
    signal?.throwIfAborted()
    const id = ++this.#lastId
    let cancel: (() => void) | undefined
    try {
      return await new Promise<object>((resolve, reject) => {
        this.#pending.set(id, { resolve, reject })
        connection.setKeepsAlive(true)
        cancel = (): void => {
          connection.write(encodeLocalFrame({ id, cancel: true }))
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', cancel, { once: true })
        connection.write(encodeLocalFrame({ id, rpc, request }))
      })
    } finally {
      if (cancel !== undefined) signal?.removeEventListener('abort', cancel)
      this.#pending.delete(id)
      if (this.#pending.size === 0) connection.setKeepsAlive(false)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const connection = await this.#connection?.catch(() => undefined)
    connection?.destroy()
  }

  #connect(): Promise<Connection> {
    if (this.#closed)
      return Promise.reject(new ControllerError('unavailable', 'The connection to the controller is closed'))
    this.#connection ??= this.#open().catch((error: unknown) => {
      this.#connection = undefined
      throw new ControllerError('unavailable', 'The controller is not reachable', { cause: error })
    })
    return this.#connection
  }

  async #open(): Promise<Connection> {
    const connection = await this.#host.network.connect(this.#address)
    const reader = new LocalFrameReader()
    connection.start({
      data: (chunk) => {
        for (const frame of reader.push(chunk)) this.#settle(frame)
      },
      closed: (error) => {
        this.#connection = undefined
        const broken = new ControllerError('unavailable', 'The connection to the controller broke', {
          cause: error,
        })
        for (const { reject } of this.#pending.values()) reject(broken)
        this.#pending.clear()
      },
    })
    return connection
  }

  #settle(frame: LocalFrame): void {
    const pending = this.#pending.get(frame.id)
    if (pending === undefined) return
    if ('response' in frame) pending.resolve(frame.response)
    else if ('code' in frame) pending.reject(new ControllerError(frame.code, frame.message))
  }
}
