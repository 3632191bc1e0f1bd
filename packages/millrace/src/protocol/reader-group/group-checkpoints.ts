import { ByteReader } from '../byte-reader.ts'
import type { ByteWriter } from '../byte-writer.ts'
import {
  encodeVersioned,
  readList,
  readMap,
  readOffset,
  readText,
  readVersioned,
  writeList,
  writeMap,
  writeOffset,
  writeText,
} from '../java-serializer.ts'
import { ProtocolError } from '../protocol-error.ts'
import { readSegmentName } from '../segment-fields.ts'

/** Offsets by the names of segments. */
export type Offsets = ReadonlyMap<string, number>

/** Checkpoints of which users hear nothing have this in their names: it is how the group finds out its present stream cut. */
export const SILENT_CHECKPOINT_MARK = '_SILENT_'

export function isSilentCheckpoint(id: string): boolean {
  return id.includes(SILENT_CHECKPOINT_MARK)
}

/** What travels of a group's checkpoints. */
export interface CheckpointsRecord {
  readonly ids: readonly string[]
  /** The readers that have not reported yet, for each checkpoint that is not complete. */
  readonly waitingFor: ReadonlyMap<string, readonly string[]>
  readonly positions: ReadonlyMap<string, Offsets>
  readonly last: Offsets
  readonly lastPublished: boolean
}

/**
 * The checkpoints of a reader group, and what readers have reported for them. It does what Java's CheckpointState does, oddities
 * included, since readers in Java see the same updates and must come to the same state:
 *
 * - a checkpoint of a group without readers is complete at once, but does not become the last one;
 * - `removeOutstanding` forgets positions and readers, but keeps the ids;
 * - a last checkpoint that there is none of turns into an empty one when the state is compacted.
 */
export class GroupCheckpoints {
  #ids: string[]
  readonly #waitingFor: Map<string, string[]>
  readonly #positions: Map<string, Map<string, number>>
  #last: Offsets | undefined
  #lastPublished: boolean

  constructor(record?: CheckpointsRecord) {
    this.#ids = [...(record?.ids ?? [])]
    this.#waitingFor = new Map()
    for (const [id, readers] of record?.waitingFor ?? []) this.#waitingFor.set(id, [...readers])
    this.#positions = new Map()
    for (const [id, positions] of record?.positions ?? []) this.#positions.set(id, new Map(positions))
    this.#last = record?.last
    this.#lastPublished = record?.lastPublished ?? true
  }

  /** Of all checkpoints that are remembered, the oldest first. */
  get ids(): readonly string[] {
    return this.#ids
  }

  /** Where the last complete checkpoint of users was taken. */
  get last(): Offsets | undefined {
    return this.#last
  }

  /** Whether the controller knows of `last`. */
  get lastPublished(): boolean {
    return this.#lastPublished
  }

  get ongoing(): boolean {
    return this.#waitingFor.size > 0
  }

  isComplete(id: string): boolean {
    return !this.#waitingFor.has(id)
  }

  /** Undefined unless it is known and complete. */
  positionsOfCompleted(id: string): Offsets | undefined {
    return this.#waitingFor.has(id) ? undefined : this.#positions.get(id)
  }

  /** The checkpoints of users that readers have still to report for. */
  outstanding(): string[] {
    return this.#ids.filter((id) => !isSilentCheckpoint(id) && !this.isComplete(id))
  }

  /** The readers that an incomplete checkpoint waits for. */
  waitingFor(id: string): readonly string[] {
    return this.#waitingFor.get(id) ?? []
  }

