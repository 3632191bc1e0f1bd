import { readSafeInt64 } from '../base/bytes.ts'
import { readModifiedUtf8 } from './modified-utf8.ts'
import { ProtocolError } from './protocol-error.ts'
import type { Long } from './wire/commands.ts'

/**
 * Reads what Java's DataOutput has written: big-endian numbers, strings behind their uint16 length. Whatever is not there, or
 * lies about its length, is a `malformed` `ProtocolError` that names `subject` and `part`; nothing is allocated before its
 * bytes have been seen. Buffers are views of the bytes given, not copies.
 */
export class ByteReader {
  /** What is being read, for the messages of errors. */
  readonly subject: string
  /** The part of it that is next. */
  part = ''
  readonly #bytes: Buffer
  #position = 0

  constructor(bytes: Buffer, subject: string) {
    this.#bytes = bytes
    this.subject = subject
  }

  /** How many bytes are still to be read. */
  get left(): number {
    return this.#bytes.length - this.#position
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1))
  }

  uint8(): number {
    return this.#bytes[this.#take(1)]!
  }

  boolean(): boolean {
    return this.#bytes[this.#take(1)] !== 0
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  double(): number {
    return this.#bytes.readDoubleBE(this.#take(8))
  }

  /** An int64 that must be a safe integer. */
  safeLong(): number {
    const position = this.#take(8)
    const value = readSafeInt64(this.#bytes, position)
    if (value === undefined)
      this.fail(`holds ${this.#bytes.readBigInt64BE(position)}, which is outside of ±2^53`)
    return value
  }

  long(): Long {
    const position = this.#take(8)
    return readSafeInt64(this.#bytes, position) ?? this.#bytes.readBigInt64BE(position)
  }

  /** Opaque bytes as latin1 characters. */
  latin1(length: number): string {
    const position = this.#take(length)
    return this.#bytes.toString('latin1', position, position + length)
  }

  string(): string {
    const length = this.uint16()
    const position = this.#take(length)
    const text = readModifiedUtf8(this.#bytes, position, position + length)
    if (text === undefined) this.fail('is no modified UTF-8')
    return text
  }

  bytes(length: number): Buffer {
    if (length < 0) this.fail(`has a negative length, ${length}`)
    const position = this.#take(length)
    return this.#bytes.subarray(position, position + length)
  }

  /** Bytes behind their int32 length. */
  sizedBytes(): Buffer {
    return this.bytes(this.int32())
  }

  /** The next bytes, which remain to be read. */
  peek(length: number): Buffer {
    const bytes = this.bytes(length)
    this.#position -= length
    return bytes
  }

  /** A number of elements of which each takes at least `bytesMin` bytes. */
  count(bytesMin: number): number {
    return this.checkedCount(this.int32(), bytesMin)
  }

  /** `count`, unless so many elements cannot be in what is left. */
  checkedCount(count: number, bytesMin: number): number {
    if (count < 0) this.fail(`has a negative count, ${count}`)
    if (count * bytesMin > this.left)
      this.fail(
        `promises ${count} elements of at least ${bytesMin} bytes, but only ${this.left} bytes are left`,
      )
    return count
  }

  /** A reader of its own for the next `length` bytes. */
  nested(length: number, subject: string): ByteReader {
    return new ByteReader(this.bytes(length), subject)
  }

  fail(problem: string): never {
    throw new ProtocolError('malformed', `${this.subject}: ${this.part} ${problem}`)
  }

  #take(length: number): number {
    const position = this.#position
    if (length > this.#bytes.length - position)
      this.fail(`needs ${length} bytes, but only ${this.#bytes.length - position} are left`)
    this.#position = position + length
    return position
  }
}
