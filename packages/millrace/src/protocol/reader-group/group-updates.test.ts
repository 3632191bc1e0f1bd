import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { encodeVersioned } from '../java-serializer.ts'
import { showUuid, UUID_ZERO } from '../uuid.ts'
import { decodeGroupChange, encodeGroupChange } from './group-changes.ts'
import { decodeCheckpoints } from './group-checkpoints.ts'
import { decodeGroupConfig } from './group-config.ts'
import { decodeGroupUpdate, encodeGroupUpdate } from './group-updates.ts'

const SEGMENT = 'shop/orders/0.#epoch.0'

test('what old clients wrote is read with what they could not say left open', () => {
  const oldDistance = encodeVersioned({ typeId: 6, version: 0 }, [
    (writer) => {
      writer.string('anna')
      writer.long(5)
    },
  ])
  deepStrictEqual(decodeGroupUpdate(oldDistance), {
    kind: 'update-distance-to-tail',
    reader: 'anna',
    distanceMs: 5,
    lastRead: new Map(),
  })

  const oldCompleted = encodeVersioned({ typeId: 7, version: 0 }, [
    (writer) => {
      writer.string('anna')
      writer.string('shop/orders/0')
      writer.uint8(0)
    },
  ])
  deepStrictEqual(decodeGroupUpdate(oldCompleted), {
    kind: 'complete-segment',
    reader: 'anna',
    segment: SEGMENT,
    successors: new Map(),
    ranges: new Map(),
  })
})

test('trap 68: a configuration of old clients has no id, and the generation that asks for migration', () => {
  const bytes = encodeVersioned({ version: 0 }, [
    (writer) => {
      writer.long(-1)
      writer.long(3000)
      writer.uint8(1)
      writer.string('shop/orders')
      writer.uint8(0)
      writer.uint8(0)
    },
  ])
  deepStrictEqual(decodeGroupConfig(bytes), {
    automaticCheckpointIntervalMs: -1,
    groupRefreshTimeMs: 3000,
    maxOutstandingCheckpointRequests: 3,
    retention: 0,
    generation: -1,
    groupId: UUID_ZERO,
    startingStreamCuts: new Map([['shop/orders', undefined]]),
    endingStreamCuts: new Map(),
  })
  strictEqual(showUuid(UUID_ZERO), '00000000-0000-0000-0000-000000000000')
})

test('checkpoints of old clients count as not published', () => {
  const bytes = encodeVersioned({ version: 0 }, [(writer) => writer.int32(0)])
  deepStrictEqual(decodeCheckpoints(bytes), {
    ids: [],
    waitingFor: new Map(),
    positions: new Map(),
    last: new Map(),
    lastPublished: false,
  })
})

test('the events of a group begin with what they are', () => {
  const updates = encodeGroupChange({ kind: 'updates', updates: [{ kind: 'add-reader', reader: 'anna' }] })
  strictEqual(updates.toString('hex'), '000000020000000f' + '000200010000000006' + '0004616e6e61')
  deepStrictEqual(decodeGroupChange(updates), {
    kind: 'updates',
    updates: [{ kind: 'add-reader', reader: 'anna' }],
  })
})

test('events that are none of a reader group are refused', () => {
  const reader = encodeGroupUpdate({ kind: 'add-reader', reader: 'anna' })
  const cases: [Buffer, RegExp][] = [
    [Buffer.from('00000003', 'hex'), /is of kind 3, known: 1, 2/],
    [Buffer.concat([Buffer.from('00000001', 'hex'), reader]), /begins with add-reader/],
    [Buffer.concat([Buffer.from('000000020000ffff', 'hex'), reader]), /needs 65535 bytes/],
    [Buffer.from('000000020000000400ff0000', 'hex'), /is of type 255, known: 0 to 13/],
  ]
  for (const [payload, message] of cases)
    throws(() => decodeGroupChange(payload), { code: 'malformed', message })
})

test("the end of a segment as the end of a group is Java's greatest long, which is no offset", () => {
  const config = {
    automaticCheckpointIntervalMs: -1,
    groupRefreshTimeMs: 3000,
    maxOutstandingCheckpointRequests: 3,
    retention: 0,
    generation: 0,
    groupId: UUID_ZERO,
    startingStreamCuts: new Map(),
    endingStreamCuts: new Map(),
  }
  const start = {
    kind: 'start',
    config,
    segments: new Map(),
    endSegments: new Map([
      [SEGMENT, Number.POSITIVE_INFINITY],
      ['shop/orders/1.#epoch.0', 7],
    ]),
    updatingConfig: false,
  } as const
  const bytes = encodeGroupUpdate(start)
  ok(bytes.includes(Buffer.from('7fffffffffffffff', 'hex')))
  deepStrictEqual(decodeGroupUpdate(bytes), start)
  const at = bytes.indexOf(Buffer.from('7fffffffffffffff', 'hex'))
  bytes.writeBigInt64BE(2n ** 60n, at)
  throws(() => decodeGroupUpdate(bytes), /outside of ±2\^53/)
})
