/** How a command ends. */
import { DiskError, NetworkError } from '../base/host.ts'
import type { ErrorCode } from '../client/errors.ts'
import type { ControllerErrorCode } from '../protocol/controller/service.ts'

export const Exit = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  /** A bug in Millrace: what a user does cannot lead there. */
  bug: 70,
} as const

/** A command that cannot go on, with the sentence that says why. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exit: number

  constructor(exit: number, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.exit = exit
  }
}

const CLIENT_EXITS: Readonly<Record<ErrorCode, number>> = {
  'invalid-argument': Exit.usage,
  'invalid-value': Exit.failed,
  encode: Exit.failed,
  decode: Exit.failed,
  'event-too-large': Exit.failed,
  'stream-not-found': Exit.notFound,
  'stream-sealed': Exit.failed,
  'segment-not-open': Exit.failed,
  'txn-aborted': Exit.failed,
  'txn-committed': Exit.failed,
  'txn-not-found': Exit.notFound,
  'group-not-found': Exit.notFound,
  'group-mismatch': Exit.failed,
  'reader-replaced': Exit.failed,
  'not-retained': Exit.failed,
  'disk-full': Exit.failed,
  'data-loss': Exit.failed,
  locked: Exit.failed,
  unavailable: Exit.unreachable,
  unauthorized: Exit.failed,
  unsupported: Exit.failed,
  'unknown-outcome': Exit.failed,
  closed: Exit.failed,
  internal: Exit.bug,
}

const CONTROLLER_EXITS: Readonly<Record<ControllerErrorCode, number>> = {
  cancelled: Exit.failed,
  unknown: Exit.failed,
  'invalid-argument': Exit.usage,
  'deadline-exceeded': Exit.failed,
  'not-found': Exit.notFound,
  'already-exists': Exit.failed,
  'permission-denied': Exit.failed,
  'resource-exhausted': Exit.failed,
  'failed-precondition': Exit.failed,
  aborted: Exit.failed,
  'out-of-range': Exit.failed,
  unimplemented: Exit.failed,
  internal: Exit.bug,
  unavailable: Exit.unreachable,
  'data-loss': Exit.failed,
  unauthenticated: Exit.failed,
}

/**
 * The status for an error, and what to say of it. Errors of parts that not every command loads are told by their names, so
 * that they need not be loaded to fail.
 */
export function explain(error: unknown): { exit: number; message: string } {
  const exit = exitOf(error)
  if (exit !== Exit.bug && error instanceof Error) return { exit, message: error.message }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { exit: Exit.bug, message: `This is a bug in Millrace; please report it.\n${detail}` }
}

function exitOf(error: unknown): number {
  if (error instanceof CommandError) return error.exit
  if (error instanceof NetworkError || error instanceof DiskError) return Exit.failed
  if (!(error instanceof Error)) return Exit.bug
  switch (error.name) {
    case 'ConfigError':
      return Exit.usage
    case 'LogError':
      return Exit.failed
    case 'MillraceError':
      return CLIENT_EXITS[codeOf(error) as ErrorCode] ?? Exit.bug
    case 'ControllerError':
      return CONTROLLER_EXITS[codeOf(error) as ControllerErrorCode] ?? Exit.bug
    default:
      return Exit.bug
  }
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
