/**
 * The end of the log after a crash. Up to `durableThrough` everything was synced. What comes behind may have been acknowledged
 * or not, may be whole or torn, and what is whole may stand only in the page cache. So as much of it as is whole and without a
 * gap is written again, to a new file of a new epoch, before anybody hears of it; the rest is cut.
 *
 * The new file gets its name only when all of it is synced. Until then a crash leaves everything as it was, and after it the
 * next start finds the same frames there; those in the old files are of an older epoch and count no more.
 */
import { assert } from '../../base/assert.ts'
import { roundUp } from '../../base/bytes.ts'
import type { File } from '../../base/host.ts'
import type { Anchor } from './anchor.ts'
import { blockCrc } from './block-crc.ts'
import { FrameScanner } from './frame-scanner.ts'
import {
  blocksPosition,
  bodyBytes,
  encodeMark,
  endOf,
  ENTRY_BYTES,
  type FrameHeader,
  HEADER_BYTES,
  NO_CONTAINER,
  PAGE_BYTES,
  readBody,
  readEntry,
  writeHeader,
} from './frame.ts'
import type { FoundFile, Inventory } from './inventory.ts'
import {
  createLogFile,
  FIRST_FRAME_POSITION,
  LAST_MARK_BYTES,
  type LogFile,
  type LogRun,
} from './log-file.ts'

export interface Tail {
  readonly epoch: number
  /** All frames up to this sequence were synced. */
  readonly durableThrough: number
  /** The frames behind it in order, as far as their headers are there. */
  readonly frames: readonly TailFrame[]
  /** Files behind all frames. */
  readonly unused: readonly FoundFile[]
  /** Of the frame `durableThrough`. */
  readonly lastContainer: number
}

interface TailFrame {
  readonly file: FoundFile
  readonly header: FrameHeader
}

type TailOptions = Pick<LogRun, 'disk' | 'storeId'>

/**
 * Looks through the files of the last epoch from the end. `durableThrough` grows with the sequence, so the last frame
 * that is found at all has the highest.
 */
export async function findTail(
  options: TailOptions,
  { files, anchor }: { files: Inventory['files']; anchor: Anchor },
): Promise<Tail> {
  const last = files.findLast((file) => file.header !== undefined)?.header
  const epoch = last?.epoch ?? anchor.end.epoch
  let durableThrough = Math.max(anchor.durableThrough, (last?.epochStart ?? 1) - 1)
  let found: TailFrame[] = []
  const unused: FoundFile[] = []
  for (const file of files.toReversed()) {
    if (file.header !== undefined && file.header.epoch !== epoch) break
    const headers = file.header === undefined ? [] : await readHeaders(options, file)
    if (headers.length === 0 && found.length === 0 && !file.hasIndex) unused.push(file)
    found = [...headers.map((header) => ({ file, header })), ...found]
    for (const header of headers) durableThrough = Math.max(durableThrough, header.durableThrough)
    if (headers.some((header) => header.kind === 'frame' && header.sequence <= durableThrough + 1)) break
  }
  // If frames are missing at the end, they may be in a file that only seems unused.
  const isWhole = durableThrough === 0 || found.some(({ header }) => endsAt(header) === durableThrough)
  return { epoch, durableThrough, unused: isWhole ? unused : [], ...partAt(durableThrough, found) }
}

/** The last sequence that must have been there when this header was made. */
function endsAt({ kind, sequence }: FrameHeader): number {
  return kind === 'frame' ? sequence : sequence - 1
}

/** The frames that follow `durableThrough` without a gap, and the container of that one itself. */
function partAt(
  durableThrough: number,
  found: readonly TailFrame[],
): { frames: TailFrame[]; lastContainer: number } {
  const frames: TailFrame[] = []
  let lastContainer = NO_CONTAINER
  for (const one of found) {
    const { kind, sequence, container, previousContainer } = one.header
    if (sequence === durableThrough + 1) lastContainer = previousContainer
    if (kind !== 'frame') continue
    if (sequence === durableThrough) lastContainer = container
    if (sequence === durableThrough + 1 + frames.length) frames.push(one)
  }
  return { frames, lastContainer }
}

