/** How Java's DataOutput writes what is not a plain number. Each function returns the position behind what it wrote. */
import { assert } from '../base/assert.ts'
import { writeSafeInt64 } from '../base/bytes.ts'
import { modifiedUtf8Length, writeModifiedUtf8 } from './modified-utf8.ts'
import { ProtocolError } from './protocol-error.ts'
import type { Long } from './wire/commands.ts'

const STRING_BYTES_MAX = 0xffff

export function writeLong(target: Buffer, position: number, value: Long): number {
  if (typeof value === 'bigint') return target.writeBigInt64BE(value, position)
  assert(Number.isSafeInteger(value), `A long is a bigint outside of the safe range: ${value}`)
  return writeSafeInt64(target, value, position)
}

/** Eight bytes as characters. */
export function writeId64(target: Buffer, position: number, id: string): number {
  assert(id.length === 8, 'A request id has eight characters')
  return position + target.write(id, position, 8, 'latin1')
}

/** Sixteen bytes as characters. */
export function writeUuid(target: Buffer, position: number, uuid: string): number {
  assert(uuid.length === 16, 'A UUID has sixteen characters')
  return position + target.write(uuid, position, 16, 'latin1')
}

/** What `writeString` takes, its length included. A text that is too long for one is a `too-large` `ProtocolError`. */
export function stringSize(text: string): number {
  const length = modifiedUtf8Length(text)
  if (length <= STRING_BYTES_MAX) return 2 + length
  throw new ProtocolError(
    'too-large',
    `A string of ${length} bytes, at most ${STRING_BYTES_MAX} are possible: ${text.slice(0, 60)}…`,
  )
}

export function writeString(target: Buffer, position: number, text: string): number {
  const length = modifiedUtf8Length(text)
  return writeModifiedUtf8(target, text, target.writeUInt16BE(length, position), length)
}
