/**
 * The one error that programs see. Callers tell failures apart by `code`; every code has a section in docs/errors.md, and a test
 * keeps both lists and the messages together.
 */
import { NetworkError } from '../base/host.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import { EVENT_BYTES_MAX } from './event-queue.ts'
import { SegmentError } from './segment-calls.ts'
import { IncompatibleStoreError } from './store-connection.ts'

/** Whether the same call may succeed later, nothing else having changed. */
const RETRYABLE = {
  'invalid-argument': false,
  'invalid-value': false,
  encode: false,
  decode: false,
  'event-too-large': false,
  'stream-not-found': false,
  'stream-sealed': false,
  'segment-not-open': false,
  'not-retained': false,
  'txn-aborted': false,
  'txn-committed': false,
  'txn-not-found': false,
  'group-not-found': false,
  'group-mismatch': false,
  'reader-replaced': false,
  locked: true,
  'disk-full': true,
  'data-loss': false,
  unavailable: true,
  unauthorized: false,
  unsupported: false,
  'unknown-outcome': false,
  closed: false,
  internal: false,
} as const

export type ErrorCode = keyof typeof RETRYABLE

export const ERROR_CODES: readonly ErrorCode[] = Object.keys(RETRYABLE) as ErrorCode[]

/** One thing that a schema found wrong with a value. */
export interface ValueIssue {
  readonly message: string
  /** To the place in the value; empty if it is the value as a whole. */
  readonly path: readonly (string | number)[]
}

export interface ErrorDetails {
  /** The stream in question, `scope/stream`. */
  readonly stream?: string | undefined
  /** The reader group in question, `scope/group`. */
  readonly group?: string | undefined
  /** The transaction in question, as `transaction.id`. */
  readonly transaction?: string | undefined
  /** The event in question, as `event.pointer`. */
  readonly pointer?: string | undefined
  /** What the schema found wrong with a value. */
  readonly issues?: readonly ValueIssue[] | undefined
  /** The limit that was passed. */
  readonly bytesMax?: number | undefined
  readonly cause?: unknown
}

export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  readonly code: ErrorCode
  readonly retryable: boolean
  // Declared only: what an error does not have does not show when it is printed.
  declare readonly stream?: string
  declare readonly group?: string
  declare readonly transaction?: string
  declare readonly pointer?: string
  declare readonly issues?: readonly ValueIssue[]
  declare readonly bytesMax?: number

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.retryable = RETRYABLE[code]
    if (details.stream !== undefined) this.stream = details.stream
    if (details.group !== undefined) this.group = details.group
    if (details.transaction !== undefined) this.transaction = details.transaction
    if (details.pointer !== undefined) this.pointer = details.pointer
    if (details.issues !== undefined) this.issues = details.issues
    if (details.bytesMax !== undefined) this.bytesMax = details.bytesMax
  }
}

/** Also of one that another copy of this package has made. */
export function isMillraceError(error: unknown): error is MillraceError {
  return error instanceof MillraceError || (error instanceof Error && error.name === 'MillraceError')
}

export function invalidArgument(problem: string, cause?: unknown): MillraceError {
  return new MillraceError('invalid-argument', problem, { cause })
}

/** The schema of a stream does not take a value. There is an issue at least. */
export function invalidValue(stream: string, issues: readonly ValueIssue[], cause?: unknown): MillraceError {
  const problem = `The schema of ${stream} does not take this value: ${showIssues(issues)}`
  return new MillraceError('invalid-value', problem, { stream, issues, cause })
}

/** So many are told in a message; all of them are in `issues`. */
const ISSUES_SHOWN = 3