async function readHeaders({ disk, storeId }: TailOptions, file: FoundFile): Promise<FrameHeader[]> {
  const opened = await disk.open(file.path, 'read')
  try {
    const headers: FrameHeader[] = []
    const scanner = new FrameScanner({ ...file, file: opened, storeId })
    for (let header = await scanner.next(); header !== undefined; header = await scanner.next()) {
      headers.push(header)
      if (header.kind === 'last-mark') break
    }
    return headers
  } finally {
    await opened.close()
  }
}

export interface NewEpoch {
  readonly file: LogFile
  /** Of the last frame that is kept. */
  readonly sequenceLast: number
  readonly lastContainer: number
  /** What became the new file, if anything did. */
  readonly spare: FoundFile | undefined
}

/** Writes the tail to a new file, which is the one to go on with. */
export async function beginEpoch(
  run: LogRun,
  options: { generation: number; tail: Tail; fileBytesFirst: number },
): Promise<NewEpoch> {
  const { tail, generation } = options
  let kept = 0
  let lastContainer = tail.lastContainer
  const fill = async (target: File): Promise<number> => {
    let position = FIRST_FRAME_POSITION
    const { epoch, epochStart, storeId } = run
    for await (const { header, bytes } of intactFrames(run, tail.frames)) {
      const { durableThrough } = tail
      writeHeader(bytes, storeId, { ...header, generation, position, epoch, epochStart, durableThrough })
      const padding = Buffer.alloc(roundUp(bytes.length, PAGE_BYTES) - bytes.length)
      await target.write([bytes, padding], position)
      position += bytes.length + padding.length
      kept++
      lastContainer = header.container
    }
    // Whoever finds the file under its name finds it synced, so this may be said beforehand.
    const durableThrough = tail.durableThrough + kept
    const sequence = durableThrough + 1
    const mark = {
      generation,
      position,
      epoch,
      epochStart,
      sequence,
      durableThrough,
      previousContainer: lastContainer,
    }
    await target.write([encodeMark(mark, { storeId, last: false })], position)
    return position + PAGE_BYTES
  }
  let bytes = FIRST_FRAME_POSITION + PAGE_BYTES + LAST_MARK_BYTES
  for (const { header } of tail.frames) bytes += endOf(header) - header.position
  bytes = Math.max(bytes, options.fileBytesFirst)
  // On a full volume this is the only way to begin at all.
  const spare = tail.unused[0]
  const file = await createLogFile(run, { generation, bytes, spare, fill })
  assert(file !== undefined, 'Nobody gave the new file up')
  return { file, sequenceLast: tail.durableThrough + kept, lastContainer, spare }
}

/** Frames with all their bytes, up to the first that is not what was written. */
async function* intactFrames(
  { disk }: TailOptions,
  frames: readonly TailFrame[],
): AsyncGenerator<{ header: FrameHeader; bytes: Buffer }> {
  let opened: File | undefined
  try {
    for (const { file, header } of frames) {
      if (opened?.path !== file.path) {
        await opened?.close()
        opened = await disk.open(file.path, 'read')
      }
      const bytes = Buffer.allocUnsafeSlow(header.totalBytes)
      const filled = await opened.read(bytes, header.position)
      if (filled < bytes.length || !isIntact(header, bytes)) return
      yield { header, bytes }
    }
  } finally {
    await opened?.close()
  }
}

function isIntact(header: FrameHeader, bytes: Buffer): boolean {
  const body = readBody(header, bytes.subarray(HEADER_BYTES, HEADER_BYTES + bodyBytes(header)))
  if (body === undefined) return false
  let at = blocksPosition(header) - header.position
  for (let start = 0; start < body.table.length; start += ENTRY_BYTES) {
    const { extent, offset, length, crc } = readEntry(body.table, start)
    const block = { extent, offset, bytes: bytes.subarray(at, at + length) }
    if (block.bytes.length !== length || blockCrc(header.container, block) !== crc) return false
    at += length
  }
  return at === bytes.length
}
