/**
 * Reads blocks back. Indexes of files that are not written any more and open descriptions are kept as long as their bounds
 * allow, those used last the longest.
 */
import { type Disk, DiskError, type File } from '../../base/host.ts'
import { blockCrc } from './block-crc.ts'
import { type BlockKey, INDEX_BYTES_MAX, type IndexEntry, MemoryIndex, StoredIndex } from './block-index.ts'
import { asLogError } from './disk-failure.ts'
import { type Block, LogError } from './durable-log.ts'
import { FrameScanner } from './frame-scanner.ts'
import { blocksPosition } from './frame.ts'
import type { LogFile } from './log-file.ts'
import { indexName } from './log-names.ts'
import { readWholeFile } from './read-whole-file.ts'
import { replaceFile } from './replace-file.ts'

const INDEX_CACHE_BYTES = 8 * 1024 * 1024
const OPEN_FILES_MAX = 16

/** Blocks smaller than this are read together with what stands behind them: who reads one mostly reads the next. */
const SMALL_BYTES = 16 * 1024
const WINDOW_BYTES = 128 * 1024
const WINDOWS_MAX = 8

export interface BlockReaderOptions {
  readonly disk: Disk
  readonly directory: string
  readonly storeId: Buffer
  /** Damage that harmed nobody: an index that was made again. */
  readonly onDamage: (error: LogError) => void
}

interface OpenFile {
  readonly file: Promise<File>
  users: number
  /** To be closed by its last user. */
  dropped: boolean
}

/** Bytes of a file as they were when they were read; what has been written since is not in it. */
interface Window {
  readonly position: number
  readonly bytes: Buffer
}

interface CachedIndex {
  readonly index: Promise<StoredIndex>
  bytes: number
}

export class BlockReader {
  readonly #options: BlockReaderOptions
  readonly #files = new Map<number, OpenFile>()
  readonly #indexes = new Map<number, CachedIndex>()
  readonly #windows = new Map<number, Window>()

  constructor(options: BlockReaderOptions) {
    this.#options = options
  }

  async read(file: LogFile, key: BlockKey): Promise<Block> {
    const entry = await this.#find(file, key)
    // A file that is not as long as it was when its index was made.
    if (entry.position + entry.length > file.bytes) throw damagedBlock(file, key, entry.position)
    const known = this.#fromWindow(file.generation, entry)
    if (known !== undefined) {
      const block = { extent: key.extent, offset: entry.offset, bytes: known }
      if (blockCrc(key.container, block) === entry.crc) return block
    }
    const bytes = await this.#readBytes(file, entry)
    const block: Block = { extent: key.extent, offset: entry.offset, bytes }
    if (bytes.length < entry.length || blockCrc(key.container, block) !== entry.crc)
      throw damagedBlock(file, key, entry.position)
    return block
  }

