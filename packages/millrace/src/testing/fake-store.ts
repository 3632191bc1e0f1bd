/**
 * A segment store without durability, for tests of what talks to one: the protocol on real connections, segments in memory,
 * and a hook through which a test sees every request first and may answer it itself, or break something.
 */
import type { Address, Connection, Network } from '../base/host.ts'
import { encodeSegmentRead } from '../protocol/wire/bulk.ts'
import { decodeMessage, encodeMessage } from '../protocol/wire/codec.ts'
import {
  type AnyMessage,
  type CommandKind,
  LONG_MIN,
  type Long,
  type Message,
} from '../protocol/wire/commands.ts'
import { FrameReader } from '../protocol/wire/frame-reader.ts'
import { FakeTables } from './fake-tables.ts'

const READ_BYTES_MAX = 2 * 1024 * 1024

export class FakeSegment {
  data: Buffer = Buffer.alloc(0)
  startOffset = 0
  sealed = false
  readonly attributes: Map<string, Long> = new Map()
  readonly waiting: (() => void)[] = []

  /** The events in it, headers taken off. */
  get events(): string[] {
    const events: string[] = []
    for (let at = 0; at < this.data.length; ) {
      const length = this.data.readInt32BE(at + 4)
      events.push(this.data.toString('utf8', at + 8, at + 8 + length))
      at += 8 + length
    }
    return events
  }

  append(bytes: Buffer): void {
    this.data = Buffer.concat([this.data, bytes])
    this.wake()
  }

  wake(): void {
    for (const waiting of this.waiting.splice(0)) waiting()
  }
}

/** Called with each request before the store looks at it; true says that the test has dealt with it. */
export type Intercept = (message: AnyMessage, peer: FakePeer) => boolean

export class FakeStore {
  readonly segments: Map<string, FakeSegment> = new Map()
  readonly tables: FakeTables = new FakeTables()
  readonly peers: Set<FakePeer> = new Set()
  intercept: Intercept | undefined
  /** What it greets with. */
  versions: { lowVersion: number; highVersion: number } = { lowVersion: 5, highVersion: 16 }
  connectionsTaken = 0

  async listen(network: Network, address: Address): Promise<{ address: Address; close(): Promise<void> }> {
    return network.listen(address, (connection) => {
      this.connectionsTaken++
      this.peers.add(new FakePeer(this, connection))
    })
  }

  segment(name: string): FakeSegment {
    const segment = this.segments.get(name)
    if (segment === undefined) throw new Error(`The test has no segment ${name}`)
    return segment
  }

  create(name: string): FakeSegment {
    const segment = new FakeSegment()
    this.segments.set(name, segment)
    return segment
  }

  breakConnections(): void {
    for (const peer of this.peers) peer.connection.destroy()
  }
}

type Handlers = { readonly [K in CommandKind]?: (message: Message<K>) => void }
type OfSegment = AnyMessage & { readonly segment: string; readonly requestId: string }

/** One client of the store. */
export class FakePeer {
  readonly connection: Connection
  readonly #store: FakeStore
  readonly #frames: FrameReader = new FrameReader({ beforeHello: true })
  /** Writers that have set up here: where they append, and under which request id. */
  readonly #writers = new Map<string, { segment: string; requestId: string }>()
  readonly #handlers: Handlers

  constructor(store: FakeStore, connection: Connection) {
    this.#store = store
    this.connection = connection
    this.#handlers = { ...this.#appendHandlers(), ...this.#segmentHandlers() }
    connection.start({
      data: (chunk) => {
        this.#frames.push(chunk)
        for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
          const message = decodeMessage(frame)
          if (this.#store.intercept?.(message, this) !== true) this.handle(message)
        }
      },
      closed: () => store.peers.delete(this),
    })
  }

  send(message: AnyMessage): void {
    this.connection.write(encodeMessage(message))
  }

