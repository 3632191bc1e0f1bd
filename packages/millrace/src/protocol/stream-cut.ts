/** A position in a stream: one in each of a set of segments that covers all keys. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import {
  encodeVersioned,
  readCompactLong,
  readCompactOffset,
  readCompactSignedLong,
  readMap,
  readVersioned,
  writeCompactLong,
  writeCompactSignedLong,
  writeMap,
  writeVersioned,
} from './java-serializer.ts'
import { parseScopedName, scopedName, segmentIdOf, splitSegmentId } from './names.ts'
import { ProtocolError } from './protocol-error.ts'

export interface StreamCut {
  readonly scope: string
  readonly stream: string
  /** By segment id. -1: the segment has been read to its end, which only those of later segments can tell. */
  readonly positions: ReadonlyMap<bigint, number>
}

/**
 * A text of a million characters is a cut through some 50,000 segments. What claims to unfold to more is refused while it
 * unfolds.
 */
const TEXT_LENGTH_MAX = 1024 * 1024
const UNFOLDED_BYTES_MAX = 4 * 1024 * 1024
const SUBJECT = 'stream cut'

/** Java's text form: base64 of gzip of `0:scope/stream:numbers:epochs:offsets`. */
export function showStreamCut({ scope, stream, positions }: StreamCut): string {
  const numbers: number[] = []
  const epochs: number[] = []
  for (const id of positions.keys()) {
    const { number, epoch } = splitSegmentId(id)
    numbers.push(number)
    epochs.push(epoch)
  }
  const offsets = [...positions.values()]
  const text = `0:${scopedName(scope, stream)}:${numbers.join(',')}:${epochs.join(',')}:${offsets.join(',')}`
  return gzipSync(text).toString('base64')
}

export function parseStreamCut(text: string): StreamCut {
  if (text.length > TEXT_LENGTH_MAX)
    throw new ProtocolError(
      'too-large',
      `A stream cut of ${text.length} characters, at most ${TEXT_LENGTH_MAX} are taken`,
    )
  const [version, streamName, numberList, epochList, offsetList, ...more] = unfold(text).split(':')
  if (version !== '0') throw malformed(`is of version '${version?.slice(0, 20)}', known: 0`)
  if (offsetList === undefined || more.length > 0) throw malformed('does not have five parts')
  const { scope, name } = parseScopedName(streamName ?? '')
  const numbers = wholeNumbers(numberList)
  const epochs = wholeNumbers(epochList)
  const offsets = wholeNumbers(offsetList)
  if (numbers.length !== epochs.length || numbers.length !== offsets.length)
    throw malformed(`has ${numbers.length} segments, ${epochs.length} epochs and ${offsets.length} offsets`)
  const positions = new Map<bigint, number>()
  for (const [index, number] of numbers.entries()) {
    // The lists are equally long.
    const id = idOf(number, epochs[index]!)
    if (positions.has(id)) throw malformed(`names the segment ${number} of epoch ${epochs[index]} twice`)
    positions.set(id, checkOffset(offsets[index]!))
  }
  return { scope, stream: name, positions }
}

export function encodeStreamCut(cut: StreamCut): Buffer {
  return encodeVersioned(HEAD, [(writer) => writeFields(writer, cut)])
}

export function decodeStreamCut(bytes: Buffer): StreamCut {
  return readStreamCut(new ByteReader(bytes, SUBJECT))
}

/** A cut as a part of something else. */
export function writeStreamCut(writer: ByteWriter, cut: StreamCut): void {
  writeVersioned(writer, HEAD, [(fields) => writeFields(fields, cut)])
}

export function readStreamCut(reader: ByteReader): StreamCut {
  const { version, first } = readVersioned(reader, SUBJECT, [0, 1])
  first.part = 'stream'
  const { scope, name } = parseScopedName(first.string())
  first.part = 'positions'
  // Version 0 could not say that a segment has been read to its end.
  const readPosition = version === 0 ? readCompactOffset : readCompactSignedLong
  const positions = readMap(first, readSegmentId, (fields) => checkOffset(readPosition(fields)))
  return { scope, stream: name, positions }
}

const HEAD = { version: 1 }

function writeFields(writer: ByteWriter, { scope, stream, positions }: StreamCut): void {
  writer.string(scopedName(scope, stream))
  writeMap(writer, positions, writeCompactLong, writeCompactSignedLong)
}

function readSegmentId(reader: ByteReader): bigint {
  const id = BigInt(readCompactLong(reader))
  splitSegmentId(id)
  return id
}

function unfold(text: string): string {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw malformed('is no base64')
  try {
    const bytes = gunzipSync(Buffer.from(text, 'base64'), { maxOutputLength: UNFOLDED_BYTES_MAX })
    return bytes.toString('utf8')
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE')
      throw new ProtocolError(
        'too-large',
        `A stream cut unfolds to more than the ${UNFOLDED_BYTES_MAX} bytes that are taken`,
        { cause: error },
      )
    throw malformed('is no gzip', error)
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function wholeNumbers(list: string | undefined): number[] {
  if (list === undefined || list === '') return []
  return list.split(',').map((text) => {
    const value = Number(text)
    if (!/^ *-?\d{1,19} *$/.test(text) || !Number.isSafeInteger(value))
      throw malformed(`has '${text.slice(0, 30)}' where a number must be`)
    return value
  })
}

function idOf(number: number, epoch: number): bigint {
  const inRange = (value: number): boolean => value >= 0 && value < 2 ** 31
  if (!inRange(number) || !inRange(epoch)) throw malformed(`names a segment ${number} of epoch ${epoch}`)
  return segmentIdOf({ number, epoch })
}

function checkOffset(offset: number): number {
  if (offset < -1) throw malformed(`has the offset ${offset}`)
  return offset
}

function malformed(problem: string, cause?: unknown): ProtocolError {
  return new ProtocolError('malformed', `${SUBJECT} ${problem}`, { cause })
}
