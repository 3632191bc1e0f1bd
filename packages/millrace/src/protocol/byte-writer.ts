import { assert } from '../base/assert.ts'
import { stringSize, writeLong, writeString, writeUuid } from './primitives.ts'
import type { Long } from './wire/commands.ts'

/** Writes what `ByteReader` reads into a buffer that grows: for objects whose length shows only when they are written. */
export class ByteWriter {
  #buffer: Buffer = Buffer.allocUnsafe(256)
  #position = 0

  get position(): number {
    return this.#position
  }

  /** What was written so far, as a view: writing more may or may not change it. */
  get written(): Buffer {
    return this.#buffer.subarray(0, this.#position)
  }

  uint8(value: number): void {
    const position = this.#reserve(1)
    this.#buffer[position] = value
  }

  boolean(value: boolean): void {
    this.uint8(value ? 1 : 0)
  }

  uint16(value: number): void {
    const position = this.#reserve(2)
    this.#buffer.writeUInt16BE(value, position)
  }

  int32(value: number): void {
    const position = this.#reserve(4)
    this.#buffer.writeInt32BE(value, position)
  }

  uint32(value: number): void {
    const position = this.#reserve(4)
    this.#buffer.writeUInt32BE(value, position)
  }

  long(value: Long): void {
    const position = this.#reserve(8)
    writeLong(this.#buffer, position, value)
  }

  double(value: number): void {
    const position = this.#reserve(8)
    this.#buffer.writeDoubleBE(value, position)
  }

  uuid(value: string): void {
    const position = this.#reserve(16)
    writeUuid(this.#buffer, position, value)
  }

  string(text: string): void {
    const position = this.#reserve(stringSize(text))
    writeString(this.#buffer, position, text)
  }

  bytes(bytes: Uint8Array): void {
    const position = this.#reserve(bytes.length)
    this.#buffer.set(bytes, position)
  }

  /** Replaces an int32 that was written before. */
  setInt32(value: number, position: number): void {
    assert(position + 4 <= this.#position, 'Only what was written is replaced')
    this.#buffer.writeInt32BE(value, position)
  }

  #reserve(bytes: number): number {
    const position = this.#position
    const end = position + bytes
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, 2 * this.#buffer.length))
      this.#buffer.copy(larger, 0, 0, position)
      this.#buffer = larger
    }
    this.#position = end
    return position
  }
}