  /**
   * What a reader has to report for next, if anything: the oldest. (Java takes any, in the order of its hash map. Each reader
   * decides this for itself alone.)
   */
  pendingFor(reader: string): string | undefined {
    if (this.#waitingFor.size === 0) return undefined
    const waits = (id: string): boolean => this.#waitingFor.get(id)?.includes(reader) === true
    return this.#ids.find(waits) ?? [...this.#waitingFor.keys()].find(waits)
  }

  /** Does nothing if the id is in use. */
  begin(id: string, readers: readonly string[], unassigned: Offsets): void {
    if (this.#positions.has(id)) return
    if (readers.length > 0) this.#waitingFor.set(id, [...readers])
    this.#positions.set(id, new Map(unassigned))
    this.#ids.push(id)
  }

  /** A reader says where it was. Reports for complete and forgotten checkpoints are late, and change nothing. */
  report(id: string, reader: string, positions: Offsets): void {
    const readers = this.#waitingFor.get(id)
    if (readers === undefined) return
    const index = readers.indexOf(reader)
    if (index < 0)
      throw new ProtocolError('illegal-update', `The checkpoint ${id} does not wait for ${reader}`)
    readers.splice(index, 1)
    const known = this.#positions.get(id) ?? new Map<string, number>()
    for (const [segment, offset] of positions) known.set(segment, offset)
    if (readers.length > 0) return
    this.#waitingFor.delete(id)
    if (isSilentCheckpoint(id)) return
    this.#last = known
    this.#lastPublished = false
  }

  /** Reports for a reader that is gone. */
  removeReader(reader: string, positions: Offsets): void {
    const ids = [...this.#waitingFor.keys()].filter((id) => this.#waitingFor.get(id)?.includes(reader))
    for (const id of ids) this.report(id, reader, positions)
  }

  /** Forgets all that are older than this one, if it is known. */
  clearBefore(id: string): void {
    if (!this.#positions.has(id)) return
    const index = this.#ids.indexOf(id)
    const forgotten = this.#ids.splice(0, index < 0 ? this.#ids.length : index)
    for (const old of forgotten) this.#forget(old)
  }

  removeOutstanding(): void {
    for (const id of this.outstanding()) this.#forget(id)
  }

  setLastPublished(published: boolean): void {
    this.#lastPublished = published
  }

  /** A copy of what travels. */
  record(): CheckpointsRecord {
    const positions = [...this.#positions].map(([id, offsets]) => [id, new Map(offsets)] as const)
    const waiting = [...this.#waitingFor].map(([id, readers]) => [id, [...readers]] as const)
    return {
      ids: [...this.#ids],
      waitingFor: new Map(waiting),
      positions: new Map(positions),
      last: new Map(this.#last),
      lastPublished: this.#lastPublished,
    }
  }

  #forget(id: string): void {
    this.#waitingFor.delete(id)
    this.#positions.delete(id)
  }
}

const SUBJECT = 'checkpoints of a reader group'

export function encodeCheckpoints(record: CheckpointsRecord): Buffer {
  return encodeVersioned({ version: 0 }, [
    (writer) => {
      writeList(writer, record.ids, writeText)
      writeMap(writer, record.waitingFor, writeText, writeTexts)
      writeMap(writer, record.positions, writeText, writeOffsets)
      writeOffsets(writer, record.last)
    },
    (writer) => writer.boolean(record.lastPublished),
  ])
}

export function decodeCheckpoints(bytes: Buffer): CheckpointsRecord {
  const { first, second } = readVersioned(new ByteReader(bytes, SUBJECT), SUBJECT, [0])
  first.part = 'ids'
  const ids = readList(first, readText)
  first.part = 'readers'
  const waitingFor = readMap(first, readText, readTexts)
  first.part = 'positions'
  const positions = readMap(first, readText, readOffsets)
  first.part = 'last'
  const last = readOffsets(first)
  return { ids, waitingFor, positions, last, lastPublished: second?.boolean() ?? false }
}

export function writeOffsets(writer: ByteWriter, offsets: Offsets): void {
  writeMap(writer, offsets, writeText, writeOffset)
}

export function readOffsets(reader: ByteReader): Map<string, number> {
  return readMap(reader, readSegmentName, readOffset)
}

function writeTexts(writer: ByteWriter, texts: readonly string[]): void {
  writeList(writer, texts, writeText)
}

function readTexts(reader: ByteReader): string[] {
  return readList(reader, readText)
}
