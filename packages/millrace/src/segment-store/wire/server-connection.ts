/**
 * One client of the store. Frames are handled in the order they come; what they ask is decided at once, and answered when the
 * container says so. A client that breaks the protocol loses its connection, and nobody else notices.
 *
 * Nothing is read from a client while too much of what it or all clients sent waits for the disk, or while it does not take
 * its replies. Replies to reads are made when the socket has room for them, not before.
 */
import type { Connection } from '../../base/host.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { encodeSegmentRead } from '../../protocol/wire/bulk.ts'
import { decodeMessage, encodeMessage, type WireFrame } from '../../protocol/wire/codec.ts'
import {
  type AnyMessage,
  LONG_MIN,
  type Message,
  WIRE_VERSION,
  WIRE_VERSION_OLDEST,
} from '../../protocol/wire/commands.ts'
import { FrameReader } from '../../protocol/wire/frame-reader.ts'
import type { Container, ReadRequest, ReadResult } from '../container.ts'
import type { Segment } from '../container-state.ts'
import { READ_BYTES_MAX } from '../limits.ts'
import { LogError } from '../log/durable-log.ts'
import type { SegmentStore } from '../segment-store.ts'
import { appendedBytes } from './append-block.ts'
import type { UnfinishedFrames } from './unfinished-frames.ts'
import { damageReply, errorMessage, fullReply, rejectionReply } from './replies.ts'
import { handleSegmentRequest, type RequestPort } from './segment-requests.ts'
import { handleTableRequest } from './table-requests.ts'
import { type SessionAppend, type SessionOwner, WriterSession } from './writer-session.ts'

/** What one connection may have on its way to the disk. */
const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024
/** A reply when others hold much of the memory for replies. */
const READ_BYTES_SHORT = 64 * 1024
const HELLO_MS_MAX = 30_000
/** Of writers, before those of segments that are gone are looked for. */
const SESSIONS_MAX_FIRST = 1024

/** What the connections of a server share. */
export interface ConnectionGroup {
  readonly store: SegmentStore
  /** Writers by segment and id: a writer that is set up again loses what it had before. */
  readonly writers: Map<string, WriterSession>
  /** Connections that wait for the disk; asked again whenever an append has settled. */
  readonly paused: Set<ServerConnection>
  readonly unfinished: UnfinishedFrames
  readonly onClosed: (connection: ServerConnection, reason: Error | undefined) => void
}

export class ServerConnection implements SessionOwner, RequestPort {
  readonly store: SegmentStore
  readonly #group: ConnectionGroup
  readonly #connection: Connection
  readonly #frames = new FrameReader({ beforeHello: true })
  readonly #sessions = new Map<string, WriterSession>()
  /** Beyond so many, those of segments that are gone are looked for: each transaction leaves some. */
  #sessionsMax = SESSIONS_MAX_FIRST
  readonly #transients = new Set<string>()
  readonly #reads = new Set<PendingRead>()
  /** The append block whose end has not come. */
  #block: Message<'append-block'> | undefined
  #toAcknowledge: WriterSession[] = []
  #inFlightBytes = 0
  #congested = false
  /** Others may finish their frames first. */
  #crowded = false
  #waitingReads: (() => void)[] = []
  #closed = false
  /** What the client still sends is not looked at. */
  #ending = false
  #reason: Error | undefined
  /** Bytes granted to reads whose replies have not been handed to the socket. */
  #grantedBytes = 0
  #helloTimer: { cancel(): void } | undefined

