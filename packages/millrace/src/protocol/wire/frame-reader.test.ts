import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { encodeMessage } from './codec.ts'
import { PAYLOAD_BYTES_MAX } from './commands.ts'
import { FrameReader } from './frame-reader.ts'

const hello = encodeMessage({ kind: 'hello', highVersion: 16, lowVersion: 5 })
const keepAlive = encodeMessage({ kind: 'keep-alive' })

function header(id: number, length: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeInt32BE(id, 0)
  buffer.writeInt32BE(length, 4)
  return buffer
}

test('trap 4: frames are found whatever the cuts, also when each byte comes alone', () => {
  const block = Buffer.concat([header(3, 5000), Buffer.alloc(5000, 'x')])
  const stream = Buffer.concat([hello, block, keepAlive])
  for (const step of [1, 7, 8, 9, 4096, stream.length]) {
    const reader = new FrameReader({ beforeHello: true })
    const seen: string[] = []
    for (let at = 0; at < stream.length; at += step) {
      reader.push(stream.subarray(at, at + step))
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        seen.push(`${frame.kind} ${frame.payload.length}`)
        if (frame.kind === 'append-block') deepStrictEqual(Buffer.from(frame.payload), block.subarray(8))
      }
    }
    deepStrictEqual(seen, ['hello 8', 'append-block 5000', 'keep-alive 0'])
  }
})

test('a payload within one chunk is a view of it', () => {
  const reader = new FrameReader()
  const chunk = Buffer.concat([keepAlive, hello])
  reader.push(chunk)
  strictEqual(reader.next()?.kind, 'keep-alive')
  strictEqual(reader.bufferedBytes, 16)
  const frame = reader.next()
  ok(frame?.payload.buffer === chunk.buffer)
  strictEqual(reader.next(), undefined)
})

test('before hello nothing else is taken, and no long hello', () => {
  const impatient = new FrameReader({ beforeHello: true })
  impatient.push(keepAlive)
  throws(() => impatient.next(), { code: 'hello-expected', message: /hello, not with keep-alive/ })

  const long = new FrameReader({ beforeHello: true })
  long.push(header(-127, 65))
  throws(() => long.next(), { code: 'too-large', message: 'hello has 65 bytes, at most 64 are taken' })

  const polite = new FrameReader({ beforeHello: true })
  polite.push(Buffer.concat([hello, keepAlive]))
  deepStrictEqual([polite.next()?.kind, polite.next()?.kind], ['hello', 'keep-alive'])
})

test('trap 66: a frame may have 16 MiB - 1, and is refused from its header when it has more', () => {
  const taken = new FrameReader()
  taken.push(header(4, PAYLOAD_BYTES_MAX))
  strictEqual(taken.next(), undefined)

  const refused = new FrameReader()
  refused.push(header(4, PAYLOAD_BYTES_MAX + 1))
  throws(() => refused.next(), { code: 'too-large' })
  throws(() => refused.push(keepAlive), { code: 'too-large' })
  throws(() => refused.next(), { code: 'too-large' })
  strictEqual(refused.bufferedBytes, 0)
})

test('a control command, an unknown command and a negative length are refused from the header', () => {
  const cases: [number, number, string][] = [
    [28, 256 * 1024 + 1, 'too-large'],
    [100, 65, 'too-large'],
    [6, 0, 'unknown-command'],
    [0, 8, 'unknown-command'],
    [41, 8, 'unknown-command'],
    [4, -1, 'malformed'],
  ]
  for (const [id, length, code] of cases) {
    const reader = new FrameReader()
    reader.push(header(id, length))
    throws(() => reader.next(), { code }, `id ${id}`)
  }
})

test('a large frame that comes byte by byte arrives whole', () => {
  const reader = new FrameReader()
  const payload = Buffer.alloc(200_000)
  for (let index = 0; index < payload.length; index++) payload[index] = index % 251
  reader.push(Buffer.concat([header(3, payload.length), payload.subarray(0, 1)]))
  strictEqual(reader.next(), undefined)
  for (let at = 1; at < payload.length - 1; at++) reader.push(payload.subarray(at, at + 1))
  strictEqual(reader.next(), undefined)
  strictEqual(reader.bufferedBytes, payload.length - 1)
  reader.push(Buffer.concat([payload.subarray(payload.length - 1), keepAlive]))
  ok(reader.next()?.payload.equals(payload))
  strictEqual(reader.next()?.kind, 'keep-alive')
})
