/**
 * Transactions that have ended, remembered for a while so that whoever asks late hears how. They are written into a table
 * for each slice of time, which is deleted as a whole when all in it are old enough: nothing searches for what is old.
 *
 * A slice has two entries for each transaction, written in one call: one by its id, and one in a ring of the stream's newest, which
 * is what listings are made of. Another table lists the slices there are.
 */
import type { Clock } from '../base/host.ts'
import type { SegmentCalls, TableUpdate } from '../client/segment-calls.ts'
import { uuidHex } from '../protocol/uuid.ts'
import { FINISHED_LISTED_MAX } from './limits.ts'
import { decodeRecord, encodeRecord, type RecordCodec } from './record-codec.ts'
import { isSegmentError, untilKnown } from './records.ts'
import type { FinishedState } from './transaction-life.ts'
import { idOfHex } from './transaction-record.ts'

export interface FinishedTransaction {
  /** Sixteen characters. */
  readonly id: string
  readonly state: FinishedState
}

/** A stream among all that there have been: the number of its first segment belongs to no other one of the name. */
export interface StreamLife {
  readonly scope: string
  readonly stream: string
  readonly firstNumber: number
}

interface FinishedRecord {
  /** As 32 digits. */
  readonly id: string
  readonly state: FinishedState
  readonly endedAtMs: number
  /** Counts the stream's transactions in this slice. */
  readonly turn: number
}

const CODEC: RecordCodec<FinishedRecord> = {
  what: 'finished transaction',
  version: 1,
  toJson: (record) => record,
  fromJson: (json) => json as FinishedRecord,
}

export const SLICES_TABLE = '_system/_tables/finished-transactions'

/** Of the time that transactions are kept; they are kept for up to one slice longer. */
const SLICES = 4

