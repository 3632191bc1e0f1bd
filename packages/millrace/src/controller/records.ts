/**
 * Records in tables, changed by compare-and-set, with those used last held in memory.
 *
 * What is held is what this controller wrote or read last. It is the only one that writes these tables (one controller
 * belongs to one store), so nothing held is older than any call that it has acknowledged. Should another one write all the same,
 * a write here fails on the version, what is held is dropped, and the caller decides anew on what is true.
 */
import { assert } from '../base/assert.ts'
import type { Random } from '../base/host.ts'
import { type SegmentCalls, SegmentError, type TablePage } from '../client/segment-calls.ts'
import type { Long } from '../protocol/wire/commands.ts'
import { decodeRecord, encodeRecord, type RecordCodec } from './record-codec.ts'

export interface Place {
  readonly table: string
  readonly key: string
}

export interface StoredRecord<T> {
  readonly record: T
  readonly version: Long
}

/** The table is not there (any more). */
export class NoTableError extends Error {
  override readonly name = 'NoTableError'
}

export class Records<T> {
  readonly #segments: SegmentCalls
  readonly #random: Random
  readonly #codec: RecordCodec<T>
  readonly #complete: (place: Place, record: T) => Promise<T>
  readonly #held: HeldRecords<StoredRecord<T>>
  /** Reads under way. One that a write overtakes is not held, and nobody joins it any more. */
  readonly #reads = new Map<string, Promise<StoredRecord<T> | undefined>>()

  constructor(
    dependencies: { segments: SegmentCalls; random: Random },
    options: {
      codec: RecordCodec<T>
      heldBytesMax: number
      /** Reads what belongs to a record and is stored beside it. */
      complete?: (place: Place, record: T) => Promise<T>
    },
  ) {
    this.#segments = dependencies.segments
    this.#random = dependencies.random
    this.#codec = options.codec
    this.#complete = options.complete ?? (async (_place, record) => record)
    this.#held = new HeldRecords(options.heldBytesMax)
  }

  /** What is in memory. */
  held(place: Place): StoredRecord<T> | undefined {
    return this.#held.get(idOf(place))
  }

  /** Undefined if there is no such entry, or no such table. */
  async get(place: Place): Promise<StoredRecord<T> | undefined> {
    const id = idOf(place)
    const held = this.#held.get(id)
    if (held !== undefined) return held
    const joined = this.#reads.get(id)
    if (joined !== undefined) return joined
    const read = this.#read(place).then((found) => {
      if (this.#reads.get(id) === read && found !== undefined) this.#held.set(id, found, found.bytes)
      return found
    })
    this.#reads.set(id, read)
    try {
      return await read
    } finally {
      if (this.#reads.get(id) === read) this.#reads.delete(id)
    }
  }

  /**
   * Writes the record if the entry is still the `expected` one (undefined: absent). Undefined if it is not.
   * Rejects with `NoTableError` when the table is missing.
   */
  async put(
    place: Place,
    record: T,
    expected: StoredRecord<T> | undefined,
  ): Promise<StoredRecord<T> | undefined> {
    const writeId = this.#random.bytes(8).toString('hex')
    const value = encodeRecord(this.#codec, { key: place.key, record, writeId })
    // Until the write is answered the record before it is as good as the one after it.
    this.#reads.delete(idOf(place))
    let stored: StoredRecord<T> | undefined
    try {
      const version = await this.#write(place, { value, writeId, expected })
      if (version !== undefined) stored = { record, version }
      return stored
    } finally {
      this.#forget(idOf(place))
      if (stored !== undefined) this.#held.set(idOf(place), stored, value.length + this.#bytesBeside(record))
    }
  }

  /** The new version; undefined if the entry is not the expected one. */
  async #write(
    place: Place,
    write: { value: Buffer; writeId: string; expected: StoredRecord<T> | undefined },
  ): Promise<Long | undefined> {
    const { value, writeId, expected } = write
    const update = {
      key: keyOf(place),
      value,
      condition: expected === undefined ? ('absent' as const) : expected.version,
    }
    for (;;) {
      try {
        const [version] = await this.#segments.updateTable(place.table, [update])
        assert(version !== undefined, 'An update is answered with a version')
        return version
      } catch (error) {
        if (isSegmentError(error, 'no-such-segment')) throw noTable(place, error)
        // An attempt whose answer was lost may have done it, and may still arrive: only the write id tells.
        const isOpen = isSegmentError(error, 'unknown-outcome')
        if (!isOpen && !isSegmentError(error, 'bad-key-version') && !isSegmentError(error, 'no-such-key'))
          throw error
        const found = await this.#read(place)
        if (found?.writeId === writeId) return found.version
        if (!isOpen || found?.version !== expected?.version) return undefined
      }
    }
  }

