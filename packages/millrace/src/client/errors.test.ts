import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { NetworkError } from '../base/host.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import {
  asMillraceError,
  decodeFailed,
  encodeFailed,
  ERROR_CODES,
  type ErrorCode,
  eventTooLarge,
  groupMismatch,
  groupNotFound,
  invalidArgument,
  invalidValue,
  isMillraceError,
  MillraceError,
  readerReplaced,
  segmentNotOpen,
  storeClosed,
  streamNotFound,
  streamSealed,
  txnAborted,
  txnCommitted,
  txnNotFound,
  txnOutcomeUnknown,
} from './errors.ts'
import { SegmentError } from './segment-calls.ts'
import { IncompatibleStoreError } from './store-connection.ts'

const S = 'shop/orders'
const SEGMENT = 'shop/orders/0.#epoch.0'
const T = { stream: S, transaction: '00000002-1111-2222-3333-444444444444' }

function fromSegment(code: SegmentError['code'], message: string): unknown {
  return asMillraceError(new SegmentError(code, SEGMENT, message), S)
}

/** One of each code, as a program may meet it. */
const EXAMPLES: Readonly<Record<ErrorCode, unknown>> = {
  'invalid-argument': invalidArgument("A stream is named scope/stream, not 'a/b/c'"),
  'invalid-value': invalidValue(S, [
    { message: 'Expected number', path: ['lines', 2, 'total'] },
    { message: 'Expected string', path: [] },
    { message: 'Too short', path: ['id'] },
    { message: 'Too long', path: ['id'] },
  ]),
  encode: encodeFailed(S, 'JSON has no undefined'),
  decode: decodeFailed(S, `${SEGMENT}:9-11`, new SyntaxError('Unexpected token')),
  'event-too-large': eventTooLarge(S, 9_000_000),
  'stream-not-found': streamNotFound(S),
  'stream-sealed': streamSealed(S),
  'segment-not-open': segmentNotOpen(S, '1.#epoch.0'),
  'not-retained': fromSegment('truncated', `${SEGMENT} starts at 100`),
  'txn-aborted': txnAborted(T),
  'txn-committed': txnCommitted(T),
  'txn-not-found': txnNotFound(T),
  'group-not-found': groupNotFound('shop/billing'),
  'group-mismatch': groupMismatch('shop/billing', S, ['shop/returns', 'shop/refunds']),
  'reader-replaced': readerReplaced('shop/billing', 'anna'),
  locked: new MillraceError('locked', '/data is in use by process 7'),
  'disk-full': fromSegment('disk-full', `${SEGMENT}: the volume has no room`),
  'data-loss': fromSegment('data-loss', `${SEGMENT}: block 7 is damaged`),
  unavailable: asMillraceError(new NetworkError('refused', 'Cannot connect to a:1: nobody listens there'), S),
  unauthorized: asMillraceError(new ControllerError('permission-denied', 'No token'), S),
  unsupported: asMillraceError(new ControllerError('unimplemented', 'Scaling is not there yet'), S),
  'unknown-outcome': fromSegment('unknown-outcome', 'The connection broke'),
  closed: storeClosed(),
  internal: asMillraceError(new ControllerError('internal', 'A record has an unknown version'), S),
}

