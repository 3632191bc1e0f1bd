/** Writing many events without waiting for each. */
import { Completion } from './completion.ts'
import { asMillraceError, storeClosed } from './errors.ts'
import type { WriteOptions } from './event-pusher.ts'
import type { EventSink } from './event-sink.ts'
import type { Closeable } from './reader.ts'
import type { Wait } from './segment-calls.ts'
import { orAborted } from './waiting.ts'

/**
 * `push` returns nothing, or a promise of room when so much is not durable that it is time to wait. What has become of pushed
 * events `flush` and `close` tell. Once an event has failed, every later push, flush or close rejects: a writer does not go on
 * as if nothing were missing.
 */
export interface Writer<T> extends Closeable {
  push(value: T, options?: WriteOptions): undefined | Promise<void>
  /** Resolves when everything pushed before is durable. */
  flush(options?: Wait): Promise<void>
}

export interface EventWriterParts<T> {
  readonly stream: string
  readonly writer: EventSink
  /** Encodes and routes; throws for a value that cannot be. */
  readonly push: (value: T, options: WriteOptions | undefined, completion: Completion) => void
  readonly onClosed: () => void
}

export class EventWriter<T> implements Writer<T> {
  readonly #parts: EventWriterParts<T>
  /** Everything pushed since the last flush. */
  #pushed: Completion = new Completion()
  /** What earlier flushes have taken and is not durable yet. */
  readonly #flushing = new Set<Completion>()
  #failure: Error | undefined
  /** The failure was thrown at somebody. */
  #told = false
  #closed: Promise<void> | undefined

  constructor(parts: EventWriterParts<T>) {
    this.#parts = parts
  }

  push(value: T, options?: WriteOptions): undefined | Promise<void> {
    if (this.#closed !== undefined) return quietly(storeClosed())
    const failure = this.#findFailure()
    if (failure !== undefined) return quietly(failure)
    this.#parts.push(value, options, this.#pushed)
    return this.#parts.writer.room
  }

  async flush(options?: Wait): Promise<void> {
    if (this.#closed !== undefined) throw storeClosed()
    await this.#flush(options)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #flush({ signal }: Wait = {}): Promise<void> {
    signal?.throwIfAborted()
    if (!this.#pushed.settled || this.#pushed.error !== undefined) {
      this.#flushing.add(this.#pushed)
      this.#pushed = new Completion()
    }
    try {
      if (this.#failure !== undefined) throw this.#failure
      await orAborted(Promise.all([...this.#flushing].map((completion) => completion.done())), signal)
      this.#findFailure()
    } catch (error) {
      if (this.#findFailure() === undefined) throw error
      this.#told = true
      throw asMillraceError(this.#failure, this.#parts.stream)
    }
  }

  async #close(): Promise<void> {
    try {
      // A failure that flush has told is told enough: closing after it is tidying up.
      if (!this.#told) await this.#flush()
    } finally {
      this.#parts.writer.close()
      this.#parts.onClosed()
    }
  }

  /** Looks whether an event has failed by now, and forgets what is durable. */
  #findFailure(): Error | undefined {
    this.#failure ??= this.#pushed.error
    for (const completion of this.#flushing) {
      this.#failure ??= completion.error
      if (completion.settled) this.#flushing.delete(completion)
    }
    return this.#failure
  }
}

/** A rejection that surfaces only where somebody awaits it. */
function quietly(error: Error): Promise<never> {
  const rejection = Promise.reject(error)
  rejection.catch(() => undefined)
  return rejection
}
