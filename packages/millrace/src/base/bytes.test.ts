import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { readSafeInt64, roundUp, writeSafeInt64 } from './bytes.ts'

test('an int64 survives both ways, and one outside the safe range is refused', () => {
  const buffer = Buffer.alloc(8)
  for (const value of [0, 1, -1, 2 ** 32, -(2 ** 32) - 5, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    strictEqual(writeSafeInt64(buffer, value, 0), 8)
    strictEqual(buffer.readBigInt64BE(0), BigInt(value))
    strictEqual(readSafeInt64(buffer, 0), value)
  }
  for (const value of [2n ** 53n, -(2n ** 63n), 2n ** 63n - 1n]) {
    buffer.writeBigInt64BE(value)
    strictEqual(readSafeInt64(buffer, 0), undefined)
  }
})

test('rounding up keeps what already fits', () => {
  deepStrictEqual(
    [0, 1, 4096, 4097].map((value) => roundUp(value, 4096)),
    [0, 4096, 4096, 8192],
  )
})
