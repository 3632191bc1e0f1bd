/** Events as programs get them, made of the batches that readers of segments bring. */
import { showEventPointer } from '../protocol/event-pointer.ts'
import { decodeFailed } from './errors.ts'
import { EVENT_HEADER_BYTES } from './event-queue.ts'
import { isUnusableSchema } from './schema.ts'
import type { ValueForm } from './values.ts'

export interface Event<T> {
  readonly value: T
  /** What the stream's `key` says of the value; undefined for a stream without keys. */
  readonly key: string | undefined
  /** Where the event is, in the text form of Java's `EventPointer`. */
  readonly pointer: string
  /** Tells the reader's group that this event, and all before it of its segment, are done with. */
  ack(): void
}

/** What a reader of a group has of a segment, from when it gets it to when it gives it away. */
export interface Claim {
  /** Others read on from here: no more of it is delivered, and acknowledging changes nothing. */
  readonly lost: boolean
  /** Everything of the segment before this offset is done with. */
  ack(offset: number): void
}

/** Whole events of one segment, headers included. */
export interface EventBatch {
  readonly segment: string
  /** Where in the segment the data begin. */
  readonly offset: number
  readonly data: Buffer
  /** Where somebody wants to know what is done with. */
  readonly claim?: Claim | undefined
}

export interface EventForm<T> {
  /** `scope/stream` */
  readonly stream: string
  readonly values: ValueForm<T>
  readonly keyOf: ((value: T) => string) | null
}

/** Takes the events out of a batch, one after the other. */
export class EventCursor<T> {
  readonly #form: EventForm<T>
  readonly #batch: EventBatch
  readonly #claim: Claim | undefined
  #position = 0

  constructor(form: EventForm<T>, batch: EventBatch) {
    this.#form = form
    this.#batch = batch
    this.#claim = batch.claim
  }

  get done(): boolean {
    return this.#position >= this.#batch.data.length || this.#claim?.lost === true
  }

  /** Not when it is done. Throws `decode` for an event that cannot be decoded, and then stands behind it. */
  next(): Event<T> {
    const { data } = this.#batch
    const start = this.#position
    const end = start + EVENT_HEADER_BYTES + data.readInt32BE(start + 4)
    this.#position = end
    let value: T
    try {
      value = this.#form.values.decode(data, start + EVENT_HEADER_BYTES, end)
    } catch (error) {
      if (isUnusableSchema(error)) throw error
      throw decodeFailed(this.#form.stream, this.pointerTo(start, end), error)
    }
    return new StoredEvent(value, this, start, end)
  }

  keyOf(value: T): string | undefined {
    return this.#form.keyOf?.(value)
  }

  pointerTo(start: number, end: number): string {
    const { segment, offset } = this.#batch
    return showEventPointer({ segment, offset: offset + start, lengthBytes: end - start })
  }

  /** Everything up to `end`, or up to the next event, is done with. */
  ack(end: number = this.#position): void {
    this.#claim?.ack(this.#batch.offset + end)
  }
}

/** Key and pointer are made when somebody asks for them: most programs want one of them at most. */
class StoredEvent<T> implements Event<T> {
  readonly value: T
  readonly #cursor: EventCursor<T>
  readonly #start: number
  readonly #end: number

  constructor(value: T, cursor: EventCursor<T>, start: number, end: number) {
    this.value = value
    this.#cursor = cursor
    this.#start = start
    this.#end = end
  }

  get key(): string | undefined {
    return this.#cursor.keyOf(this.value)
  }

  get pointer(): string {
    return this.#cursor.pointerTo(this.#start, this.#end)
  }

  ack(): void {
    this.#cursor.ack(this.#end)
  }
}
