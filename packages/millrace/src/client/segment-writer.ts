/**
 * Appends events to one segment, each exactly once and in order. What is pushed in one turn of the event loop, and while
 * earlier events are under way, leaves together.
 *
 * A session is a setup on a connection: the store says which event of this writer it stored last, so what it has is durable
 * and the rest is sent again, in order. When the connection breaks, the next session begins. When the segment has ended, its
 * owner takes the events that are not durable and brings them to the successors. When the store rejects an append for another
 * reason, the events fail: such a rejection comes after the acknowledgements of all that was stored.
 */
import { assert } from '../base/assert.ts'
import { type Host, NetworkError } from '../base/host.ts'
import { encodeAppendBlockEnd } from '../protocol/wire/bulk.ts'
import { LONG_MIN, type Long } from '../protocol/wire/commands.ts'
import { BATCH_BYTES_FULL, EventQueue } from './event-queue.ts'
import type { Locations } from './locations.ts'
import { failureOf } from './segment-replies.ts'
import type { SlabPool } from './slab-pool.ts'
import type { Reply, StoreConnection } from './store-connection.ts'
import type { StorePool } from './store-pool.ts'
import { Backoff, orAborted } from './waiting.ts'

/** In flight for one segment. */
const WINDOW_BYTES = 4 * 1024 * 1024
/** With so many frames under way a small one waits and grows. */
const SMALL_FRAMES_MAX = 3

export interface SegmentWriterParts {
  readonly host: Host
  readonly locations: Locations
  readonly pool: StorePool
  readonly slabs: SlabPool
}

export interface SegmentWriterOwner {
  /** So many bytes, headers included, have become durable. */
  onDurable(bytes: number): void
  /** No append gets into the segment any more: what is in the queue, and still comes, is the owner's to move. */
  onEnded(writer: SegmentWriter): void
  /** The events in the queue were not appended and are not going to be: the owner fails them. */
  onFailed(writer: SegmentWriter, error: Error): void
}

/** Why a session is over. With `moved` the store may be another one, or a new session find out where to go on. */
type SessionEnd = 'broken' | 'moved' | 'ended' | Error

export class SegmentWriter {
  readonly segment: string
  readonly queue: EventQueue
  readonly #parts: SegmentWriterParts
  readonly #owner: SegmentWriterOwner
  /** Drawn for this object: what a store remembers is kept by segment and writer. */
  readonly #writerId: string
  readonly #backoff: Backoff
  #running = false
  #ended = false
  #awake = false
  /** Undefined until the store has said where to go on. */
  #session: Session | undefined

  constructor(parts: SegmentWriterParts, segment: string, owner: SegmentWriterOwner) {
    this.segment = segment
    this.#parts = parts
    this.#owner = owner
    this.queue = new EventQueue(parts.slabs)
    this.#writerId = parts.host.random.bytes(16).toString('latin1')
    this.#backoff = new Backoff(parts.host)
  }

  /** The segment takes no more, or the writer was closed. */
  get ended(): boolean {
    return this.#ended
  }

