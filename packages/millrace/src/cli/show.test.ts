import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { showBytes, showCount, showNumber, showSpan, showTable } from './show.ts'

test('figures are grouped and counted', () => {
  strictEqual(showNumber(7), '7')
  strictEqual(showNumber(123_456_789), '123,456,789')
  strictEqual(showCount(1, 'event'), '1 event')
  strictEqual(showCount(1000, 'event'), '1,000 events')
})

test('bytes have the unit that leaves a short number', () => {
  strictEqual(showBytes(1), '1 byte')
  strictEqual(showBytes(1023), '1,023 bytes')
  strictEqual(showBytes(1024), '1.0 KiB')
  strictEqual(showBytes(1024 * 1024 - 1), '1.0 MiB')
  strictEqual(showBytes(2 ** 60), '1024.0 PiB')
})

test('spans have the largest unit without a fraction', () => {
  strictEqual(showSpan(7 * 86_400_000), '7 days')
  strictEqual(showSpan(90_000), '90 seconds')
  strictEqual(showSpan(3_600_000), '1 hour')
  strictEqual(showSpan(1), '1 millisecond')
})

test('columns of a table line up, figures to the right', () => {
  const rows = [
    ['SEGMENT', 'BYTES'],
    ['0.#epoch.0', '7'],
  ]
  strictEqual(showTable(rows, { indent: '  ', right: [1] }), '  SEGMENT     BYTES\n  0.#epoch.0      7')
})
