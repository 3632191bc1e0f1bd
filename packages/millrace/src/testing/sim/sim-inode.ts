/**
 * The bytes of one file of the simulated disk, twice: as the page cache has them, which is what calls see, and as they lie on
 * the platter, which is what a power cut leaves. Pages of 4 KiB that differ because nobody has synced them yet are dirty.
 *
 * A page carries the version of its last change. A sync takes a copy of the dirty pages when it begins and puts it on
 * the platter when it ends; it never puts an older version over a newer one, and a page that changed meanwhile stays dirty.
 *
 * A failed sync does what Linux does (measured on 6.18 with ext4): the pages count as clean though the platter has the
 * old bytes, every open description is told once, and the next sync succeeds.
 */
import { assert } from '../../base/assert.ts'
import type { SimRandom } from './sim-random.ts'

const PAGE_BYTES = 4096
const SECTOR_BYTES = 512

/** A copy of dirty pages, on its way to the platter. */
export interface Snapshot {
  readonly pages: readonly { readonly index: number; readonly version: number; readonly bytes: Buffer }[]
  /** The length that becomes durable with it; `extend` never shortens. */
  readonly length: number
  readonly lengthVersion: number
  readonly extendOnly: boolean
}

export class Inode {
  #cache: Image = new Image()
  readonly #platter: Image = new Image()
  /** Dirty pages in the order of their last change, with its version. */
  readonly #dirty = new Map<number, number>()
  readonly #platterVersions = new Map<number, number>()
  #versionLast = 0
  #lengthVersion = 0
  #platterLengthVersion = 0
  /** Counts failed write-backs, as the kernel's errseq does. */
  #errors = 0

  get length(): number {
    return this.#cache.length
  }

  get errors(): number {
    return this.#errors
  }

  read(target: Uint8Array, position: number): number {
    return this.#cache.read(target, position)
  }

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return
    if (position + bytes.length > this.#cache.length) this.#lengthVersion = ++this.#versionLast
    this.#cache.write(bytes, position)
    this.#touch(position, position + bytes.length)
  }

  truncate(length: number): void {
    const old = this.#cache.length
    if (length === old) return
    this.#cache.resize(length)
    this.#lengthVersion = ++this.#versionLast
    // What was cut off reads as zeros if the file grows again, also after a crash.
    if (length < old) this.#touch(length, old)
  }

  /** What a sync of the whole file takes along. */
  snapshot(): Snapshot {
    return this.#snapshotOf([...this.#dirty.keys()], this.length, false)
  }

