import { deepStrictEqual, match, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { longsOfUuid, parseUuid, randomUuid, showUuid, UUID_ZERO, uuidHex, uuidOfLongs } from './uuid.ts'

const TEXT = '7df9a874-246c-c9d6-9397-cdd19ead68c5'

test('a UUID goes from text to characters and longs, and back', () => {
  const uuid = parseUuid(TEXT)
  strictEqual(uuid.length, 16)
  strictEqual(showUuid(uuid), TEXT)
  strictEqual(uuidHex(uuid), TEXT.replaceAll('-', ''))
  const { high, low } = longsOfUuid(uuid)
  deepStrictEqual([high, low], [0x7df9a874246cc9d6n, 0x9397cdd19ead68c5n - (1n << 64n)])
  strictEqual(uuidOfLongs(high, low), uuid)
  strictEqual(showUuid(uuidOfLongs(-(2n ** 63n), 1)), '80000000-0000-0000-0000-000000000001')
  strictEqual(showUuid(UUID_ZERO), '00000000-0000-0000-0000-000000000000')
})

test('what is no UUID is refused', () => {
  for (const text of ['', TEXT.slice(1), `${TEXT}0`, TEXT.replace('7', 'g')])
    throws(() => parseUuid(text), { code: 'malformed' }, text)
})

test('a random one is of version 4', () => {
  const uuid = randomUuid({ integer: () => 0, ratio: () => 0, bytes: (length) => Buffer.alloc(length, 0xff) })
  match(showUuid(uuid), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})
