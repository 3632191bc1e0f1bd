import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import {
  COMPACT_LONG_MAX,
  encodeVersioned,
  readCompactInt,
  readCompactLong,
  readCompactOffset,
  readCompactSignedLong,
  readList,
  readMap,
  readText,
  readVersioned,
  writeCompactInt,
  writeCompactLong,
  writeCompactSignedLong,
  writeMap,
  writeText,
} from './java-serializer.ts'
import type { Long } from './wire/commands.ts'

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter()
  write(writer)
  return writer.written
}

function reader(bytes: Buffer | string): ByteReader {
  return new ByteReader(typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : bytes, 'thing')
}

test('compact numbers take as many bytes as they need, up to the last value of each length', () => {
  const cases: [(writer: ByteWriter) => void, string][] = [
    [(writer) => writeCompactInt(writer, 0x7f), '7f'],
    [(writer) => writeCompactInt(writer, 0x80), '8080'],
    [(writer) => writeCompactInt(writer, 0x3fff), 'bfff'],
    [(writer) => writeCompactInt(writer, 0x4000), 'c0004000'],
    [(writer) => writeCompactInt(writer, 2 ** 30 - 2), 'fffffffe'],
    [(writer) => writeCompactLong(writer, 0x3f), '3f'],
    [(writer) => writeCompactLong(writer, 0x40), '4040'],
    [(writer) => writeCompactLong(writer, 0x4000), '80004000'],
    [(writer) => writeCompactLong(writer, 0x3fff_ffff), 'bfffffff'],
    [(writer) => writeCompactLong(writer, 0x4000_0000), 'c000000040000000'],
    [(writer) => writeCompactLong(writer, COMPACT_LONG_MAX), 'fffffffffffffffe'],
    [(writer) => writeCompactSignedLong(writer, -1), '80'],
    [(writer) => writeCompactSignedLong(writer, -32), '9f'],
    [(writer) => writeCompactSignedLong(writer, -33), 'a020'],
    [(writer) => writeCompactSignedLong(writer, 0x1fff), '3fff'],
    [(writer) => writeCompactSignedLong(writer, 0x2000_0000), '6000000020000000'],
  ]
  for (const [write, hex] of cases) strictEqual(written(write).toString('hex'), hex)
})

test('compact numbers survive', () => {
  const long: fc.Arbitrary<Long> = fc
    .tuple(fc.bigInt({ min: 0n, max: COMPACT_LONG_MAX }), fc.integer({ min: 0, max: 61 }))
    .map(([value, shift]) => value >> BigInt(shift))
    .map((value) => (value <= Number.MAX_SAFE_INTEGER ? Number(value) : value))
  fc.assert(
    fc.property(long, fc.nat(2 ** 30 - 2), fc.maxSafeInteger(), (value, int, signed) => {
      const bytes = written((writer) => {
        writeCompactLong(writer, value)
        writeCompactInt(writer, int)
        writeCompactSignedLong(writer, signed)
      })
      const source = reader(bytes)
      strictEqual(readCompactLong(source), value)
      strictEqual(readCompactInt(source), int)
      strictEqual(readCompactSignedLong(source), signed)
      strictEqual(source.left, 0)
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('a reader of an old object gets what is there, and one of a newer object leaves the rest alone', () => {
  const revision = (value: number) => (writer: ByteWriter) => writer.int32(value)
  const old = encodeVersioned({ version: 1 }, [revision(7)])
  strictEqual(old.toString('hex'), '0001010000000004' + '00000007')
  const read = readVersioned(reader(old), 'thing', [0, 1])
  deepStrictEqual([read.version, read.first.int32(), read.second], [1, 7, undefined])

  const newer = encodeVersioned({ version: 1 }, [1, 2, 3, 4, 5].map(revision))
  const source = reader(Buffer.concat([newer, Buffer.from('ab')]))
  const { first, second, third } = readVersioned(source, 'thing', [1])
  deepStrictEqual([first.int32(), second?.int32(), third?.int32(), source.left], [1, 2, 3, 2])
})

test('objects of unknown formats, versions and revisions are refused', () => {
  const cases: [string, RegExp][] = [
    ['01000100000000', /is of format 1, known: 0/],
    ['00020100000000', /is of version 2, known: 0, 1/],
    ['000000', /has 0 revisions/],
    ['0000ff', /has -1 revisions/],
    ['0000010100000000', /has revision 1 where 0 must be/],
    ['00000100ffffffff', /negative length, -1/],
    ['0000010000000001', /needs 1 bytes, but only 0 are left/],
    ['00', /needs 1 bytes/],
  ]
  for (const [hex, message] of cases)
    throws(() => readVersioned(reader(hex), 'thing', [0, 1]), { code: 'malformed', message })
})

test('a map that promises more than there is is refused before it is built', () => {
  throws(() => readMap(reader('fffffffe'), readText, readCompactInt), {
    code: 'malformed',
    message: /promises 1073741822 elements of at least 2 bytes, but only 0 bytes are left/,
  })
  throws(() => readList(reader('c0004000'), readText), { code: 'malformed' })
  throws(() => readCompactOffset(reader('c020000000000000')), {
    code: 'malformed',
    message: /9007199254740992/,
  })
})

test('a map keeps its order, and the last of equal keys', () => {
  const bytes = written((writer) =>
    writeMap(
      writer,
      new Map([
        ['b', 1],
        ['a', 2],
      ]),
      writeText,
      writeCompactInt,
    ),
  )
  deepStrictEqual(
    [...readMap(reader(bytes), readText, readCompactInt)],
    [
      ['b', 1],
      ['a', 2],
    ],
  )
  const twice = Buffer.concat([
    Buffer.from([2]),
    bytes.subarray(1, 5),
    bytes.subarray(1, 4),
    Buffer.from([9]),
  ])
  deepStrictEqual([...readMap(reader(twice), readText, readCompactInt)], [['b', 9]])
})

test('a writer grows, and what was written before stays', () => {
  const writer = new ByteWriter()
  for (let value = 0; value < 1000; value++) writer.long(value)
  writer.setInt32(-1, 0)
  const { written: bytes } = writer
  strictEqual(bytes.length, 8000)
  ok(bytes.readInt32BE(0) === -1 && bytes.readUInt32BE(7996) === 999)
})