  /** What the store does by itself. */
  handle(message: AnyMessage): void {
    if (this.#store.tables.handle(message, (reply) => this.send(reply))) return
    const handler = this.#handlers[message.kind] as ((message: AnyMessage) => void) | undefined
    if (handler === undefined) throw new Error(`The fake store knows no ${message.kind}`)
    handler(message)
  }

  #appendHandlers(): Handlers {
    return {
      hello: () => this.send({ kind: 'hello', ...this.#store.versions }),
      'keep-alive': (message) => this.send(message),
      'create-segment': ({ requestId, segment }) => {
        if (this.#store.segments.has(segment))
          return this.send({ kind: 'segment-already-exists', requestId, segment, serverStackTrace: '' })
        this.#store.create(segment)
        this.send({ kind: 'segment-created', requestId, segment })
      },
      'setup-append': (message) => this.#setup(message),
      'append-block-end': (message) => this.#append(message),
      'conditional-append': (message) => this.#conditionalAppend(message),
    }
  }

  #segmentHandlers(): Handlers {
    return {
      'get-stream-segment-info': (message) =>
        this.#withSegment(message, (segment) => this.#info(message, segment)),
      'seal-segment': (message) => this.#withSegment(message, (segment) => this.#seal(message, segment)),
      'delete-segment': (message) =>
        this.#withSegment(message, () => {
          this.#store.segments.delete(message.segment)
          this.send({ kind: 'segment-deleted', requestId: message.requestId, segment: message.segment })
        }),
      'truncate-segment': (message) =>
        this.#withSegment(message, (segment) => this.#truncate(segment, message)),
      'get-segment-attribute': (message) =>
        this.#withSegment(message, ({ attributes }) => {
          const value = attributes.get(message.attributeId) ?? LONG_MIN
          this.send({ kind: 'segment-attribute', requestId: message.requestId, value })
        }),
      'update-segment-attribute': (message) =>
        this.#withSegment(message, ({ attributes }) => {
          const present = attributes.get(message.attributeId) ?? LONG_MIN
          const success = BigInt(present) === BigInt(message.expectedValue)
          if (success) attributes.set(message.attributeId, message.newValue)
          this.send({ kind: 'segment-attribute-updated', requestId: message.requestId, success })
        }),
      'read-segment': (message) => this.#withSegment(message, (segment) => this.#read(segment, message)),
    }
  }

  #withSegment(message: OfSegment, then: (segment: FakeSegment) => void): void {
    const { requestId, segment } = message
    const found = this.#store.segments.get(segment)
    if (found !== undefined) return then(found)
    const offset = message.kind === 'read-segment' ? message.offset : -1
    this.send({ kind: 'no-such-segment', requestId, segment, serverStackTrace: '', offset })
  }

  #info({ requestId, segment }: OfSegment, found: FakeSegment): void {
    this.send({
      kind: 'stream-segment-info',
      requestId,
      segment,
      exists: true,
      sealed: found.sealed,
      deleted: false,
      lastModifiedMs: 0,
      writeOffset: found.data.length,
      startOffset: found.startOffset,
    })
  }

  #seal({ requestId, segment }: OfSegment, found: FakeSegment): void {
    if (found.sealed)
      return this.send({ kind: 'segment-is-sealed', requestId, segment, serverStackTrace: '', offset: -1 })
    found.sealed = true
    found.wake()
    this.send({ kind: 'segment-sealed', requestId, segment })
  }

  #setup(message: Message<'setup-append'>): void {
    const { requestId, writerId, segment } = message
    const found = this.#store.segments.get(segment)
    if (found === undefined)
      return this.send({ kind: 'no-such-segment', requestId, segment, serverStackTrace: '', offset: -1 })
    this.#writers.set(writerId, { segment, requestId })
    const lastEventNumber = found.attributes.get(writerId) ?? LONG_MIN
    this.send({ kind: 'append-setup', requestId, segment, writerId, lastEventNumber })
  }

  #append({ writerId, data, eventCount, lastEventNumber }: Message<'append-block-end'>): void {
    const writer = this.#writers.get(writerId)
    if (writer === undefined) return this.connection.destroy()
    const { segment: name, requestId } = writer
    const segment = this.#store.segments.get(name)
    if (segment === undefined || segment.sealed) {
      this.#writers.delete(writerId)
      const kind = segment === undefined ? 'no-such-segment' : 'segment-is-sealed'
      return this.send({ kind, requestId, segment: name, serverStackTrace: '', offset: lastEventNumber })
    }
    const previous = segment.attributes.get(writerId) ?? LONG_MIN
    const first = Number(lastEventNumber) - eventCount + 1
    if (Number(previous) >= first)
      throw new Error(`Events ${first} to ${lastEventNumber} came though ${previous} was stored`)
    segment.attributes.set(writerId, lastEventNumber)
    segment.append(Buffer.from(data))
    this.send({
      kind: 'data-appended',
      writerId,
      eventNumber: lastEventNumber,
      previousEventNumber: previous,
      requestId,
      segmentWriteOffset: segment.data.length,
    })
  }

  #conditionalAppend(message: Message<'conditional-append'>): void {
    const { writerId, eventNumber, expectedOffset, event, requestId } = message
    const writer = this.#writers.get(writerId)
    if (writer === undefined) return this.connection.destroy()
    const { segment: name } = writer
    const segment = this.#store.segments.get(name)
    if (segment === undefined)
      return this.send({
        kind: 'no-such-segment',
        requestId,
        segment: name,
        serverStackTrace: '',
        offset: -1,
      })
    if (segment.data.length !== expectedOffset)
      return this.send({ kind: 'conditional-check-failed', writerId, eventNumber, requestId })
    const previousEventNumber = segment.attributes.get(writerId) ?? LONG_MIN
    segment.attributes.set(writerId, eventNumber)
    segment.append(Buffer.from(event))
    const segmentWriteOffset = segment.data.length
    this.send({
      kind: 'data-appended',
      writerId,
      eventNumber,
      previousEventNumber,
      requestId,
      segmentWriteOffset,
    })
  }

  #truncate(segment: FakeSegment, message: Message<'truncate-segment'>): void {
    const { requestId, segment: name, truncationOffset } = message
    if (truncationOffset <= segment.startOffset || truncationOffset > segment.data.length)
      return this.send({
        kind: 'segment-is-truncated',
        requestId,
        segment: name,
        startOffset: segment.startOffset,
        serverStackTrace: '',
        offset: truncationOffset,
      })
    segment.startOffset = truncationOffset
    segment.wake()
    this.send({ kind: 'segment-truncated', requestId, segment: name })
  }

  #read(segment: FakeSegment, message: Message<'read-segment'>): void {
    const { requestId, segment: name, offset, suggestedLength } = message
    if (this.#store.segments.get(name) !== segment)
      return this.send({ kind: 'no-such-segment', requestId, segment: name, serverStackTrace: '', offset })
    if (offset < segment.startOffset)
      return this.send({
        kind: 'segment-is-truncated',
        requestId,
        segment: name,
        startOffset: segment.startOffset,
        serverStackTrace: '',
        offset,
      })
    const end = Math.min(segment.data.length, offset + Math.min(suggestedLength, READ_BYTES_MAX))
    const endOfSegment = segment.sealed && end === segment.data.length
    if (end <= offset && !endOfSegment) {
      segment.waiting.push(() => this.#read(segment, message))
      return
    }
    const head = { segment: name, offset, requestId, atTail: end === segment.data.length, endOfSegment }
    for (const piece of encodeSegmentRead(head, [segment.data.subarray(offset, end)]))
      this.connection.write(piece)
  }
}
