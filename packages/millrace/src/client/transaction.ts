/** A transaction as programs hold it: events of one stream that become readable all together, or never. */
import { routingKeyHash } from '../protocol/hash.ts'
import { Completion } from './completion.ts'
import {
  asMillraceError,
  type ErrorCode,
  invalidArgument,
  isMillraceError,
  MillraceError,
  storeClosed,
  txnAborted,
  txnCommitted,
  txnNotFound,
} from './errors.ts'
import { EventPusher, type WriteOptions } from './event-pusher.ts'
import type { EventForm } from './events.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import type { Closeable } from './reader.ts'
import type { Wait } from './segment-calls.ts'
import type { StoreContext } from './store-context.ts'
import type { Segment } from './stream-metadata.ts'
import {
  beginTransaction,
  type TransactionCalls,
  transactionCalls,
  type TransactionCallsParts,
  type TransactionStatus,
} from './transaction-calls.ts'
import { TransactionWriter } from './transaction-writer.ts'
import { orAborted } from './waiting.ts'

/**
 * Nobody reads its events before they are committed. It aborts when it is disposed of, unless it has been asked to commit; and
 * when the server has not heard of its program for the length of its lease. A store that closes only leaves it: until the lease
 * is over `openTransaction` gives it back.
 */
export interface Transaction<T> extends AsyncDisposable {
  /** A UUID, the same as Java's. */
  readonly id: string
  /** Resolves when the event is durable in the transaction. Events of one key become readable in the order of their writes. */
  write(value: T, options?: Wait & WriteOptions): Promise<void>
  writeAll(values: Iterable<T>, options?: Wait): Promise<void>
  /** Resolves when everything written before is durable in the transaction. Rejects once an event has failed. */
  flush(options?: Wait): Promise<void>
  /** Flushes, and resolves when the events can be read. Rejects `txn-aborted`, or `unknown-outcome`. May be asked for again. */
  commit(options?: Wait): Promise<void>
  /** May be asked for again. Rejects `txn-committed` if it is too late. */
  abort(): Promise<void>
}

export interface TransactionOptions extends Wait {
  /** How long after the last sign of life of its program the server aborts it. A minute unless it is said otherwise. */
  readonly leaseMs?: number | undefined
}

const LEASE_MS = 60_000
const BYTES_MAX = 16 * 1024 * 1024

export interface TransactionParts<T> {
  readonly context: StoreContext
  readonly calls: TransactionCallsParts
  readonly form: EventForm<T>
}

export async function newTransaction<T>(
  parts: TransactionParts<T>,
  { signal, leaseMs = LEASE_MS }: TransactionOptions,
): Promise<Transaction<T>> {
  const begun = await beginTransaction(parts.calls, checkedLease(leaseMs), { signal })
  return new TransactionHandle(parts, { ...begun, leaseMs, known: true })
}

/** Of one that has been committed too: its `commit` says so. Rejects `txn-aborted` and `txn-not-found`. */
export async function reopenTransaction<T>(
  parts: TransactionParts<T>,
  id: string,
  { signal, leaseMs = LEASE_MS }: TransactionOptions,
): Promise<Transaction<T>> {
  checkedLease(leaseMs)
  const calls = transactionCalls(parts.calls, id)
  const status = await calls.status({ signal })
  if (status === 'unknown') throw txnNotFound(calls.name)
  if (status === 'aborting' || status === 'aborted') throw txnAborted(calls.name)
  const segments = status === 'open' ? await calls.segments({ signal }) : []
  return new TransactionHandle(parts, { calls, segments, leaseMs, known: false })
}

function checkedLease(leaseMs: number): number {
  if (Number.isSafeInteger(leaseMs) && leaseMs >= 1) return leaseMs
  throw invalidArgument(`leaseMs is a whole number from 1 on, not ${leaseMs}`)
}

interface Begun {
  readonly calls: TransactionCalls
  /** None if it is not open. */
  readonly segments: readonly Segment[]
  readonly leaseMs: number
  /** The server has just been told the lease. */
  readonly known: boolean
}

/** What says that there is nothing left to be done about a transaction. */
const ENDED: readonly ErrorCode[] = ['txn-aborted', 'txn-committed', 'txn-not-found']

class TransactionHandle<T> implements Transaction<T> {
  readonly id: string
  readonly #context: StoreContext
  readonly #calls: TransactionCalls
  readonly #pusher: EventPusher<T>
  readonly #writer: TransactionWriter
  readonly #lease: LeaseKeeper | undefined
  /** What the store closes. */
  readonly #closeable: Closeable
  /** All that have events that are not durable yet. */
  readonly #writing = new Set<Completion>()
  /** Why no event gets in any more. */
  #refusal: MillraceError | undefined
  /** An event that was to be in it is not: the rest must not be committed as if it were all. */
  #failure: Error | undefined
  #commitAsked = false
  /** Nothing is done for it any more. */
  #over = false