  /** What a durable write of a range takes along: its pages and, if the file grew, its length. */
  snapshotRange(start: number, end: number): Snapshot {
    const indexes: number[] = []
    for (let index = Math.floor(start / PAGE_BYTES); index * PAGE_BYTES < end; index++)
      if (this.#dirty.has(index)) indexes.push(index)
    return this.#snapshotOf(indexes, Math.min(end, this.length), true)
  }

  commit(snapshot: Snapshot): void {
    if (snapshot.extendOnly) {
      if (snapshot.length > this.#platter.length && snapshot.length <= this.length)
        this.#platter.resize(snapshot.length)
    } else if (snapshot.lengthVersion > this.#platterLengthVersion) {
      this.#platter.resize(snapshot.length)
      this.#platterLengthVersion = snapshot.lengthVersion
    }
    for (const page of snapshot.pages) {
      const start = page.index * PAGE_BYTES
      if ((this.#platterVersions.get(page.index) ?? 0) >= page.version) continue
      this.#platter.writeWithin(page.bytes, start)
      // A page that reaches beyond the durable end is not there as a whole yet.
      if (this.#platter.length < Math.min(start + PAGE_BYTES, this.length)) continue
      this.#platterVersions.set(page.index, page.version)
      if (this.#dirty.get(page.index) === page.version) this.#dirty.delete(page.index)
    }
  }

  /** The write-back of these pages failed. */
  fail(snapshot: Snapshot): void {
    this.#errors++
    for (const page of snapshot.pages)
      if (this.#dirty.get(page.index) === page.version) this.#dirty.delete(page.index)
  }

  /** The kernel writes some dirty pages back whenever it likes. */
  writeBackSome(random: SimRandom): void {
    const indexes = [...this.#dirty.keys()].filter(() => random.chance(0.3))
    this.commit(this.#snapshotOf(indexes, this.length, true))
  }

  /** Clean pages are read from the platter again. */
  dropCache(): void {
    const kept = this.#snapshotOf([...this.#dirty.keys()], this.length, false)
    const { length } = this.#cache
    this.#cache = this.#platter.copy()
    this.#cache.resize(length)
    for (const page of kept.pages) this.#cache.writeWithin(page.bytes, page.index * PAGE_BYTES)
  }

  /** The power goes: each dirty page is kept, lost or torn. */
  loseUnsynced(random: SimRandom): void {
    const indexes = [...this.#dirty.keys()]
    const style = random.pick(['all kept', 'all lost', 'prefix', 'each', 'each'] as const)
    this.#platter.resize(this.#lengthAfterCrash(random, style))
    const prefix = random.integer(indexes.length + 1)
    for (const [nth, index] of indexes.entries()) {
      const start = index * PAGE_BYTES
      const bytes = Buffer.alloc(PAGE_BYTES)
      this.#cache.read(bytes, start)
      if (style === 'all kept' || (style === 'prefix' && nth < prefix))
        this.#platter.writeWithin(bytes, start)
      else if ((style === 'prefix' && nth === prefix) || (style === 'each' && random.chance(0.3)))
        this.#tear(random, bytes, start)
      else if (style === 'each' && random.chance(0.5)) this.#platter.writeWithin(bytes, start)
    }
    this.#dirty.clear()
    this.#platterVersions.clear()
    this.#platterLengthVersion = this.#lengthVersion
    this.#cache = this.#platter.copy()
    this.#errors = 0
  }

  /** Changes bytes on the platter, and in the cache where that only mirrors it. */
  damage(change: (bytes: Buffer) => void): void {
    change(this.#platter.bytes)
    this.dropCache()
  }

  #tear(random: SimRandom, bytes: Buffer, start: number): void {
    const cut = random.between(1, PAGE_BYTES / SECTOR_BYTES - 1)
    const fromFront = random.chance(0.7)
    for (let sector = 0; sector < PAGE_BYTES / SECTOR_BYTES; sector++) {
      const written = fromFront ? sector < cut : random.chance(0.5)
      const offset = sector * SECTOR_BYTES
      if (written) this.#platter.writeWithin(bytes.subarray(offset, offset + SECTOR_BYTES), start + offset)
    }
  }

  #lengthAfterCrash(random: SimRandom, style: 'all kept' | 'all lost' | 'prefix' | 'each'): number {
    const { length } = this.#cache
    const durable = this.#platter.length
    if (style === 'all kept' || length === durable) return length
    if (style === 'all lost') return durable
    if (length < durable) return random.pick([length, durable])
    return random.pick([length, durable, random.between(durable, length)])
  }

  #snapshotOf(indexes: readonly number[], length: number, extendOnly: boolean): Snapshot {
    const pages = indexes.map((index) => {
      const version = this.#dirty.get(index)
      assert(version !== undefined, 'Only dirty pages are written back')
      const bytes = Buffer.alloc(PAGE_BYTES)
      this.#cache.read(bytes, index * PAGE_BYTES)
      return { index, version, bytes }
    })
    return { pages, length, lengthVersion: this.#lengthVersion, extendOnly }
  }

  #touch(start: number, end: number): void {
    const version = ++this.#versionLast
    for (let index = Math.floor(start / PAGE_BYTES); index * PAGE_BYTES < end; index++) {
      this.#dirty.delete(index)
      this.#dirty.set(index, version)
    }
  }
}

/** Bytes that grow. Everything behind the length is zero. */
class Image {
  #buffer: Buffer = Buffer.alloc(0)
  length = 0

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length)
  }

  read(target: Uint8Array, position: number): number {
    if (position >= this.length) return 0
    const end = Math.min(position + target.length, this.length)
    target.set(this.#buffer.subarray(position, end))
    return end - position
  }

  write(bytes: Uint8Array, position: number): void {
    if (position + bytes.length > this.length) this.resize(position + bytes.length)
    this.#buffer.set(bytes, position)
  }

  /** Writes only what lies before the end. */
  writeWithin(bytes: Uint8Array, position: number): void {
    if (position < this.length) this.#buffer.set(bytes.subarray(0, this.length - position), position)
  }

  resize(length: number): void {
    if (length > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(length, this.#buffer.length * 2))
      this.#buffer.copy(grown, 0, 0, this.length)
      this.#buffer = grown
    } else if (length < this.length) this.#buffer.fill(0, length, this.length)
    this.length = length
  }

  copy(): Image {
    const image = new Image()
    image.#buffer = Buffer.from(this.bytes)
    image.length = this.length
    return image
  }
}
