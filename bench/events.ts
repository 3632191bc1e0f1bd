/**
 * The events that every client sends and every reader checks, whatever language it is written in. Half of the body is random,
 * so that nothing which compresses wins by it.
 *
 *     float64 sequence     of the writer, from 0
 *     float64 intended     when it was due, in the sender's own milliseconds; means nothing to others
 *     int32 writer, 4 bytes 0
 *     body                 one of 1024, by the sequence
 *
 * All little-endian. The key is the sequence modulo 1000, so whatever is lost, repeated or out of order shows by the
 * sequence alone. `EventSource.java` makes the same bytes.
 */
export const EVENT_BYTES_MIN = 24

const KEYS = 1000
const BODIES = 1024
const SEQUENCE = 0
const INTENDED = 1
const WRITER = 4
const HEADER_BYTES = EVENT_BYTES_MIN
const FILLER = 0x61

const KEY_NAMES: readonly string[] = Array.from({ length: KEYS }, (_, key) => `key-${key}`)

/** The routing key of an event. */
export function keyOf(event: Uint8Array): string {
  return KEY_NAMES[sequenceOf(event) % KEYS]!
}

/** Makes events one after the other. An event's bytes are overwritten when 1024 more have been made. */
export class EventSource {
  readonly #events: readonly Buffer[]
  readonly #doubles: Float64Array
  readonly #doublesPerEvent: number
  #next = 0

  constructor(options: { eventBytes: number; writer: number }) {
    const { eventBytes, writer } = options
    const stride = Math.ceil(eventBytes / 8) * 8
    const memory = Buffer.from(new ArrayBuffer(stride * BODIES))
    this.#doubles = new Float64Array(memory.buffer)
    this.#doublesPerEvent = stride / 8
    this.#events = bodies(eventBytes).map((body, index) => {
      const event = memory.subarray(index * stride, index * stride + eventBytes)
      event.writeInt32LE(writer, WRITER * 4)
      body.copy(event, HEADER_BYTES)
      return event
    })
  }

  /** How many were made. */
  get made(): number {
    return this.#next
  }

  next(intendedMs: number): Buffer {
    const sequence = this.#next++
    const index = sequence % BODIES
    const at = index * this.#doublesPerEvent
    this.#doubles[at + SEQUENCE] = sequence
    this.#doubles[at + INTENDED] = intendedMs
    return this.#events[index]!
  }
}

export function intendedMsOf(event: Uint8Array): number {
  return doubleAt(event, INTENDED * 8)
}

function sequenceOf(event: Uint8Array): number {
  return doubleAt(event, SEQUENCE * 8)
}

const scratch = new Float64Array(1)
const scratchBytes = new Uint8Array(scratch.buffer)

/** Events stand anywhere in a buffer, and a view that need not be aligned costs an object for each. */
function doubleAt(event: Uint8Array, at: number): number {
  for (let index = 0; index < 8; index++) scratchBytes[index] = event[at + index]!
  return scratch[0]!
}

/** Follows what comes out of a stream: every event once, in the order of its key, as it was sent. */
export class EventChecker {
  readonly #bodies: readonly Buffer[]
  readonly #eventBytes: number
  /** By writer, and there by key, the sequence that has to come. */
  readonly #expected: Float64Array[] = []
  #problem: string | undefined
  #seen = 0

  constructor(eventBytes: number) {
    this.#eventBytes = eventBytes
    this.#bodies = bodies(eventBytes)
  }

  get seen(): number {
    return this.#seen
  }

  /** The first thing that was wrong. */
  get problem(): string | undefined {
    return this.#problem
  }

  see(event: Buffer): void {
    this.#seen++
    if (event.length !== this.#eventBytes) return this.#note(`an event has ${event.length} bytes`)
    const sequence = sequenceOf(event)
    const writer = event.readInt32LE(WRITER * 4)
    const expected = (this.#expected[writer] ??= Float64Array.from({ length: KEYS }, (_, key) => key))
    const key = sequence % KEYS
    if (sequence !== expected[key])
      return this.#note(`event ${sequence} of writer ${writer} came where ${expected[key]} belongs`)
    expected[key] = sequence + KEYS
    if (event.compare(this.#bodies[sequence % BODIES]!, 0, undefined, HEADER_BYTES) !== 0)
      this.#note(`event ${sequence} of writer ${writer} has other bytes than were sent`)
  }

  /** At the end: whether everything that was acknowledged came. The problem, if there is one. */
  finish(acknowledged: readonly number[]): string | undefined {
    acknowledged.forEach((count, writer) => {
      for (let key = 0; key < KEYS; key++) {
        const next = this.#expected[writer]?.[key] ?? key
        if (next < count) this.#note(`event ${next} of writer ${writer} was acknowledged and is not there`)
      }
    })
    return this.#problem
  }

  #note(problem: string): void {
    this.#problem ??= problem
  }
}

/** What follows the header. */
function bodies(eventBytes: number): Buffer[] {
  const length = eventBytes - HEADER_BYTES
  return Array.from({ length: BODIES }, (_, index) => {
    const body = Buffer.alloc(length, FILLER)
    let state = (index + 1) * 0x9e3779b1
    for (let at = 0; at < length >> 1; at++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      body[at] = state & 0xff
    }
    return body
  })
}