export class FinishedTransactions {
  readonly #segments: SegmentCalls
  readonly #clock: Clock
  readonly #keptMs: number
  readonly #sliceMs: number
  /** Numbers of slices, newest first. */
  #slices: Promise<number[]> | undefined
  #opening: Promise<void> | undefined
  /** The turns that come next, by stream, of the slice that is written now. */
  #turns: { readonly slice: number; readonly isNew: boolean; readonly next: Map<string, Promise<number>> } = {
    slice: -1,
    isNew: false,
    next: new Map(),
  }

  constructor(dependencies: { segments: SegmentCalls; clock: Clock }, options: { keptMs: number }) {
    this.#segments = dependencies.segments
    this.#clock = dependencies.clock
    this.#keptMs = options.keptMs
    this.#sliceMs = Math.ceil(options.keptMs / SLICES)
  }

  /** Written again, it changes nothing but the time. */
  async add(life: StreamLife, ended: readonly FinishedTransaction[]): Promise<void> {
    for (;;) {
      const endedAtMs = this.#clock.now()
      const slice = await this.#open(Math.floor(endedAtMs / this.#sliceMs))
      const first = await this.#takeTurns(life, slice, ended.length)
      const updates = ended.flatMap(({ id, state }, i): TableUpdate[] => {
        const record = { id: uuidHex(id), state, endedAtMs, turn: first + i }
        return [updateOf(idKey(life, id), record), updateOf(turnKey(life, record.turn), record)]
      })
      try {
        await this.#segments.updateTable(sliceTable(slice), updates)
        return
      } catch (error) {
        // The process that listed it went no further.
        if (isSegmentError(error, 'no-such-segment')) await this.#segments.createTable(sliceTable(slice))
        else if (!isSegmentError(error, 'unknown-outcome')) throw error
      }
    }
  }

  async find(life: StreamLife, id: string): Promise<FinishedState | undefined> {
    const found = await this.#readAll([idKey(life, id)])
    return found[0]?.state
  }

  /** Newest first. */
  async newest(life: StreamLife): Promise<readonly FinishedTransaction[]> {
    const ring = Array.from({ length: FINISHED_LISTED_MAX }, (_, turn) => turnKey(life, turn))
    const found = new Map<string, FinishedRecord>()
    for (const record of await this.#readAll(ring)) if (!found.has(record.id)) found.set(record.id, record)
    return [...found.values()]
      .toSorted((a, b) => b.endedAtMs - a.endedAtMs || b.turn - a.turn)
      .slice(0, FINISHED_LISTED_MAX)
      .map(({ id, state }) => ({ id: idOfHex(id), state }))
  }

  /** Deletes the slices in which all is old. */
  async sweep(): Promise<void> {
    const slices = await this.#knownSlices()
    const old = slices.filter((slice) => (slice + 1) * this.#sliceMs + this.#keptMs <= this.#clock.now())
    for (const slice of old) {
      await this.#segments.deleteTable(sliceTable(slice))
      await this.#segments.removeFromTable(SLICES_TABLE, [{ key: sliceKey(slice), condition: 'any' }])
      slices.splice(slices.indexOf(slice), 1)
    }
  }

  /** The slice to write into: this one, or a later one if the clock was set back. */
  async #open(slice: number): Promise<number> {
    const slices = await this.#knownSlices()
    const newest = slices[0]
    if (newest !== undefined && newest >= slice) {
      this.#useTurns(newest, false)
      return newest
    }
    this.#opening ??= this.#begin(slice, slices).finally(() => {
      this.#opening = undefined
    })
    await this.#opening
    return this.#open(slice)
  }

  async #begin(slice: number, slices: number[]): Promise<void> {
    await this.#segments.createTable(SLICES_TABLE)
    const entry = { key: sliceKey(slice), value: EMPTY_VALUE, condition: 'any' } as const
    // Listed first, so that none is ever forgotten.
    await untilKnown(() => this.#segments.updateTable(SLICES_TABLE, [entry]))
    const created = await this.#segments.createTable(sliceTable(slice))
    slices.unshift(slice)
    this.#useTurns(slice, created === 'created')
    // What fails now is swept with the next slice.
    await this.sweep().catch(() => undefined)
  }

  #useTurns(slice: number, isNew: boolean): void {
    if (this.#turns.slice !== slice) this.#turns = { slice, isNew, next: new Map() }
  }

  async #takeTurns(life: StreamLife, slice: number, count: number): Promise<number> {
    if (this.#turns.slice !== slice) return this.#turnAfterAll(life, slice)
    const { isNew, next } = this.#turns
    const name = lifeKey(life)
    const known = next.get(name) ?? (isNew ? Promise.resolve(0) : this.#turnAfterAll(life, slice))
    const after = known.then((turn) => turn + count)
    next.set(name, after)
    try {
      return await known
    } catch (error) {
      next.delete(name)
      throw error
    } finally {
      after.catch(() => undefined)
    }
  }

  async #turnAfterAll(life: StreamLife, slice: number): Promise<number> {
    const keys = Array.from({ length: FINISHED_LISTED_MAX }, (_, turn) => turnKey(life, turn))
    return (await this.#read(slice, keys)).reduce((next, { turn }) => Math.max(next, turn + 1), 0)
  }

  /** Of all slices, those that are still to be remembered, in the order of slices. */
  async #readAll(keys: readonly Buffer[]): Promise<FinishedRecord[]> {
    const slices = await this.#knownSlices()
    const found = await Promise.all(slices.map((slice) => this.#read(slice, keys)))
    const oldestMs = this.#clock.now() - this.#keptMs
    return found.flat().filter(({ endedAtMs }) => endedAtMs >= oldestMs)
  }

  async #read(slice: number, keys: readonly Buffer[]): Promise<FinishedRecord[]> {
    try {
      const entries = await this.#segments.readTable(sliceTable(slice), keys)
      return entries.flatMap((entry) =>
        entry === undefined
          ? []
          : [decodeRecord(CODEC, { key: entry.key.toString('utf8'), value: entry.value }).record],
      )
    } catch (error) {
      if (isSegmentError(error, 'no-such-segment')) return []
      throw error
    }
  }

  #knownSlices(): Promise<number[]> {
    this.#slices ??= this.#listSlices().catch((error: unknown) => {
      this.#slices = undefined
      throw error
    })
    return this.#slices
  }

  async #listSlices(): Promise<number[]> {
    const slices: number[] = []
    let continuationToken: Buffer | undefined
    do {
      try {
        const page = await this.#segments.listTable(SLICES_TABLE, { count: 100, continuationToken })
        for (const { key } of page.entries) slices.push(Number(key.toString('utf8')))
        continuationToken = page.continuationToken
      } catch (error) {
        if (isSegmentError(error, 'no-such-segment')) return []
        throw error
      }
    } while (continuationToken !== undefined)
    return [...new Set(slices)].toSorted((a, b) => b - a)
  }
}

const EMPTY_VALUE = Buffer.from('{}')

function sliceTable(slice: number): string {
  return `${SLICES_TABLE}.${slice}`
}

function sliceKey(slice: number): Buffer {
  return Buffer.from(String(slice))
}

function lifeKey({ scope, stream, firstNumber }: StreamLife): string {
  return `${scope}/${stream}/${firstNumber}`
}

function idKey(life: StreamLife, id: string): Buffer {
  return Buffer.from(`${lifeKey(life)}/${uuidHex(id)}`)
}

function turnKey(life: StreamLife, turn: number): Buffer {
  return Buffer.from(`${lifeKey(life)}/newest/${turn % FINISHED_LISTED_MAX}`)
}

function updateOf(key: Buffer, record: FinishedRecord): TableUpdate {
  // Whoever writes it, and how often, it says the same.
  const value = encodeRecord(CODEC, { key: key.toString('utf8'), record, writeId: '' })
  return { key, value, condition: 'any' }
}