function showIssues(issues: readonly ValueIssue[]): string {
  const shown = issues
    .slice(0, ISSUES_SHOWN)
    .map(({ message, path }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
  if (issues.length > ISSUES_SHOWN) shown.push(`${issues.length - ISSUES_SHOWN} more`)
  return shown.join('; ')
}

export function encodeFailed(stream: string, problem: string, cause?: unknown): MillraceError {
  return new MillraceError('encode', `A value for ${stream} cannot be encoded: ${problem}`, { stream, cause })
}

export function decodeFailed(stream: string, pointer: string, cause: unknown): MillraceError {
  const problem = cause instanceof Error ? cause.message : String(cause)
  return new MillraceError('decode', `The event at ${pointer} cannot be decoded: ${problem}`, {
    stream,
    pointer,
    issues: cause instanceof MillraceError ? cause.issues : undefined,
    cause,
  })
}

export function eventTooLarge(stream: string, bytes: number): MillraceError {
  return new MillraceError(
    'event-too-large',
    `An event for ${stream} has ${bytes} bytes, at most ${EVENT_BYTES_MAX} are possible`,
    { stream, bytesMax: EVENT_BYTES_MAX },
  )
}

export function streamNotFound(stream: string): MillraceError {
  return new MillraceError('stream-not-found', `There is no stream ${stream}`, { stream })
}

export function streamSealed(stream: string): MillraceError {
  return new MillraceError('stream-sealed', `${stream} is sealed and takes no more events`, { stream })
}

export function segmentNotOpen(stream: string, segment: string): MillraceError {
  return new MillraceError('segment-not-open', `${stream} has no open segment ${segment} now`, { stream })
}

/** A transaction of a stream, by the id that programs know. */
export interface TransactionName {
  readonly stream: string
  readonly transaction: string
}

export function txnAborted({ stream, transaction }: TransactionName): MillraceError {
  const problem = `The transaction ${transaction} of ${stream} was aborted`
  return new MillraceError('txn-aborted', problem, { stream, transaction })
}

export function txnCommitted({ stream, transaction }: TransactionName): MillraceError {
  const problem = `The transaction ${transaction} of ${stream} was committed, or is about to be`
  return new MillraceError('txn-committed', problem, { stream, transaction })
}

export function txnNotFound({ stream, transaction }: TransactionName): MillraceError {
  const problem = `${stream} knows no transaction ${transaction}`
  return new MillraceError('txn-not-found', problem, { stream, transaction })
}

export function txnOutcomeUnknown({ stream, transaction }: TransactionName, cause?: unknown): MillraceError {
  const problem = `The transaction ${transaction} of ${stream} was to be committed, and nobody said whether it is`
  return new MillraceError('unknown-outcome', problem, { stream, transaction, cause })
}

export function groupNotFound(group: string, cause?: unknown): MillraceError {
  return new MillraceError('group-not-found', `There is no reader group ${group}`, { group, cause })
}

export function groupMismatch(group: string, stream: string, streams: readonly string[]): MillraceError {
  const problem = `The reader group ${group} reads ${streams.join(', ')}, not ${stream} alone`
  return new MillraceError('group-mismatch', problem, { group, stream })
}

export function readerReplaced(group: string, reader: string): MillraceError {
  const problem = `Another reader of the group ${group} has taken the place of this one, by its id ${reader}`
  return new MillraceError('reader-replaced', problem, { group })
}

export function storeClosed(cause?: unknown): MillraceError {
  return new MillraceError('closed', 'The store was closed', { cause })
}

/** A failure of the layers below as one that a program sees. Reasons of signals and errors of the program pass as they are. */
export function asMillraceError(error: unknown, stream: string): unknown {
  if (error instanceof SegmentError) return fromSegmentError(error, stream)
  if (error instanceof ControllerError) return fromControllerError(error, stream)
  if (error instanceof IncompatibleStoreError)
    return new MillraceError('unsupported', error.message, { stream, cause: error })
  if (error instanceof NetworkError)
    return error.code === 'closed'
      ? storeClosed(error)
      : new MillraceError('unavailable', error.message, { stream, cause: error })
  return error
}

const SEGMENT_CODES: Readonly<Record<SegmentError['code'], ErrorCode>> = {
  'no-such-segment': 'stream-not-found',
  sealed: 'stream-sealed',
  truncated: 'not-retained',
  'bad-key-version': 'internal',
  'no-such-key': 'internal',
  'not-empty': 'internal',
  invalid: 'internal',
  internal: 'internal',
  unsupported: 'unsupported',
  unauthorized: 'unauthorized',
  'disk-full': 'disk-full',
  'data-loss': 'data-loss',
  'unknown-outcome': 'unknown-outcome',
  closed: 'closed',
}

function fromSegmentError(error: SegmentError, stream: string): MillraceError {
  const code = SEGMENT_CODES[error.code]
  if (code === 'stream-not-found') return streamNotFound(stream)
  return new MillraceError(code, error.message, { stream, cause: error })
}

const CONTROLLER_CODES: Readonly<Partial<Record<ControllerError['code'], ErrorCode>>> = {
  'invalid-argument': 'invalid-argument',
  'not-found': 'stream-not-found',
  'permission-denied': 'unauthorized',
  unauthenticated: 'unauthorized',
  unimplemented: 'unsupported',
  unavailable: 'unavailable',
  'resource-exhausted': 'disk-full',
  'data-loss': 'data-loss',
}

function fromControllerError(error: ControllerError, stream: string): MillraceError {
  const code = CONTROLLER_CODES[error.code] ?? 'internal'
  if (code === 'stream-not-found') return streamNotFound(stream)
  return new MillraceError(code, error.message, { stream, cause: error })
}
