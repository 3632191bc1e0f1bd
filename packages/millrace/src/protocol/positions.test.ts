/** Stream cuts, positions, checkpoints, pointers, revisions and watermarks, against those that Java's classes made. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts'
import {
  decodeEventPointer,
  encodeEventPointer,
  parseEventPointer,
  showEventPointer,
} from './event-pointer.ts'
import { parseSegmentName, segmentIdOf } from './names.ts'
import { decodePosition, encodePosition } from './position.ts'
import { ProtocolError } from './protocol-error.ts'
import { parseRevision, showRevision } from './revision.ts'
import {
  decodeStreamCut,
  encodeStreamCut,
  parseStreamCut,
  type StreamCut,
  showStreamCut,
} from './stream-cut.ts'
import { decodeWatermark, encodeWatermark } from './watermark.ts'
import type { Long } from './wire/commands.ts'

type Offsets = Readonly<Record<string, string>>

interface Golden {
  readonly streamCuts: readonly { stream: string; positions: Offsets; text: string; bytes: string }[]
  readonly positions: readonly {
    offsets: Offsets
    ranges: Readonly<Record<string, [number, number] | null>>
    bytes: string
  }[]
  readonly checkpoints: readonly { name: string; cuts: Readonly<Record<string, Offsets>>; bytes: string }[]
  readonly eventPointers: readonly {
    segment: string
    offset: string
    length: number
    text: string
    bytes: string
    revision: string
  }[]
  readonly watermarks: readonly {
    lower: string
    upper: string
    cut: readonly { segmentId: string; low: number; high: number; offset: string }[]
    bytes: string
  }[]
}

const golden = JSON.parse(readFileSync(new URL('./golden/positions.json', import.meta.url), 'utf8')) as Golden

function cutOf(stream: string, positions: Offsets): StreamCut {
  const [scope = '', name = ''] = stream.split('/')
  const entries = Object.entries(positions).map(
    ([segment, offset]) => [segmentIdOf(parseSegmentName(segment)), Number(offset)] as const,
  )
  return { scope, stream: name, positions: new Map(entries) }
}

test('stream cuts are those of Java, as text and as bytes', () => {
  for (const { stream, positions, text, bytes } of golden.streamCuts) {
    const cut = cutOf(stream, positions)
    deepStrictEqual(parseStreamCut(text), cut)
    deepStrictEqual(decodeStreamCut(Buffer.from(bytes, 'hex')), cut)
    strictEqual(encodeStreamCut(cut).toString('hex'), bytes)
    deepStrictEqual(parseStreamCut(showStreamCut(cut)), cut)
  }
})

test('positions are those of Java', () => {
  for (const { offsets, ranges, bytes } of golden.positions) {
    const position = decodePosition(Buffer.from(bytes, 'hex'))
    deepStrictEqual(
      position.offsets,
      new Map(Object.entries(offsets).map(([name, at]) => [name, Number(at)])),
    )
    deepStrictEqual(
      position.ranges,
      new Map(
        Object.entries(ranges).map(([name, range]) => [
          name,
          range === null ? undefined : { low: range[0], high: range[1] },
        ]),
      ),
    )
    strictEqual(encodePosition(position).toString('hex'), bytes)
  }
})

test('trap 63: checkpoints are those of Java, since Flink keeps them', () => {
  for (const { name, cuts, bytes } of golden.checkpoints) {
    const checkpoint = decodeCheckpoint(Buffer.from(bytes, 'hex'))
    strictEqual(checkpoint.name, name)
    deepStrictEqual(
      checkpoint.cuts,
      new Map(Object.entries(cuts).map(([stream, positions]) => [stream, cutOf(stream, positions)])),
    )
    strictEqual(encodeCheckpoint(checkpoint).toString('hex'), bytes)
  }
})

test('event pointers and revisions are those of Java', () => {
  for (const { segment, offset, length, text, bytes, revision } of golden.eventPointers) {
    const pointer = { segment, offset: Number(offset), lengthBytes: length }
    strictEqual(showEventPointer(pointer), text)
    deepStrictEqual(parseEventPointer(text), pointer)
    strictEqual(encodeEventPointer(pointer).toString('hex'), bytes)
    deepStrictEqual(decodeEventPointer(Buffer.from(bytes, 'hex')), pointer)
    const place = { segment, offset: Number(offset), index: length }
    strictEqual(showRevision(place), revision)
    deepStrictEqual(parseRevision(revision), place)
  }
})

test('watermarks are those of Java', () => {
  for (const { lower, upper, cut, bytes } of golden.watermarks) {
    const watermark = decodeWatermark(Buffer.from(bytes, 'hex'))
    deepStrictEqual([watermark.lowerTimeBound, watermark.upperTimeBound], [lower, upper].map(longOf))
    deepStrictEqual(
      [...watermark.cut].map(([segment, offset]) => ({ ...segment, offset })),
      cut.map(({ segmentId, low, high, offset }) => ({
        segmentId: BigInt(segmentId),
        low,
        high,
        offset: Number(offset),
      })),
    )
    strictEqual(encodeWatermark(watermark).toString('hex'), bytes)
  }
})

test('texts that are no stream cuts say what is wrong with them', () => {
  const fold = (text: string): string => gzipSync(text).toString('base64')
  const cases: [string, RegExp][] = [
    ['', /no base64/],
    ['äöü', /no base64/],
    ['aGVsbG8=', /no gzip/],
    [fold('0:a/b:1:0:5').slice(0, 20), /no gzip/],
    [fold('1:a/b:1:0:5'), /version '1'/],
    [fold('0:a/b:1:0'), /five parts/],
    [fold('0:a/b:1:0:5:6'), /five parts/],
    [fold('0:a:1:0:5'), /scope\/name/],
    [fold('0:a/b:1,2:0:5'), /2 segments, 1 epochs and 1 offsets/],
    [fold('0:a/b:1,1:0,0:5,6'), /the segment 1 of epoch 0 twice/],
    [fold('0:a/b:x:0:5'), /'x' where a number/],
    [fold('0:a/b:1:0:-2'), /the offset -2/],
    [fold('0:a/b:1:0:9007199254740992'), /where a number/],
    [fold('0:a/b:-1:0:5'), /a segment -1 of epoch 0/],
    [fold('0:a/b:2147483648:0:5'), /a segment 2147483648/],
  ]
  for (const [text, message] of cases) throws(() => parseStreamCut(text), { code: 'malformed', message })
})

test('a stream cut that unfolds without end is refused while it does', () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024)).toString('base64')
  ok(bomb.length < 1024 * 1024)
  throws(() => parseStreamCut(bomb), { code: 'too-large', message: /unfolds to more than the 4194304 bytes/ })
  throws(() => parseStreamCut('A'.repeat(1024 * 1024 + 1)), {
    code: 'too-large',
    message: /1048577 characters/,
  })
})

test('a cut through no segment is a text, too', () => {
  const cut = { scope: 'a', stream: 'b', positions: new Map<bigint, number>() }
  deepStrictEqual(parseStreamCut(showStreamCut(cut)), cut)
})

test('texts that are no pointers or revisions are refused', () => {
  for (const text of ['', 'a/b/1:5', 'a/b/1:-5-6', 'a/b/1:5-6-7', 'a/b/1:9007199254740992-1', 'x:1-1'])
    throws(() => parseEventPointer(text), { code: 'malformed' }, text)
  for (const text of ['', 'a/b/1:5', 'a/b/1:5:x', 'a/b/1:5:6:7', 'x:1:1'])
    throws(() => parseRevision(text), { code: 'malformed' }, text)
})

test('changed bytes are malformed or mean something else, never anything worse', () => {
  const decoders: [string, (bytes: Buffer) => unknown][] = [
    ...golden.streamCuts.map(({ bytes }) => [bytes, decodeStreamCut] as [string, (b: Buffer) => unknown]),
    ...golden.positions.map(({ bytes }) => [bytes, decodePosition] as [string, (b: Buffer) => unknown]),
    ...golden.checkpoints.map(({ bytes }) => [bytes, decodeCheckpoint] as [string, (b: Buffer) => unknown]),
    ...golden.watermarks.map(({ bytes }) => [bytes, decodeWatermark] as [string, (b: Buffer) => unknown]),
  ]
  const edits = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(fc.constantFrom(...decoders), edits, fc.nat(600), ([hex, decode], changes, length) => {
      const bytes = Buffer.from(hex, 'hex').subarray(0, length)
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      try {
        decode(bytes)
      } catch (error) {
        ok(error instanceof ProtocolError && error.code === 'malformed', String(error))
      }
    }),
    { seed: 1, numRuns: 3000 },
  )
})

function longOf(text: string): Long {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}
