/**
 * Whole commands to and from bytes, as the table in `commands.ts` lays them out. Frames are cut out of a connection by
 * `frame-reader.ts`; what carries much data is encoded without copying it by `bulk.ts`.
 */
import { assert } from '../../base/assert.ts'
import { ByteReader } from '../byte-reader.ts'
import { stringSize, writeId64, writeLong, writeString, writeUuid } from '../primitives.ts'
import { ProtocolError } from '../protocol-error.ts'
import {
  type AnyMessage,
  type CommandKind,
  commandOf,
  type FieldType,
  type FieldValues,
  FRAME_HEADER_BYTES,
  LONG_MIN,
  type Message,
  PAYLOAD_BYTES_MAX,
  type WireAttributeUpdate,
  type WireChunk,
  type WireIteratorArgs,
  type WireMerge,
  type WireTableEntry,
  type WireTableKey,
} from './commands.ts'

/** One command as it came: the payload is a view, and belongs to whoever got the frame. */
export interface WireFrame {
  readonly kind: CommandKind
  readonly payload: Buffer
}

const EMPTY = Buffer.alloc(0)

/** A whole frame. A string or a payload beyond its limit is a `too-large` `ProtocolError`. */
export function encodeMessage(message: AnyMessage): Buffer {
  const { id, fields } = commandOf(message.kind)
  const values = message as unknown as Record<string, never>
  let length = 0
  for (const { name, type } of fields) length += FIELD_CODECS[type].size(values[name]!)
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + checkedPayloadLength(message.kind, length))
  frame.writeInt32BE(id, 0)
  frame.writeInt32BE(length, 4)
  let position = FRAME_HEADER_BYTES
  for (const { name, type } of fields) position = FIELD_CODECS[type].write(frame, position, values[name]!)
  assert(position === frame.length, `${message.kind} was measured as it was written`)
  return frame
}

/** `length`, unless no frame may be as long. */
export function checkedPayloadLength(kind: CommandKind, length: number): number {
  if (length <= PAYLOAD_BYTES_MAX) return length
  throw new ProtocolError(
    'too-large',
    `${kind} takes ${length} bytes, at most ${PAYLOAD_BYTES_MAX} are possible`,
  )
}

/**
 * Fields that older peers do not write take their defaults, bytes behind the last field are ignored. Buffers in the message
 * are views of the payload. Throws a `malformed` `ProtocolError` that names command and field.
 */
export function decodeMessage(frame: WireFrame): AnyMessage {
  return decode(frame.kind, frame.payload) as unknown as AnyMessage
}

/** For who has looked at the kind already. */
export function decodeAs<K extends CommandKind>(kind: K, frame: WireFrame): Message<K> {
  assert(frame.kind === kind, `A ${frame.kind} is not decoded as a ${kind}`)
  return decode(kind, frame.payload) as unknown as Message<K>
}

function decode(kind: CommandKind, payload: Buffer): Record<string, unknown> {
  const reader = new ByteReader(payload, kind)
  const message: Record<string, unknown> = { kind }
  for (const { name, type, fallback } of commandOf(kind).fields) {
    reader.part = name
    message[name] = reader.left === 0 && fallback !== undefined ? fallback : FIELD_CODECS[type].read(reader)
  }
  return message
}

interface FieldCodec<T> {
  size(value: T): number
  /** Returns the position behind what it wrote. */
  write(target: Buffer, position: number, value: T): number
  read(reader: ByteReader): T
}

