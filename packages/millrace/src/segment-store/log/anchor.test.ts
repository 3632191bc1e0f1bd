import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { type Anchor, decodeAnchor, encodeAnchor } from './anchor.ts'
import { oldestGeneration } from './checkpoints.ts'

const STORE_ID = Buffer.from('0123456789abcdef')

const ANCHOR: Anchor = {
  durableThrough: 2 ** 50,
  end: { epoch: 3, generation: 12, position: 2 ** 33, sequence: 2 ** 50 + 1 },
  entries: [
    { container: 0, checkpoint: 0, replay: { epoch: 1, generation: 9, position: 4096, sequence: 17 } },
    {
      container: 2 ** 32 - 2,
      checkpoint: 2 ** 40,
      replay: { epoch: 2, generation: 11, position: 0, sequence: 99 },
    },
  ],
}

test('an anchor is read as it was written, with containers and without', () => {
  deepStrictEqual(decodeAnchor(encodeAnchor(ANCHOR, STORE_ID), STORE_ID), ANCHOR)
  const empty = { ...ANCHOR, entries: [] }
  deepStrictEqual(decodeAnchor(encodeAnchor(empty, STORE_ID), STORE_ID), empty)
  strictEqual(oldestGeneration(ANCHOR), 9)
  strictEqual(oldestGeneration(empty), 12)
})

test('no bit of an anchor can flip unnoticed, nor can it be cut or be of another store', () => {
  const bytes = encodeAnchor(ANCHOR, STORE_ID)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7))
    strictEqual(decodeAnchor(flipped, STORE_ID), undefined, `bit ${bit}`)
  }
  for (let length = 0; length < bytes.length; length++)
    strictEqual(decodeAnchor(bytes.subarray(0, length), STORE_ID), undefined)
  strictEqual(decodeAnchor(bytes, Buffer.alloc(16)), undefined)
})
