/** The other end of the segment store's protocol, as raw as it gets: sends what it is told, and hands out what comes. */
import type { Address, Connection, Network } from '../base/host.ts'
import { decodeMessage, encodeMessage } from '../protocol/wire/codec.ts'
import type { AnyMessage, CommandKind, Message } from '../protocol/wire/commands.ts'
import { FrameReader } from '../protocol/wire/frame-reader.ts'
import { deferred } from './deferred.ts'

export class WireClient {
  readonly connection: Connection
  /** Resolves with the reason, if there was one. */
  readonly closed: Promise<Error | undefined>
  readonly #received: AnyMessage[] = []
  #waiting: (() => void) | undefined
  #ended = false

  static async connect(network: Network, address: Address): Promise<WireClient> {
    const client = new WireClient(await network.connect(address))
    client.send({ kind: 'hello', highVersion: 16, lowVersion: 5 })
    await client.receive('hello')
    return client
  }

  constructor(connection: Connection) {
    this.connection = connection
    const frames = new FrameReader()
    const ended = deferred<Error | undefined>()
    this.closed = ended.promise
    connection.start({
      data: (chunk) => {
        frames.push(chunk)
        for (let frame = frames.next(); frame !== undefined; frame = frames.next())
          this.#received.push(decodeMessage(frame))
        this.#waiting?.()
      },
      closed: (error) => {
        this.#ended = true
        this.#waiting?.()
        ended.resolve(error)
      },
    })
  }

  /** Replies that have come and were not asked for yet. */
  get pending(): readonly AnyMessage[] {
    return this.#received
  }

  send(...messages: readonly AnyMessage[]): void {
    for (const message of messages) this.connection.write(encodeMessage(message))
  }

  /** The next message, which must be of this kind. */
  async receive<K extends CommandKind>(kind: K): Promise<Message<K>> {
    while (this.#received.length === 0) {
      if (this.#ended) throw new Error(`The connection ended where ${kind} was expected`)
      await new Promise<void>((resolve) => {
        this.#waiting = resolve
      })
    }
    const message = this.#received.shift()!
    if (message.kind !== kind) throw new Error(`${kind} was expected, not ${JSON.stringify(message)}`)
    return message as Message<K>
  }

  async call<K extends CommandKind>(request: AnyMessage, reply: K): Promise<Message<K>> {
    this.send(request)
    return this.receive(reply)
  }
}
