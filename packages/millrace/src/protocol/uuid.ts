/**
 * UUIDs are sixteen opaque latin1 characters, one a byte: they serve as keys of maps as they are, and are written without
 * parsing. Their usual text is for people and for the controller's messages.
 */
import { assert } from '../base/assert.ts'
import { writeSafeInt64 } from '../base/bytes.ts'
import type { Random } from '../base/host.ts'
import { ProtocolError } from './protocol-error.ts'

const TEXT = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export const UUID_ZERO: string = '\0'.repeat(16)

/** As in `7df9a874-246c-c9d6-9397-cdd19ead68c5`. */
export function showUuid(uuid: string): string {
  const hex = uuidHex(uuid)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The 32 hexadecimal digits that stand in the names of segments. */
export function uuidHex(uuid: string): string {
  assert(uuid.length === 16, 'A UUID has sixteen characters')
  return Buffer.from(uuid, 'latin1').toString('hex')
}

export function parseUuid(text: string): string {
  if (!TEXT.test(text)) throw new ProtocolError('malformed', `No UUID: ${text.slice(0, 60)}`)
  return Buffer.from(text.replaceAll('-', ''), 'hex').toString('latin1')
}

/** A UUID of random bits (version 4). */
export function randomUuid(random: Random): string {
  const bytes = random.bytes(16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('latin1')
}

/** From Java's two longs. */
export function uuidOfLongs(high: number | bigint, low: number | bigint): string {
  const bytes = Buffer.alloc(16)
  for (const [index, half] of [high, low].entries()) {
    if (typeof half === 'bigint') bytes.writeBigInt64BE(half, index * 8)
    else writeSafeInt64(bytes, half, index * 8)
  }
  return bytes.toString('latin1')
}

/** As Java's two longs. */
export function longsOfUuid(uuid: string): { high: bigint; low: bigint } {
  assert(uuid.length === 16, 'A UUID has sixteen characters')
  const bytes = Buffer.from(uuid, 'latin1')
  return { high: bytes.readBigInt64BE(0), low: bytes.readBigInt64BE(8) }
}
