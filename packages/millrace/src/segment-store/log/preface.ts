import { crc32 } from 'node:zlib'

/**
 * The first bytes of every file of the log: what it is and in which version of the format the rest is written. This much
 * never changes, so that any version can tell damage (the check fails) from a file of a later version (it does not).
 */
export const PREFACE_BYTES = 16

export type FileKind = 'log' | 'index' | 'checkpoint' | 'anchor'

const MAGIC: Readonly<Record<FileKind, string>> = {
  log: 'MILLRLOG',
  index: 'MILLRIDX',
  checkpoint: 'MILLRCKP',
  anchor: 'MILLRANC',
}

export const FORMAT_VERSION = 1

export function writePreface(target: Buffer, kind: FileKind): void {
  target.write(MAGIC[kind], 0, 'latin1')
  target.writeUInt32BE(FORMAT_VERSION, 8)
  target.writeUInt32BE(crc32(target.subarray(0, 12)), 12)
}

/** The version, or undefined if these bytes are no preface of this kind. */
export function readPreface(source: Buffer, kind: FileKind): number | undefined {
  if (source.length < PREFACE_BYTES || source.toString('latin1', 0, 8) !== MAGIC[kind]) return undefined
  if (source.readUInt32BE(12) !== crc32(source.subarray(0, 12))) return undefined
  return source.readUInt32BE(8)
}
