/**
 * Java's append blocks: a block announces its length before its events exist, so it ends with zeros, or with the first part of an
 * event whose rest comes in the block end.
 *
 *     block      = whole events, then nothing | padding (int32 -1, int32 length, zeros) | partial event (int32 -2, int32 length, bytes)
 *     block end  = sizeOfWholeEvents, the rest of the partial event
 */
import type { Message } from '../../protocol/wire/commands.ts'

const PADDING = -1
const PARTIAL_EVENT = -2
const HEADER_BYTES = 8

/** The bytes that enter the segment, in pieces; a sentence if the two do not fit together. */
export function appendedBytes(
  block: Buffer | undefined,
  end: Message<'append-block-end'>,
): readonly Buffer[] | string {
  // Rust sends ends without a block; their size of whole events says nothing.
  if (block === undefined) return [end.data]
  const whole = end.sizeOfWholeEvents
  if (whole < 0 || whole > block.length)
    return `an append block of ${block.length} bytes is said to hold ${whole} bytes of whole events`
  const events = block.subarray(0, whole)
  const left = block.length - whole
  if (left === 0)
    return end.data.length === 0 ? [events] : 'an append block without a partial event goes on behind its end'
  if (left < HEADER_BYTES) return `${left} bytes at the end of an append block are no command`
  const kind = block.readInt32BE(whole)
  const length = block.readInt32BE(whole + 4)
  if (length < 0 || length > left - HEADER_BYTES)
    return `the rest of an append block, ${left} bytes, is said to hold ${length}`
  if (kind === PADDING)
    return end.data.length === 0 ? [events] : 'a padded append block goes on behind its end'
  if (kind === PARTIAL_EVENT)
    return [events, block.subarray(whole + HEADER_BYTES, whole + HEADER_BYTES + length), end.data]
  return `command ${kind} at the end of an append block, where padding or a partial event belongs`
}