const FIELD_CODECS: { readonly [T in FieldType]: FieldCodec<FieldValues[T]> } = {
  int8: {
    size: () => 1,
    write: (target, position, value) => target.writeInt8(value, position),
    read: (reader) => reader.int8(),
  },
  int32: {
    size: () => 4,
    write: (target, position, value) => target.writeInt32BE(value, position),
    read: (reader) => reader.int32(),
  },
  boolean: {
    size: () => 1,
    write: (target, position, value) => target.writeInt8(value ? 1 : 0, position),
    read: (reader) => reader.boolean(),
  },
  offset: { size: () => 8, write: writeLong, read: (reader) => reader.safeLong() },
  long: { size: () => 8, write: writeLong, read: (reader) => reader.long() },
  id64: { size: () => 8, write: writeId64, read: (reader) => reader.latin1(8) },
  uuid: { size: () => 16, write: writeUuid, read: (reader) => reader.latin1(16) },
  string: { size: stringSize, write: writeString, read: (reader) => reader.string() },
  bytes: { size: (value) => 4 + value.length, write: writeSized, read: (reader) => reader.sizedBytes() },
  rest: {
    size: (value) => value.length,
    write: writeBytes,
    read: (reader) => reader.bytes(reader.left),
  },
  event: { size: eventSize, write: writeBytes, read: readEvent },
  keys: { size: keysSize, write: writeKeys, read: (reader) => readList(reader, 8, readKey) },
  entries: { size: entriesSize, write: writeEntries, read: (reader) => readList(reader, 16, readEntry) },
  iteratorArgs: { size: argsSize, write: writeArgs, read: readArgs },
  attributeUpdates: {
    size: (updates) => 4 + ATTRIBUTE_UPDATE_BYTES * updates.length,
    write: writeAttributeUpdates,
    read: (reader) => readList(reader, ATTRIBUTE_UPDATE_BYTES, readAttributeUpdate),
  },
  strings: {
    size: (texts) => texts.reduce((bytes, text) => bytes + stringSize(text), 4),
    write: (target, position, texts) => writeList(target, position, texts, writeString),
    read: (reader) => readList(reader, 2, (element) => element.string()),
  },
  longs: {
    size: (values) => 4 + 8 * values.length,
    write: (target, position, values) => writeList(target, position, values, writeLong),
    read: (reader) => readList(reader, 8, (element) => element.long()),
  },
  merges: {
    size: (merges) => merges.reduce((bytes, { source }) => bytes + stringSize(source) + 8, 4),
    write: (target, position, merges) => writeList(target, position, merges, writeMerge),
    read: (reader) => readList(reader, 10, readMerge),
  },
  chunks: {
    size: (chunks) => chunks.reduce((bytes, { chunkName }) => bytes + stringSize(chunkName) + 25, 4),
    write: (target, position, chunks) => writeList(target, position, chunks, writeChunk),
    read: (reader) => readList(reader, 27, readChunk),
  },
}

function writeBytes(target: Buffer, position: number, value: Buffer): number {
  target.set(value, position)
  return position + value.length
}

function writeSized(target: Buffer, position: number, value: Buffer): number {
  return writeBytes(target, target.writeInt32BE(value.length, position), value)
}

function writeList<T>(
  target: Buffer,
  position: number,
  values: readonly T[],
  write: (target: Buffer, position: number, value: T) => number,
): number {
  let at = target.writeInt32BE(values.length, position)
  for (const value of values) at = write(target, at, value)
  return at
}

function readList<T>(reader: ByteReader, bytesMin: number, read: (reader: ByteReader) => T): T[] {
  const values: T[] = []
  for (let left = reader.count(bytesMin); left > 0; left--) values.push(read(reader))
  return values
}

function eventSize(event: Buffer): number {
  assert(
    event.length >= 8 && event.readInt32BE(0) === 0 && event.readInt32BE(4) === event.length - 8,
    'An event carries its header',
  )
  return event.length
}

function readEvent(reader: ByteReader): Buffer {
  // Looks at the header first, then takes header and data as one view.
  const header = reader.peek(8)
  const type = header.readInt32BE(0)
  if (type !== 0) reader.fail(`is of type ${type}, not 0`)
  const length = header.readInt32BE(4)
  if (length < 0) reader.fail(`has a negative length, ${length}`)
  return reader.bytes(8 + length)
}

// A key's size counts its length and version, though an empty key is written without a version.
function keySize(key: Buffer): number {
  return key.length === 0 ? 8 : 16 + key.length
}

function keysSize(keys: readonly WireTableKey[]): number {
  let bytes = 4
  for (const { key } of keys) bytes += keySize(key)
  return bytes
}

