/**
 * TCP by node:net. What is written in one turn of the event loop leaves in one system call: connections with something to
 * say stand in a list that is worked through once, after the input of the turn. Node takes its time for each buffer, so
 * small neighbours are first copied into one.
 */
import * as net from 'node:net'
import { assert } from './assert.ts'
import {
  type Address,
  type Connection,
  type ConnectionHandler,
  type Listener,
  type Network,
  NetworkError,
  type NetworkErrorCode,
  showAddress,
} from './host.ts'
import { nodeClock } from './node-clock.ts'

/** More unsent bytes than this, and `write` asks its caller to wait. */
const UNSENT_BYTES_MAX = 1024 * 1024

/** Up to here copying a buffer costs less than passing it on by itself. */
const COPY_BYTES_MAX = 2048
const COPIED_RUN_BYTES_MAX = 64 * 1024

/** How long the other side may keep talking after `end`; closing at once could make it lose our last bytes. */
const LINGER_MS = 1000

const BACKLOG = 4096
const KEEP_ALIVE_MS = 60_000

const CODES: Readonly<Record<string, NetworkErrorCode>> = {
  EADDRINUSE: 'in-use',
  ECONNREFUSED: 'refused',
  EACCES: 'refused',
  EPERM: 'refused',
  EADDRNOTAVAIL: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EHOSTDOWN: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOTFOUND: 'unreachable',
  ETIMEDOUT: 'unreachable',
}

export const nodeNetwork: Network = { listen, connect }

function listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer(
      { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
      (socket) => {
        socket.setKeepAlive(true, KEEP_ALIVE_MS)
        onConnection(new NodeConnection(socket))
      },
    )
    const onError = (error: NodeJS.ErrnoException): void => {
      const reason = error.code === 'EADDRINUSE' ? 'another program listens there' : error.message
      reject(networkError(`Cannot listen on ${showAddress(address)}: ${reason}`, error))
    }
    server.once('error', onError)
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
      server.off('error', onError)
      // One connection that could not be accepted concerns nobody but its other side, which the kernel tells.
      server.on('error', () => undefined)
      const { port } = server.address() as net.AddressInfo
      // The port is free when this returns; the server's own event waits for all connections to end.
      const close = async (): Promise<void> => void server.close()
      resolve({ address: { host: address.host, port }, close })
    })
  })
}

function connect(address: Address, options?: { signal?: AbortSignal | undefined }): Promise<Connection> {
  const signal = options?.signal
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    let connection: NodeConnection | undefined
    let early: Buffer[] = []
    const socket = net.connect({
      host: address.host,
      port: address.port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      // Else each read of a few bytes would take, and give back, a buffer of 64 KiB.
      onread: {
        buffer: readBuffer,
        callback: (length, bytes) => {
          const chunk = Buffer.from(bytes.subarray(0, length))
          if (connection === undefined) early.push(chunk)
          else connection.receive(chunk)
          return true
        },
      },
    })
    const settle = (): void => {
      signal?.removeEventListener('abort', onAbort)
      socket.off('connect', onConnect)
      socket.off('error', onError)
    }
    const onAbort = (): void => {
      settle()
      socket.on('error', () => undefined).destroy()
      reject(signal?.reason as Error)
    }
    const onConnect = (): void => {
      settle()
      connection = new NodeConnection(socket, early)
      early = []
      resolve(connection)
    }
    const onError = (error: NodeJS.ErrnoException): void => {
      settle()
      reject(networkError(`Cannot connect to ${showAddress(address)}: ${error.message || error.code}`, error))
    }
    signal?.addEventListener('abort', onAbort)
    socket.on('connect', onConnect)
    socket.on('error', onError)
  })
}

/** Shared by all connections: what a read brings is copied out at once. */
const readBuffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024)

interface Queued {
  readonly data: Uint8Array
  readonly release: (() => void) | undefined
}

class NodeConnection implements Connection {
  readonly local: Address
  readonly remote: Address
  readonly #socket: net.Socket
  #handler: ConnectionHandler | undefined
  /** What came before `start`. */
  #early: Buffer[] | undefined
  #queue: Queued[] = []
  #unsentBytes = 0
  #drainOwed = false
  #paused = false
  /** After `end` or `destroy` nothing more is taken or delivered. */
  #finishing = false
  #ending = false
  #error: Error | undefined
  #closed = false

