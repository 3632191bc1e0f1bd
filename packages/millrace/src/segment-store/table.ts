/**
 * A hash table segment: keys to values, each with a version. Versions are offsets of a log that the table would be if it were
 * one: every entry put or removed makes the table longer, and an entry's version is the length when it was put. So they
 * grow, none comes twice, and "what changed since" is an order by version.
 */
import type { Long } from '../protocol/wire/commands.ts'

export interface StoredEntry {
  readonly key: Buffer
  readonly value: Buffer
  readonly version: number
}

/** What Pravega's entries take besides key and value: a header with two lengths and the version. */
const ENTRY_OVERHEAD_BYTES = 17

export function entryBytes(key: Buffer, value: Buffer | undefined): number {
  return ENTRY_OVERHEAD_BYTES + key.length + (value?.length ?? 0)
}

export class Table {
  /** By version, oldest first: an entry that changes moves to the end. */
  readonly #entries = new Map<string, StoredEntry>()
  #length: number

  constructor(length = 0) {
    this.#length = length
  }

  get length(): number {
    return this.#length
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: Buffer): StoredEntry | undefined {
    return this.#entries.get(key.toString('latin1'))
  }

  put(key: Buffer, value: Buffer): number {
    const version = this.#length
    this.restore({ key, value, version })
    this.#length += entryBytes(key, value)
    return version
  }

  remove(key: Buffer): void {
    this.#entries.delete(key.toString('latin1'))
    this.#length += entryBytes(key, undefined)
  }

  /** An entry as it was; entries come by version. */
  restore(entry: StoredEntry): void {
    const name = entry.key.toString('latin1')
    this.#entries.delete(name)
    // Views of a whole frame would keep it in memory.
    this.#entries.set(name, { ...entry, key: Buffer.from(entry.key), value: Buffer.from(entry.value) })
  }

  /** From a version on, oldest first. */
  *from(version: number): Generator<StoredEntry> {
    for (const entry of this.#entries.values()) if (entry.version >= version) yield entry
  }
}

/** Whether an entry may be changed by someone who wants this version (wire: LONG_MIN any, -1 absent). */
export function versionFits(entry: StoredEntry | undefined, wanted: Long): boolean {
  if (typeof wanted === 'bigint') return wanted === -(2n ** 63n)
  return wanted === -1 ? entry === undefined : entry?.version === wanted
}
