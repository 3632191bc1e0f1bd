/**
 * Pings an open transaction by itself, so that it is not aborted while its program lives: three times in a lease. The timers do
 * not keep the process alive, and a ping that fails is not made again behind anybody's back but by the next timer.
 */
import type { Host, Timer } from '../base/host.ts'
import { PingTxnStatus } from '../protocol/controller/messages.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import { Backoff } from './waiting.ts'

export interface LeaseKeeperParts {
  readonly host: Pick<Host, 'clock' | 'random'>
  readonly leaseMs: number
  ping(leaseMs: number): Promise<PingTxnStatus['status']>
  /** The transaction has ended, or is about to. Called once, last. */
  onEnded(end: 'committed' | 'aborted' | 'unknown'): void
}

const PINGS_PER_LEASE = 3
/** A lease that is too long for the server is cut by half until it is not, down to this. */
const LEASE_MS_MIN = 1000

export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts
  readonly #backoff: Backoff
  #leaseMs: number
  #timer: Timer | undefined
  #stopped = false

  /** `known`: the server has just been told how long the lease is. */
  constructor(parts: LeaseKeeperParts, { known }: { known: boolean }) {
    this.#parts = parts
    this.#backoff = new Backoff(parts.host)
    this.#leaseMs = parts.leaseMs
    if (known) this.#pingIn(this.#intervalMs)
    else void this.#ping()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  get #intervalMs(): number {
    return this.#leaseMs / PINGS_PER_LEASE
  }

  #pingIn(delayMs: number): void {
    if (this.#stopped) return
    this.#timer = this.#parts.host.clock.setTimer(delayMs, () => void this.#ping(), { weak: true })
  }

  async #ping(): Promise<void> {
    try {
      const status = await this.#parts.ping(this.#leaseMs)
      if (!this.#stopped) this.#onStatus(status)
    } catch (error) {
      if (this.#stopped) return
      if (error instanceof ControllerError && error.code === 'not-found') this.#end('unknown')
      else this.#pingAgain()
    }
  }

  /** Trap 47: what a ping is answered says what there is left to do. */
  #onStatus(status: PingTxnStatus['status']): void {
    switch (status) {
      case PingTxnStatus.OK:
        this.#backoff.reset()
        return this.#pingIn(this.#intervalMs)
      case PingTxnStatus.LEASE_TOO_LARGE:
      case PingTxnStatus.SCALE_GRACE_TIME_EXCEEDED:
        this.#leaseMs = Math.max(Math.ceil(this.#leaseMs / 2), LEASE_MS_MIN)
        return this.#pingAgain()
      case PingTxnStatus.MAX_EXECUTION_TIME_EXCEEDED:
        // Until the lease that it has is over it can be committed. Writing finds out when it is.
        return this.stop()
      case PingTxnStatus.DISCONNECTED:
        return this.#pingAgain()
      case PingTxnStatus.COMMITTED:
        return this.#end('committed')
      case PingTxnStatus.ABORTED:
        return this.#end('aborted')
      case PingTxnStatus.UNKNOWN:
        return this.#end('unknown')
    }
  }

  #pingAgain(): void {
    this.#pingIn(Math.min(this.#backoff.nextDelayMs(), this.#intervalMs))
  }

  #end(end: 'committed' | 'aborted' | 'unknown'): void {
    this.stop()
    this.#parts.onEnded(end)
  }
}