function writeKey(target: Buffer, position: number, { key, version }: WireTableKey): number {
  const at = writeSized(target, target.writeInt32BE(12 + key.length, position), key)
  return key.length === 0 ? at : writeLong(target, at, version)
}

function writeKeys(target: Buffer, position: number, keys: readonly WireTableKey[]): number {
  return writeList(target, position, keys, writeKey)
}

function readKey(reader: ByteReader): WireTableKey {
  const size = reader.int32()
  const length = reader.int32()
  if (length === 0) return { key: EMPTY, version: LONG_MIN }
  // The size is of no use beside the length, but one that points behind the payload was written by nobody sane.
  if (size > reader.left + 4) reader.fail(`has a key of ${size} bytes, but only ${reader.left + 4} are left`)
  const key = reader.bytes(length)
  return { key, version: reader.long() }
}

function entriesSize(entries: readonly WireTableEntry[]): number {
  let bytes = 4
  for (const { key, value } of entries) bytes += keySize(key) + 8 + value.length
  return bytes
}

function writeEntry(target: Buffer, position: number, entry: WireTableEntry): number {
  const at = writeKey(target, position, entry)
  return writeSized(target, target.writeInt32BE(4 + entry.value.length, at), entry.value)
}

function writeEntries(target: Buffer, position: number, entries: readonly WireTableEntry[]): number {
  return writeList(target, position, entries, writeEntry)
}

function readEntry(reader: ByteReader): WireTableEntry {
  const { key, version } = readKey(reader)
  const size = reader.int32()
  const length = reader.int32()
  if (length !== 0 && size > reader.left + 4)
    reader.fail(`has a value of ${size} bytes, but only ${reader.left + 4} are left`)
  return { key, version, value: reader.bytes(length) }
}

function argsSize({ continuationToken, fromKey, toKey }: WireIteratorArgs): number {
  return 16 + continuationToken.length + fromKey.length + toKey.length
}

function writeArgs(target: Buffer, position: number, args: WireIteratorArgs): number {
  let at = writeSized(target, position, args.continuationToken)
  at = target.writeInt32BE(0, at) // A prefix that keys had to have, before 0.10.
  return writeSized(target, writeSized(target, at, args.fromKey), args.toKey)
}

function readArgs(reader: ByteReader): WireIteratorArgs {
  const part = (): Buffer => (reader.left < 4 ? EMPTY : reader.sizedBytes())
  const continuationToken = part()
  part()
  return { continuationToken, fromKey: part(), toKey: part() }
}

const ATTRIBUTE_UPDATE_BYTES = 33

function writeAttributeUpdates(
  target: Buffer,
  position: number,
  updates: readonly WireAttributeUpdate[],
): number {
  return writeList(target, position, updates, (_, start, update) => {
    const at = target.writeInt8(update.updateType, writeUuid(target, start, update.attributeId))
    return writeLong(target, writeLong(target, at, update.newValue), update.oldValue)
  })
}

function readAttributeUpdate(reader: ByteReader): WireAttributeUpdate {
  return {
    attributeId: reader.latin1(16),
    updateType: reader.int8(),
    newValue: reader.long(),
    oldValue: reader.long(),
  }
}

function writeMerge(target: Buffer, position: number, merge: WireMerge): number {
  return writeLong(target, writeString(target, position, merge.source), merge.newTargetWriteOffset)
}

function readMerge(reader: ByteReader): WireMerge {
  return { source: reader.string(), newTargetWriteOffset: reader.safeLong() }
}

function writeChunk(target: Buffer, position: number, chunk: WireChunk): number {
  let at = writeLong(target, position, chunk.lengthInMetadata)
  at = writeLong(target, at, chunk.lengthInStorage)
  at = writeLong(target, at, chunk.startOffset)
  return target.writeInt8(chunk.existsInStorage ? 1 : 0, writeString(target, at, chunk.chunkName))
}

function readChunk(reader: ByteReader): WireChunk {
  return {
    lengthInMetadata: reader.safeLong(),
    lengthInStorage: reader.safeLong(),
    startOffset: reader.safeLong(),
    chunkName: reader.string(),
    existsInStorage: reader.boolean(),
  }
}
