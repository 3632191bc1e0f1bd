/**
 * Where the blocks of a log file are. As long as the file is written the index is in memory; then it is a file beside it, sorted
 * by container, extent and offset, and comes into memory only for reading (docs/formats/log.md).
 */
import { crc32 } from 'node:zlib'
import { assert } from '../../base/assert.ts'
import { readSafeInt64, writeSafeInt64 } from '../../base/bytes.ts'
import { FRAME_BLOCKS_MAX, type LogError } from './durable-log.ts'
import { ENTRY_BYTES, readEntry } from './frame.ts'
import { PREFACE_BYTES, writePreface } from './preface.ts'

/** A log file takes no frame with blocks beyond this many, so that its index fits in memory whatever the blocks are. */
export const INDEX_ENTRIES_MAX: number = 128 * 1024

export interface IndexEntry {
  readonly offset: number
  /** In the log file. */
  readonly position: number
  readonly length: number
  readonly crc: number
}

export interface BlockKey {
  readonly container: number
  readonly extent: number
  readonly offset: number
}

/**
 * Entries in columns, in the order they came; those of one extent are chained from the last to the first, since readers of a
 * file that is still written mostly want what came last.
 */
export class MemoryIndex {
  /** Set if blocks may be missing, because frames of the file are damaged. */
  damage: LogError | undefined
  #count = 0
  #offsets = new Float64Array(64)
  #positions = new Uint32Array(64)
  #lengths = new Uint32Array(64)
  #crcs = new Uint32Array(64)
  #previous = new Int32Array(64)
  readonly #last = new Map<number, Map<number, number>>()

  get count(): number {
    return this.#count
  }

