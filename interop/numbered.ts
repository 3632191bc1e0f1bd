/** Events as Numbered.java knows them: they say who wrote them, under which key and in which order, and the rest follows from that. */
import type { Store, Stream } from 'millrace'

export interface NumberedEvent {
  readonly writer: number
  readonly key: number
  readonly sequence: number
}

export interface SizedEvent extends NumberedEvent {
  readonly bytes: number
}

/** What there are at least. */
const SEGMENTS = 2
const HEADER_BYTES = 16

export function encodeNumbered({ writer, key, sequence }: NumberedEvent, bytes: number): Buffer {
  const event = Buffer.alloc(Math.max(bytes, HEADER_BYTES))
  event.writeInt32BE(writer, 0)
  event.writeInt32BE(key, 4)
  event.writeBigInt64BE(BigInt(sequence), 8)
  let state = (Math.imul(writer, 31) + Math.imul(key, 17) + sequence) | 0
  for (let i = HEADER_BYTES; i < event.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    event[i] = state >>> 24
  }
  return event
}

/** Throws for bytes that are no such event. */
export function decodeNumbered(bytes: Uint8Array): NumberedEvent {
  const event = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header = {
    writer: event.readInt32BE(0),
    key: event.readInt32BE(4),
    sequence: Number(event.readBigInt64BE(8)),
  }
  if (!encodeNumbered(header, event.length).equals(event))
    throw new Error(`Event ${header.sequence} of writer ${header.writer} is changed`)
  return header
}

export function keyName(key: number): string {
  return `key-${key}`
}

export function sizedStream(store: Store, name: string): Stream<SizedEvent> {
  return store.stream<SizedEvent>(name, {
    key: ({ key }) => keyName(key),
    create: { scaling: { segments: SEGMENTS } },
    codec: {
      encode: (event) => encodeNumbered(event, event.bytes),
      decode: (bytes) => ({ ...decodeNumbered(bytes), bytes: bytes.length }),
    },
  })
}
