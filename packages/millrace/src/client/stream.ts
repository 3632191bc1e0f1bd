/** A stream as programs hold it: a name and how its events look. Nothing happens before something is asked of it. */
import {
  CreateStreamStatus,
  DeleteStreamStatus,
  UpdateStreamStatus,
} from '../protocol/controller/messages.ts'
import type { ScopedName } from '../protocol/names.ts'
import { Completion } from './completion.ts'
import { parseCut, showCut, type StreamCut, tailOf, type WordOrCut } from './cuts.ts'
import { asMillraceError, invalidArgument, MillraceError, streamNotFound, streamSealed } from './errors.ts'
import { EventPusher, type WriteOptions } from './event-pusher.ts'
import type { EventForm } from './events.ts'
import { checkedGroupName, type Group, GroupHandle, type GroupOptions } from './group/group.ts'
import { configOf, type StreamPolicy } from './policy.ts'
import { EventReader, type EventSource, type Reader, type ReadOptions } from './reader.ts'
import type { ScaleTo } from './scale-plan.ts'
import { scaleStream } from './scaling.ts'
import type { StandardSchemaV1 } from './schema.ts'
import type { Wait } from './segment-calls.ts'
import type { StoreContext } from './store-context.ts'
import { StorePool } from './store-pool.ts'
import { describeStream, type StreamInfo } from './stream-info.ts'
import { StreamReader } from './stream-reader.ts'
import { StreamWriter } from './stream-writer.ts'
import { type Cut, StreamMetadata } from './stream-metadata.ts'
import type { Topology } from './topology.ts'
import { watchTopology } from './topology-watch.ts'
import {
  newTransaction,
  reopenTransaction,
  type Transaction,
  type TransactionOptions,
  type TransactionParts,
} from './transaction.ts'
import { transactionCalls, type TransactionStatus } from './transaction-calls.ts'
import { type Codec, type Json, valueForm } from './values.ts'
import { orAborted } from './waiting.ts'
import { EventWriter, type Writer } from './writer.ts'

export interface StreamOptions<T> {
  /**
   * The key of a value, which decides where its event goes: events of one key stay in order. Null promises no order, unless a
   * write says `{ key }`.
   */
  readonly key: ((value: T) => string) | null
  /**
   * Any Standard Schema (Zod, Valibot, ArkType) that answers at once. It checks values before they are written and after they
   * were read; what it makes of a value is what is written, and what reading returns.
   */
  readonly schema?: StandardSchemaV1<unknown, T> | undefined
  /** Without it values are JSON. With a schema, too, it encodes what that has checked. */
  readonly codec?: Codec<T> | undefined
  /** How the stream is made when it is first used; false if it must exist. */
  readonly create?: false | StreamPolicy | undefined
}

export interface Stream<T = Json> {
  readonly name: string
  /** Resolves when the event is durable. Aborted, it rejects at once, and the event may still become durable. */
  write(value: T, options?: Wait & WriteOptions): Promise<void>
  writeAll(values: Iterable<T>, options?: Wait): Promise<void>
  /** `bytesMax`: of events that are not durable, beyond which `push` asks to wait. */
  writer(options?: { bytesMax?: number | undefined }): Writer<T>
  /** Outside any group: nobody remembers what was read. */
  read(options?: ReadOptions): Reader<T>
  /** Readers that share the stream and remember what they have read: Pravega's reader group of this name. */
  group(name: string, options?: GroupOptions): Group<T>
  /** Its events become readable all together when it is committed, or never. */
  transaction(options?: TransactionOptions): Promise<Transaction<T>>
  /** A handle of a transaction that was begun elsewhere, or before a restart. One that has been committed can be told so, too. */
  openTransaction(id: string, options?: TransactionOptions): Promise<Transaction<T>>
  /** For 24 hours after its end; then `unknown`. */
  transactionStatus(id: string, options?: Wait): Promise<TransactionStatus>
  cut(at: 'head' | 'tail', options?: Wait): Promise<StreamCut>
  /**
   * Splits and merges segments while they are written and read; events of one key stay in order. To a number of equal segments,
   * changing as few as possible, or as it is said. Resolves with what the stream is like when it is done.
   */
  scale(to: ScaleTo, options?: Wait): Promise<Topology>
  /** The segments as they are, and then after each change. Ends when the stream is deleted. */
  watch(options?: Wait): AsyncIterable<Topology>
  /** True if the stream was made now, false if it was there. */
  create(policy?: StreamPolicy): Promise<boolean>
  /** What the policy does not mention stays as it is. A stream that has other than so many segments is scaled. */
  update(policy: StreamPolicy): Promise<void>
  info(options?: Wait): Promise<StreamInfo>
  truncate(before: StreamCut): Promise<void>
  /** No more events; those in it can be read. */
  seal(): Promise<void>
  /** Seals it first. */
  delete(): Promise<void>
}

const BYTES_MAX = 16 * 1024 * 1024

