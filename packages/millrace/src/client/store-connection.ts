/**
 * One connection to a segment store. Requests and replies are matched by request id, so any number of calls and append
 * sessions share it.
 *
 * A connection keeps the process alive only while somebody waits for something on it. It shows life when it has been silent,
 * and gives up a store that has not said anything for a minute although it was asked to.
 */
import { assert } from '../base/assert.ts'
import { ByteBudget } from '../base/byte-budget.ts'
import {
  type Address,
  type Connection,
  type Host,
  NetworkError,
  showAddress,
  type Timer,
} from '../base/host.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { decodeMessage, encodeMessage } from '../protocol/wire/codec.ts'
import {
  type AnyMessage,
  type Message,
  WIRE_VERSION,
  WIRE_VERSION_OLDEST,
} from '../protocol/wire/commands.ts'
import { FrameReader } from '../protocol/wire/frame-reader.ts'
import { requestIdOf } from '../protocol/wire/request-id.ts'
import { orAborted, untilAborted } from './waiting.ts'

/** From the first attempt to the store's Hello. */
const CONNECT_MS_MAX = 5000
const KEEP_ALIVE_FIRST_MS = 20_000
const KEEP_ALIVE_MS = 10_000
const SILENCE_MS_MAX = 60_000

/** Requests that wait for their replies; what does not fit waits at its caller. */
const PENDING_BYTES_MAX = 32 * 1024 * 1024

type WithoutId<M> = M extends { readonly requestId: string } ? Omit<M, 'requestId'> : never

/** A message that gets its request id from the connection. */
export type Request = WithoutId<AnyMessage>
export type Reply = AnyMessage & { readonly requestId: string }

/** The store speaks a protocol of which this client knows no version. Trying again does not help. */
export class IncompatibleStoreError extends Error {
  override readonly name = 'IncompatibleStoreError'
}

/** Somebody who is sent many replies under one request id. */
export interface Listener {
  reply(message: Reply): void
  /** The connection is gone; called once, last. */
  closed(error: NetworkError): void
}

/** Rejects with `NetworkError`, `IncompatibleStoreError` or the reason of the signal. */
export async function connectStore(
  host: Host,
  address: Address,
  options?: { signal?: AbortSignal | undefined },
): Promise<StoreConnection> {
  const patience = new AbortController()
  const timer = host.clock.setTimer(
    CONNECT_MS_MAX,
    () => patience.abort(new NetworkError('unreachable', `${showAddress(address)} does not answer`)),
    { weak: true },
  )
  try {
    const signals = [options?.signal, patience.signal]
    const connecting = host.network.connect(address, { signal: patience.signal })
    const connection = await orAborted(connecting, ...signals).catch((error: unknown) => {
      // The caller has left: nobody is to inherit what still comes of it.
      connecting.then((late) => late.destroy()).catch(() => undefined)
      throw error
    })
    const store = new StoreConnection(host, address, connection)
    await orAborted(store.ready, ...signals).catch((error: unknown) => {
      store.close()
      throw error
    })
    return store
  } finally {
    timer.cancel()
  }
}

export class StoreConnection {
  readonly address: Address
  /** Resolves with the store's Hello; rejects if it is none that this client understands. */
  readonly ready: Promise<void>
  readonly #host: Host
  readonly #connection: Connection
  readonly #frames: FrameReader = new FrameReader({ beforeHello: true })
  readonly #listeners = new Map<string, Listener>()
  readonly #pendingBytes: ByteBudget = new ByteBudget({ bytesMax: PENDING_BYTES_MAX })
  readonly #onClosed: ((reason: NetworkError) => void)[] = []
  #settleReady: { resolve: () => void; reject: (error: Error) => void } | undefined
  #lastSequence = 0
  /** How many wait for something: the process lives for them. */
  #holds = 0
  #closed: NetworkError | undefined
  #keepAliveTimer: Timer
  #sentSinceTick = true
  #lastHeardMs: number
  #keepAlivesUnanswered = 0

