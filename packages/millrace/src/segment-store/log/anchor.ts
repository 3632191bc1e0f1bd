/**
 * Where a start begins: of each container its last checkpoint and the place behind which its frames have to be read again.
 * The anchor is the one file that says what may be forgotten, so it is replaced as a whole and nothing is removed before that
 * is durable.
 */
import { crc32 } from 'node:zlib'
import { readSafeInt64, writeSafeInt64 } from '../../base/bytes.ts'
import { PREFACE_BYTES, writePreface } from './preface.ts'

/** Between two frames. */
export interface LogPoint {
  readonly epoch: number
  readonly generation: number
  readonly position: number
  /** That the frame behind it has, or would have had: a later epoch may have begun with a smaller one. */
  readonly sequence: number
}

export interface AnchorEntry {
  readonly container: number
  /** 0 if there is none. */
  readonly checkpoint: number
  readonly replay: LogPoint
}

export interface Anchor {
  /** All frames up to this sequence are durable. */
  readonly durableThrough: number
  /** Where the log ended: all frames of containers that are not listed come behind it. */
  readonly end: LogPoint
  readonly entries: readonly AnchorEntry[]
}

const HEADER_BYTES = 80
const ENTRY_BYTES = 44
const FOOTER_BYTES = 4
/** Far more than a process can have containers. */
const ENTRIES_MAX = 1_000_000

export const ANCHOR_BYTES_MAX: number = HEADER_BYTES + ENTRIES_MAX * ENTRY_BYTES + FOOTER_BYTES

export function encodeAnchor(anchor: Anchor, storeId: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + anchor.entries.length * ENTRY_BYTES + FOOTER_BYTES)
  writePreface(bytes, 'anchor')
  storeId.copy(bytes, PREFACE_BYTES)
  writeSafeInt64(bytes, anchor.durableThrough, 32)
  writePoint(bytes, anchor.end, 40)
  bytes.writeUInt32BE(anchor.entries.length, 72)
  let at = HEADER_BYTES
  for (const entry of anchor.entries) {
    at = bytes.writeUInt32BE(entry.container, at)
    at = writeSafeInt64(bytes, entry.checkpoint, at)
    at = writePoint(bytes, entry.replay, at)
  }
  bytes.writeUInt32BE(crc32(bytes.subarray(0, at)), at)
  return bytes
}

/** Undefined if these bytes are not what was written for this store. */
export function decodeAnchor(bytes: Buffer, storeId: Buffer): Anchor | undefined {
  if (bytes.length < HEADER_BYTES + FOOTER_BYTES) return undefined
  const end = bytes.length - FOOTER_BYTES
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32BE(end)) return undefined
  if (bytes.compare(storeId, 0, 16, PREFACE_BYTES, 32) !== 0) return undefined
  if (end !== HEADER_BYTES + bytes.readUInt32BE(72) * ENTRY_BYTES) return undefined
  const entries: AnchorEntry[] = []
  for (let at = HEADER_BYTES; at < end; at += ENTRY_BYTES) {
    entries.push({
      container: bytes.readUInt32BE(at),
      checkpoint: readSafeInt64(bytes, at + 4) ?? 0,
      replay: readPoint(bytes, at + 12),
    })
  }
  return { durableThrough: readSafeInt64(bytes, 32) ?? 0, end: readPoint(bytes, 40), entries }
}

function writePoint(target: Buffer, point: LogPoint, position: number): number {
  let at = writeSafeInt64(target, point.epoch, position)
  at = writeSafeInt64(target, point.generation, at)
  at = writeSafeInt64(target, point.position, at)
  return writeSafeInt64(target, point.sequence, at)
}

function readPoint(source: Buffer, position: number): LogPoint {
  return {
    epoch: readSafeInt64(source, position) ?? 0,
    generation: readSafeInt64(source, position + 8) ?? 0,
    position: readSafeInt64(source, position + 16) ?? 0,
    sequence: readSafeInt64(source, position + 24) ?? 0,
  }
}
