/**
 * Appends one event after the other to one segment, each only if the segment ends where its author has read to. Whoever keeps
 * state in a stream shared with others writes like this.
 *
 * A connection that breaks leaves open whether the event was stored. A new set-up tells: a store remembers the last event
 * number of each writer, and does not for an append whose condition failed (trap 15). So the outcome is always known.
 */
import { assert } from '../../base/assert.ts'
import { type Host, NetworkError } from '../../base/host.ts'
import type { Locations } from '../locations.ts'
import { failureOf } from '../segment-replies.ts'
import type { Reply, StoreConnection } from '../store-connection.ts'
import type { StorePool } from '../store-pool.ts'
import { Backoff, orAborted } from '../waiting.ts'

export interface ConditionalWriterParts {
  readonly host: Host
  readonly locations: Locations
  readonly pool: StorePool
}

interface Append {
  /** With its header. */
  readonly event: Buffer
  readonly expectedOffset: number
}

export class ConditionalWriter {
  readonly segment: string
  readonly #parts: ConditionalWriterParts
  readonly #writerId: string
  #eventNumber = 0
  /** The connection that this writer is set up on. */
  #setUpOn: StoreConnection | undefined
  #busy = false

  constructor(parts: ConditionalWriterParts, segment: string) {
    this.#parts = parts
    this.segment = segment
    this.#writerId = parts.host.random.bytes(16).toString('latin1')
  }

  /**
   * True when the event is durable, false if the segment ends elsewhere. One call at a time, to its end: that is why it takes no
   * signal. Rejects with `SegmentError`, and when the pool closes.
   */
  async append(append: Append): Promise<boolean> {
    assert(!this.#busy, 'A conditional append waits for the one before it')
    this.#busy = true
    this.#eventNumber++
    const { host, pool } = this.#parts
    const backoff = new Backoff(host)
    try {
      for (;;) {
        const outcome = await this.#attempt(append)
        if (outcome === 'stored') return true
        if (outcome === 'elsewhere') return false
        this.#setUpOn = undefined
        this.#parts.locations.drop(this.segment)
        // After a connection that failed the pool makes the pause.
        if (outcome === 'refused') await backoff.wait(pool.closing)
      }
    } finally {
      this.#busy = false
    }
  }

  async #attempt(append: Append): Promise<'stored' | 'elsewhere' | 'refused' | 'broken'> {
    const { locations, pool } = this.#parts
    const writerId = this.#writerId
    const eventNumber = this.#eventNumber
    try {
      const address = await orAborted(locations.find(this.segment, { signal: pool.closing }), pool.closing)
      const connection = await pool.connect(address)
      if (connection !== this.#setUpOn) {
        const request = {
          kind: 'setup-append',
          writerId,
          segment: this.segment,
          delegationToken: '',
        } as const
        const setup = await connection.request(request)
        if (setup.kind !== 'append-setup') return this.#refused(setup)
        this.#setUpOn = connection
        if (setup.lastEventNumber >= eventNumber) return 'stored'
      }
      const reply = await connection.request({ kind: 'conditional-append', writerId, eventNumber, ...append })
      if (reply.kind === 'data-appended') return 'stored'
      return reply.kind === 'conditional-check-failed' ? 'elsewhere' : this.#refused(reply)
    } catch (error) {
      if (error instanceof NetworkError && !pool.closing.aborted) return 'broken'
      throw error
    }
  }

  /** The set-up is void after any such reply. After some it can be made again, here or at another store. */
  #refused(reply: Reply): 'refused' {
    this.#setUpOn = undefined
    if (reply.kind === 'wrong-host' || reply.kind === 'invalid-event-number') return 'refused'
    throw failureOf(reply, this.segment)
  }
}
