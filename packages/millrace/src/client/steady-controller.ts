/** The controller as a caller wants it: the only place where its calls are made again. */
import type { Host } from '../base/host.ts'
import {
  callByName,
  ControllerError,
  type ControllerErrorCode,
  type ControllerService,
  serviceOf,
} from '../protocol/controller/service.ts'
import { Backoff, orAborted, throwIfAborted } from './waiting.ts'

/** Failures that pass: another try may find them gone. */
const PASSING: readonly ControllerErrorCode[] = [
  'unknown',
  'deadline-exceeded',
  'failed-precondition',
  'aborted',
  'internal',
]
const TRIES_MAX = 6

/**
 * A controller that cannot be reached is asked until it can, or a signal says no more. What fails in a way that may pass is
 * tried some times. All calls end when `closing` is aborted.
 */
export function steadyController(options: {
  readonly host: Host
  readonly controller: ControllerService
  readonly closing: AbortSignal
}): ControllerService {
  const { host, controller, closing } = options
  return serviceOf(async (rpc, request, context) => {
    const backoff = new Backoff(host)
    for (let tries = 1; ; tries++) {
      throwIfAborted([context.signal, closing])
      try {
        return await orAborted(callByName(controller, { rpc, request, context }), context.signal, closing)
      } catch (error) {
        if (closing.aborted || !(error instanceof ControllerError)) throw error
        const again = error.code === 'unavailable' || (PASSING.includes(error.code) && tries < TRIES_MAX)
        if (!again) throw error
        await backoff.wait(context.signal, closing)
      }
    }
  })
}
