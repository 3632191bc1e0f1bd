/** The routing key of an event that is a line of text or a JSON document. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CommandError, Exit } from './exit.ts'

export interface KeySelector {
  /** Undefined if the event has no such key. */
  select(event: Uint8Array): string | undefined
  /** Why it has none. */
  explain(event: Uint8Array): string
}

export interface KeyOptions {
  readonly keyField?: number
  readonly key?: readonly string[]
}

export function addKeyOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--key-field <n>',
        'the key is the n-th field of the line, from 1; blanks separate fields, as in awk',
      ).argParser(parseField),
    )
    .addOption(
      new Option(
        '--key <pointer>',
        'the line is JSON and the key is the value at this JSON pointer, such as /customer/id',
      ).argParser(parsePointer),
    )
}

/** Undefined if no key was asked for. */
export function keySelector(options: KeyOptions): KeySelector | undefined {
  const { keyField, key } = options
  if (keyField !== undefined && key !== undefined)
    throw new CommandError(Exit.usage, 'A key comes from --key-field or from --key, not from both')
  if (keyField !== undefined) return fieldSelector(keyField)
  return key === undefined ? undefined : pointerSelector(key)
}

export function fieldSelector(field: number): KeySelector {
  return {
    select(event) {
      const range = findField(event, field)
      return range === undefined ? undefined : textOf(event.subarray(range.start, range.end))
    },
    explain: (event) => `has no field ${field}: ${countFields(event)} in all`,
  }
}

/** The reference tokens of a JSON pointer (RFC 6901). */
export function pointerSelector(tokens: readonly string[]): KeySelector {
  return {
    select(event) {
      const found = valueAt(event, tokens)
      return 'problem' in found ? undefined : found.text
    },
    explain(event) {
      const found = valueAt(event, tokens)
      return 'problem' in found ? found.problem : 'has a key'
    },
  }
}

function findField(event: Uint8Array, field: number): { start: number; end: number } | undefined {
  let position = 0
  for (let count = 1; ; count++) {
    while (position < event.length && isBlank(event[position])) position++
    if (position === event.length) return undefined
    const start = position
    while (position < event.length && !isBlank(event[position])) position++
    if (count === field) return { start, end: position }
  }
}

function countFields(event: Uint8Array): number {
  let count = 0
  while (findField(event, count + 1) !== undefined) count++
  return count
}

/** The carriage return too, or the last field would have it in its key. */
function isBlank(byte: number | undefined): boolean {
  return byte === 32 || (byte !== undefined && byte >= 9 && byte <= 13)
}

function valueAt(event: Uint8Array, tokens: readonly string[]): { text: string } | { problem: string } {
  let value: unknown
  try {
    value = JSON.parse(textOf(event))
  } catch (error) {
    return { problem: `is no JSON: ${(error as Error).message}` }
  }
  for (const token of tokens) {
    const isIndex = !Array.isArray(value) || /^(0|[1-9]\d*)$/.test(token)
    if (typeof value !== 'object' || value === null || !isIndex || !Object.hasOwn(value, token))
      return { problem: `has nothing at ${showPointer(tokens)}` }
    value = (value as Readonly<Record<string, unknown>>)[token]
  }
  if (typeof value === 'string') return { text: value }
  if (typeof value === 'number' || typeof value === 'boolean') return { text: String(value) }
  return { problem: `has no text, number or truth value at ${showPointer(tokens)}` }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}

function parseField(text: string): number {
  const field = Number(text)
  if (!/^\d{1,6}$/.test(text) || field < 1) throw new InvalidArgumentError('Fields are numbered from 1.')
  return field
}

function parsePointer(text: string): readonly string[] {
  if (text !== '' && !text.startsWith('/'))
    throw new InvalidArgumentError('A JSON pointer begins with /, such as /customer/id.')
  return text
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function showPointer(tokens: readonly string[]): string {
  return tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
