import { AssertionError } from '../../base/assert.ts'
import { DiskError } from '../../base/host.ts'
import { LogError } from './durable-log.ts'

/** What ended a piece of the log's work, as its users get it. */
export function asLogError(error: unknown): LogError {
  if (error instanceof LogError) return error
  if (error instanceof DiskError) {
    const code = error.code === 'full' ? 'full' : 'io'
    return new LogError(code, error.message, { path: error.path, cause: error })
  }
  const reason = error instanceof Error ? error.message : String(error)
  const kind = error instanceof AssertionError ? 'an invariant is broken' : 'an error nobody expected'
  return new LogError('io', `The log has stopped, ${kind}: ${reason}`, { cause: error })
}

export function isFull(error: unknown): boolean {
  return error instanceof DiskError && error.code === 'full'
}
