/** Where an event is: enough to read it again. */
import { ByteReader } from './byte-reader.ts'
import {
  encodeVersioned,
  readCompactInt,
  readCompactOffset,
  readVersioned,
  writeCompactInt,
  writeCompactLong,
} from './java-serializer.ts'
import { parseSegmentName, segmentName } from './names.ts'
import { ProtocolError } from './protocol-error.ts'

export interface EventPointer {
  /** Its full name, with the epoch. */
  readonly segment: string
  readonly offset: number
  /** Of what is stored, header included. */
  readonly lengthBytes: number
}

/** Java's text form: `scope/stream/7.#epoch.3:offset-length`. */
export function showEventPointer({ segment, offset, lengthBytes }: EventPointer): string {
  return `${segment}:${offset}-${lengthBytes}`
}

export function parseEventPointer(text: string): EventPointer {
  const match = /^(.{1,1000}):(\d{1,16})-(\d{1,10})$/.exec(text)
  const offset = Number(match?.[2])
  const lengthBytes = Number(match?.[3])
  if (match === null || !Number.isSafeInteger(offset) || lengthBytes >= 2 ** 31)
    throw new ProtocolError(
      'malformed',
      `An event pointer is segment:offset-length, not '${text.slice(0, 100)}'`,
    )
  return { segment: segmentName(parseSegmentName(match[1]!)), offset, lengthBytes }
}

export function encodeEventPointer({ segment, offset, lengthBytes }: EventPointer): Buffer {
  return encodeVersioned({ version: 0 }, [
    (writer) => {
      writer.string(segment)
      writeCompactLong(writer, offset)
      writeCompactInt(writer, lengthBytes)
    },
  ])
}

export function decodeEventPointer(bytes: Buffer): EventPointer {
  const { first } = readVersioned(new ByteReader(bytes, 'event pointer'), 'event pointer', [0])
  const segment = segmentName(parseSegmentName(first.string()))
  return { segment, offset: readCompactOffset(first), lengthBytes: readCompactInt(first) }
}