  constructor(group: ConnectionGroup, connection: Connection) {
    this.#group = group
    this.store = group.store
    this.#connection = connection
    const { clock } = this.store.host
    this.#helloTimer = clock.setTimer(
      HELLO_MS_MAX,
      () => this.fail(new Error(`No hello within ${HELLO_MS_MAX} ms`)),
      { weak: true },
    )
    connection.setKeepsAlive(false)
    connection.start({
      data: (chunk) => this.#onData(chunk),
      drain: () => this.#onDrain(),
      closed: (error) => this.#onClosed(error),
    })
  }

  get remote(): string {
    return `${this.#connection.remote.host}:${this.#connection.remote.port}`
  }

  close(): void {
    this.#connection.end()
  }

  // For sessions and requests.

  send(frame: Buffer): void {
    if (!this.#closed && !this.#connection.write(frame)) this.#congested = true
  }

  /** The client waits for it, so the timer is not a weak one: of those nobody says when they come. */
  sendLater(frame: Buffer, delayMs: number): void {
    this.store.host.clock.setTimer(delayMs, () => this.send(frame))
  }

  reply(message: AnyMessage): void {
    this.send(encodeMessage(message))
  }

  /** Sends a reply once everything that it tells is durable. */
  answer(container: Container, message: AnyMessage): void {
    container.whenDurable({
      settle: (failure) => {
        if (failure === undefined) this.reply(message)
        else this.fail(failure)
      },
    })
  }

  containerOf(segment: string): Container {
    return this.store.containerOf(segment)
  }

  noteTransient(name: string): void {
    this.#transients.add(name)
  }

  acknowledgeSoon(session: WriterSession): void {
    // Not queueMicrotask, which libraries that fake timers replace, too.
    if (this.#toAcknowledge.length === 0) void Promise.resolve().then(() => this.#acknowledge())
    this.#toAcknowledge.push(session)
  }

  settled(bytes: number): void {
    this.#inFlightBytes -= bytes
    const { paused } = this.#group
    for (const connection of paused) connection.regulate()
  }

  fail(error: Error): void {
    if (!this.#closed) this.#connection.destroy(error)
  }

  failBehindReply(error: Error): void {
    this.#ending = true
    this.#reason ??= error
    this.#connection.end()
  }

  /** Whether this connection has to wait because too many frames are half there. */
  setCrowded(crowded: boolean): void {
    this.#crowded = crowded
    this.regulate()
  }

  /** Stops and restarts reading from the client. */
  regulate(): void {
    const { store } = this
    const stop =
      this.#congested ||
      this.#crowded ||
      this.#inFlightBytes > IN_FLIGHT_BYTES_MAX ||
      (this.#sessions.size > 0 && store.waits) ||
      (store.inFlightBytes > store.inFlightBytesMax && this.#inFlightBytes > 0)
    const { paused } = this.#group
    if (stop === paused.has(this)) return
    if (stop && !this.#closed) {
      paused.add(this)
      this.#connection.pause()
    } else {
      paused.delete(this)
      this.#connection.resume()
    }
  }

  #onData(chunk: Buffer): void {
    try {
      this.#frames.push(chunk)
      for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next())
        this.#handle(frame)
      this.#group.unfinished.note(this, this.#frames.bufferedBytes)
      this.regulate()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.fail(error)
    }
  }

  #handle(frame: WireFrame): void {
    if (this.#closed || this.#ending) return
    const message = decodeMessage(frame)
    if (this.#block !== undefined && message.kind !== 'append-block-end')
      return this.fail(new Error(`${message.kind} comes behind an append block, where its end belongs`))
    switch (message.kind) {
      case 'hello':
        return this.#hello(message)
      case 'keep-alive':
        return this.reply(message)
      case 'setup-append':
        return this.#setUp(message)
      case 'append-block':
        if (!this.#sessions.has(message.writerId)) return this.#unknownWriter()
        this.#block = message
        return
      case 'append-block-end':
        return this.#appendBlock(message)
      case 'conditional-append':
        return this.#append(message, { ...message, eventCount: 1, data: [message.event] })
      case 'conditional-block-end':
        return this.#append(message, { ...message, eventCount: 1, data: [message.data] })
      case 'read-segment':
        void this.#read(message)
        return
      default:
        return this.#request(message)
    }
  }

  #hello(message: Message<'hello'>): void {
    this.#helloTimer?.cancel()
    this.reply({ kind: 'hello', highVersion: WIRE_VERSION, lowVersion: WIRE_VERSION_OLDEST })
    if (message.lowVersion <= WIRE_VERSION && message.highVersion >= WIRE_VERSION_OLDEST) return
    this.#connection.end()
  }

  #setUp(message: Message<'setup-append'>): void {
    const { requestId, writerId, segment: name } = message
    const container = this.containerOf(name)
    if (this.refuseShut(container, requestId, name)) return
    this.#sessions.get(writerId)?.end()
    const segment = container.find(name)
    if (segment === undefined) {
      this.#sessions.delete(writerId)
      return this.answer(container, rejectionReply({ code: 'no-such-segment', segment: name }, requestId))
    }
    if (this.store.full) return this.reply(fullReply(requestId, name))
    const lastEventNumber = segment.attributes.get(writerId) ?? LONG_MIN
    const session = new WriterSession(this, { writerId, segment, container, lastEventNumber })
    this.#sessions.set(writerId, session)
    if (this.#sessions.size > this.#sessionsMax) this.#forgetSessions()
    const key = writerKey(session)
    this.#group.writers.get(key)?.end()
    this.#group.writers.set(key, session)
    this.answer(container, { kind: 'append-setup', requestId, segment: name, writerId, lastEventNumber })
  }

  #appendBlock(end: Message<'append-block-end'>): void {
    const block = this.#block
    this.#block = undefined
    if (block !== undefined && block.writerId !== end.writerId)
      return this.fail(new Error('An append block ends with the name of another writer'))
    const data = appendedBytes(block?.data, end)
    if (typeof data === 'string') return this.fail(new Error(`A client sent what it may not: ${data}`))
    if (end.eventCount < 1) return this.fail(new Error(`An append of ${end.eventCount} events`))
    const { eventCount, lastEventNumber: eventNumber } = end
    this.#append(end, { requestId: end.requestId, eventNumber, eventCount, expectedOffset: -1, data })
  }

  #append(message: { writerId: string }, append: Omit<SessionAppend, 'length'>): void {
    const session = this.#sessions.get(message.writerId)
    if (session === undefined) return this.#unknownWriter()
    if (this.store.full) {
      session.end()
      return this.answer(session.container, fullReply(append.requestId, session.segment.name))
    }
    let length = 0
    for (const piece of append.data) length += piece.length
    this.#inFlightBytes += length
    session.append({
      requestId: append.requestId,
      eventNumber: append.eventNumber,
      eventCount: append.eventCount,
      expectedOffset: append.expectedOffset,
      data: append.data,
      length,
    })
  }

  /** An append that comes late is still told what has become of its segment, unless it comes very late. */
  #forgetSessions(): void {
    for (const session of this.#sessions.values()) if (session.outdated()) this.#forget(session)
    this.#sessionsMax = Math.max(SESSIONS_MAX_FIRST, 2 * this.#sessions.size)
  }

  #forget(session: WriterSession): void {
    session.end()
    this.#sessions.delete(session.writerId)
    this.#leaveGroup(session)
  }

  #leaveGroup(session: WriterSession): void {
    const key = writerKey(session)
    if (this.#group.writers.get(key) === session) this.#group.writers.delete(key)
  }

  #unknownWriter(): void {
    this.fail(new Error('An append of a writer that was not set up on this connection'))
  }

  /** Answers for a container that cannot be used; true if that is so. */
  refuseShut(container: Container, requestId: string, segment: string): boolean {
    const { failure } = container
    if (failure === undefined) return false
    if (failure.code === 'damaged') this.reply(damageReply(failure, requestId, segment))
    else this.fail(failure)
    return true
  }

  async #read(message: Message<'read-segment'>): Promise<void> {
    const { segment: name, offset, requestId } = message
    const container = this.containerOf(name)
    if (this.refuseShut(container, requestId, name)) return
    const segment = container.find(name)
    if (segment === undefined)
      return this.answer(
        container,
        rejectionReply({ code: 'no-such-segment', segment: name }, requestId, offset),
      )
    if (message.suggestedLength < 0 || offset < 0)
      return this.reply(
        errorMessage(requestId, name, `A read of ${message.suggestedLength} bytes at ${offset}`),
      )
    const read = new PendingRead(this, { segment, offset, suggested: message.suggestedLength })
    this.#reads.add(read)
    try {
      const answer = await container.read(read)
      if (answer.kind === 'bytes') this.#sendRead(message, answer)
      else this.answer(container, rejectionReply(answer.rejection, requestId, offset))
    } catch (error) {
      this.#readFailed(error, requestId, name)
    }
    this.#reads.delete(read)
    this.#release(read.granted)
  }

  #readFailed(error: unknown, requestId: string, segment: string): void {
    if (!(error instanceof LogError)) throw error
    if (error.code === 'damaged') this.reply(damageReply(error, requestId, segment))
    else this.fail(error)
  }

  /** How many bytes a read may have now. Many reads wait at the tail for one append, and must not all be answered at once. */
  grant(suggested: number): number {
    const { replies, replyBytesMax } = this.store
    const shortened = replies.bytes > replyBytesMax ? READ_BYTES_SHORT : READ_BYTES_MAX
    const bytes = Math.max(Math.min(suggested, shortened), 1)
    if (this.#congested || (this.#grantedBytes > 0 && this.#grantedBytes + bytes > READ_BYTES_MAX)) return 0
    this.#grantedBytes += bytes
    replies.bytes += bytes
    return bytes
  }

  roomGrown(): Promise<void> {
    return new Promise((resolve) => {
      this.#waitingReads.push(resolve)
    })
  }

  #release(granted: number): void {
    this.#grantedBytes -= granted
    this.store.replies.bytes -= granted
    if (!this.#congested) this.#waitingReads.shift()?.()
  }

  #sendRead(message: Message<'read-segment'>, result: ReadResult): void {
    if (this.#closed) return result.release()
    const { atTail, endOfSegment, length } = result
    const { segment, offset, requestId } = message
    const pieces = encodeSegmentRead({ segment, offset, atTail, endOfSegment, requestId }, result.slices)
    const { replies } = this.store
    replies.bytes += length
    const last = pieces.length - 1
    // Everything between the first and the last piece is on loan from the cache.
    for (const [index, piece] of pieces.entries()) {
      const release =
        index === last
          ? (): void => {
              replies.bytes -= length
              result.release()
            }
          : onLoan
      if (!this.#connection.write(piece, index === 0 ? undefined : release)) this.#congested = true
    }
  }

  #request(message: AnyMessage): void {
    if (handleSegmentRequest(this, message) || handleTableRequest(this, message)) return
    if (!('requestId' in message))
      return this.fail(new Error(`A client sent ${message.kind}, which is no request`))
    this.reply({
      kind: 'operation-unsupported',
      requestId: message.requestId,
      operationName: message.kind,
      serverStackTrace: '',
    })
  }

  #acknowledge(): void {
    const sessions = this.#toAcknowledge
    this.#toAcknowledge = []
    for (const session of sessions) session.flush()
  }

  #onDrain(): void {
    this.#congested = false
    this.regulate()
    for (const resume of this.#waitingReads.splice(0)) resume()
  }

  #onClosed(error: Error | undefined): void {
    this.#closed = true
    this.#helloTimer?.cancel()
    for (const read of this.#reads) read.cancel()
    this.#group.unfinished.note(this, 0)
    this.#group.paused.delete(this)
    this.#onDrain()
    for (const session of this.#sessions.values()) {
      session.end()
      this.#leaveGroup(session)
    }
    for (const name of this.#transients) this.#dropTransient(name)
    this.#group.onClosed(this, error ?? this.#reason)
  }

  #dropTransient(name: string): void {
    const container = this.containerOf(name)
    if (container.failure !== undefined || this.store.closed) return
    const segment: Segment | undefined = container.find(name)
    if (segment?.type === 'transient')
      container.submit({ kind: 'delete', name, type: 'stream', mustBeEmpty: false })
  }
}

class PendingRead implements ReadRequest {
  readonly segment: Segment
  readonly offset: number
  wake: (() => void) | undefined
  /** Bytes of the connection's room that the answer has. */
  granted = 0
  #cancelled = false
  readonly #suggested: number
  readonly #connection: ServerConnection

  constructor(
    connection: ServerConnection,
    options: { segment: Segment; offset: number; suggested: number },
  ) {
    this.#connection = connection
    this.segment = options.segment
    this.offset = options.offset
    this.#suggested = options.suggested
  }

  room(): number {
    this.granted = this.#connection.grant(this.#suggested)
    return this.granted
  }

  roomGrown(): Promise<void> {
    return this.#connection.roomGrown()
  }

  isCancelled(): boolean {
    return this.#cancelled
  }

  cancel(): void {
    this.#cancelled = true
    this.wake?.()
  }
}

function writerKey(session: WriterSession): string {
  return `${session.container.id} ${session.segment.id} ${session.writerId}`
}

function onLoan(): void {
  // The piece is released with the last one of its reply; that it is released at all says that it is not ours to keep.
}