  /** `early` are bytes that have come already; undefined for a socket that hands its bytes out as events. */
  constructor(socket: net.Socket, early?: Buffer[]) {
    this.#socket = socket
    this.#early = early
    this.local = { host: plain(socket.localAddress), port: socket.localPort ?? 0 }
    this.remote = { host: plain(socket.remoteAddress), port: socket.remotePort ?? 0 }
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= this.#finishing
        ? error
        : networkError(
            `The connection to ${showAddress(this.remote)} broke: ${error.message}`,
            error,
            'closed',
          )
    })
    socket.on('end', () => this.end())
    socket.on('close', () => this.#onClose())
  }

  get unsentBytes(): number {
    return this.#unsentBytes
  }

  start(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, 'A connection is started once')
    this.#handler = handler
    if (this.#closed) {
      nodeClock.defer(() => handler.closed(this.#error))
      return
    }
    if (this.#early === undefined) this.#socket.on('data', (chunk: Buffer) => this.receive(chunk))
    else if (this.#early.length > 0) nodeClock.defer(() => this.#deliverEarly())
    if (this.#paused) this.#socket.pause()
    else this.#socket.resume()
  }

  receive(chunk: Buffer): void {
    if (this.#finishing) return
    if (this.#handler === undefined || (this.#early !== undefined && this.#early.length > 0)) {
      this.#early?.push(chunk)
      return
    }
    this.#handler.data(chunk)
  }

  #deliverEarly(): void {
    while (this.#early !== undefined && this.#early.length > 0 && !this.#finishing && !this.#paused)
      this.#handler?.data(this.#early.shift()!)
  }

  write(data: Uint8Array, release?: () => void): boolean {
    if (this.#finishing || this.#closed || !this.#socket.writable) {
      if (release !== undefined) nodeClock.defer(release)
      return true
    }
    if (this.#queue.length === 0) flushLater(this)
    this.#queue.push({ data, release })
    this.#unsentBytes += data.length
    if (this.#unsentBytes <= UNSENT_BYTES_MAX) return true
    this.#drainOwed = true
    return false
  }

  pause(): void {
    this.#paused = true
    if (this.#handler !== undefined) this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#early !== undefined && this.#early.length > 0) nodeClock.defer(() => this.#deliverEarly())
    if (this.#handler !== undefined) this.#socket.resume()
  }

  setKeepsAlive(keepsAlive: boolean): void {
    if (keepsAlive) this.#socket.ref()
    else this.#socket.unref()
  }

  end(): void {
    if (this.#finishing || this.#closed) return
    this.#finishing = true
    this.#ending = true
    // Those written in this turn go first.
    if (this.#queue.length === 0) flushLater(this)
  }

  destroy(reason?: Error): void {
    if (this.#closed || this.#socket.destroyed) return
    this.#finishing = true
    this.#error ??= reason
    this.#socket.destroy()
  }

  /** Hands all that is queued to the socket in one piece. */
  flush(): void {
    const queue = this.#queue
    this.#queue = []
    if (queue.length > 0) {
      let bytes = 0
      for (const { data } of queue) bytes += data.length
      const buffers = mergeSmall(queue)
      const last = buffers.pop()
      this.#socket.cork()
      for (const buffer of buffers) this.#socket.write(buffer)
      // Called in the end whatever happens, and only when the kernel no longer reads from these buffers.
      this.#socket.write(last!, () => this.#onSent(queue, bytes))
      this.#socket.uncork()
    }
    if (this.#ending && !this.#socket.destroyed) {
      this.#ending = false
      this.#socket.end(() => this.#linger())
      this.#socket.resume() // What still comes is read and dropped, or the end of it would never be seen.
    }
  }

  #linger(): void {
    const timer = nodeClock.setTimer(LINGER_MS, () => this.#socket.destroy(), { weak: true })
    this.#socket.once('close', () => timer.cancel())
  }

  #onSent(queue: readonly Queued[], bytes: number): void {
    this.#unsentBytes -= bytes
    for (const { release } of queue) release?.()
    if (!this.#drainOwed || this.#unsentBytes > 0 || this.#finishing || this.#closed) return
    this.#drainOwed = false
    this.#handler?.drain?.()
  }

  #onClose(): void {
    this.#closed = true
    const queue = this.#queue
    this.#queue = []
    for (const { data, release } of queue) {
      this.#unsentBytes -= data.length
      release?.()
    }
    this.#handler?.closed(this.#error)
  }
}

const flushing: NodeConnection[] = []

function flushLater(connection: NodeConnection): void {
  if (flushing.length === 0) nodeClock.defer(flushAll)
  flushing.push(connection)
}

function flushAll(): void {
  for (const connection of flushing.splice(0)) connection.flush()
}

/** The same bytes in fewer buffers. */
function mergeSmall(queue: readonly Queued[]): Uint8Array[] {
  const buffers: Uint8Array[] = []
  let run: Uint8Array[] = []
  let runBytes = 0
  const endRun = (): void => {
    if (run.length > 0) buffers.push(run.length === 1 ? run[0]! : Buffer.concat(run, runBytes))
    run = []
    runBytes = 0
  }
  for (const { data } of queue) {
    if (data.length > COPY_BYTES_MAX || runBytes + data.length > COPIED_RUN_BYTES_MAX) endRun()
    run.push(data)
    runBytes += data.length
    if (data.length > COPY_BYTES_MAX) endRun()
  }
  endRun()
  return buffers
}

function networkError(message: string, error: NodeJS.ErrnoException, code?: NetworkErrorCode): NetworkError {
  return new NetworkError(code ?? CODES[error.code ?? ''] ?? 'closed', message, { cause: error })
}

function plain(host: string | undefined): string {
  return host?.startsWith('::ffff:') === true ? host.slice('::ffff:'.length) : (host ?? '')
}
