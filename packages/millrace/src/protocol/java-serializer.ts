/**
 * The format of objects that Pravega's clients store and pass on (its VersionedSerializer):
 *
 *     0 | type, where several types are possible | version | number of revisions |
 *         for each revision: its number, int32 length, fields
 *
 * A revision adds fields behind those of the one before. Readers skip revisions they do not know, and writers write all of them,
 * so that old and new clients can share what they store. An object that is part of another is written the same way.
 */
import { assert } from '../base/assert.ts'
import type { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { Long } from './wire/commands.ts'

const FORMAT = 0
const TWO_32 = 2 ** 32
const COMPACT_INT_MAX = 2 ** 30 - 2

/** The largest compact long. */
export const COMPACT_LONG_MAX: bigint = 2n ** 62n - 2n

export interface VersionedHead {
  /** Undefined where the place says what it is. */
  readonly typeId?: number
  readonly version: number
}

export type WriteRevision = (writer: ByteWriter) => void

export function writeVersioned(
  writer: ByteWriter,
  { typeId, version }: VersionedHead,
  revisions: readonly WriteRevision[],
): void {
  writer.uint8(FORMAT)
  if (typeId !== undefined) writer.uint8(typeId)
  writer.uint8(version)
  writer.uint8(revisions.length)
  for (const [number, write] of revisions.entries()) {
    writer.uint8(number)
    const lengthAt = writer.position
    writer.int32(0)
    write(writer)
    writer.setInt32(writer.position - lengthAt - 4, lengthAt)
  }
}

export function encodeVersioned(head: VersionedHead, revisions: readonly WriteRevision[]): Buffer {
  const writer = new ByteWriter()
  writeVersioned(writer, head, revisions)
  return writer.written
}

/** The fields of each revision that is there; at least of the first one. */
export interface Versioned {
  readonly version: number
  readonly first: ByteReader
  readonly second: ByteReader | undefined
  readonly third: ByteReader | undefined
}

/** An object of one of `versions`. `subject` says what it is, for the messages of errors. */
export function readVersioned(reader: ByteReader, subject: string, versions: readonly number[]): Versioned {
  checkFormat(reader)
  return readRevisions(reader, subject, versions)
}

/** The type of an object that may be of several; `readRevisions` continues. */
export function readTypeId(reader: ByteReader): number {
  checkFormat(reader)
  return reader.uint8()
}

export function readRevisions(reader: ByteReader, subject: string, versions: readonly number[]): Versioned {
  const version = reader.uint8()
  if (!versions.includes(version)) reader.fail(`is of version ${version}, known: ${versions.join(', ')}`)
  const count = reader.int8()
  if (count < 1) reader.fail(`has ${count} revisions`)
  const revisions: ByteReader[] = []
  for (let expected = 0; expected < count; expected++) {
    const number = reader.uint8()
    const length = reader.int32()
    const fields = reader.nested(length, subject)
    if (expected >= 3) continue
    if (number !== expected) reader.fail(`has revision ${number} where ${expected} must be`)
    revisions.push(fields)
  }
  const [first, second, third] = revisions
  assert(first !== undefined, 'There is at least one revision')
  return { version, first, second, third }
}

function checkFormat(reader: ByteReader): void {
  const format = reader.uint8()
  if (format !== FORMAT) reader.fail(`is of format ${format}, known: ${FORMAT}`)
}

/** From 0 to 2^30 - 2 in one, two or four bytes. */
export function writeCompactInt(writer: ByteWriter, value: number): void {
  assert(Number.isInteger(value) && value >= 0 && value <= COMPACT_INT_MAX, `No compact int: ${value}`)
  if (value > 0x3fff) writer.uint32(0xc000_0000 + value)
  else if (value > 0x7f) writer.uint16(0x8000 + value)
  else writer.uint8(value)
}

export function readCompactInt(reader: ByteReader): number {
  const first = reader.uint8()
  if (first < 0x80) return first
  const high = first & 0x3f
  if (first < 0xc0) return high * 0x100 + reader.uint8()
  return high * 0x100_0000 + reader.uint8() * 0x1_0000 + reader.uint16()
}

/** From 0 to 2^62 - 2 in one, two, four or eight bytes. */
export function writeCompactLong(writer: ByteWriter, value: Long): void {
  assert(value >= 0 && value <= COMPACT_LONG_MAX, `No compact long: ${value}`)
  writeCompact(writer, value, { bits: 6, flags: 0 })
}

export function readCompactLong(reader: ByteReader): Long {
  const first = reader.uint8()
  return readCompact(reader, first & 0x3f, first >> 6)
}

/** From -2^61 + 1 to 2^61 - 2. */
export function writeCompactSignedLong(writer: ByteWriter, value: number): void {
  assert(Number.isSafeInteger(value), `No safe integer: ${value}`)
  const negative = value < 0
  writeCompact(writer, negative ? -value - 1 : value, { bits: 5, flags: negative ? 0x80 : 0 })
}

/** One that must be a safe integer. */
export function readCompactSignedLong(reader: ByteReader): number {
  const first = reader.uint8()
  const value = checkSafe(reader, readCompact(reader, first & 0x1f, (first >> 5) & 0x3))
  return first < 0x80 ? value : -value - 1
}

/** A compact long that must be a safe integer. */
export function readCompactOffset(reader: ByteReader): number {
  return checkSafe(reader, readCompactLong(reader))
}

function checkSafe(reader: ByteReader, value: Long): number {
  if (typeof value === 'bigint') reader.fail(`holds ${value}, which is outside of ±2^53`)
  return value
}

/** The first byte holds `flags`, then two bits that tell the length, then the first `bits` of the value. */
function writeCompact(
  writer: ByteWriter,
  value: Long,
  { bits, flags }: { bits: number; flags: number },
): void {
  const lengthOf = (code: number): number => flags + code * 2 ** bits
  if (value < 2 ** bits) {
    writer.uint8(lengthOf(0) + Number(value))
  } else if (value < 2 ** (bits + 8)) {
    writer.uint16(lengthOf(1) * 2 ** 8 + Number(value))
  } else if (value < 2 ** (bits + 24)) {
    writer.uint32(lengthOf(2) * 2 ** 24 + Number(value))
  } else {
    const high = typeof value === 'bigint' ? Number(value >> 32n) : Math.floor(value / TWO_32)
    const low = typeof value === 'bigint' ? Number(value & 0xffff_ffffn) : value % TWO_32
    writer.uint32(lengthOf(3) * 2 ** 24 + high)
    writer.uint32(low)
  }
}

function readCompact(reader: ByteReader, high: number, length: number): Long {
  if (length === 0) return high
  if (length === 1) return high * 2 ** 8 + reader.uint8()
  const upper = high * 2 ** 24 + reader.uint8() * 2 ** 16 + reader.uint16()
  if (length === 2) return upper
  const lower = reader.int32() >>> 0
  const value = upper * TWO_32 + lower
  return Number.isSafeInteger(value) ? value : (BigInt(upper) << 32n) | BigInt(lower)
}

export function writeList<T>(
  writer: ByteWriter,
  values: { readonly length: number } & Iterable<T>,
  write: (writer: ByteWriter, value: T) => void,
): void {
  writeCompactInt(writer, values.length)
  for (const value of values) write(writer, value)
}

export function readList<T>(reader: ByteReader, read: (reader: ByteReader) => T): T[] {
  const values: T[] = []
  for (let left = reader.checkedCount(readCompactInt(reader), 1); left > 0; left--) values.push(read(reader))
  return values
}

/** In the order of the map; readers must not depend on it. */
export function writeMap<K, V>(
  writer: ByteWriter,
  map: ReadonlyMap<K, V>,
  writeKey: (writer: ByteWriter, key: K) => void,
  writeValue: (writer: ByteWriter, value: V) => void,
): void {
  writeCompactInt(writer, map.size)
  for (const [key, value] of map) {
    writeKey(writer, key)
    writeValue(writer, value)
  }
}

export function readMap<K, V>(
  reader: ByteReader,
  readKey: (reader: ByteReader) => K,
  readValue: (reader: ByteReader) => V,
): Map<K, V> {
  const map = new Map<K, V>()
  for (let left = reader.checkedCount(readCompactInt(reader), 2); left > 0; left--) {
    const key = readKey(reader)
    map.set(key, readValue(reader))
  }
  return map
}

export function writeSizedBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writeCompactInt(writer, bytes.length)
  writer.bytes(bytes)
}

export function readSizedBytes(reader: ByteReader): Buffer {
  return reader.bytes(readCompactInt(reader))
}

export function writeText(writer: ByteWriter, text: string): void {
  writer.string(text)
}

export function readText(reader: ByteReader): string {
  return reader.string()
}

export function writeOffset(writer: ByteWriter, offset: number): void {
  writer.long(offset)
}

export function readOffset(reader: ByteReader): number {
  return reader.safeLong()
}