  /** Says that events have come into the queue. They are sent at the end of the turn. */
  wake(): void {
    if (this.#awake || this.#ended) return
    this.#awake = true
    this.#parts.host.clock.defer(() => {
      this.#awake = false
      if (this.#ended) return
      if (!this.#running) void this.#run()
      this.#session?.carryOn()
    })
  }

  /** Sends nothing more. The events in the queue stay there. */
  close(): void {
    this.#ended = true
    this.#session?.end('ended')
  }

  /** One session after the other, for as long as there are events that are not durable. */
  async #run(): Promise<void> {
    this.#running = true
    try {
      while (!this.#ended && this.queue.events > 0) {
        const end = await this.#attempt()
        if (this.#ended) return
        if (end === 'ended') {
          this.#ended = true
          this.#owner.onEnded(this)
        } else if (end instanceof Error) this.#owner.onFailed(this, end)
        else {
          this.#parts.locations.drop(this.segment)
          // After a connection that failed the pool makes the pause.
          if (end === 'moved') await this.#backoff.wait(this.#parts.pool.closing)
        }
      }
    } catch (error) {
      if (!this.#parts.pool.closing.aborted) throw error
      this.#owner.onFailed(this, error as Error)
    } finally {
      this.#running = false
    }
  }

  async #attempt(): Promise<SessionEnd> {
    const { locations, pool } = this.#parts
    try {
      const address = await orAborted(locations.find(this.segment, { signal: pool.closing }), pool.closing)
      const connection = await pool.connect(address)
      // It was closed meanwhile, and what a session begins nobody would end.
      if (this.#ended) return 'ended'
      return await new Promise<SessionEnd>((resolve) => {
        const session = new Session({
          connection,
          segment: this.segment,
          writerId: this.#writerId,
          queue: this.queue,
          onAcknowledged: (eventNumber) => {
            this.#backoff.reset()
            this.#owner.onDurable(this.queue.acknowledge(eventNumber))
          },
          onOver: (end) => {
            if (this.#session === session) this.#session = undefined
            resolve(end)
          },
        })
        this.#session = session
        session.begin()
      })
    } catch (error) {
      if (error instanceof NetworkError && !pool.closing.aborted) return 'broken'
      return error as Error
    }
  }
}

interface SessionParts {
  readonly connection: StoreConnection
  readonly segment: string
  readonly writerId: string
  readonly queue: EventQueue
  /** Everything up to this event is durable. */
  onAcknowledged(eventNumber: number): void
  /** Called once, last. */
  onOver(end: SessionEnd): void
}

class Session {
  readonly #parts: SessionParts
  #requestId: string | undefined
  #state: 'new' | 'open' | 'over' = 'new'
  #holding = false
  /** What has been sent and not acknowledged, frame by frame. */
  #flying: { lastEventNumber: number; bytes: number }[] = []
  #flyingBytes = 0
  /**
   * Something was acknowledged. Until then one frame goes out at a time: stores break the connection over an append that comes
   * behind a failed one, and might for ever do so before the failure is read.
   */
  #proven = false

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  begin(): void {
    const { connection, segment, writerId } = this.#parts
    this.#hold(true)
    this.#requestId = connection.open(
      { kind: 'setup-append', writerId, segment, delegationToken: '' },
      {
        reply: (reply) => this.#onReply(reply),
        closed: () => this.end('broken'),
      },
    )
  }

  /** Sends what is to be sent, and lets the process end if nothing is. */
  carryOn(): void {
    if (this.#state !== 'open') return
    const { queue } = this.#parts
    this.#hold(queue.events > 0)
    for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
      const frames = this.#flying.length
      if (frames >= SMALL_FRAMES_MAX && next.growing && next.bytes < BATCH_BYTES_FULL) return
      if (frames > 0 && (!this.#proven || this.#flyingBytes + next.bytes > WINDOW_BYTES)) return
      this.#send()
    }
  }

  end(end: SessionEnd): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    if (this.#requestId !== undefined) this.#parts.connection.unlisten(this.#requestId)
    this.#hold(false)
    this.#parts.onOver(end)
  }

  #send(): void {
    const { connection, queue, writerId } = this.#parts
    assert(this.#requestId !== undefined, 'An open session has begun')
    const { slab, data, eventCount, lastEventNumber } = queue.send()
    const head = { writerId, eventCount, lastEventNumber, requestId: this.#requestId }
    slab.hold()
    for (const piece of encodeAppendBlockEnd(head, [data]))
      connection.sendPiece(piece, piece === data ? () => slab.letGo() : undefined)
    this.#flying.push({ lastEventNumber, bytes: data.length })
    this.#flyingBytes += data.length
  }

  #onReply(reply: Reply): void {
    const { kind } = reply
    if (this.#state === 'over') return
    if (kind === 'append-setup') this.#onSetup(reply.lastEventNumber)
    else if (kind === 'data-appended') this.#onAppended(reply.eventNumber)
    else if (kind === 'segment-is-sealed' || kind === 'no-such-segment') this.end('ended')
    else if (kind === 'wrong-host' || kind === 'invalid-event-number') this.end('moved')
    else this.end(failureOf(reply, this.#parts.segment))
  }

  #onSetup(lastEventNumber: Long): void {
    const { queue } = this.#parts
    if (lastEventNumber !== LONG_MIN) {
      if (typeof lastEventNumber === 'bigint' || lastEventNumber >= queue.nextEventNumber)
        return this.#distrust()
      this.#parts.onAcknowledged(lastEventNumber)
    }
    queue.rewind()
    this.#state = 'open'
    this.carryOn()
  }

  #onAppended(eventNumber: Long): void {
    const last = this.#flying.at(-1)
    if (typeof eventNumber === 'bigint' || last === undefined || eventNumber > last.lastEventNumber)
      return this.#distrust()
    let frames = 0
    for (const { lastEventNumber, bytes } of this.#flying) {
      if (lastEventNumber > eventNumber) break
      this.#flyingBytes -= bytes
      frames++
    }
    this.#flying.splice(0, frames)
    this.#proven = true
    this.#parts.onAcknowledged(eventNumber)
    this.carryOn()
  }

  /** The store acknowledges what it was not sent: nothing it says can be believed. */
  #distrust(): void {
    this.#parts.connection.close()
    this.end('broken')
  }

  #hold(hold: boolean): void {
    if (hold === this.#holding) return
    this.#holding = hold
    if (hold) this.#parts.connection.hold()
    else this.#parts.connection.letGo()
  }
}
