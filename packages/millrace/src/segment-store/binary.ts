/** Our own compact encoding: of operations in the log, of checkpoints, of the identity of a store. Big-endian throughout. */
import { writeSafeInt64, readSafeInt64 } from '../base/bytes.ts'
import type { Long } from '../protocol/wire/commands.ts'

const LENGTH_FIRST = 1024

/** Bytes that are not what this code writes; whoever read them says where they were. */
export class FormatError extends Error {
  override readonly name = 'FormatError'
}

export class BinaryWriter {
  #buffer: Buffer
  #length = 0

  constructor(capacity: number = LENGTH_FIRST) {
    this.#buffer = Buffer.allocUnsafe(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** What was written; the writer may not be used after that. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  uint32(value: number): void {
    this.#reserve(4)
    this.#length = this.#buffer.writeUInt32BE(value, this.#length)
  }

  int32(value: number): void {
    this.#reserve(4)
    this.#length = this.#buffer.writeInt32BE(value, this.#length)
  }

  /** A safe integer. */
  integer(value: number): void {
    this.#reserve(8)
    this.#length = writeSafeInt64(this.#buffer, value, this.#length)
  }

  long(value: Long): void {
    if (typeof value === 'number') return this.integer(value)
    this.#reserve(8)
    this.#length = this.#buffer.writeBigInt64BE(value, this.#length)
  }

  /** Sixteen latin1 characters. */
  uuid(value: string): void {
    this.#reserve(16)
    this.#length += this.#buffer.write(value, this.#length, 16, 'latin1')
  }

  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.uint32(length)
    this.#reserve(length)
    this.#length += this.#buffer.write(value, this.#length, length)
  }

  bytes(value: Buffer): void {
    this.uint32(value.length)
    this.#reserve(value.length)
    this.#length += value.copy(this.#buffer, this.#length)
  }

  /** Overwrites what was written at `position` before. */
  setUint32(value: number, position: number): void {
    this.#buffer.writeUInt32BE(value, position)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** Throws `FormatError` where the bytes end too early. */
export class BinaryReader {
  readonly #buffer: Buffer
  #position: number

  constructor(buffer: Buffer, position = 0) {
    this.#buffer = buffer
    this.#position = position
  }

  get position(): number {
    return this.#position
  }

  get left(): number {
    return this.#buffer.length - this.#position
  }

  byte(): number {
    return this.#buffer.readUInt8(this.#take(1))
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4))
  }

  integer(): number {
    const value = readSafeInt64(this.#buffer, this.#take(8))
    if (value === undefined) throw new FormatError('A number is beyond 2^53')
    return value
  }

  long(): Long {
    const at = this.#take(8)
    return readSafeInt64(this.#buffer, at) ?? this.#buffer.readBigInt64BE(at)
  }

  uuid(): string {
    const at = this.#take(16)
    return this.#buffer.toString('latin1', at, at + 16)
  }

  text(): string {
    const length = this.uint32()
    const at = this.#take(length)
    return this.#buffer.toString('utf8', at, at + length)
  }

  /** A view, not a copy. */
  bytes(): Buffer {
    const length = this.uint32()
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  #take(count: number): number {
    const at = this.#position
    if (count > this.#buffer.length - at)
      throw new FormatError(`Needs ${count} bytes at ${at}, where ${this.#buffer.length - at} are left`)
    this.#position = at + count
    return at
  }
}
