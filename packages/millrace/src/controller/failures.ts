/** What goes wrong beneath the controller, in the terms that its callers know. */
import { SegmentError, type SegmentErrorCode } from '../client/segment-calls.ts'
import { ControllerError, type ControllerErrorCode } from '../protocol/controller/service.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { NoTableError } from './records.ts'

/**
 * Clients try again for minutes what may pass by itself, and give up at once on the rest. Codes that the controller handles
 * where it makes the call are not expected here.
 */
const CODES: Readonly<Record<SegmentErrorCode, ControllerErrorCode>> = {
  closed: 'unavailable',
  'unknown-outcome': 'unavailable',
  'disk-full': 'resource-exhausted',
  'data-loss': 'data-loss',
  unauthorized: 'permission-denied',
  internal: 'internal',
  'no-such-segment': 'internal',
  sealed: 'internal',
  truncated: 'internal',
  'bad-key-version': 'internal',
  'no-such-key': 'internal',
  'not-empty': 'internal',
  invalid: 'internal',
  unsupported: 'internal',
}

/** Errors of other kinds are bugs, and stay what they are. */
export function toControllerError(error: unknown): unknown {
  if (error instanceof SegmentError)
    return new ControllerError(
      CODES[error.code],
      `The segment store did not serve '${error.segment}': ${error.message}`,
      { cause: error },
    )
  if (error instanceof ProtocolError)
    return new ControllerError('invalid-argument', error.message, { cause: error })
  if (error instanceof NoTableError)
    return new ControllerError('not-found', 'The scope was deleted meanwhile', { cause: error })
  return error
}
