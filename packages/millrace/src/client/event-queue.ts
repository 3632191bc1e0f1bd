/**
 * Events that are not durable yet, in the order in which they were written, encoded as segments store them: int32 0, int32
 * length, bytes. They stand in batches, each a stretch of one slab that is sent as one frame.
 *
 * Invariants: (1) Event numbers are dense, and rise from batch to batch. (2) The first `#sent` batches have been sent; only a
 * batch that has not been sent grows. (3) For every event there is, at its number modulo the length of the rings, where its
 * key hashes to, which says where it goes if its segment ends, and who waits for it.
 */
import { assert } from '../base/assert.ts'
import type { Completion } from './completion.ts'
import type { Slab, SlabPool } from './slab-pool.ts'

export const EVENT_HEADER_BYTES = 8
/** As in Pravega's clients, header excluded. */
export const EVENT_BYTES_MAX: number = 8 * 1024 * 1024

/** A batch that has grown to this is sent, however many are under way. */
export const BATCH_BYTES_FULL: number = 256 * 1024
const BATCH_BYTES_MAX = 512 * 1024

const SLAB_BYTES_MIN = 16 * 1024
const SLAB_BYTES_MAX = 1024 * 1024
const RING_LENGTH_MIN = 64
const RING_LENGTH_MAX_IDLE = 16 * 1024

/** Below this a text is given three bytes a character instead of being measured first. */
const UNMEASURED_LENGTH_MAX = 4096

export interface Batch {
  readonly slab: Slab
  readonly data: Buffer
  readonly eventCount: number
  readonly lastEventNumber: number
}

interface Stretch {
  readonly slab: Slab
  start: number
  end: number
  firstNumber: number
  count: number
}

export class EventQueue {
  readonly #slabs: SlabPool
  #slab: Slab | undefined
  /** Of the next slab: a queue that is never empty soon has large ones, and one that often is gets by with small ones. */
  #slabBytes = SLAB_BYTES_MIN
  #stretches: Stretch[] = []
  #sent = 0
  #bytes = 0
  #firstNumber = 0
  #nextNumber = 0
  #hashes: Float64Array = new Float64Array(RING_LENGTH_MIN)
  #completions: (Completion | undefined)[] = Array.from({ length: RING_LENGTH_MIN })

  constructor(slabs: SlabPool) {
    this.#slabs = slabs
  }

  /** Of all events in the queue, headers included. */
  get bytes(): number {
    return this.#bytes
  }

  get events(): number {
    return this.#nextNumber - this.#firstNumber
  }

  get nextEventNumber(): number {
    return this.#nextNumber
  }

  /** Returns how many bytes longer the queue is now. `text` has `EVENT_BYTES_MAX` bytes at most. */
  pushText(text: string, hash: number, completion: Completion): number {
    const bytesMax = text.length <= UNMEASURED_LENGTH_MAX ? text.length * 3 : Buffer.byteLength(text)
    const stretch = this.#stretchWith(EVENT_HEADER_BYTES + bytesMax)
    const { bytes } = stretch.slab
    const length = bytes.write(text, stretch.end + EVENT_HEADER_BYTES)
    return this.#add(stretch, length, hash, completion)
  }

  /** The bytes are copied. There are `EVENT_BYTES_MAX` at most. */
  pushBytes(event: Uint8Array, hash: number, completion: Completion): number {
    const stretch = this.#stretchWith(EVENT_HEADER_BYTES + event.length)
    stretch.slab.bytes.set(event, stretch.end + EVENT_HEADER_BYTES)
    return this.#add(stretch, event.length, hash, completion)
  }

