/**
 * Request ids travel as eight opaque characters, one a byte, so that those of others are echoed without looking at them. Ids
 * of our own count upward.
 */
import { assert } from '../../base/assert.ts'
import { readSafeInt64, writeSafeInt64 } from '../../base/bytes.ts'

const scratch = Buffer.alloc(8)

export function requestIdOf(sequence: number): string {
  assert(Number.isSafeInteger(sequence), `No sequence number: ${sequence}`)
  writeSafeInt64(scratch, sequence, 0)
  return scratch.toString('latin1', 0, 8)
}

/** Undefined for an id that `requestIdOf` cannot have made. */
export function sequenceOf(requestId: string): number | undefined {
  if (requestId.length !== 8) return undefined
  scratch.write(requestId, 0, 8, 'latin1')
  return readSafeInt64(scratch, 0)
}
