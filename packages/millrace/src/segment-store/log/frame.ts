/**
 * How a frame lies on the disk (docs/formats/log.md): header, table of blocks, metadata, bytes of the blocks, zeros up
 * to the next page. The header has a checksum of its own and says what it belongs to, down to its position in its file, so
 * that one found by searching can be trusted: neither leftovers of an earlier use of the file nor a copy of a log among
 * somebody's events passes for a frame.
 */
import { crc32 } from 'node:zlib'
import { assert } from '../../base/assert.ts'
import { readSafeInt64, roundUp, writeSafeInt64 } from '../../base/bytes.ts'
import { blockCrc } from './block-crc.ts'
import { BLOCK_BYTES_MAX, type Frame, FRAME_BLOCKS_MAX, FRAME_BYTES_MAX } from './durable-log.ts'

/** Frames start at multiples of this, so that no frame is torn by the write of another. */
export const PAGE_BYTES = 4096
export const HEADER_BYTES = 128
export const ENTRY_BYTES = 24

/** Stands for a container where there is none. */
export const NO_CONTAINER = 0xffff_ffff

const MAGIC = 0x4d72_4672
const EXTENT_MAX = 2 ** 48 - 1

/** A mark carries nothing but `durableThrough`; it has no sequence of its own, so nobody misses a lost one. */
const FLAG_MARK = 1
/** The mark of an orderly end: nothing of this epoch follows. */
const FLAG_LAST = 2
const FLAGS_KNOWN = FLAG_MARK | FLAG_LAST

export interface FrameHeader {
  readonly kind: 'frame' | 'mark' | 'last-mark'
  readonly container: number
  readonly generation: number
  /** Where in its file it stands. */
  readonly position: number
  readonly epoch: number
  /** The first sequence of the epoch: frames of earlier epochs from there on do not count. */
  readonly epochStart: number
  /** Dense over the whole log, from 1. Of a mark, the one that the next frame gets. */
  readonly sequence: number
  /** This and all before it were synced when the header was made. */
  readonly durableThrough: number
  /** The sequence of the last frame of this container before it; 0 if there is none, or only before the last start. */
  readonly containerPrevious: number
  /** The container of the frame before it, so that a destroyed header still tells whose frame is lost. */
  readonly previousContainer: number
  readonly blockCount: number
  readonly metadataBytes: number
  readonly tableCrc: number
  readonly metadataCrc: number
  /** Without padding. */
  readonly totalBytes: number
}

/** Where a frame goes; the rest of its header comes from the frame itself. */
export type FramePlace = Pick<
  FrameHeader,
  | 'container'
  | 'generation'
  | 'position'
  | 'epoch'
  | 'epochStart'
  | 'sequence'
  | 'durableThrough'
  | 'containerPrevious'
  | 'previousContainer'
>

/** Checks what the log demands of a frame and answers its length without padding. */
export function measureFrame(frame: Frame): number {
  const { blocks } = frame
  assert(blocks.length <= FRAME_BLOCKS_MAX, `A frame of ${blocks.length} blocks, at most ${FRAME_BLOCKS_MAX}`)
  let bytes = HEADER_BYTES + blocks.length * ENTRY_BYTES + frame.metadata.length
  for (const block of blocks) {
    const { length } = block.bytes
    assert(length >= 1 && length <= BLOCK_BYTES_MAX, `A block of ${length} bytes, at most ${BLOCK_BYTES_MAX}`)
    assert(Number.isSafeInteger(block.extent), `Extent ${block.extent} is no number of an extent`)
    assert(block.extent >= 1 && block.extent <= EXTENT_MAX, `Extent ${block.extent} is out of range`)
    assert(Number.isSafeInteger(block.offset + length) && block.offset >= 0, `Offset ${block.offset}`)
    bytes += length
  }
  assert(bytes <= FRAME_BYTES_MAX, `A frame of ${bytes} bytes, at most ${FRAME_BYTES_MAX}`)
  return bytes
}

/** The header and the table of blocks behind it. */
export function encodeHead(
  frame: Frame,
  place: FramePlace,
  options: { storeId: Buffer; totalBytes: number },
): Buffer {
  const { blocks, metadata } = frame
  const head = Buffer.allocUnsafe(HEADER_BYTES + blocks.length * ENTRY_BYTES)
  let at = HEADER_BYTES
  for (const block of blocks) {
    at = writeSafeInt64(head, block.extent, at)
    at = writeSafeInt64(head, block.offset, at)
    at = head.writeUInt32BE(block.bytes.length, at)
    at = head.writeUInt32BE(blockCrc(place.container, block), at)
  }
  writeHeader(head, options.storeId, {
    ...place,
    kind: 'frame',
    blockCount: blocks.length,
    metadataBytes: metadata.length,
    tableCrc: crc32(head.subarray(HEADER_BYTES)),
    metadataCrc: crc32(metadata),
    totalBytes: options.totalBytes,
  })
  return head
}

/** A page that says only how far the log is durable. */
export function encodeMark(
  place: Omit<FramePlace, 'container' | 'containerPrevious'>,
  options: { storeId: Buffer; last: boolean },
): Buffer {
  const page = Buffer.alloc(PAGE_BYTES)
  writeHeader(page, options.storeId, {
    ...place,
    kind: options.last ? 'last-mark' : 'mark',
    container: NO_CONTAINER,
    containerPrevious: 0,
    blockCount: 0,
    metadataBytes: 0,
    tableCrc: 0,
    metadataCrc: 0,
    totalBytes: HEADER_BYTES,
  })
  return page
}

