/** What a store's replies that are not the hoped-for one mean to a caller. */
import { SegmentError } from './segment-calls.ts'
import type { Reply } from './store-connection.ts'

type Failures = {
  readonly [K in Reply['kind']]?: (reply: Extract<Reply, { kind: K }>, segment: string) => SegmentError
}

const FAILURES: Failures = {
  'no-such-segment': (_, segment) =>
    new SegmentError('no-such-segment', segment, `There is no segment ${segment}`),
  'segment-is-sealed': (_, segment) => new SegmentError('sealed', segment, `${segment} is sealed`),
  'segment-is-truncated': ({ startOffset }, segment) =>
    new SegmentError('truncated', segment, `${segment} starts at ${startOffset}`, { startOffset }),
  'table-key-bad-version': (_, segment) =>
    new SegmentError('bad-key-version', segment, `A key of ${segment} has another version`),
  'table-key-does-not-exist': (_, segment) =>
    new SegmentError('no-such-key', segment, `A key of ${segment} does not exist`),
  'table-segment-not-empty': (_, segment) =>
    new SegmentError('not-empty', segment, `${segment} is not empty`),
  'operation-unsupported': ({ operationName }, segment) =>
    new SegmentError('unsupported', segment, `The store of ${segment} cannot do this: ${operationName}`),
  'auth-token-check-failed': (_, segment) =>
    new SegmentError('unauthorized', segment, `The store of ${segment} refuses this client's token`),
  'error-message': ({ message, errorCode }, segment) => messageFailure(message, errorCode, segment),
}

/** Failures that our store tells by the first word of an `error-message`, which has no code for them. */
const MESSAGE_CODES = ['disk-full', 'data-loss'] as const

/** The reply as an error. One that has no business here is an error, too. */
export function failureOf(reply: Reply, segment: string): SegmentError {
  // The type of the table ties each function to its kind, which the compiler cannot follow through a lookup.
  const failure = FAILURES[reply.kind] as ((reply: Reply, segment: string) => SegmentError) | undefined
  if (failure !== undefined) return failure(reply, segment)
  return new SegmentError('internal', segment, `The store of ${segment} answered with ${reply.kind}`)
}

function messageFailure(message: string, errorCode: number, segment: string): SegmentError {
  for (const code of MESSAGE_CODES) {
    if (message.startsWith(`${code}:`))
      return new SegmentError(code, segment, `${segment}: ${message.slice(code.length + 1).trim()}`)
  }
  return new SegmentError(errorCode === 0 ? 'invalid' : 'internal', segment, `${segment}: ${message}`)
}
