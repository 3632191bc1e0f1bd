/** Values of a program to and from the bytes of events. */
import { encodeFailed, eventTooLarge } from './errors.ts'
import { EVENT_BYTES_MAX } from './event-queue.ts'

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/** Another form than JSON. Both functions may throw, which is an `encode` or `decode` error. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  /** The bytes belong to the event and do not change. */
  decode(bytes: Uint8Array): T
}

/** A value ready to be written. Text is encoded where it ends up. */
export type Encoded = string | Uint8Array

export interface ValueForm<T> {
  /** Throws `encode` or `event-too-large`. */
  encode(value: T): Encoded
  /** The value in these bytes of a batch. Throws whatever is wrong with them. */
  decode(data: Buffer, start: number, end: number): T
}

/** JSON, unless there is a codec. */
export function valueForm<T>(stream: string, codec: Codec<T> | undefined): ValueForm<T> {
  return codec === undefined ? jsonForm(stream) : codecForm(stream, codec)
}

function jsonForm<T>(stream: string): ValueForm<T> {
  return {
    encode(value) {
      let text: string | undefined
      try {
        text = JSON.stringify(value)
      } catch (error) {
        throw encodeFailed(stream, error instanceof Error ? error.message : String(error), error)
      }
      if (text === undefined) throw encodeFailed(stream, `JSON has no ${typeof value}`)
      // A text of so many characters may still be too many bytes, but only a long one is worth counting.
      if (text.length * 3 > EVENT_BYTES_MAX) checkLength(stream, Buffer.byteLength(text))
      return text
    },
    decode: (data, start, end) => JSON.parse(data.toString('utf8', start, end)) as T,
  }
}

function codecForm<T>(stream: string, codec: Codec<T>): ValueForm<T> {
  return {
    encode(value) {
      let bytes: unknown
      try {
        bytes = codec.encode(value)
      } catch (error) {
        throw encodeFailed(stream, error instanceof Error ? error.message : String(error), error)
      }
      if (!(bytes instanceof Uint8Array)) throw encodeFailed(stream, 'the codec returned no Uint8Array')
      checkLength(stream, bytes.length)
      return bytes
    },
    decode: (data, start, end) => codec.decode(data.subarray(start, end)),
  }
}

function checkLength(stream: string, bytes: number): void {
  if (bytes > EVENT_BYTES_MAX) throw eventTooLarge(stream, bytes)
}
