/** One event of a group's stream: what its state begins with, or updates that are made together. */
import { ByteReader } from '../byte-reader.ts'
import { ByteWriter } from '../byte-writer.ts'
import { decodeGroupUpdate, encodeGroupUpdate, type GroupInit, type GroupUpdate } from './group-updates.ts'

export type GroupChange =
  | { readonly kind: 'init'; readonly init: GroupInit }
  | { readonly kind: 'updates'; readonly updates: readonly GroupUpdate[] }

const INIT = 1
const UPDATES = 2

/** The payload of the event, without its header. */
export function encodeGroupChange(change: GroupChange): Buffer {
  const writer = new ByteWriter()
  if (change.kind === 'init') {
    writer.int32(INIT)
    writer.bytes(encodeGroupUpdate(change.init))
    return writer.written
  }
  writer.int32(UPDATES)
  for (const update of change.updates) {
    const bytes = encodeGroupUpdate(update)
    writer.int32(bytes.length)
    writer.bytes(bytes)
  }
  return writer.written
}

export function decodeGroupChange(payload: Buffer): GroupChange {
  const reader: ByteReader = new ByteReader(payload, 'event of a reader group')
  const kind = reader.int32()
  if (kind === INIT) {
    const init = decodeGroupUpdate(reader.bytes(reader.left))
    if (init.kind !== 'start' && init.kind !== 'compact') reader.fail(`begins with ${init.kind}`)
    return { kind: 'init', init }
  }
  if (kind !== UPDATES) reader.fail(`is of kind ${kind}, known: ${INIT}, ${UPDATES}`)
  const updates: GroupUpdate[] = []
  while (reader.left > 0) updates.push(decodeGroupUpdate(reader.sizedBytes()))
  return { kind: 'updates', updates }
}
