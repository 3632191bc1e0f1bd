/**
 * Everything nondeterministic that the product touches. `node-host.ts` gives the real one; the simulator's draws every
 * delay, fault and random number from one seed. Outside a host nothing reads a clock, sets a timer, opens a file or a
 * socket, or draws a random number (lint holds this).
 */
export interface Host {
  readonly clock: Clock
  readonly disk: Disk
  readonly network: Network
  readonly random: Random
}

export interface Clock {
  /** Milliseconds since 1970. May jump; nothing that orders or expires depends on it. */
  now(): number
  /** Milliseconds, fractional, never going back, from an arbitrary start. */
  monotonicMs(): number
  /** Calls back once after `delayMs`. A `weak` timer does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void, options?: { weak?: boolean }): Timer
  /** Calls back once the input that has already arrived was handled, which is what makes a batch of it. */
  defer(callback: () => void): void
}

export interface Timer {
  /** After this the callback does not run. Calling it again, or too late, does nothing. */
  cancel(): void
}

export type DiskErrorCode = 'not-found' | 'exists' | 'full' | 'locked' | 'read-only' | 'io'

/** What a disk operation failed with. `io` covers everything the caller can only give up on. */
export class DiskError extends Error {
  override readonly name = 'DiskError'
  readonly code: DiskErrorCode
  readonly path: string

  constructor(code: DiskErrorCode, path: string, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
    this.path = path
  }
}

/** Paths are absolute or relative to the working directory, with `/` between names. All failures are `DiskError`. */
export interface Disk {
  /**
   * `read` and `write` need an existing file; `create` needs its absence (`exists` otherwise) and opens for reading and
   * writing. Every call opens a description of its own: Linux reports a write-back error once per description.
   */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<File>
  /** Names in a directory, sorted. */
  list(path: string): Promise<string[]>
  /** Creates the directory and its missing parents, and makes all of them durable. */
  makeDirectory(path: string): Promise<void>
  /** Replaces `to` if it exists. Durable after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes creations, renames and removals in this directory durable. */
  syncDirectory(path: string): Promise<void>
  /**
   * Takes the one lock of a directory, or fails with `locked` and a message that says who holds it. It ends with its
   * holder however that dies. `holder` is what others are told.
   */
  lock(directory: string, holder: string): Promise<Lock>
}

export interface Lock {
  release(): Promise<void>
}

/** Positions and lengths are bytes. A call may not change a buffer, nor may the caller until the call is over. */
export interface File {
  readonly path: string
  size(): Promise<number>
  /** Fills `target` from `position`; fewer bytes only where the file ends. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Writes the pieces one after the other. Not durable before a sync. */
  write(pieces: readonly Uint8Array[], position: number): Promise<void>
  /** Writes the pieces and syncs what was written, in one step. After a failure nothing is known of the range. */
  writeDurable(pieces: readonly Uint8Array[], position: number): Promise<void>
  /** Makes all earlier writes durable. A sync that failed must not be tried again: the data may be gone. */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  close(): Promise<void>
}

export interface Address {
  readonly host: string
  readonly port: number
}

export function showAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

export interface Network {
  /** Port 0 takes any free one; the listener says which. A busy port fails with `NetworkError` `in-use`. */
  listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener>
  connect(address: Address, options?: { signal?: AbortSignal | undefined }): Promise<Connection>
}

export type NetworkErrorCode = 'in-use' | 'refused' | 'unreachable' | 'closed'

export class NetworkError extends Error {
  override readonly name = 'NetworkError'
  readonly code: NetworkErrorCode

  constructor(code: NetworkErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export interface Listener {
  readonly address: Address
  /** Takes no more connections; those it has taken stay. */
  close(): Promise<void>
}

export interface ConnectionHandler {
  /** The chunk belongs to the handler from now on and does not change. Chunks come at any cut of the byte stream. */
  data(chunk: Buffer): void
  /** All that was written has left this process's buffers, after `write` had answered false. */
  drain?(): void
  /** Called exactly once, last. The other side ended, the connection broke, or `destroy` was called. */
  closed(error: Error | undefined): void
}

/** An ordered stream of bytes both ways. Nothing is delivered before `start`. */
export interface Connection {
  readonly local: Address
  readonly remote: Address
  /** Bytes written that have not left this process. */
  readonly unsentBytes: number
  start(handler: ConnectionHandler): void
  /**
   * Queues bytes; those of one turn of the event loop leave together. The buffer must not change until `release` is
   * called, which happens exactly once: when the bytes have left, or when they never will; without `release` it must
   * not change any more. False means that more is queued than is good, and that `drain` will follow.
   */
  write(data: Uint8Array, release?: () => void): boolean
  /** Stops and restarts the delivery of data. */
  pause(): void
  resume(): void
  /** Whether this connection keeps the process alive. */
  setKeepsAlive(keepsAlive: boolean): void
  /** Sends what is queued, then closes. */
  end(): void
  /** Closes at once; `reason` reaches `closed`. */
  destroy(reason?: Error): void
}

export interface Random {
  /** A whole number from 0 up to, but not including, `bound` (at most 2^48). */
  integer(bound: number): number
  /** A number in [0, 1). */
  ratio(): number
  bytes(length: number): Buffer
}
