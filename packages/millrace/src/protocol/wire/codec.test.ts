import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ProtocolError } from '../protocol-error.ts'
import { encodeAppendBlockEnd, encodeDataAppended, encodeSegmentRead } from './bulk.ts'
import { decodeAs, decodeMessage, encodeMessage, type WireFrame } from './codec.ts'
import {
  type AnyMessage,
  COMMANDS,
  type CommandKind,
  commandOf,
  type FieldType,
  type FieldValues,
  FRAME_HEADER_BYTES,
  LONG_MIN,
  type Long,
  PAYLOAD_BYTES_MAX,
} from './commands.ts'
import { FrameReader, payloadBytesMax } from './frame-reader.ts'
import { requestIdOf, sequenceOf } from './request-id.ts'

const KINDS = Object.keys(COMMANDS) as CommandKind[]

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const offset = fc.maxSafeInteger()
const long: fc.Arbitrary<Long> = fc
  .bigInt({ min: LONG_MIN, max: -LONG_MIN - 1n })
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value))
const latin1 = (length: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((bytes) => Buffer.from(bytes).toString('latin1'))
const text = fc.string({ unit: 'binary', maxLength: 40 })
const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
const struct = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true })
const list = <T>(element: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(element, { maxLength: 6 })
// An empty key travels without its version.
const key = struct({ key: bytes, version: long }).map((pair) =>
  pair.key.length === 0 ? { ...pair, version: LONG_MIN } : pair,
)

const ARBITRARIES: { readonly [T in FieldType]: fc.Arbitrary<FieldValues[T]> } = {
  int8: fc.integer({ min: -128, max: 127 }),
  int32,
  boolean: fc.boolean(),
  offset,
  long,
  id64: latin1(8),
  uuid: latin1(16),
  string: text,
  bytes,
  rest: bytes,
  event: bytes.map((data) => {
    const header = Buffer.alloc(8)
    header.writeInt32BE(data.length, 4)
    return Buffer.concat([header, data])
  }),
  keys: list(key),
  entries: list(fc.tuple(key, bytes).map(([pair, value]) => ({ ...pair, value }))),
  iteratorArgs: struct({ continuationToken: bytes, fromKey: bytes, toKey: bytes }),
  attributeUpdates: list(
    struct({ attributeId: latin1(16), updateType: fc.constant(4), newValue: long, oldValue: long }),
  ),
  strings: list(text),
  longs: list(long),
  merges: list(struct({ source: text, newTargetWriteOffset: offset })),
  chunks: list(
    struct({
      lengthInMetadata: offset,
      lengthInStorage: offset,
      startOffset: offset,
      chunkName: text,
      existsInStorage: fc.boolean(),
    }),
  ),
}

const anyMessage: fc.Arbitrary<AnyMessage> = fc.constantFrom(...KINDS).chain(messageOf)

function messageOf(kind: CommandKind): fc.Arbitrary<AnyMessage> {
  const fields = commandOf(kind).fields.map(({ name, type }) => [name, ARBITRARIES[type]] as const)
  return fc.record(Object.fromEntries(fields)).map((values) => ({ kind, ...values }) as unknown as AnyMessage)
}

function frameOf(frame: Buffer): WireFrame {
  const reader = new FrameReader()
  reader.push(frame)
  const first = reader.next()
  ok(first !== undefined)
  return first
}

test('every command survives with any values, over any cuts of the stream', () => {
  fc.assert(
    fc.property(fc.array(anyMessage, { maxLength: 8 }), fc.infiniteStream(fc.nat(80)), (messages, cuts) => {
      const stream = Buffer.concat(messages.map((message) => encodeMessage(message)))
      const reader = new FrameReader()
      const received: AnyMessage[] = []
      for (let at = 0; at < stream.length; ) {
        const end = at + (cuts.next().value ?? 1)
        reader.push(stream.subarray(at, end))
        for (let frame = reader.next(); frame !== undefined; frame = reader.next())
          received.push(decodeMessage(frame))
        at = end
      }
      deepStrictEqual(received, messages)
      strictEqual(reader.bufferedBytes, 0)
    }),
    { seed: 1, numRuns: 400 },
  )
})

test('each command survives on its own', () => {
  for (const kind of KINDS) {
    fc.assert(
      fc.property(messageOf(kind), (message) => {
        deepStrictEqual(decodeMessage(frameOf(encodeMessage(message))), message)
      }),
      { seed: 2, numRuns: 15 },
    )
  }
})

test('changed, cut and random payloads are malformed or another message, never anything else', () => {
  const edits = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 })
  fc.assert(
    fc.property(anyMessage, edits, fc.nat(300), (message, changes, length) => {
      const payload = encodeMessage(message).subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length)
      for (const [at, value] of changes) if (at < payload.length) payload[at] = value
      try {
        decodeMessage({ kind: message.kind, payload })
      } catch (error) {
        ok(error instanceof ProtocolError && error.code === 'malformed', String(error))
        ok(error.message.startsWith(`${message.kind}: `), error.message)
      }
    }),
    { seed: 3, numRuns: 3000 },
  )
})

