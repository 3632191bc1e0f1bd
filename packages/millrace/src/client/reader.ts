/** What programs iterate over: events of a source of batches, decoded when their turn comes. */
import type { WordOrCut } from './cuts.ts'
import type { Report } from './diagnostics.ts'
import { asMillraceError, isMillraceError, type MillraceError, storeClosed } from './errors.ts'
import { type Event, type EventBatch, EventCursor, type EventForm } from './events.ts'
import type { Wait } from './segment-calls.ts'

/** Everything that is open until it is closed. `close` may be called again. */
export interface Closeable extends AsyncDisposable {
  close(): Promise<void>
}

/** Iterated over once, by one loop. Leaving the loop closes it. */
export interface Reader<T> extends AsyncIterable<Event<T>>, Closeable {
  /** For programs that want many at a time. */
  batches(): AsyncIterable<readonly Event<T>[]>
}

export interface ReadOptions extends Wait {
  /** The head unless it is said otherwise. */
  readonly from?: WordOrCut<'head' | 'tail'> | undefined
  /** Where reading ends: a cut, or the tail as it is when reading begins. Without it reading waits for more. */
  readonly until?: WordOrCut<'tail'> | undefined
  /** What becomes of an event that cannot be decoded, or that the schema does not take: the reader throws `decode`, or goes on behind it. */
  readonly onDecodeError?: 'throw' | 'skip' | undefined
}

export interface EventSource {
  /** Undefined when there will not be any more. Rejects with the reason of the signal. */
  next(signal: AbortSignal): Promise<EventBatch | undefined>
  /** Rejects if what was done with could not be recorded. */
  close(): Promise<void>
}

export interface EventReaderParts<T> {
  readonly form: EventForm<T>
  /** Begins to read; called when the first event is asked for. */
  readonly open: (signal: AbortSignal) => Promise<EventSource>
  readonly signal: AbortSignal | undefined
  readonly skipUndecodable: boolean
  readonly report: Report
  /** Aborted when the store closes. */
  readonly closing: AbortSignal
  /** Called once, when the reader is closed. */
  readonly onClosed: () => void
}

type Result<V> = IteratorResult<V, undefined>

const DONE: Result<never> = { done: true, value: undefined }

/** Why waiting ended when it was the reader that was closed: its loop just ends. */
const CLOSED = new Error('The reader was closed')

export class EventReader<T> implements Reader<T> {
  readonly #parts: EventReaderParts<T>
  /** Ends all waiting: the reader was closed, the program's signal came, or the store closes. */
  readonly #ended: AbortController = new AbortController()
  readonly #onAbort = (): void => this.#ended.abort(this.#parts.signal?.reason)
  readonly #onStoreClosing = (): void => this.#ended.abort(storeClosed())
  #source: Promise<EventSource> | undefined
  #cursor: EventCursor<T> | undefined
  /** The event delivered last: asking for another one says that it is done with. */
  #last: Event<T> | undefined
  /** To be thrown once what came before it has been delivered. */
  #failure: { readonly error: unknown } | undefined
  /** The steps under way and those that wait for them; undefined if there are none. */
  #turn: Promise<unknown> | undefined
  #closed: Promise<void> | undefined

  constructor(parts: EventReaderParts<T>) {
    this.#parts = parts
    if (parts.signal?.aborted === true) this.#onAbort()
    if (parts.closing.aborted) this.#onStoreClosing()
    parts.signal?.addEventListener('abort', this.#onAbort)
    parts.closing.addEventListener('abort', this.#onStoreClosing)
  }

  [Symbol.asyncIterator](): AsyncIterator<Event<T>, undefined> {
    return { next: () => this.#nextEvent(), return: () => this.#return() }
  }

  batches(): AsyncIterable<readonly Event<T>[]> {
    const next = (): Promise<Result<readonly Event<T>[]>> => this.#inTurn(() => this.#nextBatch())
    return { [Symbol.asyncIterator]: () => ({ next, return: () => this.#return() }) }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #return(): Promise<Result<never>> {
    await this.close()
    return DONE
  }

  /** Without waiting while there are events at hand. */
  #nextEvent(): Promise<Result<Event<T>>> {
    if (this.#turn === undefined && !this.#ended.signal.aborted) {
      this.#last?.ack()
      this.#last = this.#takeEvent()
      if (this.#last !== undefined) return Promise.resolve({ done: false, value: this.#last })
    }
    return this.#inTurn<Event<T>>(async () => {
      this.#last?.ack()
      do {
        this.#last = this.#takeEvent()
      } while (this.#last === undefined && (await this.#fill()))
      return this.#last === undefined ? DONE : { done: false, value: this.#last }
    })
  }

  async #nextBatch(): Promise<Result<readonly Event<T>[]>> {
    this.#last?.ack()
    const events: Event<T>[] = []
    do {
      for (let event = this.#takeEvent(); event !== undefined; event = this.#takeEvent()) events.push(event)
    } while (events.length === 0 && (await this.#fill()))
    this.#last = events.at(-1)
    return this.#last === undefined ? DONE : { done: false, value: events }
  }

  /** Undefined if there is none at hand. */
  #takeEvent(): Event<T> | undefined {
    const cursor = this.#cursor
    while (cursor !== undefined && !cursor.done && this.#failure === undefined) {
      try {
        return cursor.next()
      } catch (error) {
        if (this.#parts.skipUndecodable && isMillraceError(error) && error.code === 'decode')
          this.#skip(cursor, error)
        else this.#failure = { error }
      }
    }
    return undefined
  }

  #skip(cursor: EventCursor<T>, error: MillraceError): void {
    const { stream } = this.#parts.form
    this.#parts.report({ kind: 'event-skipped', stream, pointer: error.pointer ?? '', error })
    cursor.ack()
  }

  /** Brings the next batch; false at the end. */
  async #fill(): Promise<boolean> {
    if (this.#failure !== undefined) throw this.#failure.error
    const { signal } = this.#ended
    if (this.#closed !== undefined && !signal.aborted) return false
    signal.throwIfAborted()
    this.#source ??= this.#parts.open(signal)
    const source = await this.#source
    const batch = await source.next(signal)
    if (batch === undefined) {
      await this.close()
      return false
    }
    this.#cursor = new EventCursor(this.#parts.form, batch)
    return true
  }

  /** One step after the other, however many are asked for at once. The first failure closes the reader. */
  #inTurn<V>(step: () => Promise<Result<V>>): Promise<Result<V>> {
    const before = this.#turn
    const turn = (async () => {
      await before
      try {
        return await step()
      } catch (error) {
        const { signal } = this.#ended
        const shown: unknown = signal.aborted
          ? signal.reason
          : asMillraceError(error, this.#parts.form.stream)
        // The first failure is the one to tell of.
        await this.close().catch(() => undefined)
        if (shown === CLOSED) return DONE
        throw shown
      }
    })()
    const settled = turn.then(
      () => undefined,
      () => undefined,
    )
    const last = settled.then(() => {
      if (this.#turn === last) this.#turn = undefined
    })
    this.#turn = last
    return turn
  }

  async #close(): Promise<void> {
    this.#ended.abort(CLOSED)
    this.#parts.signal?.removeEventListener('abort', this.#onAbort)
    this.#parts.closing.removeEventListener('abort', this.#onStoreClosing)
    this.#cursor = undefined
    try {
      // One that never began has told so to whoever asked for the first event.
      const source = await this.#source?.catch(() => undefined)
      await source?.close()
    } catch (error) {
      throw asMillraceError(error, this.#parts.form.stream)
    } finally {
      this.#parts.onClosed()
    }
  }
}
