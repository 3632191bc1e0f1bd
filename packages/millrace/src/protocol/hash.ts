/** What Pravega's clients and stores compute from names and keys. Everyone who routes must get the same, bit for bit. */
import { assert } from '../base/assert.ts'
import { type Hash128, murmur3OfBytes, murmur3OfText } from './murmur3.ts'
import { primarySegmentName } from './names.ts'

const EVENT_ROUTER = javaHashCode('EventRouter')
const TABLE_ROUTER = javaHashCode('KeyValueTableRouter')
const CONTAINER_MAPPER = javaHashCode('SegmentToContainerMapper')
const SEGMENT_ATTRIBUTE = javaHashCode('SegmentAttribute')

/** Where in [0, 1) the events of this key go. */
export function routingKeyHash(key: string): number {
  return fraction(murmur3OfText(key, EVENT_ROUTER))
}

/** Where in [0, 1) the entries of a key-value table with this primary key go. */
export function tableKeyHash(primaryKey: Uint8Array): number {
  return fraction(murmur3OfBytes(primaryKey, TABLE_ROUTER))
}

/** As `routingKeyHash`, for others than routing keys: each seed gives hashes of its own. */
export function seededHash(seed: string, text: string): number {
  return fraction(murmur3OfText(text, javaHashCode(seed)))
}

/** From 0 up to, but not including, `containerCount`: the container that a segment belongs to. */
export function containerOf(segmentName: string, containerCount: number): number {
  assert(Number.isInteger(containerCount) && containerCount > 0, 'There are containers')
  const { firstHigh, firstLow } = murmur3OfText(primarySegmentName(segmentName), CONTAINER_MAPPER)
  return consistentHash(firstHigh, firstLow, containerCount)
}

/** The id, as sixteen characters, of an attribute that clients know by name: `RevisionStreamClientMark`. */
export function segmentAttributeId(name: string): string {
  const hash = murmur3OfText(name, SEGMENT_ATTRIBUTE)
  const bytes = Buffer.alloc(16)
  bytes.writeInt32LE(hash.firstLow, 0)
  bytes.writeInt32LE(hash.firstHigh, 4)
  bytes.writeInt32LE(hash.secondLow, 8)
  bytes.writeInt32LE(hash.secondHigh, 12)
  return bytes.toString('latin1')
}

/** Java's `String.hashCode`. */
export function javaHashCode(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0
  return hash
}

/** The upper 52 bits, as the fraction that they are in a double between 1 and 2. */
function fraction({ firstHigh, firstLow }: Hash128): number {
  return ((firstHigh >>> 0) * 2 ** 20 + (firstLow >>> 12)) / 2 ** 52
}

/** Guava's: when a bucket is added, only those that move into it change their bucket. */
function consistentHash(high: number, low: number, buckets: number): number {
  // BigInt will do: this is computed once for a segment that is opened, and takes a few steps.
  // A linear congruential generator of 64 bits draws the buckets to which the input moves as more and more are added.
  let state = (BigInt(high) << 32n) | BigInt(low >>> 0)
  let bucket = 0
  for (;;) {
    state = BigInt.asUintN(64, state * 2862933555777941757n + 1n)
    const draw = (Number(state >> 33n) + 1) / 2 ** 31
    const next = Math.floor((bucket + 1) / draw)
    if (next >= buckets) return bucket
    bucket = next
  }
}
