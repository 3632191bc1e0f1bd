/**
 * A network inside the process, with the contract of the real one. Bytes cross without a copy where that is safe: a
 * writer that gives no `release` never changes its buffer again, so the reader may keep it for ever; one that gives
 * `release` is going to reuse the buffer, so the reader gets a copy.
 *
 * Written bytes stay with the writer until the reader takes them, which is what makes a paused reader felt. A wire tells when
 * they travel: here at the end of the turn, in the simulator after a delay that its seed decides.
 */
import { assert } from './assert.ts'
import {
  type Address,
  type Clock,
  type Connection,
  type ConnectionHandler,
  type Network,
  NetworkError,
  showAddress,
} from './host.ts'

const UNSENT_BYTES_MAX = 1024 * 1024

/** Names of this kind are reached inside the process. */
const MEMORY_SUFFIX = '.millrace'

export function memoryNetwork(clock: Clock): Network {
  const listeners = new Map<string, (connection: Connection) => void>()
  const defer = (callback: () => void): void => clock.defer(callback)
  const wire: Wire = { defer, carry: defer }
  let portLast = 0

  return {
    async listen(address, onConnection) {
      const port = address.port === 0 ? ++portLast : address.port
      const bound = { host: address.host, port }
      const key = showAddress(bound)
      if (listeners.has(key)) throw inUse(bound)
      listeners.set(key, onConnection)
      const close = async (): Promise<void> => {
        if (listeners.get(key) === onConnection) listeners.delete(key)
      }
      return { address: bound, close }
    },

    connect(address, options) {
      return new Promise((resolve, reject) => {
        options?.signal?.throwIfAborted()
        clock.defer(() => {
          if (options?.signal?.aborted === true) return reject(options.signal.reason as Error)
          const onConnection = listeners.get(showAddress(address))
          if (onConnection === undefined) return reject(refused(address))
          const local = { host: 'client.millrace', port: ++portLast }
          const [near, far] = connectionPair({ near: local, far: address, nearWire: wire, farWire: wire })
          onConnection(far)
          resolve(near)
        })
      })
    },
  }
}

/** Sends what is for a host whose name ends in `.millrace` through `memory`, and all else through `real`. */
export function overlayNetwork(memory: Network, real: Network): Network {
  const choose = (address: Address): Network => (address.host.endsWith(MEMORY_SUFFIX) ? memory : real)
  return {
    listen: (address, onConnection) => choose(address).listen(address, onConnection),
    connect: (address, options) => choose(address).connect(address, options),
  }
}

export function inUse(address: Address): NetworkError {
  return new NetworkError('in-use', `Cannot listen on ${showAddress(address)}: another program listens there`)
}

export function refused(address: Address): NetworkError {
  return new NetworkError('refused', `Cannot connect to ${showAddress(address)}: nobody listens there`)
}

/** How one direction of a connection carries bytes. */
export interface Wire {
  /** Calls back in a later turn of the end that sends. */
  defer(callback: () => void): void
  /** Calls back in a later turn, when what is on its way has arrived; never, if it is lost. */
  carry(callback: () => void): void
  /** Other cuts of the same bytes, in memory of its own. */
  recut?(chunks: readonly Buffer[]): Buffer[]
  /** How many chunks the reader takes before it needs another turn. */
  chunksPerTurn?(): number
}

/** Two ends of one connection. Each end's wire carries what that end sends. */
export function connectionPair(options: {
  near: Address
  far: Address
  nearWire: Wire
  farWire: Wire
}): [near: MemoryConnection, far: MemoryConnection] {
  const near = new MemoryConnection(options.near, options.far, options.nearWire)
  const far = new MemoryConnection(options.far, options.near, options.farWire)
  near.join(far)
  far.join(near)
  return [near, far]
}

interface Outgoing {
  readonly data: Buffer
  readonly release: (() => void) | undefined
}

export class MemoryConnection implements Connection {
  readonly local: Address
  readonly remote: Address
  readonly #wire: Wire
  #peer: MemoryConnection | undefined
  #handler: ConnectionHandler | undefined
  /** `ending` still sends, `destroyed` does not; neither takes or delivers anything more. `closed` was told so. */
  #state: 'open' | 'ending' | 'destroyed' | 'closed' = 'open'
  #error: Error | undefined
  #outgoing: Outgoing[] = []
  #unsentBytes = 0
  #drainOwed = false
  #carrying = false
  #paused = false

