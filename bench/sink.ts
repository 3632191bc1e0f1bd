/**
 * A server that acknowledges every append the moment it has arrived and keeps nothing: what a client reaches against it, no
 * store can beat on this machine. Scopes and streams are made by the real controller, which sends writers here.
 *
 *     node bench/sink.ts DIRECTORY
 */
import type { Connection } from '../packages/millrace/src/base/host.ts'
import { nodeHost } from '../packages/millrace/src/base/node-host.ts'
import { encodeDataAppended } from '../packages/millrace/src/protocol/wire/bulk.ts'
import {
  decodeAs,
  decodeMessage,
  encodeMessage,
  type WireFrame,
} from '../packages/millrace/src/protocol/wire/codec.ts'
import {
  LONG_MIN,
  type Long,
  type Message,
  WIRE_VERSION,
  WIRE_VERSION_OLDEST,
} from '../packages/millrace/src/protocol/wire/commands.ts'
import { FrameReader } from '../packages/millrace/src/protocol/wire/frame-reader.ts'
import { startServer } from '../packages/millrace/src/server/server.ts'

const LOCAL = '127.0.0.1'
const ANY_PORT = { host: LOCAL, port: 0 }

/** Acknowledges up to the last append of each writer that a chunk of input has brought. */
class SinkConnection {
  readonly #connection: Connection
  readonly #frames = new FrameReader({ beforeHello: true })
  readonly #acknowledged = new Map<string, Long>()
  readonly #arrived = new Map<string, { eventNumber: Long; requestId: string }>()

  constructor(connection: Connection) {
    this.#connection = connection
    connection.start({
      data: (chunk) => this.#onData(chunk),
      closed: () => undefined,
    })
  }

  #onData(chunk: Buffer): void {
    this.#frames.push(chunk)
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next())
      this.#handle(frame)
    this.#acknowledge()
  }

  #handle(frame: WireFrame): void {
    switch (frame.kind) {
      case 'hello':
        return this.#send({ kind: 'hello', highVersion: WIRE_VERSION, lowVersion: WIRE_VERSION_OLDEST })
      case 'keep-alive':
        return this.#send({ kind: 'keep-alive' })
      case 'setup-append':
        return this.#setUp(decodeAs('setup-append', frame))
      case 'append-block':
        return
      case 'append-block-end': {
        const { writerId, lastEventNumber, requestId } = decodeAs('append-block-end', frame)
        this.#arrived.set(writerId, { eventNumber: lastEventNumber, requestId })
        return
      }
      default:
        this.#connection.destroy(new Error(`A sink has no answer to ${JSON.stringify(decodeMessage(frame))}`))
    }
  }

  #setUp({ requestId, segment, writerId }: Message<'setup-append'>): void {
    this.#acknowledged.set(writerId, LONG_MIN)
    this.#send({ kind: 'append-setup', requestId, segment, writerId, lastEventNumber: LONG_MIN })
  }

  #acknowledge(): void {
    for (const [writerId, { eventNumber, requestId }] of this.#arrived) {
      const previousEventNumber = this.#acknowledged.get(writerId) ?? LONG_MIN
      this.#acknowledged.set(writerId, eventNumber)
      const reply = { writerId, eventNumber, previousEventNumber, requestId, segmentWriteOffset: 0 }
      this.#connection.write(encodeDataAppended(reply))
    }
    this.#arrived.clear()
  }

  #send(message: Parameters<typeof encodeMessage>[0]): void {
    this.#connection.write(encodeMessage(message))
  }
}

const [directory] = process.argv.slice(2)
if (directory === undefined) throw new Error('A sink needs a directory for what streams there are')
const host = nodeHost()
const listener = await host.network.listen(ANY_PORT, (connection) => new SinkConnection(connection))
const server = await startServer({
  host,
  data: directory,
  listen: { controller: ANY_PORT, segmentStore: ANY_PORT, advertise: listener.address },
})
process.once('SIGTERM', () => void server.close().finally(() => process.exit()))
process.stdout.write(
  `${JSON.stringify({ event: 'ready', controller: `tcp://${LOCAL}:${server.controllerAddress?.port}` })}\n`,
)