  /** Removes the entry if it is still the `expected` one. */
  async remove(place: Place, expected: StoredRecord<T>): Promise<boolean> {
    this.#forget(idOf(place))
    for (;;) {
      try {
        await this.#segments.removeFromTable(place.table, [
          { key: keyOf(place), condition: expected.version },
        ])
        this.#forget(idOf(place))
        return true
      } catch (error) {
        if (isSegmentError(error, 'no-such-segment') || isSegmentError(error, 'no-such-key')) return true
        if (isSegmentError(error, 'bad-key-version')) return (await this.#read(place)) === undefined
        if (!isSegmentError(error, 'unknown-outcome')) throw error
        const found = await this.#read(place)
        if (found === undefined) return true
        if (found.version !== expected.version) return false
      }
    }
  }

  /** All records whose key begins with `prefix`, in no order, page by page. Nothing of it is held, nor read that is beside it. */
  async *list(
    table: string,
    prefix: string,
  ): AsyncGenerator<readonly (StoredRecord<T> & { readonly key: string })[]> {
    let continuationToken: Buffer | undefined
    do {
      const page = await this.#listPage(table, continuationToken)
      const found: (StoredRecord<T> & { readonly key: string })[] = []
      for (const entry of page.entries) {
        const key = entry.key.toString('utf8')
        if (!key.startsWith(prefix)) continue
        const { record } = decodeRecord(this.#codec, { key, value: entry.value })
        found.push({ key, record, version: entry.version })
      }
      if (found.length > 0) yield found
      continuationToken = page.continuationToken
    } while (continuationToken !== undefined)
  }

  async #listPage(table: string, continuationToken: Buffer | undefined): Promise<TablePage> {
    try {
      return await this.#segments.listTable(table, { count: LISTED_AT_ONCE, continuationToken })
    } catch (error) {
      if (isSegmentError(error, 'no-such-segment')) return { entries: [], continuationToken: undefined }
      throw error
    }
  }

  async #read(
    place: Place,
  ): Promise<(StoredRecord<T> & { readonly writeId: string; readonly bytes: number }) | undefined> {
    try {
      const [entry] = await this.#segments.readTable(place.table, [keyOf(place)])
      if (entry === undefined) return undefined
      const { record: bare, writeId } = decodeRecord(this.#codec, { key: place.key, value: entry.value })
      const record = await this.#complete(place, bare)
      const bytes = entry.value.length + this.#bytesBeside(record)
      return { record, writeId, version: entry.version, bytes }
    } catch (error) {
      if (isSegmentError(error, 'no-such-segment')) return undefined
      throw error
    }
  }

  #bytesBeside(record: T): number {
    return this.#codec.bytesBeside?.(record) ?? 0
  }

  #forget(id: string): void {
    this.#held.delete(id)
    this.#reads.delete(id)
  }
}

export function isSegmentError(error: unknown, code: SegmentError['code']): error is SegmentError {
  return error instanceof SegmentError && error.code === code
}

/** For calls that change nothing when they are made again. */
export async function untilKnown<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!isSegmentError(error, 'unknown-outcome')) throw error
    }
  }
}

const LISTED_AT_ONCE = 1000

/** Those used last, up to a number of bytes. */
class HeldRecords<T> {
  readonly #bytesMax: number
  /** The one unused for longest comes first. */
  readonly #records = new Map<string, { readonly record: T; readonly bytes: number }>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(id: string): T | undefined {
    const held = this.#records.get(id)
    if (held === undefined) return undefined
    this.#records.delete(id)
    this.#records.set(id, held)
    return held.record
  }

  set(id: string, record: T, bytes: number): void {
    this.delete(id)
    this.#records.set(id, { record, bytes })
    this.#bytes += bytes
    for (const [oldest] of this.#records) {
      if (this.#bytes <= this.#bytesMax) break
      this.delete(oldest)
    }
  }

  delete(id: string): void {
    const held = this.#records.get(id)
    if (held === undefined) return
    this.#records.delete(id)
    this.#bytes -= held.bytes
  }
}

function idOf(place: Place): string {
  return `${place.table}\0${place.key}`
}

function keyOf(place: Place): Buffer {
  return Buffer.from(place.key, 'utf8')
}

function noTable(place: Place, cause: unknown): NoTableError {
  return new NoTableError(`There is no table ${place.table}`, { cause })
}