  /** Takes the table of a frame; `position` is where the bytes of its first block are. */
  add(container: number, table: Buffer, position: number): void {
    if (table.length === 0) return
    let extents = this.#last.get(container)
    if (extents === undefined) this.#last.set(container, (extents = new Map<number, number>()))
    let at = position
    for (let start = 0; start < table.length; start += ENTRY_BYTES) {
      if (this.#count === this.#offsets.length) this.#grow()
      const { extent, offset, length, crc } = readEntry(table, start)
      const index = this.#count++
      this.#offsets[index] = offset
      this.#positions[index] = at
      this.#lengths[index] = length
      this.#crcs[index] = crc
      this.#previous[index] = extents.get(extent) ?? -1
      extents.set(extent, index)
      at += length
    }
  }

  /** The block that holds the byte. */
  find(key: BlockKey): IndexEntry | undefined {
    let index = this.#last.get(key.container)?.get(key.extent) ?? -1
    for (; index !== -1; index = this.#previous[index]!) {
      const offset = this.#offsets[index]!
      if (key.offset >= offset && key.offset < offset + this.#lengths[index]!) return this.#entry(index)
    }
    return undefined
  }

  /** The index as a file, made piece by piece while it is written. */
  *encode(options: { storeId: Buffer; generation: number }): Generator<Buffer> {
    yield encodeIndexHeader({ ...options, count: this.#count, complete: this.damage === undefined })
    let crc = 0
    let piece = Buffer.allocUnsafe(PIECE_BYTES)
    let filled = 0
    for (const [container, extent, index] of this.#sorted()) {
      if (filled === PIECE_BYTES) {
        crc = crc32(piece, crc)
        yield piece
        piece = Buffer.allocUnsafe(PIECE_BYTES)
        filled = 0
      }
      filled = writeIndexEntry(piece, filled, { container, extent, ...this.#entry(index) })
    }
    const rest = Buffer.allocUnsafe(filled + FOOTER_BYTES)
    piece.copy(rest, 0, 0, filled)
    rest.writeUInt32BE(crc32(rest.subarray(0, filled), crc), filled)
    yield rest
  }

  *#sorted(): Generator<[container: number, extent: number, index: number]> {
    for (const container of [...this.#last.keys()].toSorted((left, right) => left - right)) {
      const extents = this.#last.get(container)!
      for (const extent of Float64Array.from(extents.keys()).sort())
        for (const index of this.#chain(extents.get(extent)!)) yield [container, extent, index]
    }
  }

  /** One extent's entries by offset; as a rule they came in that order. */
  #chain(last: number): number[] {
    const chain: number[] = []
    for (let index = last; index !== -1; index = this.#previous[index]!) chain.push(index)
    return chain.toReversed().toSorted((left, right) => this.#offsets[left]! - this.#offsets[right]!)
  }

  #entry(index: number): IndexEntry {
    return {
      offset: this.#offsets[index]!,
      position: this.#positions[index]!,
      length: this.#lengths[index]!,
      crc: this.#crcs[index]!,
    }
  }

  #grow(): void {
    const length = this.#offsets.length * 2
    this.#offsets = grown(this.#offsets, new Float64Array(length))
    this.#positions = grown(this.#positions, new Uint32Array(length))
    this.#lengths = grown(this.#lengths, new Uint32Array(length))
    this.#crcs = grown(this.#crcs, new Uint32Array(length))
    this.#previous = grown(this.#previous, new Int32Array(length))
  }
}

function grown<T extends Float64Array | Uint32Array | Int32Array>(from: T, to: T): T {
  to.set(from)
  return to
}

const HEADER_BYTES = 64
const FOOTER_BYTES = 4
const STORED_ENTRY_BYTES = 32
const PIECE_BYTES = 4096 * STORED_ENTRY_BYTES

/** A file takes one more frame as long as it is below its limit. */
export const INDEX_BYTES_MAX: number =
  HEADER_BYTES + (INDEX_ENTRIES_MAX + FRAME_BLOCKS_MAX) * STORED_ENTRY_BYTES + FOOTER_BYTES

const FLAG_COMPLETE = 1

function encodeIndexHeader(options: {
  storeId: Buffer
  generation: number
  count: number
  complete: boolean
}): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  writePreface(header, 'index')
  options.storeId.copy(header, PREFACE_BYTES)
  writeSafeInt64(header, options.generation, 32)
  header.writeUInt32BE(options.count, 40)
  header.writeUInt32BE(options.complete ? FLAG_COMPLETE : 0, 44)
  header.writeUInt32BE(crc32(header.subarray(0, 60)), 60)
  return header
}

function writeIndexEntry(target: Buffer, position: number, entry: IndexEntry & BlockKey): number {
  let at = target.writeUInt32BE(entry.container, position)
  at = writeSafeInt64(target, entry.extent, at)
  at = writeSafeInt64(target, entry.offset, at)
  at = target.writeUInt32BE(entry.position, at)
  at = target.writeUInt32BE(entry.length, at)
  return target.writeUInt32BE(entry.crc, at)
}

/** The index of a file that is not written any more, as it came from the disk. */
export class StoredIndex {
  /** Whether a block that is not found was never there. */
  readonly complete: boolean
  readonly #entries: Buffer

  private constructor(entries: Buffer, complete: boolean) {
    this.#entries = entries
    this.complete = complete
  }

  /** Undefined if these bytes are not what was written. */
  static parse(bytes: Buffer, expected: { storeId: Buffer; generation: number }): StoredIndex | undefined {
    if (bytes.length < HEADER_BYTES + FOOTER_BYTES) return undefined
    if (crc32(bytes.subarray(0, 60)) !== bytes.readUInt32BE(60)) return undefined
    if (bytes.compare(expected.storeId, 0, 16, PREFACE_BYTES, 32) !== 0) return undefined
    if (readSafeInt64(bytes, 32) !== expected.generation) return undefined
    const entries = bytes.subarray(HEADER_BYTES, bytes.length - FOOTER_BYTES)
    if (entries.length !== bytes.readUInt32BE(40) * STORED_ENTRY_BYTES) return undefined
    if (crc32(entries) !== bytes.readUInt32BE(bytes.length - FOOTER_BYTES)) return undefined
    return new StoredIndex(entries, (bytes.readUInt32BE(44) & FLAG_COMPLETE) !== 0)
  }

  /** Of an index that was just made again. */
  static of(index: MemoryIndex, options: { storeId: Buffer; generation: number }): StoredIndex {
    const stored = StoredIndex.parse(Buffer.concat([...index.encode(options)]), options)
    assert(stored !== undefined, 'An index that was just encoded can be read')
    return stored
  }

  get bytes(): number {
    return this.#entries.length
  }

  /** The block that holds the byte: of the entries that are not behind it the last, if that reaches so far. */
  find(key: BlockKey): IndexEntry | undefined {
    let low = 0
    let high = this.#entries.length / STORED_ENTRY_BYTES
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#isBehind(middle, key)) high = middle
      else low = middle + 1
    }
    if (low === 0) return undefined
    const start = (low - 1) * STORED_ENTRY_BYTES
    const entry = this.#entryAt(start)
    if (this.#entries.readUInt32BE(start) !== key.container) return undefined
    if (readSafeInt64(this.#entries, start + 4) !== key.extent) return undefined
    return key.offset < entry.offset + entry.length ? entry : undefined
  }

  #isBehind(index: number, key: BlockKey): boolean {
    const start = index * STORED_ENTRY_BYTES
    const container = this.#entries.readUInt32BE(start)
    if (container !== key.container) return container > key.container
    const extent = this.#number(start + 4)
    if (extent !== key.extent) return extent > key.extent
    return this.#number(start + 12) > key.offset
  }

  #entryAt(start: number): IndexEntry {
    return {
      offset: this.#number(start + 12),
      position: this.#entries.readUInt32BE(start + 20),
      length: this.#entries.readUInt32BE(start + 24),
      crc: this.#entries.readUInt32BE(start + 28),
    }
  }

  #number(position: number): number {
    const value = readSafeInt64(this.#entries, position)
    assert(value !== undefined, 'An index that checks holds numbers that were written')
    return value
  }
}
