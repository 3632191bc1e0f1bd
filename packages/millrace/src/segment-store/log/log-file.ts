/** A file of the log: what is known of it while the log is open, and how one comes into being. */
import { crc32 } from 'node:zlib'
import { assert } from '../../base/assert.ts'
import { readSafeInt64, writeSafeInt64 } from '../../base/bytes.ts'
import type { Disk, File } from '../../base/host.ts'
import { MemoryIndex } from './block-index.ts'
import { PAGE_BYTES } from './frame.ts'
import { logName, unfinishedName } from './log-names.ts'
import { PREFACE_BYTES, writePreface } from './preface.ts'
import { createAnew, removeIfThere } from './replace-file.ts'

/** Frames start behind the header, which has a page of its own. */
export const FIRST_FRAME_POSITION: number = PAGE_BYTES

/** The last page is kept for the mark of an orderly end. */
export const LAST_MARK_BYTES: number = PAGE_BYTES

export class LogFile {
  readonly generation: number
  readonly path: string
  /** Each slot writes through its own description; empty once the file is left. */
  slots: readonly File[] = []
  /** As long as the index is no file yet. */
  index: MemoryIndex | undefined
  /** Where the next frame goes. */
  position: number = FIRST_FRAME_POSITION
  /** In its frames, also those that are not durable yet. */
  blocks = 0
  /** Writes to it that are not settled. */
  writesRunning = 0
  /** Reads and other work during which it must stay. */
  holds = 0
  /** No frame will be written to it any more. */
  left = false
  /** Containers with bytes in it. */
  readonly pins: Set<number> = new Set()
  #bytes: number

  constructor(options: { generation: number; directory: string; bytes: number }) {
    this.generation = options.generation
    this.path = `${options.directory}/${logName(options.generation)}`
    this.#bytes = options.bytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Makes an unused file larger. */
  async grow(disk: Disk, bytes: number): Promise<void> {
    const file = await disk.open(this.path, 'write')
    try {
      await writeZeros(file, { start: this.#bytes, end: bytes })
      await file.sync()
    } finally {
      await file.close()
    }
    this.#bytes = bytes
  }

  async closeSlots(): Promise<void> {
    const { slots } = this
    this.slots = []
    for (const slot of slots) await slot.close()
  }
}

/** A file that nobody needs any more, to be used again under another name. */
export interface SpareFile {
  readonly path: string
  readonly bytes: number
}

/** What all files of one run have in common. */
export interface LogRun {
  readonly disk: Disk
  readonly directory: string
  readonly storeId: Buffer
  readonly epoch: number
  /** The first sequence of the epoch. */
  readonly epochStart: number
  readonly slots: number
}

export interface NewLogFile {
  readonly generation: number
  readonly bytes: number
  /** Renamed and taken instead of writing zeros: its old frames belong to another generation, so nobody reads them. */
  readonly spare?: SpareFile | undefined
  /** Writes frames before the file gets its name, and answers where they end. */
  readonly fill?: (file: File) => Promise<number>
  /** Asked between two steps of writing zeros. */
  readonly isUnwanted?: () => boolean
}

/**
 * Makes a log file whose every byte is on the disk, so that writing to it later changes data alone. It gets its final name
 * when it is complete. Undefined if it was not wanted any more.
 */
export async function createLogFile(run: LogRun, options: NewLogFile): Promise<LogFile | undefined> {
  const { disk, directory } = run
  const { generation, spare } = options
  const path = `${directory}/${logName(generation)}`
  const unfinished = unfinishedName(path)
  if (spare !== undefined) {
    await disk.rename(spare.path, unfinished)
    // Only then the header may change, or a power cut could leave it in a file of the old name.
    await disk.syncDirectory(directory)
  }
  const file = spare === undefined ? await createAnew(disk, unfinished) : await disk.open(unfinished, 'write')
  let position = FIRST_FRAME_POSITION
  let wanted = true
  try {
    await file.write([encodeLogHeader({ ...run, generation })], 0)
    if (options.fill !== undefined) position = await options.fill(file)
    const start = Math.max(position, spare?.bytes ?? 0)
    wanted = await writeZeros(file, { start, end: options.bytes, isUnwanted: options.isUnwanted })
    await file.sync()
  } catch (error) {
    await file.close()
    await removeIfThere(disk, unfinished)
    throw error
  }
  await file.close()
  if (!wanted) {
    await removeIfThere(disk, unfinished)
    return undefined
  }
  await disk.rename(unfinished, path)
  await disk.syncDirectory(directory)
  const bytes = Math.max(options.bytes, spare?.bytes ?? 0)
  const made = new LogFile({ generation, directory, bytes })
  made.position = position
  made.index = new MemoryIndex()
  made.slots = await openSlots(run, path)
  return made
}

async function openSlots(run: LogRun, path: string): Promise<File[]> {
  const slots: File[] = []
  for (let slot = 0; slot < run.slots; slot++) slots.push(await run.disk.open(path, 'write'))
  return slots
}

const ZEROS: Buffer = Buffer.alloc(1024 * 1024)

/** Synced every so often, since the sync of a large file at once would hold up the writes of the log meanwhile. */
const SYNC_BYTES = 4 * 1024 * 1024

/** Answers false if it was given up. */
async function writeZeros(
  file: File,
  range: { start: number; end: number; isUnwanted?: (() => boolean) | undefined },
): Promise<boolean> {
  let unsynced = 0
  for (let at = range.start; at < range.end; ) {
    if (range.isUnwanted?.() === true) return false
    if (unsynced >= SYNC_BYTES) {
      await file.sync()
      unsynced = 0
    }
    const length = Math.min(ZEROS.length, range.end - at)
    await file.write([ZEROS.subarray(0, length)], at)
    at += length
    unsynced += length
  }
  return true
}

export interface LogHeader {
  readonly epoch: number
  readonly epochStart: number
}

const HEADER_BYTES = 64

export function encodeLogHeader(options: LogHeader & { storeId: Buffer; generation: number }): Buffer {
  const page = Buffer.alloc(PAGE_BYTES)
  writePreface(page, 'log')
  assert(options.storeId.length === 16, 'A store id has 16 bytes')
  options.storeId.copy(page, PREFACE_BYTES)
  writeSafeInt64(page, options.generation, 32)
  writeSafeInt64(page, options.epoch, 40)
  writeSafeInt64(page, options.epochStart, 48)
  page.writeUInt32BE(crc32(page.subarray(0, 60)), 60)
  return page
}

/** Undefined if these bytes are not the header of this file. */
export function decodeLogHeader(
  page: Buffer,
  expected: { storeId: Buffer; generation: number },
): LogHeader | undefined {
  if (page.length < HEADER_BYTES || crc32(page.subarray(0, 60)) !== page.readUInt32BE(60)) return undefined
  if (page.compare(expected.storeId, 0, 16, PREFACE_BYTES, 32) !== 0) return undefined
  if (readSafeInt64(page, 32) !== expected.generation) return undefined
  const epoch = readSafeInt64(page, 40)
  const epochStart = readSafeInt64(page, 48)
  return epoch === undefined || epochStart === undefined ? undefined : { epoch, epochStart }
}