  constructor(local: Address, remote: Address, wire: Wire) {
    this.local = local
    this.remote = remote
    this.#wire = wire
  }

  get unsentBytes(): number {
    return this.#unsentBytes
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer
  }

  start(handler: ConnectionHandler): void {
    assert(this.#handler === undefined, 'A connection is started once')
    this.#handler = handler
    if (this.#state === 'closed') this.#wire.defer(() => handler.closed(this.#error))
    else this.#peer?.carryOn()
  }

  write(data: Uint8Array, release?: () => void): boolean {
    if (this.#state !== 'open') {
      if (release !== undefined) this.#wire.defer(release)
      return true
    }
    const chunk = Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.length)
    this.#outgoing.push({ data: chunk, release })
    this.#unsentBytes += chunk.length
    this.carryOn()
    if (this.#unsentBytes <= UNSENT_BYTES_MAX) return true
    this.#drainOwed = true
    return false
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#peer?.carryOn()
  }

  /** Waiting for one's own process is no reason for it to live on. */
  setKeepsAlive(): void {}

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.carryOn()
    this.#peer?.carryOn() // What comes from there is dropped from now on.
  }

  destroy(reason?: Error): void {
    if (this.#state === 'closed' || this.#state === 'destroyed') return
    this.#state = 'destroyed'
    this.#wire.defer(() => this.breakOff(reason))
    this.#wire.carry(() => this.#peer?.breakOff())
  }

  /** The connection is gone, as this end learns now. */
  breakOff(error?: Error): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#error = error
    this.#unsentBytes = 0
    for (const { release } of this.#outgoing.splice(0)) release?.()
    this.#handler?.closed(error)
  }

  /** The process of this end is gone: none of its callbacks runs again, and the other end is not told. */
  abandon(): void {
    this.#state = 'closed'
    this.#handler = undefined
    this.#outgoing = []
  }

  /** Lets what is queued travel, unless it does already or there is nothing. */
  carryOn(): void {
    if (this.#carrying || (this.#outgoing.length === 0 && this.#state !== 'ending')) return
    this.#carrying = true
    this.#wire.carry(() => {
      this.#carrying = false
      this.#arrive()
    })
  }

  #arrive(): void {
    const peer = this.#peer
    if (peer === undefined || !this.#sends || !peer.#takes) return
    const batch = this.#recut()
    const chunksMax = this.#wire.chunksPerTurn?.() ?? Number.POSITIVE_INFINITY
    let taken = 0
    while (taken < batch.length && taken < chunksMax && peer.#takes && this.#sends) {
      const { data, release } = batch[taken++]!
      this.#unsentBytes -= data.length
      if (peer.#state === 'open') peer.#handler?.data(release === undefined ? data : Buffer.from(data))
      release?.()
    }
    // Handlers may have written, ended or destroyed either side meanwhile.
    this.#outgoing = [...batch.slice(taken), ...this.#outgoing]
    if (this.#outgoing.length > 0) {
      if (peer.#takes) this.carryOn()
    } else if (this.#state === 'ending') {
      if (!peer.#takes) return
      peer.breakOff()
      this.breakOff()
    } else if (this.#drainOwed && this.#state === 'open') {
      this.#drainOwed = false
      this.#handler?.drain?.()
    }
  }

  get #sends(): boolean {
    return this.#state === 'open' || this.#state === 'ending'
  }

  /** Whether bytes that arrive go anywhere: to the handler, or to nobody where this end is through. */
  get #takes(): boolean {
    if (this.#state === 'open') return this.#handler !== undefined && !this.#paused
    return this.#state === 'ending'
  }

  #recut(): readonly Outgoing[] {
    const batch = this.#outgoing
    this.#outgoing = []
    if (this.#wire.recut === undefined || batch.length === 0) return batch
    const chunks = this.#wire.recut(batch.map(({ data }) => data))
    for (const { release } of batch) release?.()
    return chunks.map((data) => ({ data, release: undefined }))
  }
}
