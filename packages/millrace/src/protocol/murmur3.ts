/**
 * murmur3_128 (x64 variant) as Guava computes it, of bytes or of a text's UTF-16 units in little-endian order. A 64-bit
 * number is two int32 halves here: BigInt would be some thirty times slower, and every routing key is hashed.
 *
 * The state is in variables of the module, since a hash is always computed in one go.
 */
let h1High = 0
let h1Low = 0
let h2High = 0
let h2Low = 0
/** Result of the last `multiply`, `rotate` or `add`. */
let high = 0
let low = 0

const C1_HIGH = 0x87c37b91 | 0
const C1_LOW = 0x114253d5
const C2_HIGH = 0x4cf5ad43
const C2_LOW = 0x2745937f

/** The two 64-bit numbers of a hash as int32 halves. */
export interface Hash128 {
  readonly firstHigh: number
  readonly firstLow: number
  readonly secondHigh: number
  readonly secondLow: number
}

/** Seeds are int32; both numbers of the state begin with them. */
export function murmur3OfText(text: string, seed: number): Hash128 {
  start(seed)
  const length = text.length
  const wholeBlocks = length & ~7
  for (let at = 0; at < wholeBlocks; at += 8)
    mixBlock(pairAt(text, at + 2), pairAt(text, at), pairAt(text, at + 6), pairAt(text, at + 4))
  // What is left is mixed as a block of zeros behind it: zero is left zero by the mixing of k1 and k2.
  mixTail(
    pairAt(text, wholeBlocks + 2),
    pairAt(text, wholeBlocks),
    pairAt(text, wholeBlocks + 6),
    pairAt(text, wholeBlocks + 4),
  )
  return finish(length * 2)
}

export function murmur3OfBytes(bytes: Uint8Array, seed: number): Hash128 {
  start(seed)
  const length = bytes.length
  const wholeBlocks = length & ~15
  for (let at = 0; at < wholeBlocks; at += 16)
    mixBlock(wordAt(bytes, at + 4), wordAt(bytes, at), wordAt(bytes, at + 12), wordAt(bytes, at + 8))
  mixTail(
    wordAt(bytes, wholeBlocks + 4),
    wordAt(bytes, wholeBlocks),
    wordAt(bytes, wholeBlocks + 12),
    wordAt(bytes, wholeBlocks + 8),
  )
  return finish(length)
}

/** Two units as 32 bits; zeros behind the end. */
function pairAt(text: string, at: number): number {
  if (at + 1 < text.length) return text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16)
  return at < text.length ? text.charCodeAt(at) : 0
}

/** Four bytes as 32 bits; zeros behind the end. */
function wordAt(bytes: Uint8Array, at: number): number {
  // A missing element is undefined, which is 0 in a bitwise operation.
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

function start(seed: number): void {
  h1Low = h2Low = seed
  h1High = h2High = seed >> 31
}

function mixBlock(k1High: number, k1Low: number, k2High: number, k2Low: number): void {
  mixK1(k1High, k1Low)
  rotate(h1High, h1Low, 27)
  add(high, low, h2High, h2Low)
  multiply(high, low, 0, 5)
  add(high, low, 0, 0x52dce729)
  h1High = high
  h1Low = low

  mixK2(k2High, k2Low)
  rotate(h2High, h2Low, 31)
  add(high, low, h1High, h1Low)
  multiply(high, low, 0, 5)
  add(high, low, 0, 0x38495ab5)
  h2High = high
  h2Low = low
}

function mixTail(k1High: number, k1Low: number, k2High: number, k2Low: number): void {
  mixK1(k1High, k1Low)
  mixK2(k2High, k2Low)
}

function mixK1(k1High: number, k1Low: number): void {
  multiply(k1High, k1Low, C1_HIGH, C1_LOW)
  rotate(high, low, 31)
  multiply(high, low, C2_HIGH, C2_LOW)
  h1High ^= high
  h1Low ^= low
}

function mixK2(k2High: number, k2Low: number): void {
  multiply(k2High, k2Low, C2_HIGH, C2_LOW)
  rotate(high, low, 33)
  multiply(high, low, C1_HIGH, C1_LOW)
  h2High ^= high
  h2Low ^= low
}

function finish(lengthBytes: number): Hash128 {
  h1Low ^= lengthBytes
  h2Low ^= lengthBytes
  addStates()
  finalMix(h1High, h1Low)
  h1High = high
  h1Low = low
  finalMix(h2High, h2Low)
  h2High = high
  h2Low = low
  addStates()
  return { firstHigh: h1High, firstLow: h1Low, secondHigh: h2High, secondLow: h2Low }
}

function addStates(): void {
  add(h1High, h1Low, h2High, h2Low)
  h1High = high
  h1Low = low
  add(h2High, h2Low, h1High, h1Low)
  h2High = high
  h2Low = low
}

function finalMix(aHigh: number, aLow: number): void {
  // Shifting right by 33 leaves the upper half, shifted by one, as the lower one.
  multiply(aHigh, aLow ^ (aHigh >>> 1), 0xff51afd7 | 0, 0xed558ccd | 0)
  multiply(high, low ^ (high >>> 1), 0xc4ceb9fe | 0, 0x1a85ec53)
  low ^= high >>> 1
}

function add(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const sum = (aLow >>> 0) + (bLow >>> 0)
  low = sum | 0
  high = (aHigh + bHigh + (sum > 0xffff_ffff ? 1 : 0)) | 0
}

function multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const a0 = aLow & 0xffff
  const a1 = aLow >>> 16
  const b0 = bLow & 0xffff
  const b1 = bLow >>> 16
  // Below 2^34, so exact as a double.
  const middle = a0 * b1 + a1 * b0 + ((a0 * b0) >>> 16)
  high = (a1 * b1 + Math.floor(middle / 0x1_0000) + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0
  low = Math.imul(aLow, bLow)
}

/** To the left. */
function rotate(aHigh: number, aLow: number, bits: number): void {
  if (bits < 32) {
    high = (aHigh << bits) | (aLow >>> (32 - bits))
    low = (aLow << bits) | (aHigh >>> (32 - bits))
  } else {
    high = (aLow << (bits - 32)) | (aHigh >>> (64 - bits))
    low = (aHigh << (bits - 32)) | (aLow >>> (64 - bits))
  }
}
