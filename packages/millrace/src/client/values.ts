/** Values of a program to and from the bytes of events. */
import { encodeFailed, eventTooLarge } from './errors.ts'
import { EVENT_BYTES_MAX } from './event-queue.ts'
import { checkBy, type StandardSchemaV1 } from './schema.ts'

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
  /** The value as it is to be written: what the schema makes of it, if there is one. Throws `invalid-value`. */
  check(value: T): T
  /** Throws `encode` or `event-too-large`. */
  encode(value: T): Encoded
  /** The value in these bytes of a batch. Throws whatever is wrong with them. */
  decode(data: Buffer, start: number, end: number): T
}

export interface FormOptions<T> {
  readonly codec?: Codec<T> | undefined
  readonly schema?: StandardSchemaV1<unknown, T> | undefined
}

/** JSON, unless there is a codec. The schema checks what goes into either, and what comes out. */
export function valueForm<T>(stream: string, { codec, schema }: FormOptions<T>): ValueForm<T> {
  const form = codec === undefined ? jsonForm<T>(stream) : codecForm(stream, codec)
  if (schema === undefined) return form
  const check = checkBy(stream, schema)
  return { ...form, check, decode: (data, start, end) => check(form.decode(data, start, end)) }
}

function jsonForm<T>(stream: string): ValueForm<T> {
  return {
    check: (value) => value,
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
    check: (value) => value,
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
