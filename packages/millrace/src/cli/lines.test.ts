import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LineSplitter } from './lines.ts'

function split(chunks: readonly Buffer[]): Buffer[] {
  const splitter = new LineSplitter()
  const lines: Buffer[] = []
  for (const chunk of chunks) {
    splitter.push(chunk)
    for (let line = splitter.next(); line !== undefined; line = splitter.next()) lines.push(Buffer.from(line))
  }
  const rest = splitter.rest()
  return rest === undefined ? lines : [...lines, rest]
}

function texts(...chunks: string[]): string[] {
  return split(chunks.map((chunk) => Buffer.from(chunk, 'latin1'))).map((line) => line.toString('latin1'))
}

test('a line is what stands between newlines, and the last one needs none', () => {
  deepStrictEqual(texts('one\ntwo\nthree'), ['one', 'two', 'three'])
  deepStrictEqual(texts('one\n'), ['one'])
  deepStrictEqual(texts(''), [])
  deepStrictEqual(texts('\n\nx\n'), ['', '', 'x'])
})

test('no byte but the newline is touched: carriage returns, zeros and broken UTF-8 stay', () => {
  deepStrictEqual(texts('a\r\n\0b\xff\xfe\n \t \n'), ['a\r', '\0b\xff\xfe', ' \t '])
})

test('however the input is cut into chunks, the lines are the same', () => {
  const input = fc
    .array(fc.constantFrom(10, 13, 65, 66), { maxLength: 40 })
    .map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(input, fc.array(fc.nat(40)), (bytes, cuts) => {
      const ends = [...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].toSorted((a, b) => a - b)
      const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
      deepStrictEqual(split(chunks), split([bytes]))
      const whole = bytes.toString()
      const expected = whole === '' ? [] : (whole.endsWith('\n') ? whole.slice(0, -1) : whole).split('\n')
      deepStrictEqual(
        split(chunks).map((line) => line.toString()),
        expected,
      )
    }),
    { seed: 7 },
  )
})

test('a line that is too long for an event is named before it is kept', () => {
  const splitter = new LineSplitter()
  const half = Buffer.alloc(4 * 1024 * 1024, 'x')
  splitter.push(Buffer.from('short\n'))
  strictEqual(splitter.next()?.toString(), 'short')
  strictEqual(splitter.next(), undefined)
  splitter.push(half)
  strictEqual(splitter.next(), undefined)
  splitter.push(half)
  strictEqual(splitter.next(), undefined)
  splitter.push(Buffer.from('x\n'))
  throws(() => splitter.next(), /^CommandError: Line 2 has more than 8388608 bytes/)
})
