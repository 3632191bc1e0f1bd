/**
 * Connections of one purpose, one to each store, opened when first asked for and again after a break. Calls, appends and each
 * reader have pools of their own, so that none waits behind the bytes of another.
 *
 * The pool makes the pauses between attempts: who met a broken connection may ask again at once.
 */
import { type Address, type Host, NetworkError, showAddress } from '../base/host.ts'
import type { Report } from './diagnostics.ts'
import { connectStore, type StoreConnection } from './store-connection.ts'
import { Backoff, orAborted, throwIfAborted } from './waiting.ts'

/** A connection that has lasted so long was a good one. */
const STEADY_MS = 1000

interface Place {
  connection: StoreConnection | undefined
  connecting: Promise<StoreConnection> | undefined
  readonly backoff: Backoff
  /** The last attempt failed, or what it made broke soon. */
  failed: boolean
}

export class StorePool {
  readonly #host: Host
  readonly #report: Report | undefined
  readonly #places = new Map<string, Place>()
  readonly #closing: AbortController = new AbortController()

  constructor(host: Host, options: { report?: Report } = {}) {
    this.#host = host
    this.#report = options.report
  }

  /** Aborted when the pool closes. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  get connections(): number {
    let open = 0
    for (const { connection } of this.#places.values()) if (connection?.closed === false) open++
    return open
  }

  /**
   * The connection to a store. Rejects with `NetworkError` if this attempt, which others may share, fails; with
   * `IncompatibleStoreError`; or with a reason to stop.
   */
  async connect(address: Address, options?: { signal?: AbortSignal | undefined }): Promise<StoreConnection> {
    throwIfAborted([this.closing, options?.signal])
    const place = this.#placeOf(address)
    if (place.connection?.closed === false) return place.connection
    place.connecting ??= this.#open(place, address).finally(() => {
      place.connecting = undefined
    })
    return orAborted(place.connecting, this.closing, options?.signal)
  }

  close(): void {
    if (this.closing.aborted) return
    this.#closing.abort(new NetworkError('closed', 'The store was closed'))
    for (const { connection } of this.#places.values()) connection?.close()
    this.#places.clear()
  }

  async #open(place: Place, address: Address): Promise<StoreConnection> {
    if (place.failed) await place.backoff.wait(this.closing)
    try {
      const connection = await connectStore(this.#host, address, { signal: this.closing })
      place.connection = connection
      place.failed = false
      const connectedMs = this.#host.clock.monotonicMs()
      connection.onClosed((reason) => {
        if (!this.closing.aborted)
          this.#report?.({
            kind: 'connection-lost',
            address: showAddress(address),
            reason: reason.message,
          })
        // A store that breaks every connection at once is treated like one that takes none.
        const steady = this.#host.clock.monotonicMs() - connectedMs > STEADY_MS
        if (steady) place.backoff.reset()
        else place.failed = true
      })
      return connection
    } catch (error) {
      place.failed = true
      throw error
    }
  }

  #placeOf(address: Address): Place {
    const key = showAddress(address)
    let place = this.#places.get(key)
    if (place === undefined) {
      place = {
        connection: undefined,
        connecting: undefined,
        backoff: new Backoff(this.#host),
        failed: false,
      }
      this.#places.set(key, place)
    }
    return place
  }
}