test('random streams of bytes end in a protocol error or in silence', () => {
  const ids = KINDS.map((kind) => commandOf(kind).id)
  const frame = fc.tuple(fc.constantFrom(...ids, 6, 0), fc.oneof(fc.nat(40), int32), bytes).map((parts) => {
    const header = Buffer.alloc(8)
    header.writeInt32BE(parts[0], 0)
    header.writeInt32BE(parts[1], 4)
    return Buffer.concat([header, parts[2]])
  })
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 5 }), fc.boolean(), (frames, beforeHello) => {
      const reader = new FrameReader({ beforeHello })
      try {
        for (const chunk of frames) {
          reader.push(chunk)
          for (let next = reader.next(); next !== undefined; next = reader.next()) decodeMessage(next)
        }
      } catch (error) {
        ok(error instanceof ProtocolError, String(error))
      }
    }),
    { seed: 4, numRuns: 3000 },
  )
})

test('trap 2: trailing fields are optional on input and ignored beyond the last one', () => {
  const complete: AnyMessage = {
    kind: 'data-appended',
    writerId: 'w'.repeat(16),
    eventNumber: 7,
    previousEventNumber: 6,
    requestId: requestIdOf(5),
    segmentWriteOffset: 100,
  }
  const { kind, payload } = frameOf(encodeMessage(complete))
  strictEqual(payload.length, 16 + 4 * 8)
  deepStrictEqual(decodeMessage({ kind, payload: payload.subarray(0, 32) }), {
    ...complete,
    requestId: '\xff'.repeat(8),
    segmentWriteOffset: -1,
  })
  deepStrictEqual(decodeMessage({ kind, payload: Buffer.concat([payload, Buffer.alloc(9)]) }), complete)
  throws(() => decodeMessage({ kind, payload: payload.subarray(0, 20) }), {
    code: 'malformed',
    message: 'data-appended: eventNumber needs 8 bytes, but only 4 are left',
  })
})

test('trap 52: a table segment is created with its last fields missing', () => {
  const frame = frameOf(
    encodeMessage({
      kind: 'create-table-segment',
      requestId: requestIdOf(1),
      segment: 's/t/0',
      delegationToken: '',
      sortedDeprecated: true,
      keyLength: 4,
      rolloverBytes: 9,
    }),
  )
  const oldest = decodeAs('create-table-segment', {
    ...frame,
    payload: frame.payload.subarray(0, 8 + 7 + 2),
  })
  deepStrictEqual([oldest.sortedDeprecated, oldest.keyLength, oldest.rolloverBytes], [false, 0, 0])
})

test('trap 3: strings are modified UTF-8 behind a length of two bytes, and no longer than that can say', () => {
  const request = (segment: string): Buffer =>
    encodeMessage({ kind: 'seal-segment', requestId: requestIdOf(0), segment, delegationToken: '' })
  strictEqual(request('\0𝄞').subarray(16).toString('hex'), '0008c080eda0b4edb49e0000')
  strictEqual(request('a'.repeat(65_535)).length, 8 + 8 + 2 + 65_535 + 2)
  for (const segment of ['a'.repeat(65_536), '€'.repeat(21_846)])
    throws(() => request(segment), { code: 'too-large', message: /at most 65535/ })
  throws(
    () => decodeMessage({ kind: 'segment-sealed', payload: Buffer.from('00000000000000000001ff', 'hex') }),
    { code: 'malformed', message: 'segment-sealed: segment is no modified UTF-8' },
  )
})

test('trap 65: request ids, attribute values and versions keep all 64 bits', () => {
  const requestId = '\xff\xee\xdd\xcc\xbb\xaa\x99\x88'
  const value = (1n << 62n) + 1n
  const frame = encodeMessage({ kind: 'segment-attribute', requestId, value })
  deepStrictEqual(decodeMessage(frameOf(frame)), { kind: 'segment-attribute', requestId, value })
  strictEqual(frame.readBigInt64BE(8), -0x0011_2233_4455_6678n)
})

test('an offset that no segment can have is refused where it stands', () => {
  const payload = Buffer.alloc(8 + 3 + 8 + 2)
  payload.write('\x00\x01s', 8, 'latin1')
  payload.writeBigInt64BE(2n ** 53n, 11)
  throws(() => decodeMessage({ kind: 'truncate-segment', payload }), {
    code: 'malformed',
    message: 'truncate-segment: truncationOffset holds 9007199254740992, which is outside of ±2^53',
  })
})