  /** The first batch that has not been sent; undefined if there is none. */
  peek(): { readonly bytes: number; readonly growing: boolean } | undefined {
    const stretch = this.#stretches[this.#sent]
    if (stretch === undefined) return undefined
    return { bytes: stretch.end - stretch.start, growing: this.#sent === this.#stretches.length - 1 }
  }

  /** Counts the first batch that has not been sent as sent. Its data may change once it is durable and its slab let go. */
  send(): Batch {
    const stretch = this.#stretches[this.#sent++]
    assert(stretch !== undefined, 'There is something to send')
    return {
      slab: stretch.slab,
      data: stretch.slab.bytes.subarray(stretch.start, stretch.end),
      eventCount: stretch.count,
      lastEventNumber: stretch.firstNumber + stretch.count - 1,
    }
  }

  /** Everything that is not durable has to be sent again. */
  rewind(): void {
    this.#sent = 0
  }

  /** Everything up to this event is durable. Returns how many bytes left the queue. */
  acknowledge(eventNumber: number): number {
    const bytesBefore = this.#bytes
    let done = 0
    for (const stretch of this.#stretches) {
      if (stretch.firstNumber > eventNumber) break
      const count = Math.min(stretch.count, eventNumber - stretch.firstNumber + 1)
      this.#succeed(count)
      if (count < stretch.count) {
        // The store has seen other batches than there are now: the rest of this one goes out by itself.
        this.#shorten(stretch, count)
        break
      }
      this.#bytes -= stretch.end - stretch.start
      stretch.slab.letGo()
      done++
    }
    this.#drop(done)
    return bytesBefore - this.#bytes
  }

  /** Hands all events on, first to last, and forgets them. The view of an event is good for the call only. */
  moveAll(each: (event: Buffer, hash: number, completion: Completion) => void): void {
    const stretches = this.#stretches
    const mask = this.#hashes.length - 1
    for (const { slab, start, firstNumber, count } of stretches) {
      let at = start
      for (let number = firstNumber; number < firstNumber + count; number++) {
        const length = slab.bytes.readInt32BE(at + 4)
        const event = slab.bytes.subarray(at + EVENT_HEADER_BYTES, at + EVENT_HEADER_BYTES + length)
        const completion = this.#completions[number & mask]!
        each(event, this.#hashes[number & mask]!, completion)
        completion.succeed(1) // Whoever took it over waits for it anew.
        at += EVENT_HEADER_BYTES + length
      }
      slab.letGo()
    }
    this.#forgetAll()
  }

  /** All events have failed and are forgotten. Returns how many bytes left the queue. */
  fail(error: Error): number {
    const bytes = this.#bytes
    const mask = this.#hashes.length - 1
    for (let number = this.#firstNumber; number < this.#nextNumber; number++)
      this.#completions[number & mask]!.fail(error, 1)
    for (const { slab } of this.#stretches) slab.letGo()
    this.#forgetAll()
    return bytes
  }

  #add(stretch: Stretch, length: number, hash: number, completion: Completion): number {
    const { bytes } = stretch.slab
    bytes.writeInt32BE(0, stretch.end)
    bytes.writeInt32BE(length, stretch.end + 4)
    const storedBytes = EVENT_HEADER_BYTES + length
    stretch.end += storedBytes
    stretch.slab.used = stretch.end
    stretch.count++
    this.#bytes += storedBytes
    if (this.events === this.#hashes.length) this.#widen()
    const at = this.#nextNumber++ & (this.#hashes.length - 1)
    this.#hashes[at] = hash
    this.#completions[at] = completion
    completion.add()
    return storedBytes
  }

  /** A batch with room for so many bytes at its end. */
  #stretchWith(bytes: number): Stretch {
    const last = this.#stretches.length - 1
    const stretch = this.#stretches[last]
    if (
      stretch !== undefined &&
      last >= this.#sent &&
      stretch.slab === this.#slab &&
      stretch.slab.room >= bytes &&
      stretch.end - stretch.start + bytes <= BATCH_BYTES_MAX
    )
      return stretch
    return this.#newStretch(bytes)
  }

  #newStretch(bytes: number): Stretch {
    if (this.#slab === undefined || this.#slab.room < bytes) {
      this.#slab?.letGo()
      this.#slab = this.#slabs.take(Math.max(bytes, this.#slabBytes))
      this.#slabBytes = Math.min(this.#slabBytes * 4, SLAB_BYTES_MAX)
    }
    const slab = this.#slab
    slab.hold()
    const stretch = { slab, start: slab.used, end: slab.used, firstNumber: this.#nextNumber, count: 0 }
    this.#stretches.push(stretch)
    return stretch
  }

  /** Tells those who wait for the first events, in runs of events of the same one. */
  #succeed(events: number): void {
    const mask = this.#hashes.length - 1
    const end = this.#firstNumber + events
    let run: Completion | undefined
    let runLength = 0
    for (let number = this.#firstNumber; number < end; number++) {
      const completion = this.#completions[number & mask]!
      this.#completions[number & mask] = undefined
      if (completion !== run) {
        run?.succeed(runLength)
        run = completion
        runLength = 0
      }
      runLength++
    }
    run?.succeed(runLength)
    this.#firstNumber = end
  }

  #shorten(stretch: Stretch, events: number): void {
    for (let left = events; left > 0; left--) {
      const storedBytes = EVENT_HEADER_BYTES + stretch.slab.bytes.readInt32BE(stretch.start + 4)
      stretch.start += storedBytes
      this.#bytes -= storedBytes
    }
    stretch.firstNumber += events
    stretch.count -= events
  }

  #drop(stretches: number): void {
    this.#stretches.splice(0, stretches)
    this.#sent = Math.max(this.#sent - stretches, 0)
    if (this.#stretches.length === 0) this.#letSlabGo()
  }

  #forgetAll(): void {
    this.#stretches = []
    this.#sent = 0
    this.#bytes = 0
    this.#firstNumber = this.#nextNumber
    this.#completions.fill(undefined)
    this.#letSlabGo()
  }

  /** An idle queue has no memory. */
  #letSlabGo(): void {
    this.#slab?.letGo()
    this.#slab = undefined
    this.#slabBytes = Math.max(this.#slabBytes / 4, SLAB_BYTES_MIN)
    if (this.#hashes.length > RING_LENGTH_MAX_IDLE) this.#ringsOf(RING_LENGTH_MIN)
  }

  #widen(): void {
    const { length } = this.#hashes
    const hashes = this.#hashes
    const completions = this.#completions
    this.#ringsOf(length * 2)
    const mask = length * 2 - 1
    for (let number = this.#firstNumber; number < this.#nextNumber; number++) {
      this.#hashes[number & mask] = hashes[number & (length - 1)]!
      this.#completions[number & mask] = completions[number & (length - 1)]
    }
  }

  #ringsOf(length: number): void {
    this.#hashes = new Float64Array(length)
    this.#completions = Array.from({ length })
  }
}
