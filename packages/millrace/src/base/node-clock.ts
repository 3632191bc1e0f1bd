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
    // Node counts whole milliseconds and may fire a fraction early, hence one more.
    let restMs = Math.ceil(Math.max(delayMs, 0)) + 1
    let timeout: NodeJS.Timeout
    const arm = (): void => {
      const stepMs = Math.min(restMs, DELAY_MS_MAX)
      restMs -= stepMs
      timeout = setTimeout(restMs > 0 ? arm : callback, stepMs)
      if (options?.weak === true) timeout.unref()
    }
    arm()
    return { cancel: () => clearTimeout(timeout) }
  },
  defer(callback) {
    setImmediate(callback)
  },
}
