import { crc32 } from 'node:zlib'
import type { Block } from './durable-log.ts'

/**
 * A block's checksum continues that of its name (container, extent, offset). So a block that lies intact where another
 * should be does not check.
 */
export function blockCrc(container: number, block: Block): number {
  return crc32(block.bytes, nameCrc(container, block))
}

const TWO_32 = 0x1_0000_0000

/** The CRC-32 of container (4 bytes), extent (8) and offset (8), big-endian. In script, since a native call costs more. */
function nameCrc(container: number, { extent, offset }: Block): number {
  let crc = word(-1, container)
  crc = word(crc, Math.floor(extent / TWO_32))
  crc = word(crc, extent | 0)
  crc = word(crc, Math.floor(offset / TWO_32))
  crc = word(crc, offset | 0)
  return ~crc >>> 0
}

function word(crc: number, value: number): number {
  let rest = TABLE[(crc ^ (value >>> 24)) & 0xff]! ^ (crc >>> 8)
  rest = TABLE[(rest ^ (value >>> 16)) & 0xff]! ^ (rest >>> 8)
  rest = TABLE[(rest ^ (value >>> 8)) & 0xff]! ^ (rest >>> 8)
  return TABLE[(rest ^ value) & 0xff]! ^ (rest >>> 8)
}

const TABLE: Int32Array = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})
