/** What a client is told when something was refused. */
import { LONG_MIN, type AnyMessage, type Long } from '../../protocol/wire/commands.ts'
import type { Rejection } from '../container-state.ts'
import type { LogError } from '../log/durable-log.ts'
import { unreachable } from '../../base/assert.ts'

/** For error-message: the client did something illegal, or nothing is said. */
const ILLEGAL_ARGUMENT = 0
const UNSPECIFIED = -1

/**
 * The reply to a request other than an append. `offset` is what a read asked for: clients match its replies by segment and
 * offset, also when it failed.
 */
export function rejectionReply(rejection: Rejection, requestId: string, offset: Long = -1): AnyMessage {
  const { segment } = rejection
  const serverStackTrace = ''
  switch (rejection.code) {
    case 'no-such-segment':
      return { kind: 'no-such-segment', requestId, segment, serverStackTrace, offset }
    case 'exists':
      return { kind: 'segment-already-exists', requestId, segment, serverStackTrace }
    case 'sealed':
      return { kind: 'segment-is-sealed', requestId, segment, serverStackTrace, offset }
    case 'truncated':
      return {
        kind: 'segment-is-truncated',
        requestId,
        segment,
        startOffset: rejection.startOffset,
        serverStackTrace,
        offset,
      }
    case 'table-offset':
      return {
        kind: 'segment-is-truncated',
        requestId,
        segment,
        startOffset: rejection.length,
        serverStackTrace,
        offset,
      }
    case 'key-version':
      return { kind: 'table-key-bad-version', requestId, segment, serverStackTrace }
    case 'no-such-key':
      return { kind: 'table-key-does-not-exist', requestId, segment, serverStackTrace }
    case 'not-empty':
      return { kind: 'table-segment-not-empty', requestId, segment, serverStackTrace }
    case 'attribute':
      return { kind: 'segment-attribute-updated', requestId, success: false }
    case 'event-number':
    case 'wrong-offset':
      return errorMessage(requestId, segment, `An append was refused: ${rejection.code}`)
    case 'invalid':
      return errorMessage(requestId, segment, rejection.reason)
    default:
      return unreachable(rejection)
  }
}

export function errorMessage(
  requestId: string,
  segment: string,
  message: string,
  errorCode: number = ILLEGAL_ARGUMENT,
): AnyMessage {
  return { kind: 'error-message', requestId, segment, message, errorCode }
}

/**
 * What is damaged stays damaged, so the client is told instead of being cut off and coming back. Our own client knows the
 * words before the colon.
 */
export function damageReply(failure: LogError, requestId: string, segment: string): AnyMessage {
  return errorMessage(requestId, segment, `data-loss: ${failure.message}`, UNSPECIFIED)
}

export function fullReply(requestId: string, segment: string): AnyMessage {
  return errorMessage(
    requestId,
    segment,
    'disk-full: the disk of the store is full; free space on its volume',
    UNSPECIFIED,
  )
}

/** Attributes that are not set. */
export const NULL_ATTRIBUTE: Long = LONG_MIN