  constructor({ context, form }: TransactionParts<T>, { calls, segments, leaseMs, known }: Begun) {
    context.closing.throwIfAborted()
    const { host, locations, slabs, appendPool } = context
    this.id = calls.name.transaction
    this.#context = context
    this.#calls = calls
    // As in Pravega: events without a key stay together, and so in order.
    const keyless = routingKeyHash(this.id)
    this.#pusher = new EventPusher(form, () => keyless)
    this.#writer = new TransactionWriter(
      { host, locations, slabs, pool: appendPool },
      {
        stream: form.stream,
        transaction: calls.uuid,
        segments,
        bytesMax: BYTES_MAX,
        onGone: () => void this.#findOut(),
        onClosed: () => context.sinks.delete(this.#writer),
      },
    )
    context.sinks.add(this.#writer)
    const close = async (): Promise<void> => this.#finish(storeClosed())
    this.#closeable = { close, [Symbol.asyncDispose]: close }
    context.open.add(this.#closeable)
    if (segments.length === 0) {
      this.#refusal = txnCommitted(calls.name)
      this.#commitAsked = true
      return
    }
    const keeping = {
      host,
      leaseMs,
      ping: (ms: number) => calls.ping(ms),
      onEnded: (status: TransactionStatus) => this.#finish(this.#errorOf(status)),
    }
    this.#lease = new LeaseKeeper(keeping, { known })
  }

  write(value: T, options: Wait & WriteOptions = {}): Promise<void> {
    return this.#call(async () => {
      options.signal?.throwIfAborted()
      const completion = new Completion()
      this.#push(value, options, completion)
      await orAborted(this.#track(completion), options.signal)
    })
  }

  writeAll(values: Iterable<T>, { signal }: Wait = {}): Promise<void> {
    return this.#call(async () => {
      signal?.throwIfAborted()
      const completion = new Completion()
      this.#writing.add(completion)
      let done: Promise<void>
      try {
        for (const value of values) {
          this.#push(value, undefined, completion)
          if (this.#writer.room !== undefined) await orAborted(this.#writer.room, signal)
          if (completion.error !== undefined) break
        }
      } finally {
        done = this.#track(completion)
      }
      await orAborted(done, signal)
    })
  }

  flush({ signal }: Wait = {}): Promise<void> {
    return this.#call(async () => {
      signal?.throwIfAborted()
      this.#context.closing.throwIfAborted()
      await this.#flush({ signal })
    })
  }

  commit({ signal }: Wait = {}): Promise<void> {
    return this.#call(async () => {
      signal?.throwIfAborted()
      this.#context.closing.throwIfAborted()
      const refusal = txnCommitted(this.#calls.name)
      this.#refusal ??= refusal
      try {
        await this.#flush({ signal })
      } catch (error) {
        // Nothing was asked for: whoever wants to goes on writing.
        if (this.#refusal === refusal) this.#refusal = undefined
        throw error
      }
      this.#commitAsked = true
      await this.#orFinish(() => this.#calls.commit({ signal }))
      this.#finish(refusal)
    })
  }

  abort(): Promise<void> {
    return this.#call(async () => {
      if (this.#over && this.#refusal?.code === 'txn-aborted') return
      this.#context.closing.throwIfAborted()
      const refusal = txnAborted(this.#calls.name)
      this.#refusal = refusal
      this.#lease?.stop()
      this.#writer.close(refusal)
      await this.#orFinish(() => this.#calls.abort())
      this.#finish(refusal)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return
    // If it is not known whether it is committed, its fate is with whoever asks again, or with its lease.
    if (this.#commitAsked || this.#context.closing.aborted) return this.#finish(this.#closedError())
    try {
      await this.abort()
    } catch (error) {
      if (!isMillraceError(error) || !ENDED.includes(error.code)) throw error
    }
  }

  #push(value: T, options: WriteOptions | undefined, completion: Completion): void {
    if (this.#refusal !== undefined) throw this.#refusal
    this.#pusher.push(this.#writer, value, options, completion)
  }

  /** Resolves when all events of the completion are durable. Nobody has to listen. */
  #track(completion: Completion): Promise<void> {
    this.#writing.add(completion)
    const done = completion.done()
    const forget = (): boolean => this.#writing.delete(completion)
    done.then(forget, (error: Error) => {
      forget()
      this.#failure ??= error
    })
    return done
  }

  async #flush({ signal }: Wait): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    await orAborted(Promise.all(Array.from(this.#writing, (completion) => completion.done())), signal)
  }

  /** A segment is gone: what has become of the transaction? */
  async #findOut(): Promise<void> {
    try {
      this.#finish(this.#errorOf(await this.#calls.status({ signal: this.#context.closing })))
    } catch (error) {
      this.#finish(asMillraceError(error, this.#calls.name.stream) as MillraceError)
    }
  }

  #errorOf(status: TransactionStatus): MillraceError {
    const { name } = this.#calls
    switch (status) {
      case 'committing':
      case 'committed':
        return txnCommitted(name)
      case 'aborting':
      case 'aborted':
        return txnAborted(name)
      case 'unknown':
        return txnNotFound(name)
      case 'open':
        return new MillraceError('internal', `A segment of the open transaction ${this.id} is gone`, name)
    }
  }

  #closedError(): MillraceError {
    return new MillraceError(
      'closed',
      `The handle of the transaction ${this.id} was closed`,
      this.#calls.name,
    )
  }

  /** Whoever hears from the controller how it has ended need not keep it open. */
  async #orFinish(call: () => Promise<void>): Promise<void> {
    try {
      await call()
    } catch (error) {
      if (isMillraceError(error) && ENDED.includes(error.code)) this.#finish(error)
      throw error
    }
  }

  /** The error is that of all further writes, and of those that are not durable. */
  #finish(error: MillraceError): void {
    if (this.#over) return
    this.#over = true
    this.#refusal = error
    this.#lease?.stop()
    this.#writer.close(error)
    this.#context.open.delete(this.#closeable)
  }

  /** Failures of the layers below leave as the errors that programs know. */
  async #call<R>(call: () => Promise<R>): Promise<R> {
    try {
      return await call()
    } catch (error) {
      throw asMillraceError(error, this.#calls.name.stream)
    }
  }
}