  constructor(host: Host, address: Address, connection: Connection) {
    this.#host = host
    this.address = address
    this.#connection = connection
    this.#lastHeardMs = host.clock.monotonicMs()
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject }
    })
    this.ready.catch(() => undefined) // Whoever waits for it hears of it.
    this.#keepAliveTimer = this.#tickAfter(KEEP_ALIVE_FIRST_MS)
    connection.start({
      data: (chunk) => this.#receive(chunk),
      closed: (error) => this.#end(error),
    })
    connection.write(
      encodeMessage({ kind: 'hello', highVersion: WIRE_VERSION, lowVersion: WIRE_VERSION_OLDEST }),
    )
  }

  get closed(): boolean {
    return this.#closed !== undefined
  }

  /** Requests and sessions that wait for replies. */
  get waiting(): number {
    return this.#listeners.size
  }

  /** Called when the connection has gone, at once if it has already. */
  onClosed(callback: (reason: NetworkError) => void): void {
    if (this.#closed !== undefined) callback(this.#closed)
    else this.#onClosed.push(callback)
  }

  /**
   * Sends a request and resolves with its reply, whichever it is. Rejects with `NetworkError` `closed` if the connection goes
   * first, and then nobody knows whether the request was carried out; or with the reason of the signal.
   */
  async request(request: Request, options?: { signal?: AbortSignal | undefined }): Promise<Reply> {
    const signal = options?.signal
    const requestId = this.#nextId()
    const frame = encodeMessage({ ...request, requestId } as AnyMessage)
    if (!this.#pendingBytes.tryAcquire(frame.length))
      await this.#pendingBytes.acquire(frame.length, { signal })
    this.hold()
    try {
      return await untilAborted<Reply>(
        (resolve, reject) => {
          this.#listen(requestId, { reply: resolve, closed: reject })
          this.#write(frame)
        },
        [signal],
      )
    } finally {
      this.#listeners.delete(requestId)
      this.#pendingBytes.release(frame.length)
      this.letGo()
    }
  }

  /**
   * Sends a request all replies to which go to the listener, until `unlisten`. Returns its id, or undefined if the connection
   * has gone; the listener has been told so then.
   */
  open(request: Request, listener: Listener): string | undefined {
    if (this.#closed !== undefined) {
      listener.closed(this.#closed)
      return undefined
    }
    const requestId = this.#nextId()
    this.#listeners.set(requestId, listener)
    this.#write(encodeMessage({ ...request, requestId } as AnyMessage))
    return requestId
  }

  unlisten(requestId: string): void {
    this.#listeners.delete(requestId)
  }

  /**
   * Sends a piece of a frame. All pieces of one are sent in one go. Without `release` its bytes never change any more, with it
   * they may when it is called.
   */
  sendPiece(piece: Uint8Array, release?: () => void): void {
    this.#connection.write(piece, release)
    this.#sentSinceTick = true
  }

  /** While anybody holds it, the connection keeps the process alive. */
  hold(): void {
    if (++this.#holds === 1) this.#connection.setKeepsAlive(true)
  }

  letGo(): void {
    assert(this.#holds > 0, 'Nobody lets go of a connection that is not held')
    if (--this.#holds === 0) this.#connection.setKeepsAlive(false)
  }

  /** What still waits is told `closed`. */
  close(): void {
    this.#connection.destroy(new NetworkError('closed', `The connection to ${this.#name} was closed here`))
    this.#end(undefined)
  }

  get #name(): string {
    return showAddress(this.address)
  }

  #nextId(): string {
    return requestIdOf(++this.#lastSequence)
  }

  #listen(requestId: string, listener: Listener): void {
    if (this.#closed !== undefined) listener.closed(this.#closed)
    else this.#listeners.set(requestId, listener)
  }

  #write(frame: Buffer): void {
    this.#connection.write(frame)
    this.#sentSinceTick = true
  }

  #receive(chunk: Buffer): void {
    this.#lastHeardMs = this.#host.clock.monotonicMs()
    let next: Buffer | undefined = chunk
    while (!this.closed) {
      const message = this.#decode(next)
      next = undefined
      if (message === undefined) return
      this.#dispatch(message)
    }
  }

  #decode(chunk: Buffer | undefined): AnyMessage | undefined {
    try {
      if (chunk !== undefined) this.#frames.push(chunk)
      const frame = this.#frames.next()
      return frame && decodeMessage(frame)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      // A store that does not keep to the protocol: nothing that follows can be trusted.
      this.#connection.destroy(error)
      this.#end(error)
      return undefined
    }
  }

  #dispatch(message: AnyMessage): void {
    if (message.kind === 'hello') this.#greet(message)
    else if (message.kind === 'keep-alive') this.#answerKeepAlive()
    // Replies to requests that were given up are dropped.
    else if ('requestId' in message) this.#listeners.get(message.requestId)?.reply(message)
  }

  #greet({ lowVersion, highVersion }: Message<'hello'>): void {
    if (lowVersion > WIRE_VERSION || highVersion < WIRE_VERSION_OLDEST) {
      const error = new IncompatibleStoreError(
        `${this.#name} speaks versions ${lowVersion} to ${highVersion} of the segment store's protocol, ` +
          `this client ${WIRE_VERSION_OLDEST} to ${WIRE_VERSION}`,
      )
      this.#settleReady?.reject(error)
      this.#settleReady = undefined
      this.close()
      return
    }
    this.#settleReady?.resolve()
    this.#settleReady = undefined
    this.#connection.setKeepsAlive(this.#holds > 0)
  }

  /** The store echoes ours. One that it sent by itself is echoed here; both ways it ends there. */
  #answerKeepAlive(): void {
    if (this.#keepAlivesUnanswered > 0) this.#keepAlivesUnanswered--
    else this.#write(encodeMessage({ kind: 'keep-alive' }))
  }

  #tickAfter(delayMs: number): Timer {
    return this.#host.clock.setTimer(delayMs, () => this.#tick(), { weak: true })
  }

  #tick(): void {
    const silenceMs = this.#host.clock.monotonicMs() - this.#lastHeardMs
    if (this.#keepAlivesUnanswered > 0 && silenceMs >= SILENCE_MS_MAX) {
      const error = new NetworkError('closed', `${this.#name} has been silent for ${SILENCE_MS_MAX / 1000} s`)
      this.#connection.destroy(error)
      this.#end(error)
      return
    }
    if (!this.#sentSinceTick || silenceMs >= KEEP_ALIVE_MS) {
      this.#write(encodeMessage({ kind: 'keep-alive' }))
      this.#keepAlivesUnanswered++
    }
    this.#sentSinceTick = false
    this.#keepAliveTimer = this.#tickAfter(KEEP_ALIVE_MS)
  }

  #end(cause: Error | undefined): void {
    if (this.#closed !== undefined) return
    this.#closed =
      cause instanceof NetworkError && cause.code === 'closed'
        ? cause
        : new NetworkError('closed', `The connection to ${this.#name} broke`, { cause })
    this.#keepAliveTimer.cancel()
    this.#settleReady?.reject(this.#closed)
    this.#settleReady = undefined
    const listeners = [...this.#listeners.values()]
    this.#listeners.clear()
    for (const listener of listeners) listener.closed(this.#closed)
    for (const callback of this.#onClosed.splice(0)) callback(this.#closed)
  }
}
