import type { Clock } from './host.ts'

// Taken when this module loads: a program whose tests replace the global timers or Date must not stop a store in it.
const { setTimeout, clearTimeout, setImmediate } = globalThis
const now = Date.now.bind(Date)
const monotonicMs = performance.now.bind(performance)

/** Node answers a longer delay by firing at once. */
const DELAY_MS_MAX = 2 ** 31 - 1

export const nodeClock: Clock = {
  now,
  monotonicMs,
  setTimer(delayMs, callback, options) {
    const dueMs = monotonicMs() + delayMs
    let timeout: NodeJS.Timeout
    const arm = (): void => {
      const restMs = Math.ceil(Math.max(dueMs - monotonicMs(), 0))
      timeout = setTimeout(fire, Math.min(restMs, DELAY_MS_MAX))
      if (options?.weak === true) timeout.unref()
    }
    // Node's timers keep whole milliseconds and may fire a fraction early.
    const fire = (): void => {
      if (monotonicMs() < dueMs) arm()
      else callback()
    }
    arm()
    return { cancel: () => clearTimeout(timeout) }
  },
  defer(callback) {
    setImmediate(callback)
  },
}