export class StreamHandle<T> implements Stream<T> {
  readonly name: string
  readonly #context: StoreContext
  readonly #scoped: ScopedName
  readonly #metadata: StreamMetadata
  readonly #form: EventForm<T>
  readonly #pusher: EventPusher<T>
  readonly #create: false | StreamPolicy
  /** Handles that would make the stream in different ways do not share a writer. */
  readonly #writerName: string

  constructor(context: StoreContext, scoped: ScopedName, options: StreamOptions<T>) {
    this.#context = context
    this.#scoped = scoped
    this.#metadata = new StreamMetadata(context.controller, scoped)
    this.name = this.#metadata.stream
    this.#form = {
      stream: this.name,
      values: valueForm(this.name, options),
      keyOf: options.key,
    }
    this.#pusher = new EventPusher(this.#form, () => context.host.random.ratio())
    this.#create = options.create ?? {}
    this.#writerName = `${this.name} ${JSON.stringify(this.#create)}`
  }

  write(value: T, options: Wait & WriteOptions = {}): Promise<void> {
    return this.#call(async () => {
      options.signal?.throwIfAborted()
      const completion = new Completion()
      this.#pusher.push(this.#sharedWriter(), value, options, completion)
      await orAborted(completion.done(), options.signal)
    })
  }

  writeAll(values: Iterable<T>, { signal }: Wait = {}): Promise<void> {
    return this.#call(async () => {
      signal?.throwIfAborted()
      const completion = new Completion()
      let writer = this.#sharedWriter()
      for (const value of values) {
        // While this was waiting for room, the writer may have been given up for others.
        if (writer.closed) writer = this.#sharedWriter()
        this.#pusher.push(writer, value, undefined, completion)
        // A failed event makes room, too: then there is no point in going on.
        if (writer.room !== undefined) await orAborted(writer.room, signal)
        if (completion.error !== undefined) break
      }
      await orAborted(completion.done(), signal)
    })
  }

  writer({ bytesMax = BYTES_MAX }: { bytesMax?: number | undefined } = {}): Writer<T> {
    this.#context.closing.throwIfAborted()
    if (!Number.isSafeInteger(bytesMax) || bytesMax < 1)
      throw invalidArgument(`bytesMax is a whole number from 1 on, not ${bytesMax}`)
    const writer = this.#newWriter(bytesMax)
    const made: EventWriter<T> = new EventWriter({
      stream: this.name,
      writer,
      push: (value, options, completion) => this.#pusher.push(writer, value, options, completion),
      onClosed: () => this.#context.open.delete(made),
    })
    this.#context.open.add(made)
    return made
  }

  read(options: ReadOptions = {}): Reader<T> {
    this.#context.closing.throwIfAborted()
    const reader: EventReader<T> = new EventReader({
      form: this.#form,
      open: (signal) => this.#open(options, signal),
      signal: options.signal,
      skipUndecodable: options.onDecodeError === 'skip',
      report: this.#context.report,
      closing: this.#context.closing,
      onClosed: () => this.#context.open.delete(reader),
    })
    this.#context.open.add(reader)
    return reader
  }

  group(name: string, { from = 'head' }: GroupOptions = {}): Group<T> {
    this.#context.closing.throwIfAborted()
    const identity = {
      context: this.#context,
      metadata: this.#metadata,
      scoped: this.#scoped,
      name: checkedGroupName(this.#scoped.scope, name),
    }
    return new GroupHandle({
      identity,
      form: this.#form,
      from,
      cutOf: (place, wait) => this.#cutOf(place, wait),
      orMissing: (call) => this.#orMissing(call),
    })
  }

  transaction(options: TransactionOptions = {}): Promise<Transaction<T>> {
    return this.#call(() => this.#orMissing(() => newTransaction(this.#transactions, options)))
  }

  openTransaction(id: string, options: TransactionOptions = {}): Promise<Transaction<T>> {
    return this.#call(() => reopenTransaction(this.#transactions, id, options))
  }

  transactionStatus(id: string, options: Wait = {}): Promise<TransactionStatus> {
    return this.#call(() => transactionCalls(this.#transactions.calls, id).status(options))
  }

  cut(at: 'head' | 'tail', options: Wait = {}): Promise<StreamCut> {
    return this.#call(async () => showCut(this.#scoped, await this.#cutOf(at, options)))
  }

  scale(to: ScaleTo, options: Wait = {}): Promise<Topology> {
    const { host, controller } = this.#context
    return this.#call(() => scaleStream({ host, controller, metadata: this.#metadata }, to, options))
  }

  watch(options: Wait = {}): AsyncIterable<Topology> {
    const { host, closing } = this.#context
    return watchTopology({ host, closing, metadata: this.#metadata }, options)
  }

  create(policy: StreamPolicy = this.#create === false ? {} : this.#create): Promise<boolean> {
    return this.#call(() => this.#make(policy))
  }

  update(policy: StreamPolicy): Promise<void> {
    return this.#call(async () => {
      const present = await this.#metadata.config()
      const { status } = await this.#context.controller.updateStream(
        configOf(policy, this.#metadata.info, present),
      )
      this.#check(status, UpdateStreamStatus)
    })
  }

  info(options: Wait = {}): Promise<StreamInfo> {
    return this.#call(() => describeStream(this.#context.segments, this.#metadata, this.#scoped, options))
  }

  truncate(before: StreamCut): Promise<void> {
    return this.#call(async () => {
      const cut = parseCut(this.#scoped, before)
      const { status } = await this.#context.controller.truncateStream({
        streamInfo: this.#metadata.info,
        cut,
      })
      if (status === UpdateStreamStatus.FAILURE)
        throw invalidArgument(
          `${this.name} cannot be truncated there: the cut lies before its head, or is none`,
        )
      this.#check(status, UpdateStreamStatus)
    })
  }

  seal(): Promise<void> {
    return this.#call(() => this.#seal())
  }

  delete(): Promise<void> {
    return this.#call(async () => {
      await this.#seal()
      const { status } = await this.#context.controller.deleteStream(this.#metadata.info)
      if (status === DeleteStreamStatus.STREAM_NOT_SEALED)
        throw new MillraceError('internal', `${this.name} was sealed and is not`, { stream: this.name })
      this.#check(status, DeleteStreamStatus)
    })
  }

  get #transactions(): TransactionParts<T> {
    const { host, controller, controllerOnce, closing } = this.#context
    const calls = { host, controller, controllerOnce, closing, metadata: this.#metadata }
    return { context: this.#context, form: this.#form, calls }
  }

  async #seal(): Promise<void> {
    const { status } = await this.#context.controller.sealStream(this.#metadata.info)
    this.#check(status, UpdateStreamStatus)
  }

  #check(status: number, statuses: typeof UpdateStreamStatus | typeof DeleteStreamStatus): void {
    if (status === statuses.SUCCESS) return
    if (status === statuses.STREAM_NOT_FOUND) throw streamNotFound(this.name)
    if ('STREAM_SEALED' in statuses && status === statuses.STREAM_SEALED) throw streamSealed(this.name)
    if ('SCOPE_NOT_FOUND' in statuses && status === statuses.SCOPE_NOT_FOUND) throw streamNotFound(this.name)
    throw new MillraceError('internal', `The controller failed to change ${this.name}`, { stream: this.name })
  }

  #sharedWriter(): StreamWriter {
    this.#context.closing.throwIfAborted()
    return this.#context.writers.get(this.#writerName, () => this.#newWriter(BYTES_MAX))
  }

  #newWriter(bytesMax: number): StreamWriter {
    const { host, locations, slabs, appendPool } = this.#context
    const writer: StreamWriter = new StreamWriter(
      { host, locations, slabs, pool: appendPool },
      this.#metadata,
      {
        bytesMax,
        onMissing: () => this.#onMissing(),
        onClosed: () => this.#context.sinks.delete(writer),
      },
    )
    this.#context.sinks.add(writer)
    return writer
  }

  async #open(options: ReadOptions, signal: AbortSignal): Promise<EventSource> {
    const { host, locations, report } = this.#context
    const from = await this.#orMissing(() => this.#cutOf(options.from ?? 'head', { signal }))
    const until = options.until === undefined ? undefined : await this.#cutOf(options.until, { signal })
    const pool = new StorePool(host, { report })
    const reader = new StreamReader({ host, locations, pool }, this.#metadata, {
      from,
      until,
      onGap: (gap) => report({ kind: 'events-missed', stream: this.name, ...gap }),
    })
    const close = async (): Promise<void> => {
      reader.close()
      pool.close()
    }
    return { next: (waiting) => reader.next(waiting), close }
  }

  async #cutOf(place: WordOrCut<'head' | 'tail'>, wait: Wait): Promise<Cut> {
    if (place === 'head') return this.#metadata.head(wait)
    if (place === 'tail') return tailOf(this.#metadata, this.#context.segments, wait)
    return parseCut(this.#scoped, place)
  }

  async #orMissing<R>(call: () => Promise<R>): Promise<R> {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'stream-not-found') throw error
      await this.#onMissing()
      return call()
    }
  }

  async #onMissing(): Promise<void> {
    if (this.#create === false) throw streamNotFound(this.name)
    await this.#make(this.#create)
  }

  async #make(policy: StreamPolicy): Promise<boolean> {
    const config = configOf(policy, this.#metadata.info)
    await this.#context.controller.createScope({ scope: this.#scoped.scope })
    const { status } = await this.#context.controller.createStream(config)
    if (status === CreateStreamStatus.STREAM_EXISTS) return false
    if (status === CreateStreamStatus.SUCCESS) return true
    throw new MillraceError('internal', `The controller failed to make ${this.name}`, { stream: this.name })
  }

  /** Failures of the layers below leave as the errors that programs know. */
  async #call<R>(call: () => Promise<R>): Promise<R> {
    try {
      return await call()
    } catch (error) {
      throw asMillraceError(error, this.name)
    }
  }
}
