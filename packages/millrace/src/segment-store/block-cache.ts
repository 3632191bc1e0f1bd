/**
 * Event bytes in memory. An append is copied once, into the last block of its extent; the log writes from there, tail readers
 * read from there, and it stays until others need the room. Bytes read back from the log become blocks too.
 *
 * Invariants: (1) A block's bytes do not change once they are written, only more are put behind them. (2) A block that the log
 * still writes from (`dirty`) or a socket still sends from (`pins`) is not evicted, and its buffer is not used again.
 * (3) Blocks of an extent are sorted by offset and do not overlap.
 */
import { assert } from '../base/assert.ts'
import type { Extent } from './extents.ts'
import { BLOCK_BYTES_MAX } from './log/durable-log.ts'

const BLOCK_BYTES_MIN = 1024
/** Buffers of full size kept for the next blocks. */
const SPARE_BUFFERS_MAX = 128

export class CacheBlock {
  readonly extent: Extent
  /** Of the first byte in the extent. */
  readonly offset: number
  readonly buffer: Buffer
  /** Whether the buffer came from here and is used again afterwards. */
  readonly own: boolean
  length: number
  /** Runs of it that are on their way to the disk. */
  dirty = 0
  pins = 0
  cached = true
  /** Neighbours in the order of use. */
  older: CacheBlock | undefined
  newer: CacheBlock | undefined

  constructor(extent: Extent, options: { offset: number; buffer: Buffer; own: boolean }) {
    this.extent = extent
    this.offset = options.offset
    this.buffer = options.buffer
    this.own = options.own
    this.length = 0
  }

  get end(): number {
    return this.offset + this.length
  }
}

export class BlockCache {
  readonly bytesMax: number
  #bytesUsed = 0
  #oldest: CacheBlock | undefined
  #newest: CacheBlock | undefined
  readonly #spare: Buffer[] = []

  constructor(options: { bytesMax: number }) {
    this.bytesMax = options.bytesMax
  }

  /** Of the buffers, filled or not. */
  get bytesUsed(): number {
    return this.#bytesUsed
  }

  /** The block that takes the byte at `offset`, the extent's next one; it has room for one byte at least. */
  tail(extent: Extent, offset: number, wanted: number): CacheBlock {
    const last = extent.blocks.at(-1)
    if (last !== undefined && last.end === offset && last.length < last.buffer.length) {
      this.#use(last)
      return last
    }
    assert(last === undefined || last.end <= offset, 'Extents grow at their end only')
    // An extent that filled a block will fill a larger one; a quiet one costs little.
    const grown = last !== undefined && last.end === offset ? last.buffer.length * 2 : 0
    const capacity = Math.min(Math.max(wanted, grown, BLOCK_BYTES_MIN), BLOCK_BYTES_MAX)
    const block = new CacheBlock(extent, { offset, buffer: this.#allocate(capacity), own: true })
    extent.blocks.push(block)
    this.#add(block)
    return block
  }

  /** The block that holds this byte, if it is in memory. */
  find(extent: Extent, offset: number): CacheBlock | undefined {
    const block = extent.blocks[indexBehind(extent.blocks, offset) - 1]
    if (block === undefined || offset >= block.end) return undefined
    this.#use(block)
    return block
  }

  /** Keeps bytes that were read back. What is in memory already stays. */
  insert(extent: Extent, offset: number, bytes: Buffer): void {
    const { blocks } = extent
    const index = indexBehind(blocks, offset)
    const before = blocks[index - 1]
    const after = blocks[index]
    if (before !== undefined && before.end > offset) return
    if (after !== undefined && after.offset < offset + bytes.length) return
    const block = new CacheBlock(extent, { offset, buffer: bytes, own: false })
    block.length = bytes.length
    blocks.splice(index, 0, block)
    this.#add(block)
  }

  /** Lets go of blocks below an offset, as far as nobody uses them. */
  trim(extent: Extent, offset: number): void {
    const { blocks } = extent
    let index = 0
    for (let block = blocks[0]; block !== undefined && block.end <= offset; block = blocks[index]) {
      if (block.dirty === 0) this.#evict(block)
      else index++
    }
  }

  drop(extent: Extent): void {
    this.trim(extent, Number.POSITIVE_INFINITY)
  }

  /** A socket took bytes of the block; `unpin` when they have left. */
  pin(block: CacheBlock): void {
    block.pins++
  }

  unpin(block: CacheBlock): void {
    block.pins--
    assert(block.pins >= 0, 'A block is unpinned as often as it was pinned')
    if (!block.cached && block.pins === 0) this.#recycle(block)
  }

  /** Makes room as far as that is possible. */
  #shrink(): void {
    let block = this.#oldest
    while (block !== undefined && this.#bytesUsed > this.bytesMax) {
      const next: CacheBlock | undefined = block.newer
      if (block.dirty === 0 && block.pins === 0) this.#evict(block)
      block = next
    }
  }

  #add(block: CacheBlock): void {
    this.#bytesUsed += block.buffer.length
    // Before it is linked: the new block is not dirty yet, and must not be the one that goes.
    if (this.#bytesUsed > this.bytesMax) this.#shrink()
    this.#link(block)
  }

  #evict(block: CacheBlock): void {
    const { blocks } = block.extent
    const index = indexBehind(blocks, block.offset) - 1
    assert(blocks[index] === block, 'A block stands where its offset says')
    blocks.splice(index, 1)
    this.#unlink(block)
    block.cached = false
    if (block.pins === 0) this.#recycle(block)
  }

  #recycle(block: CacheBlock): void {
    this.#bytesUsed -= block.buffer.length
    if (block.own && block.buffer.length === BLOCK_BYTES_MAX && this.#spare.length < SPARE_BUFFERS_MAX)
      this.#spare.push(block.buffer)
  }

  #allocate(capacity: number): Buffer {
    // Of powers of two, so that a reader's slices of a small block do not pin more than that.
    const size = capacity > BLOCK_BYTES_MAX / 2 ? BLOCK_BYTES_MAX : 2 ** Math.ceil(Math.log2(capacity))
    const spare = size === BLOCK_BYTES_MAX ? this.#spare.pop() : undefined
    return spare ?? Buffer.allocUnsafeSlow(size)
  }

  #use(block: CacheBlock): void {
    if (this.#newest === block) return
    this.#unlink(block)
    this.#link(block)
  }

  #link(block: CacheBlock): void {
    block.older = this.#newest
    block.newer = undefined
    if (this.#newest !== undefined) this.#newest.newer = block
    this.#newest = block
    this.#oldest ??= block
  }

  #unlink(block: CacheBlock): void {
    if (block.older !== undefined) block.older.newer = block.newer
    else this.#oldest = block.newer
    if (block.newer !== undefined) block.newer.older = block.older
    else this.#newest = block.older
    block.older = undefined
    block.newer = undefined
  }
}

/** The number of blocks that begin at or before the offset. */
function indexBehind(blocks: readonly CacheBlock[], offset: number): number {
  // Most look at the tail.
  const last = blocks.at(-1)
  if (last !== undefined && last.offset <= offset) return blocks.length
  let low = 0
  let high = blocks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (blocks[middle]!.offset <= offset) low = middle + 1
    else high = middle
  }
  return low
}
