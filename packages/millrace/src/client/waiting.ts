/** Waiting that whoever has lost interest can end. Every failure here is the reason of the signal that ended it. */
import type { Clock, Host } from '../base/host.ts'

type MaybeSignal = AbortSignal | undefined

export function throwIfAborted(signals: readonly MaybeSignal[]): void {
  for (const signal of signals) signal?.throwIfAborted()
}

export function sleep(clock: Clock, delayMs: number, ...signals: readonly MaybeSignal[]): Promise<void> {
  return untilAborted((resolve) => {
    const timer = clock.setTimer(delayMs, () => resolve())
    return () => timer.cancel()
  }, signals)
}

/** What the promise settles with, unless a signal comes first; then what the promise does concerns nobody any more. */
export function orAborted<T>(promise: Promise<T>, ...signals: readonly MaybeSignal[]): Promise<T> {
  if (signals.every((signal) => signal === undefined)) return promise
  // If a signal has come already nobody listens to it.
  promise.catch(() => undefined)
  return untilAborted<T>((resolve, reject) => {
    promise.then(resolve, reject)
  }, signals)
}

/**
 * A promise that `start` settles and that a signal rejects. What `start` returns is called when a signal came first, and takes
 * back what it began.
 */
export function untilAborted<T>(
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => (() => void) | void,
  signals: readonly MaybeSignal[],
): Promise<T> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signals)
    let settled = false
    const settle = <V>(how: (value: V) => void): ((value: V) => void) => {
      return (value) => {
        settled = true
        for (const signal of signals) signal?.removeEventListener('abort', onAbort)
        how(value)
      }
    }
    const cancel = start(settle(resolve), settle(reject))
    if (settled) return
    for (const signal of signals) signal?.addEventListener('abort', onAbort)
    function onAbort(): void {
      cancel?.()
      settle(reject)(signals.find((signal) => signal?.aborted)?.reason)
    }
  })
}

export interface Pauses {
  readonly delayMsMin: number
  readonly delayMsMax: number
}

/** Of one whose call has failed. */
const AFTER_FAILURE: Pauses = { delayMsMin: 10, delayMsMax: 1000 }

/** Of one who asks a controller whether what it has begun is done: most of that takes some milliseconds. */
export const UNTIL_DONE: Pauses = { delayMsMin: 2, delayMsMax: 100 }

/** Growing pauses between attempts. Their length is drawn, so that all who lost one store do not come back in step. */
export class Backoff {
  readonly #host: Pick<Host, 'clock' | 'random'>
  readonly #pauses: Pauses
  #delayMs: number

  constructor(host: Pick<Host, 'clock' | 'random'>, pauses: Pauses = AFTER_FAILURE) {
    this.#host = host
    this.#pauses = pauses
    this.#delayMs = pauses.delayMsMin
  }

  /** The next failure is the first one again. */
  reset(): void {
    this.#delayMs = this.#pauses.delayMsMin
  }

  nextDelayMs(): number {
    const delayMs = this.#delayMs * (0.5 + this.#host.random.ratio() / 2)
    this.#delayMs = Math.min(this.#delayMs * 2, this.#pauses.delayMsMax)
    return delayMs
  }

  wait(...signals: readonly MaybeSignal[]): Promise<void> {
    return sleep(this.#host.clock, this.nextDelayMs(), ...signals)
  }
}
