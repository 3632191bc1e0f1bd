/** The state of a container as a file: a header, then the state with a checksum behind each chunk. */
import { crc32 } from 'node:zlib'
import { readSafeInt64, writeSafeInt64 } from '../../base/bytes.ts'
import type { Disk } from '../../base/host.ts'
import { LogError } from './durable-log.ts'
import { checkpointName } from './log-names.ts'
import { PREFACE_BYTES, writePreface } from './preface.ts'
import { type Making, replaceFile } from './replace-file.ts'

export interface CheckpointId {
  readonly container: number
  readonly number: number
}

const HEADER_BYTES = 64
/** A flipped bit is found to within this much. */
const CHUNK_BYTES = 64 * 1024
const CRC_BYTES = 4
const READ_CHUNKS = 16

export function writeCheckpoint(
  making: Making & { storeId: Buffer },
  id: CheckpointId,
  state: readonly Buffer[],
): Promise<void> {
  return replaceFile(making, checkpointName(id.container, id.number), encode(id, making.storeId, state))
}

function* encode(id: CheckpointId, storeId: Buffer, state: readonly Buffer[]): Generator<Buffer> {
  let stateBytes = 0
  for (const piece of state) stateBytes += piece.length
  const header = Buffer.alloc(HEADER_BYTES)
  writePreface(header, 'checkpoint')
  storeId.copy(header, PREFACE_BYTES)
  header.writeUInt32BE(id.container, 32)
  writeSafeInt64(header, id.number, 36)
  writeSafeInt64(header, stateBytes, 44)
  header.writeUInt32BE(crc32(header.subarray(0, 60)), 60)
  yield header
  let chunk = 0
  let crc = chunkSeed(header, chunk)
  let rest = CHUNK_BYTES
  for (const piece of state) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + rest)
      crc = crc32(part, crc)
      yield part
      at += part.length
      rest -= part.length
      if (rest > 0) continue
      yield crcBuffer(crc)
      crc = chunkSeed(header, ++chunk)
      rest = CHUNK_BYTES
    }
  }
  if (rest < CHUNK_BYTES) yield crcBuffer(crc)
}

/** A chunk's checksum continues that of the header and of its number: one of another checkpoint does not check. */
function chunkSeed(header: Buffer, chunk: number): number {
  return crc32(crcBuffer(chunk), header.readUInt32BE(60))
}

function crcBuffer(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(CRC_BYTES)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Rejects with `LogError` `damaged` if it is not what was written. */
export async function readCheckpoint(
  source: { disk: Disk; directory: string; storeId: Buffer },
  id: CheckpointId,
): Promise<Buffer> {
  const path = `${source.directory}/${checkpointName(id.container, id.number)}`
  const damaged = (position: number): LogError =>
    new LogError(
      'damaged',
      `The checkpoint of container ${id.container} is damaged: ${path} at ${position} is not what was written`,
      { path, position },
    )
  const file = await source.disk.open(path, 'read')
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    await file.read(header, 0)
    const stateBytes = readCheckpointHeader(header, source.storeId, id)
    if (stateBytes === undefined) throw damaged(0)
    const chunks = Math.ceil(stateBytes / CHUNK_BYTES)
    if ((await file.size()) !== HEADER_BYTES + stateBytes + chunks * CRC_BYTES) throw damaged(HEADER_BYTES)
    const state = Buffer.allocUnsafeSlow(stateBytes)
    const stride = CHUNK_BYTES + CRC_BYTES
    const window = Buffer.allocUnsafe(Math.min(chunks, READ_CHUNKS) * stride)
    for (let chunk = 0; chunk < chunks; chunk++) {
      const inWindow = (chunk % READ_CHUNKS) * stride
      if (inWindow === 0) await file.read(window, HEADER_BYTES + chunk * stride)
      const start = chunk * CHUNK_BYTES
      const length = Math.min(CHUNK_BYTES, stateBytes - start)
      const bytes = window.subarray(inWindow, inWindow + length)
      if (crc32(bytes, chunkSeed(header, chunk)) !== window.readUInt32BE(inWindow + length))
        throw damaged(HEADER_BYTES + chunk * stride)
      bytes.copy(state, start)
    }
    return state
  } finally {
    await file.close()
  }
}

/** The length of the state. */
function readCheckpointHeader(header: Buffer, storeId: Buffer, id: CheckpointId): number | undefined {
  if (crc32(header.subarray(0, 60)) !== header.readUInt32BE(60)) return undefined
  if (header.compare(storeId, 0, 16, PREFACE_BYTES, 32) !== 0) return undefined
  if (header.readUInt32BE(32) !== id.container || readSafeInt64(header, 36) !== id.number) return undefined
  return readSafeInt64(header, 44)
}