const SNAPSHOT: Readonly<Record<ErrorCode, readonly [retryable: boolean, message: string]>> = {
  'invalid-argument': [false, "A stream is named scope/stream, not 'a/b/c'"],
  'invalid-value': [
    false,
    'The schema of shop/orders does not take this value: lines.2.total: Expected number; Expected string; id: Too short; 1 more',
  ],
  encode: [false, 'A value for shop/orders cannot be encoded: JSON has no undefined'],
  decode: [false, 'The event at shop/orders/0.#epoch.0:9-11 cannot be decoded: Unexpected token'],
  'event-too-large': [false, 'An event for shop/orders has 9000000 bytes, at most 8388608 are possible'],
  'stream-not-found': [false, 'There is no stream shop/orders'],
  'stream-sealed': [false, 'shop/orders is sealed and takes no more events'],
  'segment-not-open': [false, 'shop/orders has no open segment 1.#epoch.0 now'],
  'not-retained': [false, 'shop/orders/0.#epoch.0 starts at 100'],
  'txn-aborted': [false, `The transaction ${T.transaction} of shop/orders was aborted`],
  'txn-committed': [
    false,
    `The transaction ${T.transaction} of shop/orders was committed, or is about to be`,
  ],
  'txn-not-found': [false, `shop/orders knows no transaction ${T.transaction}`],
  'group-not-found': [false, 'There is no reader group shop/billing'],
  'group-mismatch': [
    false,
    'The reader group shop/billing reads shop/returns, shop/refunds, not shop/orders alone',
  ],
  'reader-replaced': [
    false,
    'Another reader of the group shop/billing has taken the place of this one, by its id anna',
  ],
  locked: [true, '/data is in use by process 7'],
  'disk-full': [true, 'shop/orders/0.#epoch.0: the volume has no room'],
  'data-loss': [false, 'shop/orders/0.#epoch.0: block 7 is damaged'],
  unavailable: [true, 'Cannot connect to a:1: nobody listens there'],
  unauthorized: [false, 'No token'],
  unsupported: [false, 'Scaling is not there yet'],
  'unknown-outcome': [false, 'The connection broke'],
  closed: [false, 'The store was closed'],
  internal: [false, 'A record has an unknown version'],
}

test('every code with its message', () => {
  for (const code of ERROR_CODES) {
    const error = EXAMPLES[code]
    ok(error instanceof MillraceError)
    strictEqual(error.code, code)
    deepStrictEqual([error.retryable, error.message], SNAPSHOT[code])
  }
})

test('what failed is named in fields, too', () => {
  const unknown = txnOutcomeUnknown(T, new Error('The connection broke'))
  deepStrictEqual([unknown.code, unknown.transaction, unknown.stream], ['unknown-outcome', T.transaction, S])
  const issues = [{ message: 'Expected number', path: ['total'] }]
  const undecodable = decodeFailed(S, `${SEGMENT}:9-11`, invalidValue(S, issues))
  deepStrictEqual([undecodable.pointer, undecodable.issues], [`${SEGMENT}:9-11`, issues])
})

test('every code has its section in the documentation, and nothing else has one', () => {
  const page = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8')
  const sections = [...page.matchAll(/^## (.+)$/gm)].map((match) => match[1])
  deepStrictEqual(sections, [...ERROR_CODES])
})

test('failures of the layers below are told as what they mean for the stream', () => {
  const codeOf = (error: unknown): ErrorCode | undefined => (isMillraceError(error) ? error.code : undefined)
  strictEqual(codeOf(fromSegment('no-such-segment', 'x')), 'stream-not-found')
  strictEqual(codeOf(fromSegment('sealed', 'x')), 'stream-sealed')
  strictEqual(codeOf(fromSegment('bad-key-version', 'x')), 'internal')
  strictEqual(codeOf(asMillraceError(new ControllerError('not-found', 'x'), S)), 'stream-not-found')
  strictEqual(codeOf(asMillraceError(new ControllerError('aborted', 'x'), S)), 'internal')
  strictEqual(codeOf(asMillraceError(new IncompatibleStoreError('x'), S)), 'unsupported')
  strictEqual(codeOf(asMillraceError(new NetworkError('closed', 'x'), S)), 'closed')
  const reason = new Error('the reason of a signal')
  strictEqual(asMillraceError(reason, S), reason)
})

test('an error of another copy of the package is recognised', () => {
  const foreign = new Error('x')
  foreign.name = 'MillraceError'
  ok(isMillraceError(foreign))
  ok(!isMillraceError(new Error('x')))
  ok(!isMillraceError('MillraceError'))
})
