import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../testing/sim/simulate.ts'
import { SimRandom } from '../../testing/sim/sim-random.ts'
import { readCheckpoint, writeCheckpoint } from './checkpoint-file.ts'

const CHUNK = 64 * 1024
const STORE_ID = Buffer.from('0123456789abcdef')

test('a state of any length, in any pieces, is read as it was saved', async () => {
  const random = new SimRandom('states')
  for (const length of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 20 * CHUNK + 5]) {
    await simulate(length, async (world) => {
      const source = { disk: world.node('a').host.disk, directory: '', storeId: STORE_ID }
      const state = random.bytes(length)
      const pieces: Buffer[] = []
      for (let at = 0; at < length; ) {
        const piece = state.subarray(at, at + random.between(1, 100_000))
        pieces.push(piece)
        at += piece.length
      }
      const id = { container: 3, number: 8 }
      await writeCheckpoint(source, id, pieces)
      deepStrictEqual(await readCheckpoint(source, id), state)
      deepStrictEqual(await source.disk.list(''), ['checkpoint-3-8'])
    })
  }
})

test('damage is found to within a chunk, and a checkpoint of another name is not taken', async () => {
  await simulate(1, async (world) => {
    const { disk } = world.node('a')
    const source = { disk: world.node('a').host.disk, directory: '', storeId: STORE_ID }
    const id = { container: 3, number: 8 }
    await writeCheckpoint(source, id, [Buffer.alloc(3 * CHUNK, 'x')])
    await source.disk.rename('checkpoint-3-8', 'checkpoint-3-9')
    await rejects(readCheckpoint(source, { container: 3, number: 9 }), { code: 'damaged', position: 0 })
    await source.disk.rename('checkpoint-3-9', 'checkpoint-3-8')
    await rejects(readCheckpoint({ ...source, storeId: Buffer.alloc(16) }, id), { code: 'damaged' })
    const second = 64 + CHUNK + 4
    disk.flipBit('checkpoint-3-8', second + 1000, 2)
    await rejects(readCheckpoint(source, id), { code: 'damaged', position: second })
    disk.flipBit('checkpoint-3-8', second + 1000, 2)
    // Equal chunks that changed places.
    disk.misdirect('checkpoint-3-8', { from: 64, to: second, length: CHUNK + 4 })
    await rejects(readCheckpoint(source, id), { code: 'damaged', position: second })
    strictEqual(disk.usedBytes, 64 + 3 * (CHUNK + 4))
  })
})
