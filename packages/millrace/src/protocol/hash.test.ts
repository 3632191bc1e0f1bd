import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  containerOf,
  javaHashCode,
  routingKeyHash,
  seededHash,
  segmentAttributeId,
  tableKeyHash,
} from './hash.ts'
import { murmur3OfBytes, murmur3OfText } from './murmur3.ts'
import { transactionSegmentName } from './names.ts'
import { showUuid } from './uuid.ts'

test('seeds are the hash codes of Java strings', () => {
  deepStrictEqual(
    ['EventRouter', 'KeyValueTableRouter', 'SegmentToContainerMapper', 'SegmentAttribute', ''].map(
      javaHashCode,
    ),
    [1741865571, -2020233499, 1661405012, 817748169, 0],
  )
})

test('routing keys fall where Pravega puts them', () => {
  const expected: Record<string, number> = {
    '': 0.24117842791623523,
    '0': 0.8056356837424186,
    '1': 0.36758584297933905,
    a: 0.9433912753816884,
    'key-1': 0.3829162539760538,
    'test-routing-key': 0.4514966276252277,
    '14': 0.028156902435749975,
    héllo: 0.27117037262037313,
  }
  for (const [key, hash] of Object.entries(expected)) strictEqual(routingKeyHash(key), hash, key)
})

test('keys of tables have a hash of their own', () => {
  strictEqual(tableKeyHash(Buffer.from('00000001', 'hex')), 0.7869216576677149)
})

test('segments fall into the containers that Pravega gives them, transactions into those of their segments', () => {
  const expected: Record<string, number[]> = {
    'scope/stream/0': [0, 0, 3, 3, 3, 46],
    'testScope/testStream/0': [0, 1, 2, 7, 7, 27],
    'testScope/testStream/1': [0, 0, 3, 3, 8, 29],
    '_system/_requeststream/0': [0, 1, 1, 4, 4, 4],
    'scope/_RGrg/0': [0, 1, 2, 2, 2, 16],
  }
  for (const [name, containers] of Object.entries(expected)) {
    const segment = `${name}.#epoch.5`
    for (const each of [name, segment, transactionSegmentName(segment, 't'.repeat(16))])
      deepStrictEqual(
        [1, 2, 4, 8, 16, 48].map((count) => containerOf(each, count)),
        containers,
        each,
      )
  }
})

test('the mark of revisioned streams is the attribute that Java clients know', () => {
  strictEqual(
    showUuid(segmentAttributeId('RevisionStreamClientMark')),
    '7df9a874-246c-c9d6-9397-cdd19ead68c5',
  )
})

test('everything hashes as in Java, whatever the characters', () => {
  const golden = JSON.parse(readFileSync(new URL('./golden/names.json', import.meta.url), 'utf8')) as Golden
  for (const { key, hash, asReader } of golden.routingKeys) {
    strictEqual(routingKeyHash(key), hash, key)
    strictEqual(seededHash(key, 'scope/stream/0.#epoch.0'), asReader, key)
  }
  for (const { key, hash } of golden.tableKeys) strictEqual(tableKeyHash(Buffer.from(key, 'hex')), hash, key)
  const counts = [1, 2, 3, 4, 7, 8, 16, 48, 100, 1000]
  for (const { name, containers } of golden.segments)
    deepStrictEqual(
      counts.map((count) => containerOf(name, count)),
      containers,
      name,
    )
})

interface Golden {
  readonly routingKeys: readonly { key: string; hash: number; asReader: number }[]
  readonly tableKeys: readonly { key: string; hash: number }[]
  readonly segments: readonly { name: string; containers: readonly number[] }[]
}

test('the hash in halves is the hash in 64-bit numbers, of texts and of bytes', () => {
  const seed = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), seed, (bytes, seedValue) => {
      const hash = murmur3OfBytes(bytes, seedValue)
      deepStrictEqual(
        [hash.firstHigh, hash.firstLow, hash.secondHigh, hash.secondLow],
        reference(Buffer.from(bytes), seedValue),
      )
    }),
    { seed: 1, numRuns: 300 },
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), seed, (text, seedValue) => {
      deepStrictEqual(murmur3OfText(text, seedValue), murmur3OfBytes(Buffer.from(text, 'utf16le'), seedValue))
    }),
    { seed: 2, numRuns: 300 },
  )
})

/** The hash as its authors write it down, with BigInts. */
function reference(bytes: Buffer, seed: number): number[] {
  const u64 = (value: bigint): bigint => BigInt.asUintN(64, value)
  const rotate = (value: bigint, bits: bigint): bigint => u64((value << bits) | (value >> (64n - bits)))
  const c1 = 0x87c37b91114253d5n
  const c2 = 0x4cf5ad432745937fn
  const padded = Buffer.concat([bytes, Buffer.alloc(16)])
  let h1 = u64(BigInt(seed))
  let h2 = h1
  for (let at = 0; ; at += 16) {
    const k1 = padded.readBigUInt64LE(at)
    const k2 = padded.readBigUInt64LE(at + 8)
    h1 ^= u64(rotate(u64(k1 * c1), 31n) * c2)
    const mixedK2 = u64(rotate(u64(k2 * c2), 33n) * c1)
    if (at + 16 > bytes.length) {
      h2 ^= mixedK2
      break
    }
    h1 = u64(u64(rotate(h1, 27n) + h2) * 5n + 0x52dce729n)
    h2 ^= mixedK2
    h2 = u64(u64(rotate(h2, 31n) + h1) * 5n + 0x38495ab5n)
  }
  const finish = (value: bigint): bigint => {
    let k = value
    k = u64((k ^ (k >> 33n)) * 0xff51afd7ed558ccdn)
    k = u64((k ^ (k >> 33n)) * 0xc4ceb9fe1a85ec53n)
    return k ^ (k >> 33n)
  }
  h1 ^= BigInt(bytes.length)
  h2 ^= BigInt(bytes.length)
  h1 = u64(h1 + h2)
  h2 = u64(h2 + h1)
  h1 = finish(h1)
  h2 = finish(h2)
  h1 = u64(h1 + h2)
  h2 = u64(h2 + h1)
  const halves = (value: bigint): number[] => [Number(value >> 32n) | 0, Number(value & 0xffff_ffffn) | 0]
  return [...halves(h1), ...halves(h2)]
}