export function writeHeader(target: Buffer, storeId: Buffer, header: FrameHeader): void {
  const last = header.kind === 'last-mark' ? FLAG_LAST : 0
  target.writeUInt32BE(MAGIC, 0)
  target.writeUInt32BE((header.kind === 'frame' ? 0 : FLAG_MARK) | last, 8)
  target.writeUInt32BE(header.container, 12)
  storeId.copy(target, 16)
  writeSafeInt64(target, header.generation, 32)
  writeSafeInt64(target, header.position, 40)
  writeSafeInt64(target, header.epoch, 48)
  writeSafeInt64(target, header.epochStart, 56)
  writeSafeInt64(target, header.sequence, 64)
  writeSafeInt64(target, header.durableThrough, 72)
  writeSafeInt64(target, header.containerPrevious, 80)
  target.writeUInt32BE(header.previousContainer, 88)
  target.writeUInt32BE(header.blockCount, 92)
  target.writeUInt32BE(header.metadataBytes, 96)
  target.writeUInt32BE(header.tableCrc, 100)
  target.writeUInt32BE(header.metadataCrc, 104)
  target.writeUInt32BE(header.totalBytes, 108)
  target.fill(0, 112, HEADER_BYTES)
  target.writeUInt32BE(crc32(target.subarray(8, HEADER_BYTES)), 4)
}

/** The header at the start of `source`, or undefined if there is none that belongs to this file and position. */
export function readHeader(
  source: Buffer,
  expected: { storeId: Buffer; generation: number; position: number; fileBytes: number },
): FrameHeader | undefined {
  if (source.length < HEADER_BYTES || source.readUInt32BE(0) !== MAGIC) return undefined
  if (source.readUInt32BE(4) !== crc32(source.subarray(8, HEADER_BYTES))) return undefined
  if (source.compare(expected.storeId, 0, 16, 16, 32) !== 0) return undefined
  const flags = source.readUInt32BE(8)
  const header: FrameHeader = {
    kind: (flags & FLAG_LAST) !== 0 ? 'last-mark' : (flags & FLAG_MARK) !== 0 ? 'mark' : 'frame',
    container: source.readUInt32BE(12),
    generation: readSafeInt64(source, 32) ?? -1,
    position: readSafeInt64(source, 40) ?? -1,
    epoch: readSafeInt64(source, 48) ?? -1,
    epochStart: readSafeInt64(source, 56) ?? -1,
    sequence: readSafeInt64(source, 64) ?? -1,
    durableThrough: readSafeInt64(source, 72) ?? -1,
    containerPrevious: readSafeInt64(source, 80) ?? -1,
    previousContainer: source.readUInt32BE(88),
    blockCount: source.readUInt32BE(92),
    metadataBytes: source.readUInt32BE(96),
    tableCrc: source.readUInt32BE(100),
    metadataCrc: source.readUInt32BE(104),
    totalBytes: source.readUInt32BE(108),
  }
  if (header.generation !== expected.generation || header.position !== expected.position) return undefined
  if ((flags & ~FLAGS_KNOWN) !== 0 || !isSound(header, expected.fileBytes)) return undefined
  return header
}

/** A header that checks was written by us, so this guards against our own mistakes before memory is taken for it. */
function isSound(header: FrameHeader, fileBytes: number): boolean {
  const { epoch, epochStart, sequence, durableThrough, containerPrevious, totalBytes } = header
  if (epoch < 1 || epochStart < 1 || sequence < epochStart) return false
  if (durableThrough < 0 || durableThrough >= sequence) return false
  if (containerPrevious < 0 || containerPrevious >= sequence) return false
  if (header.blockCount > FRAME_BLOCKS_MAX || totalBytes > FRAME_BYTES_MAX) return false
  if (header.position + totalBytes > fileBytes) return false
  return bodyBytes(header) + HEADER_BYTES <= totalBytes
}

/** Of table and metadata, which stand behind the header. */
export function bodyBytes(header: FrameHeader): number {
  return header.blockCount * ENTRY_BYTES + header.metadataBytes
}

/** Where the bytes of the first block stand. */
export function blocksPosition(header: FrameHeader): number {
  return header.position + HEADER_BYTES + bodyBytes(header)
}

/** Where the next frame may start. */
export function endOf(header: FrameHeader): number {
  return header.position + roundUp(header.totalBytes, PAGE_BYTES)
}

export interface TableEntry {
  readonly extent: number
  readonly offset: number
  readonly length: number
  readonly crc: number
}

/** What stands at `position` of a checked table. */
export function readEntry(table: Buffer, position: number): TableEntry {
  const extent = readSafeInt64(table, position)
  const offset = readSafeInt64(table, position + 8)
  assert(extent !== undefined && offset !== undefined, 'A table that checks holds numbers that were written')
  return {
    extent,
    offset,
    length: table.readUInt32BE(position + 16),
    crc: table.readUInt32BE(position + 20),
  }
}

export interface FrameBody {
  readonly table: Buffer
  readonly metadata: Buffer
}

/** Parts what stands behind the header; undefined if it is not what was written. */
export function readBody(header: FrameHeader, body: Buffer): FrameBody | undefined {
  assert(body.length === bodyBytes(header), 'A body is as long as its header says')
  const table = body.subarray(0, header.blockCount * ENTRY_BYTES)
  const metadata = body.subarray(table.length)
  if (crc32(table) !== header.tableCrc || crc32(metadata) !== header.metadataCrc) return undefined
  return { table, metadata }
}