  #fromWindow(generation: number, { position, length }: IndexEntry): Buffer | undefined {
    const window = this.#windows.get(generation)
    if (window === undefined || position < window.position) return undefined
    const start = position - window.position
    if (start + length > window.bytes.length) return undefined
    return Buffer.from(window.bytes.subarray(start, start + length))
  }

  async #readBytes(file: LogFile, { position, length }: IndexEntry): Promise<Buffer> {
    const wanted = length < SMALL_BYTES ? Math.min(WINDOW_BYTES, file.bytes - position) : length
    const bytes = Buffer.allocUnsafeSlow(wanted)
    const filled = await this.#withFile(file, (opened) => opened.read(bytes, position))
    if (length >= SMALL_BYTES) return bytes.subarray(0, filled)
    this.#windows.delete(file.generation)
    this.#windows.set(file.generation, { position, bytes: bytes.subarray(0, filled) })
    for (const generation of this.#windows.keys()) {
      if (this.#windows.size <= WINDOWS_MAX) break
      this.#windows.delete(generation)
    }
    return Buffer.from(bytes.subarray(0, Math.min(filled, length)))
  }

  /** The file is about to be used for something else. */
  async forget(generation: number): Promise<void> {
    this.#indexes.delete(generation)
    this.#windows.delete(generation)
    const opened = this.#files.get(generation)
    if (opened !== undefined) await this.#drop(generation, opened)
  }

  async close(): Promise<void> {
    this.#indexes.clear()
    this.#windows.clear()
    for (const [generation, opened] of this.#files) await this.#drop(generation, opened)
  }

  async #find(file: LogFile, key: BlockKey): Promise<IndexEntry> {
    if (file.index !== undefined) {
      const entry = file.index.find(key)
      if (entry !== undefined) return entry
      throw file.index.damage === undefined ? notFound(file, key) : lost(file, key)
    }
    const index = await this.#indexOf(file)
    const entry = index.find(key)
    if (entry !== undefined) return entry
    throw index.complete ? notFound(file, key) : lost(file, key)
  }

  async #indexOf(file: LogFile): Promise<StoredIndex> {
    const { generation } = file
    const known = this.#indexes.get(generation)
    if (known !== undefined) {
      this.#indexes.delete(generation)
      this.#indexes.set(generation, known)
      return known.index
    }
    const cached: CachedIndex = { index: this.#loadIndex(file), bytes: 0 }
    this.#indexes.set(generation, cached)
    try {
      const index = await cached.index
      cached.bytes = index.bytes
    } catch (error) {
      if (this.#indexes.get(generation) === cached) this.#indexes.delete(generation)
      throw error
    }
    this.#dropIndexes()
    return cached.index
  }

  #dropIndexes(): void {
    let total = 0
    for (const { bytes } of this.#indexes.values()) total += bytes
    for (const [generation, { bytes }] of this.#indexes) {
      if (total <= INDEX_CACHE_BYTES || this.#indexes.size === 1) return
      this.#indexes.delete(generation)
      total -= bytes
    }
  }

  async #loadIndex(file: LogFile): Promise<StoredIndex> {
    const { disk, directory, storeId, onDamage } = this.#options
    const { generation } = file
    const name = indexName(generation)
    const path = `${directory}/${name}`
    const bytes = await readWholeFile(disk, path, INDEX_BYTES_MAX)
    const index = bytes === undefined ? undefined : StoredIndex.parse(bytes, { storeId, generation })
    if (index !== undefined) return index
    const damage = new LogError(
      'damaged',
      `${path} is damaged or missing; it is made again from ${file.path}`,
      {
        path,
        position: 0,
      },
    )
    onDamage(damage)
    const again = await this.#rebuild(file)
    // Of the frames that are destroyed nobody knows, so what is not found may have been in one of them.
    again.damage = damage
    await replaceFile(this.#options, name, again.encode({ storeId, generation }))
    return StoredIndex.of(again, { storeId, generation })
  }

  /** Makes the index again from the tables of those frames of the file that are intact. */
  async #rebuild(file: LogFile): Promise<MemoryIndex> {
    const { storeId } = this.#options
    const { generation, bytes } = file
    const index = new MemoryIndex()
    await this.#withFile(file, async (opened) => {
      const scanner = new FrameScanner({ file: opened, storeId, generation, bytes })
      for (let header = await scanner.next(); header !== undefined; header = await scanner.next()) {
        const body = await scanner.body(header)
        if (body !== undefined) index.add(header.container, body.table, blocksPosition(header))
      }
    })
    return index
  }

  /** A description is not closed while somebody reads from it. */
  async #withFile<T>(of: LogFile, body: (file: File) => Promise<T>): Promise<T> {
    const { generation } = of
    let opened = this.#files.get(generation)
    if (opened === undefined)
      opened = { file: this.#options.disk.open(of.path, 'read'), users: 0, dropped: false }
    this.#files.delete(generation)
    this.#files.set(generation, opened)
    opened.users++
    try {
      return await body(await opened.file)
    } catch (error) {
      // A description that could not be opened, or has failed once, is of no use to the next reader.
      void this.#drop(generation, opened)
      throw asLogError(error)
    } finally {
      opened.users--
      if (opened.dropped && opened.users === 0) await closeQuietly(opened)
      this.#dropFiles()
    }
  }

  #dropFiles(): void {
    for (const [generation, opened] of this.#files) {
      if (this.#files.size <= OPEN_FILES_MAX) return
      if (opened.users === 0) void this.#drop(generation, opened)
    }
  }

  async #drop(generation: number, opened: OpenFile): Promise<void> {
    if (this.#files.get(generation) === opened) this.#files.delete(generation)
    if (opened.dropped) return
    opened.dropped = true
    if (opened.users === 0) await closeQuietly(opened)
  }
}

/** Nothing was written through it, so a failure to close loses nothing. */
async function closeQuietly(opened: OpenFile): Promise<void> {
  try {
    await (await opened.file).close()
  } catch (error) {
    if (!(error instanceof DiskError)) throw error
  }
}

function describe(key: BlockKey): string {
  return `container ${key.container}, extent ${key.extent}, offset ${key.offset}`
}

function notFound(file: LogFile, key: BlockKey): LogError {
  return new LogError('not-found', `${file.path} has no block of ${describe(key)}`, { path: file.path })
}

function lost(file: LogFile, key: BlockKey): LogError {
  const message = `${file.path} is damaged and the block of ${describe(key)} is not among what is left`
  return new LogError('damaged', message, { path: file.path })
}

function damagedBlock(file: LogFile, key: BlockKey, position: number): LogError {
  const message = `${file.path} at ${position} is damaged: it is not what was written for ${describe(key)}`
  return new LogError('damaged', message, { path: file.path, position })
}
