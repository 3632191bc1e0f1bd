import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { nodeHost } from '../base/node-host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { FakeSegments } from '../testing/fake-segments.ts'
import { deferred } from '../testing/deferred.ts'
import { encodeRecord, type RecordCodec } from './record-codec.ts'
import { NoTableError, Records } from './records.ts'

interface Note {
  readonly text: string
  readonly size?: bigint
}

const codec: RecordCodec<Note> = {
  what: 'note',
  version: 1,
  toJson: (note) => note,
  fromJson: (json) => json as Note,
}
const place = { table: 'notes', key: 'a' }

function recordsOver(segments: SegmentCalls, heldBytesMax = 1_000_000): Records<Note> {
  return new Records({ segments, random: nodeHost().random }, { codec, heldBytesMax })
}

async function withTable(): Promise<FakeSegments> {
  const fake = new FakeSegments()
  await fake.connect().createTable('notes')
  return fake
}

test('a record is written once it is expected, and read from memory after that', async () => {
  const fake = await withTable()
  const connection = fake.connect()
  const records = recordsOver(connection)
  strictEqual(await records.get(place), undefined)
  const first = await records.put(place, { text: 'one', size: 2n ** 63n - 1n }, undefined)
  strictEqual(await records.put(place, { text: 'two' }, undefined), undefined)
  deepStrictEqual((await recordsOver(fake.connect()).get(place))?.record, {
    text: 'one',
    size: 2n ** 63n - 1n,
  })
  const second = await records.put(place, { text: 'two' }, first)
  const before = connection.calls.length
  deepStrictEqual(await records.get(place), second)
  strictEqual(connection.calls.length, before)
})

test('a write from elsewhere is noticed with the next write here, and read then', async () => {
  const fake = await withTable()
  const [here, there] = [recordsOver(fake.connect()), recordsOver(fake.connect())]
  const mine = await here.put(place, { text: 'mine' }, undefined)
  const theirs = await there.put(place, { text: 'theirs' }, await there.get(place))
  strictEqual(await here.put(place, { text: 'again' }, mine), undefined)
  deepStrictEqual(await here.get(place).then((found) => found?.version), theirs?.version)
  strictEqual(mine === undefined ? undefined : await here.remove(place, mine), false)
})

test('a read that a write overtakes is not held', async () => {
  const fake = await withTable()
  const connection = fake.connect()
  const gate = deferred<void>()
  let isHeldUp = false
  const records = recordsOver({
    ...connection,
    async readTable(table, keys) {
      const found = await connection.readTable(table, keys)
      if (isHeldUp) await gate.promise
      return found
    },
  })
  const first = await recordsOver(fake.connect()).put(place, { text: 'old' }, undefined)
  isHeldUp = true
  const slow = records.get(place)
  while (connection.calls.length === 0) await Promise.resolve()
  const second = await records.put(place, { text: 'new' }, first)
  gate.resolve()
  strictEqual((await slow)?.record.text, 'old')
  deepStrictEqual(await records.get(place), second)
})

test('reads of one record at once ask the store once', async () => {
  const fake = await withTable()
  await recordsOver(fake.connect()).put(place, { text: 'one' }, undefined)
  const connection = fake.connect()
  const records = recordsOver(connection)
  const found = await Promise.all([1, 2, 3].map(() => records.get(place)))
  strictEqual(new Set(found).size, 1)
  strictEqual(connection.calls.length, 1)
})

test('what is held is bounded; what was used last stays', async () => {
  const fake = await withTable()
  const connection = fake.connect()
  const records = recordsOver(connection, 1000)
  const at = (key: string): { table: string; key: string } => ({ table: 'notes', key })
  for (const key of ['a', 'b', 'c']) await records.put(at(key), { text: 'x'.repeat(300) }, undefined)
  strictEqual(records.held(at('a')) === undefined, true)
  strictEqual(records.held(at('b')) === undefined, false)
  await records.put(at('d'), { text: 'x'.repeat(300) }, undefined)
  strictEqual(records.held(at('b')) === undefined, false)
  strictEqual(records.held(at('c')) === undefined, true)
})

test('without its table a record cannot be read, listed or removed, and not be written', async () => {
  const records = recordsOver(new FakeSegments().connect())
  strictEqual(await records.get(place), undefined)
  strictEqual(await records.remove(place, { record: { text: '' }, version: 1 }), true)
  for await (const _ of records.list('notes', '')) throw new Error('Something was listed')
  await rejects(records.put(place, { text: 'one' }, undefined), NoTableError)
})

test('a record that is too large is refused before anything is sent', async () => {
  const fake = await withTable()
  const connection = fake.connect()
  await rejects(recordsOver(connection).put(place, { text: 'x'.repeat(2_000_000) }, undefined), {
    code: 'invalid-argument',
    message: /note 'a' would take 20000\d\d bytes, at most 1040384 fit/,
  })
  strictEqual(connection.calls.length, 0)
})

test('a damaged record, and one of a later version, are named', async () => {
  const fake = await withTable()
  const connection = fake.connect()
  const store = (value: Buffer): Promise<unknown> =>
    connection.updateTable('notes', [{ key: Buffer.from('a'), value, condition: 'any' }])
  const later = { ...codec, version: 2 }
  for (const [value, message] of [
    [Buffer.from('{"v":1,'), /record of note 'a' cannot be read/],
    [Buffer.from('null'), /has version none, this controller reads version 1/],
    [
      encodeRecord(later, { key: 'a', record: { text: '' }, writeId: 'w' }),
      /has version 2, this controller reads version 1/,
    ],
  ] as const) {
    await store(value)
    await rejects(recordsOver(fake.connect()).get(place), { code: 'data-loss', message })
  }
})
