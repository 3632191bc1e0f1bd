/**
 * What a connection knows of one writer: the segment it was set up for, which of its events are durable, and what the client
 * was told. Acknowledgements of plain appends that become durable together go out as one, since an acknowledgement says
 * "everything up to"; a conditional append is always answered by itself.
 */
import { encodeDataAppended } from '../../protocol/wire/bulk.ts'
import { encodeMessage } from '../../protocol/wire/codec.ts'
import type { Long } from '../../protocol/wire/commands.ts'
import type { Container, Waiting } from '../container.ts'
import type { Rejection, Segment } from '../container-state.ts'
import type { LogError } from '../log/durable-log.ts'
import { rejectionReply } from './replies.ts'

/** What a session needs of its connection. */
export interface SessionOwner {
  send(frame: Buffer): void
  sendLater(frame: Buffer, delayMs: number): void
  /** Calls `flush` of the session soon, together with others. */
  acknowledgeSoon(session: WriterSession): void
  /** Bytes of an append have reached the disk, or never will. */
  settled(bytes: number): void
  fail(error: Error): void
  /** Sends what is queued, then closes. */
  failBehindReply(error: Error): void
}

export interface SessionAppend {
  readonly requestId: string
  readonly eventNumber: Long
  readonly eventCount: number
  /** -1 for an append that has no condition. */
  readonly expectedOffset: number
  readonly data: readonly Buffer[]
  readonly length: number
}

/**
 * Pravega's Java client sends again what is not acknowledged as soon as it is set up, and loses the answer that the segment is
 * sealed if that comes while it still sends: it then waits for ever. Seen once in about 900 commits after scales, which seal
 * the segments that they make again, and not once with this pause.
 */
const SEALED_PAUSE_MS = 20

export class WriterSession {
  readonly writerId: string
  readonly segment: Segment
  readonly container: Container
  readonly #owner: SessionOwner
  /** After a failed append nothing of the writer is taken before it is set up again; the client learns why from the reply. */
  #failed = false
  #acknowledged: Long
  #durable: Long
  #durableOffset = 0
  #requestId = ''
  #soon = false
  /** When the writer was set up. */
  readonly sealedBefore: boolean
  /** Its segment was gone when that was asked for last. */
  #gone = false

  constructor(
    owner: SessionOwner,
    options: { writerId: string; segment: Segment; container: Container; lastEventNumber: Long },
  ) {
    this.#owner = owner
    this.writerId = options.writerId
    this.segment = options.segment
    this.container = options.container
    this.sealedBefore = options.segment.sealed
    this.#acknowledged = options.lastEventNumber
    this.#durable = options.lastEventNumber
  }

  /** The writer was set up again, here or elsewhere: what still comes by this session is too late. */
  end(): void {
    this.#failed = true
  }

  /** Whether its segment is gone, and was so when this was asked before. */
  outdated(): boolean {
    const wasGone = this.#gone
    this.#gone = this.segment.gone
    return wasGone
  }

  append(append: SessionAppend): void {
    if (this.#failed) return
    const { container, segment, writerId } = this
    const rejection = container.append({ ...append, segment, writerId })
    const conditional = append.expectedOffset >= 0
    if (rejection === undefined) {
      container.whenDurable(
        new AppendAnswer(this, this.#owner, { append, endOffset: segment.length, conditional }),
      )
      return
    }
    if (rejection.code !== 'wrong-offset') this.#failed = true
    container.whenDurable(new RejectionAnswer(this, this.#owner, { append, rejection }))
  }

  /** An append that is durable. */
  advance(append: SessionAppend, endOffset: number, conditional: boolean): void {
    if (conditional) this.flush()
    this.#durable = append.eventNumber
    this.#durableOffset = endOffset
    this.#requestId = append.requestId
    if (conditional) return this.flush()
    if (this.#soon) return
    this.#soon = true
    this.#owner.acknowledgeSoon(this)
  }

  /** Tells the client of everything that is durable and that it does not know of. */
  flush(): void {
    this.#soon = false
    if (this.#durable === this.#acknowledged) return
    this.#owner.send(
      encodeDataAppended({
        writerId: this.writerId,
        eventNumber: this.#durable,
        previousEventNumber: this.#acknowledged,
        requestId: this.#requestId,
        segmentWriteOffset: this.#durableOffset,
      }),
    )
    this.#acknowledged = this.#durable
  }
}

class AppendAnswer implements Waiting {
  readonly #session: WriterSession
  readonly #owner: SessionOwner
  readonly #append: SessionAppend
  readonly #endOffset: number
  readonly #conditional: boolean

  constructor(
    session: WriterSession,
    owner: SessionOwner,
    options: { append: SessionAppend; endOffset: number; conditional: boolean },
  ) {
    this.#session = session
    this.#owner = owner
    this.#append = options.append
    this.#endOffset = options.endOffset
    this.#conditional = options.conditional
  }

  settle(failure: LogError | undefined): void {
    if (failure === undefined) this.#session.advance(this.#append, this.#endOffset, this.#conditional)
    else this.#owner.fail(failure)
    this.#owner.settled(this.#append.length)
  }
}

class RejectionAnswer implements Waiting {
  readonly #session: WriterSession
  readonly #owner: SessionOwner
  readonly #append: SessionAppend
  readonly #rejection: Rejection

  constructor(
    session: WriterSession,
    owner: SessionOwner,
    options: { append: SessionAppend; rejection: Rejection },
  ) {
    this.#session = session
    this.#owner = owner
    this.#append = options.append
    this.#rejection = options.rejection
  }

  settle(failure: LogError | undefined): void {
    this.#owner.settled(this.#append.length)
    if (failure !== undefined) return this.#owner.fail(failure)
    this.#session.flush()
    this.#reply()
  }

  #reply(): void {
    const { requestId, eventNumber } = this.#append
    const { writerId } = this.#session
    if (this.#rejection.code === 'wrong-offset') {
      this.#owner.send(encodeMessage({ kind: 'conditional-check-failed', writerId, eventNumber, requestId }))
      return
    }
    if (this.#rejection.code === 'event-number') {
      const serverStackTrace = ''
      this.#owner.send(
        encodeMessage({ kind: 'invalid-event-number', writerId, requestId, serverStackTrace, eventNumber }),
      )
      this.#owner.failBehindReply(
        new Error(`Event ${eventNumber} of a writer of ${this.#rejection.segment} comes after a later one`),
      )
      return
    }
    const frame = encodeMessage(rejectionReply(this.#rejection, requestId, eventNumber))
    if (this.#rejection.code === 'sealed' && this.#session.sealedBefore)
      this.#owner.sendLater(frame, SEALED_PAUSE_MS)
    else this.#owner.send(frame)
  }
}
