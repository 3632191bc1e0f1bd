import { strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { parseSize, parseSpan, parseWhole } from './units.ts'

test('spans of time need their unit', () => {
  strictEqual(parseSpan('250ms'), 250)
  strictEqual(parseSpan('90s'), 90_000)
  strictEqual(parseSpan('1.5h'), 5_400_000)
  strictEqual(parseSpan('7d'), 604_800_000)
  for (const text of ['', '7', 'd', '-1s', '1w', '0s', '99999999999999d'])
    throws(() => parseSpan(text), /such as 90s/)
})

test('sizes count in powers of 1024', () => {
  strictEqual(parseSize('4096'), 4096)
  strictEqual(parseSize('64KiB'), 65_536)
  strictEqual(parseSize('64kb'), 65_536)
  strictEqual(parseSize('1.5m'), 1_572_864)
  strictEqual(parseSize('10 GiB'), 10_737_418_240)
  for (const text of ['', 'k', '0', '-1', '1x', '1e3', '9999999999999TiB'])
    throws(() => parseSize(text), /such as 4096/)
})

test('whole numbers begin at 1', () => {
  strictEqual(parseWhole('12'), 12)
  for (const text of ['0', '-1', '1.5', 'x', '', '99999999999999999'])
    throws(() => parseWhole(text), /whole number/)
})
