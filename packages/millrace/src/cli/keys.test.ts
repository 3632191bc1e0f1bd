import { strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { addKeyOptions, fieldSelector, type KeyOptions, keySelector, pointerSelector } from './keys.ts'

function field(number: number, line: string): string | undefined {
  return fieldSelector(number).select(Buffer.from(line))
}

function at(tokens: readonly string[], line: string): string | undefined {
  return pointerSelector(tokens).select(Buffer.from(line))
}

test('fields are counted from 1, and runs of blanks stand between them, as in awk', () => {
  strictEqual(field(1, 'ada 17 3.5'), 'ada')
  strictEqual(field(3, 'ada 17 3.5'), '3.5')
  strictEqual(field(2, '  ada \t 17\t'), '17')
  strictEqual(field(1, 'schön ist'), 'schön')
})

test('a carriage return is a blank: lines of Windows have the same keys', () => {
  strictEqual(field(2, 'ada 17\r'), '17')
})

test('a field that a line does not have is no key, and the explanation counts', () => {
  strictEqual(field(3, 'ada 17'), undefined)
  strictEqual(field(1, ''), undefined)
  strictEqual(field(1, ' \t '), undefined)
  strictEqual(fieldSelector(3).explain(Buffer.from('ada 17')), 'has no field 3: 2 in all')
})

test('a JSON pointer leads through objects and arrays to a text, a number or a truth value', () => {
  strictEqual(at(['customer', 'id'], '{"customer":{"id":"ada"}}'), 'ada')
  strictEqual(at(['items', '1'], '{"items":[7,8]}'), '8')
  strictEqual(at([''], '{"":true}'), 'true')
  strictEqual(at([], '"ada"'), 'ada')
})

test('what the pointer does not find, or is no key, is explained', () => {
  const explain = (line: string): string => pointerSelector(['a', 'b/c']).explain(Buffer.from(line))
  strictEqual(explain('{"a":{}}'), 'has nothing at /a/b~1c')
  strictEqual(explain('{"a":null}'), 'has nothing at /a/b~1c')
  strictEqual(explain('{"a":{"b/c":null}}'), 'has no text, number or truth value at /a/b~1c')
  strictEqual(explain('nonsense').startsWith('is no JSON: '), true)
  strictEqual(at(['length'], '[1,2]'), undefined)
  strictEqual(at(['constructor'], '{}'), undefined)
})

test('options: one of both, and nonsense is refused', () => {
  const parse = (...args: string[]): KeyOptions =>
    addKeyOptions(new Command())
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      .parse(args, { from: 'user' })
      .opts()
  strictEqual(keySelector(parse()), undefined)
  strictEqual(keySelector(parse('--key-field', '2'))?.select(Buffer.from('a b')), 'b')
  strictEqual(keySelector(parse('--key', '/a~1b/~0'))?.select(Buffer.from('{"a/b":{"~":"x"}}')), 'x')
  throws(() => keySelector(parse('--key-field', '1', '--key', '/a')), /not from both/)
  throws(() => parse('--key-field', '0'), /numbered from 1/)
  throws(() => parse('--key', 'a'), /begins with \//)
})
