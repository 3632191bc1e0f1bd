import type { Clock } from './host.ts'
import { Histogram } from './histogram.ts'

/**
 * How late the event loop is, seen from the work itself: what is deferred to the end of a turn notes how long that took. So
 * measuring wakes nobody, and an idle loop has no delay.
 */
export class LoopDelay {
  #delays = new Histogram()

  /** The same clock, watched. */
  watch(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      setTimer: (delayMs, callback, options) => clock.setTimer(delayMs, callback, options),
      defer: (callback) => {
        const dueMs = clock.monotonicMs()
        clock.defer(() => {
          this.#delays.record((clock.monotonicMs() - dueMs) * 1000)
          callback()
        })
      },
    }
  }

  /** Microseconds since the last call. */
  take(): Histogram {
    const taken = this.#delays
    this.#delays = new Histogram()
    return taken
  }
}
