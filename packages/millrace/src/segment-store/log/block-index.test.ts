import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { SimRandom } from '../../testing/sim/sim-random.ts'
import { type BlockKey, type IndexEntry, MemoryIndex, StoredIndex } from './block-index.ts'
import { LogError } from './durable-log.ts'
import { ENTRY_BYTES } from './frame.ts'

const OPTIONS = { storeId: Buffer.from('0123456789abcdef'), generation: 12 }

interface Model {
  readonly key: BlockKey
  readonly entry: IndexEntry
}

test('both forms of an index find each byte of each block and nothing else', () => {
  for (let seed = 0; seed < 20; seed++) {
    const random = new SimRandom(`index ${seed}`)
    const { index, model } = randomIndex(random, 400)
    const stored = StoredIndex.parse(encode(index), OPTIONS)!
    strictEqual(stored.complete, true)
    for (const { key, entry } of model) {
      for (const offset of [entry.offset, entry.offset + entry.length - 1]) {
        deepStrictEqual(index.find({ ...key, offset }), entry)
        deepStrictEqual(stored.find({ ...key, offset }), entry)
      }
    }
    for (let nth = 0; nth < 400; nth++) {
      const key = { container: random.integer(5), extent: random.integer(12), offset: random.integer(3000) }
      const expected = model.find((one) => holds(one, key))?.entry
      deepStrictEqual(index.find(key), expected)
      deepStrictEqual(stored.find(key), expected)
    }
  }
})

test('no bit of a stored index can flip unnoticed', () => {
  const bytes = encode(randomIndex(new SimRandom('bits'), 8).index)
  for (let bit = 16 * 8; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7))
    strictEqual(StoredIndex.parse(flipped, OPTIONS), undefined, `bit ${bit}`)
  }
  strictEqual(StoredIndex.parse(bytes.subarray(0, -1), OPTIONS), undefined)
  strictEqual(StoredIndex.parse(Buffer.alloc(0), OPTIONS), undefined)
  strictEqual(StoredIndex.parse(bytes, { ...OPTIONS, generation: 13 }), undefined)
  strictEqual(StoredIndex.parse(bytes, { ...OPTIONS, storeId: Buffer.alloc(16) }), undefined)
})

test('an index of many thousands of blocks is made in pieces, one of none as well', () => {
  const { index } = randomIndex(new SimRandom('large'), 20_000)
  strictEqual([...index.encode(OPTIONS)].length, 6)
  strictEqual(StoredIndex.parse(encode(index), OPTIONS)?.bytes, 20_000 * 32)
  const empty = new MemoryIndex()
  empty.damage = new LogError('damaged', 'A frame is lost')
  const stored = StoredIndex.parse(encode(empty), OPTIONS)
  strictEqual(stored?.complete, false)
  strictEqual(stored.find({ container: 0, extent: 1, offset: 0 }), undefined)
})

/** Blocks of some extents in some containers, with holes between them, in any order. */
function randomIndex(random: SimRandom, blocks: number): { index: MemoryIndex; model: Model[] } {
  const index = new MemoryIndex()
  const model: Model[] = []
  const ends = new Map<string, number>()
  let position = 4096
  for (let nth = 0; nth < blocks; nth++) {
    const container = random.integer(4)
    const extent = random.between(1, 10)
    const name = `${container}/${extent}`
    const offset = (ends.get(name) ?? 0) + random.integer(3)
    const entry = { offset, position, length: random.between(1, 20), crc: random.integer(2 ** 32) }
    ends.set(name, offset + entry.length)
    position += entry.length
    model.push({ key: { container, extent, offset }, entry })
  }
  // Tables of one block each, some of them exchanged: extents need not grow.
  for (const { key, entry } of random.chance(0.5) ? model : model.toReversed()) {
    const table = Buffer.alloc(ENTRY_BYTES)
    table.writeBigUInt64BE(BigInt(key.extent), 0)
    table.writeBigUInt64BE(BigInt(entry.offset), 8)
    table.writeUInt32BE(entry.length, 16)
    table.writeUInt32BE(entry.crc, 20)
    index.add(key.container, table, entry.position)
  }
  return { index, model }
}

function holds({ key, entry }: Model, wanted: BlockKey): boolean {
  if (key.container !== wanted.container || key.extent !== wanted.extent) return false
  return wanted.offset >= entry.offset && wanted.offset < entry.offset + entry.length
}

function encode(index: MemoryIndex): Buffer {
  return Buffer.concat([...index.encode(OPTIONS)])
}
