/** Against frames that Pravega's own encoder made: interop/golden/ says how. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseUuid } from '../uuid.ts'
import { decodeAs, decodeMessage, encodeMessage } from './codec.ts'
import {
  type AnyMessage,
  COMMANDS,
  type CommandKind,
  commandOf,
  type FieldType,
  type Long,
} from './commands.ts'
import { FrameReader } from './frame-reader.ts'

interface CommandVector {
  readonly kind: CommandKind
  readonly fields: Record<string, unknown>
  readonly frame: string
}

interface AppendStreamVector {
  readonly appends: readonly { writerId: string; eventNumber: string; event: string }[]
  readonly stream: string
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`../golden/${file}`, import.meta.url), 'utf8')) as T
}

const vectors = read<readonly CommandVector[]>('commands.json')

test('trap 2: every command is written as Java writes it, and read as Java meant it', () => {
  for (const { kind, fields, frame } of vectors) {
    const message = messageOf(kind, fields)
    strictEqual(encodeMessage(message).toString('hex'), frame, kind)
    const reader = new FrameReader()
    reader.push(Buffer.from(frame, 'hex'))
    const decoded = reader.next()
    ok(decoded !== undefined)
    deepStrictEqual(Object.entries(decodeMessage(decoded)), Object.entries(message), kind)
  }
})

test('the vectors have all commands but those that only ever stand within others', () => {
  const missing = new Set(Object.keys(COMMANDS))
  for (const { kind } of vectors) missing.delete(kind)
  deepStrictEqual([...missing], ['padding', 'append-block'])
})

test('traps 4, 5 and 6: the blocks of Java writers hold the events that were written, and nothing of the padding', () => {
  let paddings = 0
  let partials = 0
  for (const { appends, stream } of read<readonly AppendStreamVector[]>('append-streams.json')) {
    const written = new Map<string, { bytes: Buffer[]; count: number; last: Long }>()
    const reader = new FrameReader()
    reader.push(Buffer.from(stream, 'hex'))
    let block: Buffer | undefined
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      if (frame.kind === 'append-block') {
        block = decodeAs('append-block', frame).data
      } else if (frame.kind === 'append-block-end') {
        const end = decodeAs('append-block-end', frame)
        ok(block !== undefined)
        const ofWriter = written.get(end.writerId) ?? { bytes: [], count: 0, last: 0 }
        const inner = new FrameReader()
        inner.push(block.subarray(end.sizeOfWholeEvents))
        const rest = inner.next()
        if (rest?.kind === 'padding') paddings++
        if (rest?.kind === 'partial-event') partials++
        const partial =
          rest?.kind === 'partial-event' ? decodeAs('partial-event', rest).data : Buffer.alloc(0)
        ofWriter.bytes.push(block.subarray(0, end.sizeOfWholeEvents), partial, end.data)
        ofWriter.count += end.eventCount
        ofWriter.last = end.lastEventNumber
        written.set(end.writerId, ofWriter)
        block = undefined
      } else {
        strictEqual(block, undefined, 'Nothing comes between a block and its end')
      }
    }
    for (const [writerId, { bytes, count, last }] of written) {
      const expected = appends.filter((append) => parseUuid(append.writerId) === writerId)
      strictEqual(Buffer.concat(bytes).toString('hex'), expected.map(({ event }) => event).join(''))
      deepStrictEqual([count, String(last)], [expected.length, expected.at(-1)?.eventNumber])
    }
    strictEqual(reader.bufferedBytes, 0)
  }
  ok(paddings > 10 && partials > 10, 'The vectors have both')
})

function messageOf(kind: CommandKind, fields: Record<string, unknown>): AnyMessage {
  const message: Record<string, unknown> = { kind }
  for (const { name, type } of commandOf(kind).fields) message[name] = valueOf(type, fields[name])
  return message as unknown as AnyMessage
}

/** What JSON stands for: longs are decimal, bytes hexadecimal. */
function valueOf(type: FieldType, json: unknown): unknown {
  switch (type) {
    case 'offset':
    case 'long':
      return longOf(json)
    case 'id64': {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64BE(BigInt(json as string))
      return bytes.toString('latin1')
    }
    case 'uuid':
      return parseUuid(json as string)
    case 'bytes':
    case 'rest':
    case 'event':
      return Buffer.from(json as string, 'hex')
    case 'longs':
      return (json as string[]).map(longOf)
    case 'iteratorArgs':
      return structOf(json)
    case 'keys':
    case 'entries':
    case 'attributeUpdates':
    case 'merges':
    case 'chunks':
      return (json as unknown[]).map(structOf)
    default:
      return json
  }
}

const BYTES = ['key', 'value', 'continuationToken', 'fromKey', 'toKey']
const TEXTS = ['source', 'chunkName']

function structOf(json: unknown): unknown {
  const entries = Object.entries(json as Record<string, unknown>).map(([name, value]) => {
    if (typeof value !== 'string' || TEXTS.includes(name)) return [name, value]
    if (BYTES.includes(name)) return [name, Buffer.from(value, 'hex')]
    return [name, name === 'attributeId' ? parseUuid(value) : longOf(value)]
  })
  return Object.fromEntries(entries) as unknown
}

function longOf(json: unknown): Long {
  const value = Number(json)
  return Number.isSafeInteger(value) ? value : BigInt(json as string)
}
