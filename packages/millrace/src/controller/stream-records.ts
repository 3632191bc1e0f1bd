/**
 * The records of streams, with their past. A record is one value of a table and is written with every change, so what has been
 * sealed long ago leaves it in pages, each an entry of its own that never changes. A page is written before the record that is
 * without its content, under a name drawn for it: whatever becomes of the record, no other page is touched.
 */
import type { Random } from '../base/host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import { inParallel } from './parallel.ts'
import { PastPage, splitPast } from './past-page.ts'
import { decodeRecord, encodeRecord } from './record-codec.ts'
import { isSegmentError, type Place, Records, type StoredRecord, untilKnown } from './records.ts'
import type { StreamRecord } from './stream-life.ts'
import { PAST_CODEC, STREAM_CODEC } from './stream-record.ts'
import type { RecordStore } from './workflow.ts'

export const HISTORIES_TABLE = '_system/_tables/stream-histories'

/** Of one call. A page has some 30 KB, and seldom more. */
const PAGES_READ = 16
const PAGES_REMOVED = 500
const CALLS_AT_ONCE = 4

export class StreamRecords implements RecordStore<StreamRecord> {
  readonly #segments: SegmentCalls
  readonly #random: Random
  readonly #records: Records<StreamRecord>

  constructor(dependencies: { segments: SegmentCalls; random: Random }, options: { heldBytesMax: number }) {
    this.#segments = dependencies.segments
    this.#random = dependencies.random
    this.#records = new Records(dependencies, {
      codec: STREAM_CODEC,
      heldBytesMax: options.heldBytesMax,
      complete: (place, record) => this.#complete(place, record),
    })
  }

  held(place: Place): StoredRecord<StreamRecord> | undefined {
    return this.#records.held(place)
  }

  get(place: Place): Promise<StoredRecord<StreamRecord> | undefined> {
    return this.#records.get(place)
  }

  async put(
    place: Place,
    record: StreamRecord,
    expected: StoredRecord<StreamRecord> | undefined,
  ): Promise<StoredRecord<StreamRecord> | undefined> {
    return this.#records.put(place, await this.#withPast(place, record), expected)
  }

  async remove(place: Place, expected: StoredRecord<StreamRecord>): Promise<boolean> {
    const keys = expected.record.past.map(({ id }) => ({ key: keyOf(place, id), condition: 'any' as const }))
    for (let i = 0; i < keys.length; i += PAGES_REMOVED)
      await untilKnown(() =>
        this.#segments.removeFromTable(HISTORIES_TABLE, keys.slice(i, i + PAGES_REMOVED)),
      )
    return this.#records.remove(place, expected)
  }

  /** Without their past. */
  list(table: string, prefix: string): ReturnType<Records<StreamRecord>['list']> {
    return this.#records.list(table, prefix)
  }

  async #withPast(place: Place, record: StreamRecord): Promise<StreamRecord> {
    const { pages, rest } = splitPast(record)
    if (pages.length === 0) return record
    const past = pages.map((content) => new PastPage(this.#random.bytes(6).toString('hex'), content))
    for (const [i, content] of pages.entries()) {
      const key = keyOf(place, past[i]!.id)
      const value = encodeRecord(PAST_CODEC, { key: String(key), record: content, writeId: '' })
      await this.#write({ key, value })
    }
    return { ...record, ...rest, past: [...record.past, ...past] }
  }

  async #write(entry: { key: Buffer; value: Buffer }): Promise<void> {
    const update = { ...entry, condition: 'any' as const }
    try {
      await untilKnown(() => this.#segments.updateTable(HISTORIES_TABLE, [update]))
    } catch (error) {
      if (!isSegmentError(error, 'no-such-segment')) throw error
      await this.#segments.createTable(HISTORIES_TABLE)
      await untilKnown(() => this.#segments.updateTable(HISTORIES_TABLE, [update]))
    }
  }

  async #complete(place: Place, record: StreamRecord): Promise<StreamRecord> {
    if (record.past.length === 0) return record
    const past: PastPage[] = [...record.past]
    const starts = Array.from({ length: Math.ceil(past.length / PAGES_READ) }, (_, i) => i * PAGES_READ)
    await inParallel(starts, CALLS_AT_ONCE, async (start) => {
      const read = await this.#readPages(place, past.slice(start, start + PAGES_READ))
      for (const [i, page] of read.entries()) past[start + i] = page ?? past[start + i]!
    })
    // Of a stream that is being deleted the pages go before the record.
    const missing = past.find(({ isUnread }) => isUnread)
    if (missing !== undefined && record.state.kind !== 'deleting')
      throw new ControllerError(
        'data-loss',
        `There is no entry ${String(keyOf(place, missing.id))} of the stream's past`,
      )
    return { ...record, past }
  }

  async #readPages(place: Place, pages: readonly PastPage[]): Promise<(PastPage | undefined)[]> {
    const keys = pages.map(({ id }) => keyOf(place, id))
    const entries = await this.#segments.readTable(HISTORIES_TABLE, keys)
    return entries.map((entry, i) => {
      if (entry === undefined) return undefined
      const { record } = decodeRecord(PAST_CODEC, { key: String(keys[i]), value: entry.value })
      return new PastPage(pages[i]!.id, record)
    })
  }
}

function keyOf(place: Place, pageId: string): Buffer {
  return Buffer.from(`${place.table}/${place.key}/${pageId}`)
}
