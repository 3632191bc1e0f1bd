/**
 * Whether splitting a segment would help. It does not where one key has the load: whichever child gets the key is as hot as its
 * parent was, however often that is done.
 *
 * The rule weighs evidence, in bits. When a segment that came from a split in `n` is hot itself and has nearly all the load of
 * what was split, then that split was in vain. Two keys that share such a load stay together in a split in `n` once in `n` times, so
 * every such split makes one key likelier by a factor of `n`: `log2(n)` bits, added up from parent to child. One split that did
 * part the load sets the count back to nothing. At `EVIDENCE_BITS` the segment is left alone: after three splits in two, or a single
 * one in eight, it would have been two equal keys in at most one of eight cases. Because that case exists, and keys cool down while
 * others heat up, one more split is tried after a rest, which doubles each time that this was in vain.
 */
import { overlap } from '../stream-segments.ts'
import type { SegmentMemory, StreamMemory } from './stream-memory.ts'

/** Of the load of what was split: with this much of it in one child, the split was in vain. */
const NEARLY_ALL = 0.9

const EVIDENCE_BITS = 3

const RESTS_MAX = 16

/** What speaks against another split now that the segment is hot. */
export function evidenceAgainst(segment: SegmentMemory, memory: StreamMemory): number {
  const { parent } = segment
  if (parent === undefined) return segment.evidenceBefore
  const family = memory.segments.filter((each) => overlap(each, parent))
  const whole = family.reduce((sum, { rates }) => sum + rates.over2s, 0)
  return segment.rates.over2s >= NEARLY_ALL * whole ? segment.evidenceBefore + Math.log2(parent.ways) : 0
}

export function isInVain(evidence: number): boolean {
  // Three times the logarithm of a third is not quite three in binary fractions.
  return evidence >= EVIDENCE_BITS - 1e-9
}

export function restOf(evidence: number, restMs: number): number {
  const tries = Math.max(0, Math.floor(evidence - EVIDENCE_BITS + 1e-9))
  return restMs * Math.min(RESTS_MAX, 2 ** tries)
}