test('lengths and counts that lie are refused before anything is allocated', () => {
  const head = Buffer.from('00000000000000000001730000', 'hex') // request id, segment "s", no token
  const count = (value: number): Buffer => {
    const payload = Buffer.concat([head, Buffer.alloc(4)])
    payload.writeInt32BE(value, head.length)
    return payload
  }
  throws(() => decodeMessage({ kind: 'read-table', payload: count(2 ** 31 - 1) }), {
    message: 'read-table: keys promises 2147483647 elements of at least 8 bytes, but only 0 bytes are left',
  })
  throws(() => decodeMessage({ kind: 'update-table-entries', payload: count(-1) }), /negative count, -1/)
  const data = (length: number): Buffer => {
    const payload = Buffer.alloc(16 + 4 + 4 + 12)
    payload.writeInt32BE(length, 20)
    return payload
  }
  throws(() => decodeMessage({ kind: 'append-block-end', payload: data(13) }), /data needs 13 bytes/)
  throws(() => decodeMessage({ kind: 'append-block-end', payload: data(-1) }), /negative length, -1/)
})

test('the event of a conditional append must have its own header', () => {
  const frame = frameOf(
    encodeMessage({
      kind: 'conditional-append',
      writerId: 'w'.repeat(16),
      eventNumber: 1,
      expectedOffset: 0,
      event: Buffer.from('0000000000000001aa', 'hex'),
      requestId: requestIdOf(1),
    }),
  )
  strictEqual(decodeAs('conditional-append', frame).event.toString('hex'), '0000000000000001aa')
  frame.payload[35] = 1
  throws(() => decodeMessage(frame), { message: 'conditional-append: event is of type 1, not 0' })
})

test('bulk frames in pieces are the bytes of whole ones, with the data as it was given', () => {
  const data = [Buffer.from('one'), Buffer.from('twelve')]
  const read = { segment: 'só/s/0', offset: 7, atTail: true, endOfSegment: false, requestId: requestIdOf(9) }
  const pieces = encodeSegmentRead(read, data)
  ok(pieces[1] === data[0] && pieces[2] === data[1])
  deepStrictEqual(
    Buffer.concat(pieces),
    encodeMessage({ kind: 'segment-read', ...read, data: Buffer.concat(data) }),
  )

  const end = { writerId: 'w'.repeat(16), eventCount: 2, lastEventNumber: 8, requestId: requestIdOf(3) }
  deepStrictEqual(
    Buffer.concat(encodeAppendBlockEnd(end, data)),
    encodeMessage({ kind: 'append-block-end', ...end, sizeOfWholeEvents: 9, data: Buffer.concat(data) }),
  )

  const appended = {
    writerId: 'w'.repeat(16),
    eventNumber: 2n ** 60n,
    previousEventNumber: LONG_MIN,
    requestId: requestIdOf(3),
    segmentWriteOffset: 12,
  }
  deepStrictEqual(encodeDataAppended(appended), encodeMessage({ kind: 'data-appended', ...appended }))
})

test('nothing longer than 16 MiB - 1 is ever encoded', () => {
  const large = [Buffer.alloc(PAYLOAD_BYTES_MAX - 44), Buffer.alloc(1)]
  const end = { writerId: 'w'.repeat(16), eventCount: 1, lastEventNumber: 1, requestId: requestIdOf(1) }
  strictEqual(encodeAppendBlockEnd(end, large.slice(0, 1))[0]!.readInt32BE(4), PAYLOAD_BYTES_MAX)
  throws(() => encodeAppendBlockEnd(end, large), { code: 'too-large', message: /at most 16777215/ })
})

test('every message that can be encoded with the longest strings is taken by the reader', () => {
  const longest = 's'.repeat(65_535)
  const hosts = encodeMessage({
    kind: 'wrong-host',
    requestId: requestIdOf(1),
    segment: longest,
    correctHost: longest,
    serverStackTrace: longest,
  })
  ok(hosts.length - FRAME_HEADER_BYTES <= payloadBytesMax('wrong-host'))
  strictEqual(frameOf(hosts).kind, 'wrong-host')
})

test('request ids count upward as big-endian longs', () => {
  strictEqual(requestIdOf(0x1_0000_0002), '\x00\x00\x00\x01\x00\x00\x00\x02')
  for (const sequence of [0, 1, -1, Number.MAX_SAFE_INTEGER])
    strictEqual(sequenceOf(requestIdOf(sequence)), sequence)
  strictEqual(sequenceOf('\x7f'.repeat(8)), undefined)
})
