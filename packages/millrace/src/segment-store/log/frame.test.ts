import { deepStrictEqual, notStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { SimRandom } from '../../testing/sim/sim-random.ts'
import { blockCrc } from './block-crc.ts'
import { type Block, BLOCK_BYTES_MAX, type Frame, FRAME_BLOCKS_MAX, FRAME_BYTES_MAX } from './durable-log.ts'
import {
  blocksPosition,
  bodyBytes,
  encodeHead,
  encodeMark,
  endOf,
  ENTRY_BYTES,
  HEADER_BYTES,
  measureFrame,
  NO_CONTAINER,
  PAGE_BYTES,
  readBody,
  readEntry,
  readHeader,
} from './frame.ts'

const STORE_ID = Buffer.from('0123456789abcdef')
const FILE_BYTES = 1024 * 1024

const PLACE = {
  container: 7,
  generation: 2 ** 40,
  position: 3 * PAGE_BYTES,
  epoch: 5,
  epochStart: 2 ** 41,
  sequence: 2 ** 50,
  durableThrough: 2 ** 50 - 3,
  containerPrevious: 2 ** 50 - 9,
  previousContainer: NO_CONTAINER,
}

const EXPECTED = {
  storeId: STORE_ID,
  generation: PLACE.generation,
  position: PLACE.position,
  fileBytes: FILE_BYTES,
}

test('a frame is read as it was written, numbers beyond 32 bits included', () => {
  const frame = frameOf([
    { extent: 2 ** 48 - 1, offset: 2 ** 45, bytes: Buffer.from('abc') },
    { extent: 1, offset: 0, bytes: Buffer.alloc(BLOCK_BYTES_MAX, 1) },
  ])
  const totalBytes = measureFrame(frame)
  const head = encodeHead(frame, PLACE, { storeId: STORE_ID, totalBytes })
  const header = readHeader(head, EXPECTED)!
  strictEqual(header.kind, 'frame')
  strictEqual(header.sequence, PLACE.sequence)
  deepStrictEqual({ ...header, ...PLACE }, header)
  strictEqual(header.totalBytes, totalBytes)
  strictEqual(blocksPosition(header), PLACE.position + head.length + frame.metadata.length)
  strictEqual(endOf(header), PLACE.position + Math.ceil(totalBytes / PAGE_BYTES) * PAGE_BYTES)
  const rest = Buffer.concat([head.subarray(HEADER_BYTES), frame.metadata])
  strictEqual(bodyBytes(header), rest.length)
  const body = readBody(header, rest)!
  deepStrictEqual(body.metadata, frame.metadata)
  for (const [nth, block] of frame.blocks.entries()) {
    const { extent, offset, bytes } = block
    const crc = blockCrc(PLACE.container, block)
    deepStrictEqual(readEntry(body.table, nth * ENTRY_BYTES), { extent, offset, length: bytes.length, crc })
  }
})

test('no bit of a header, a table or the metadata can flip unnoticed', () => {
  const frame = frameOf([{ extent: 3, offset: 4, bytes: Buffer.from('x') }])
  const head = encodeHead(frame, PLACE, { storeId: STORE_ID, totalBytes: measureFrame(frame) })
  const whole = Buffer.concat([head, frame.metadata])
  const header = readHeader(whole, EXPECTED)!
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = Buffer.from(whole)
    flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7))
    if (bit < HEADER_BYTES * 8) strictEqual(readHeader(flipped, EXPECTED), undefined, `bit ${bit}`)
    else strictEqual(readBody(header, flipped.subarray(HEADER_BYTES)), undefined, `bit ${bit}`)
  }
})

test('a header counts only in its own store, file and place', () => {
  const page = encodeMark(PLACE, { storeId: STORE_ID, last: false })
  strictEqual(readHeader(page, EXPECTED)?.kind, 'mark')
  strictEqual(readHeader(page, { ...EXPECTED, generation: 1 }), undefined)
  strictEqual(readHeader(page, { ...EXPECTED, position: 0 }), undefined)
  strictEqual(readHeader(page, { ...EXPECTED, storeId: Buffer.alloc(16) }), undefined)
  strictEqual(readHeader(page.subarray(0, 100), EXPECTED), undefined)
  strictEqual(readHeader(encodeMark(PLACE, { storeId: STORE_ID, last: true }), EXPECTED)?.kind, 'last-mark')
})

test('a frame that reaches beyond its file is none, whatever its checksum says', () => {
  const frame = frameOf([{ extent: 3, offset: 4, bytes: Buffer.alloc(5000) }])
  const head = encodeHead(frame, PLACE, { storeId: STORE_ID, totalBytes: measureFrame(frame) })
  const end = PLACE.position + measureFrame(frame)
  strictEqual(readHeader(head, { ...EXPECTED, fileBytes: end - 1 }), undefined)
  notStrictEqual(readHeader(head, { ...EXPECTED, fileBytes: end }), undefined)
})

test('random bytes are no frame, and none of them makes the reader fail', () => {
  const random = new SimRandom('frames')
  for (let nth = 0; nth < 500; nth++) {
    const bytes = random.bytes(HEADER_BYTES)
    bytes.writeUInt32BE(0x4d72_4672, 0)
    STORE_ID.copy(bytes, 16)
    bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4)
    strictEqual(readHeader(bytes, EXPECTED), undefined)
  }
})

test('the checksum of a block is that of its name and its bytes', () => {
  const random = new SimRandom('blocks')
  for (let nth = 0; nth < 200; nth++) {
    const container = random.integer(2 ** 32)
    const block = {
      extent: random.integer(2 ** 48),
      offset: random.integer(2 ** 48),
      bytes: random.bytes(50),
    }
    const name = Buffer.alloc(20)
    name.writeUInt32BE(container, 0)
    name.writeBigUInt64BE(BigInt(block.extent), 4)
    name.writeBigUInt64BE(BigInt(block.offset), 12)
    strictEqual(blockCrc(container, block), crc32(block.bytes, crc32(name)))
    notStrictEqual(blockCrc(container, { ...block, offset: block.offset + 1 }), blockCrc(container, block))
  }
})

test('what a frame may not be is a mistake of the program', () => {
  const bytes = Buffer.from('x')
  const wrong: readonly Frame[] = [
    frameOf([{ extent: 0, offset: 0, bytes }]),
    frameOf([{ extent: 2 ** 48, offset: 0, bytes }]),
    frameOf([{ extent: 1.5, offset: 0, bytes }]),
    frameOf([{ extent: 1, offset: -1, bytes }]),
    frameOf([{ extent: 1, offset: 2 ** 53, bytes }]),
    frameOf([{ extent: 1, offset: 0, bytes: Buffer.alloc(0) }]),
    frameOf([{ extent: 1, offset: 0, bytes: Buffer.alloc(BLOCK_BYTES_MAX + 1) }]),
    frameOf(Array.from({ length: FRAME_BLOCKS_MAX + 1 }, () => ({ extent: 1, offset: 0, bytes }))),
    { ...frameOf([]), metadata: Buffer.alloc(FRAME_BYTES_MAX) },
  ]
  for (const frame of wrong) throws(() => measureFrame(frame), { name: 'AssertionError' })
})

function frameOf(blocks: readonly Block[]): Frame {
  const nothing = (): void => undefined
  return { metadata: Buffer.from('metadata'), blocks, durable: nothing, failed: nothing }
}
