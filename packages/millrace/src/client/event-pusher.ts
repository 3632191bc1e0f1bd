/** Values on their way into a queue: checked, encoded, and routed by their key. */
import { routingKeyHash } from '../protocol/hash.ts'
import type { Completion } from './completion.ts'
import { invalidArgument } from './errors.ts'
import type { EventSink } from './event-sink.ts'
import type { EventForm } from './events.ts'

export interface WriteOptions {
  /** Only for streams without keys of their own (`key: null`): events of one key stay in order. */
  readonly key?: string | undefined
}

export class EventPusher<T> {
  readonly #form: EventForm<T>
  readonly #keyless: () => number

  /** `keyless` says where an event without a key goes, as the hash of a key. */
  constructor(form: EventForm<T>, keyless: () => number) {
    this.#form = form
    this.#keyless = keyless
  }

  /** Throws for a value or a key that cannot be, and then has pushed nothing. */
  push(sink: EventSink, value: T, options: WriteOptions | undefined, completion: Completion): void {
    const { values } = this.#form
    const checked = values.check(value)
    const encoded = values.encode(checked)
    const hash = this.#hashOf(checked, options?.key)
    if (typeof encoded === 'string') sink.pushText(encoded, hash, completion)
    else sink.pushBytes(encoded, hash, completion)
  }

  #hashOf(value: T, given: string | undefined): number {
    const { keyOf, stream } = this.#form
    if (keyOf === null) return given === undefined ? this.#keyless() : routingKeyHash(checkedKey(given))
    if (given !== undefined)
      throw invalidArgument(`Events of ${stream} have keys of their own, a write cannot give another`)
    return routingKeyHash(checkedKey(keyOf(value)))
  }
}

function checkedKey(key: unknown): string {
  if (typeof key === 'string') return key
  throw invalidArgument(`A key is a string, not ${key === null ? 'null' : typeof key}`)
}
