import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ScaleType } from '../protocol/controller/messages.ts'
import { cutOf } from '../testing/controller-fixture.ts'
import { scaled } from '../testing/scaled-history.ts'
import { decodeRecord, encodeRecord } from './record-codec.ts'
import { frontierOf, isBehind } from './stream-cut.ts'
import {
  afterWork,
  changeStream,
  headOf,
  isUnderWay,
  newStream,
  type Refusal,
  type StreamEvent,
  type StreamRecord,
  type StreamSettings,
  type StreamState,
  type StreamWork,
  workOf,
} from './stream-life.ts'
import { STREAM_CODEC } from './stream-record.ts'
import { currentSegments, nextSegmentNumber } from './stream-segments.ts'

function settings(
  minNumSegments: number,
  scaleType: 0 | 1 | 2 = ScaleType.FIXED_NUM_SEGMENTS,
): StreamSettings {
  return {
    scalingPolicy: { scaleType, targetRate: 1, scaleFactor: 2, minNumSegments },
    retentionPolicy: undefined,
    tags: [],
    timestampAggregationTimeout: 0n,
    rolloverSizeBytes: 0n,
  }
}

function born(options: { segments?: number; firstNumber?: number; hasMark?: boolean } = {}): StreamRecord {
  const { segments = 2, firstNumber = 0, hasMark = true } = options
  return newStream({ settings: settings(segments), firstNumber, hasMark, nowMs: 1000 })
}

/** A stream in a state, of two segments. */
function inState(kind: 'active' | 'sealed'): StreamRecord {
  return { ...born(), state: { kind } }
}

/** What an event leads to: the next state, `same` if nothing changes, or the refusal. */
function outcome(record: StreamRecord, event: StreamEvent): StreamState['kind'] | Refusal | 'same' {
  const change = changeStream(record, event)
  if (change.refused !== undefined) return change.refused
  return change.record === record ? 'same' : change.record.state.kind
}

function works(record: StreamRecord): string[][] {
  const show = (work: StreamWork): string => {
    if ('offset' in work) return `${work.kind} ${work.id} ${work.offset}`
    if ('id' in work) return `${work.kind} ${work.id}`
    return 'nextNumber' in work ? `${work.kind} ${work.nextNumber}` : work.kind
  }
  return workOf(record).map((stage) => stage.map(show))
}

test('what each event makes of an active and of a sealed stream', () => {
  const cases: readonly (readonly [event: StreamEvent, active: string, sealed: string])[] = [
    [{ kind: 'configure', settings: settings(2) }, 'active', 'sealed'],
    [{ kind: 'configure', settings: settings(3) }, 'needs-scale', 'sealed'],
    [{ kind: 'configure', settings: settings(1) }, 'needs-scale', 'sealed'],
    [{ kind: 'configure', settings: settings(1, ScaleType.BY_RATE_IN_EVENTS_PER_SEC) }, 'active', 'sealed'],
    [
      { kind: 'configure', settings: settings(3, ScaleType.BY_RATE_IN_EVENTS_PER_SEC) },
      'needs-scale',
      'sealed',
    ],
    [{ kind: 'truncate', cut: cutOf({ 0: 1, 1: 0 }) }, 'truncating', 'sealed'],
    [{ kind: 'truncate', cut: cutOf({ 0: 0, 1: 0 }) }, 'same', 'sealed'],
    [{ kind: 'truncate', cut: cutOf({ 0: 1 }) }, 'invalid-cut', 'sealed'],
    [{ kind: 'seal' }, 'sealing', 'same'],
    [{ kind: 'delete', evenOpen: false }, 'not-sealed', 'deleting'],
    [{ kind: 'delete', evenOpen: true }, 'deleting', 'deleting'],
    [{ kind: 'subscribe', name: 'a/b', groupId: 'x', generation: 0n }, 'active', 'sealed'],
    [{ kind: 'unsubscribe', name: 'a/b' }, 'same', 'same'],
    [
      { kind: 'note-cut', name: 'a/b', cut: cutOf({ 0: 1, 1: 0 }) },
      'no-such-subscriber',
      'no-such-subscriber',
    ],
  ]
  for (const [event, active, sealed] of cases) {
    strictEqual(outcome(inState('active'), event), active, JSON.stringify(event.kind))
    // A refusal is called like the state, so the sealed stream must also be the very same after it.
    strictEqual(outcome(inState('sealed'), event), sealed, JSON.stringify(event.kind))
  }
})

test('creation makes the segments, then the mark stream', () => {
  const record = born({ firstNumber: 5 })
  deepStrictEqual(works(record), [['create-segment 5', 'create-segment 6'], ['create-mark']])
  deepStrictEqual(works(born({ segments: 1, hasMark: false })), [['create-segment 0'], []])
  strictEqual(afterWork(record)?.state.kind, 'active')
})

test('truncation moves the head at once, truncates first and deletes what is obsolete then', () => {
  const history = scaled(
    scaled(born(), [0, 1], [[0, 1]]),
    [2],
    [
      [0, 0.5],
      [0.5, 1],
    ],
  )
  const record: StreamRecord = { ...born(), ...history, state: { kind: 'active' } }
  const cut = cutOf({ '2.3': 7, '2.4': 0 })
  const change = changeStream(record, { kind: 'truncate', cut })
  if (change.refused !== undefined) throw new Error(change.reason)
  deepStrictEqual(works(change.record), [
    [`truncate-segment ${(2n << 32n) | 3n} 7`],
    ['delete-segment 0', 'delete-segment 1', `delete-segment ${(1n << 32n) | 2n}`],
  ])
  deepStrictEqual(headOf(change.record), cut)
  const after = afterWork(change.record)
  deepStrictEqual(after?.state, { kind: 'active' })
  deepStrictEqual(after === undefined ? undefined : headOf(after), cut)
})

test('a segment that the cut has not reached is kept', () => {
  const history = scaled(born(), [0, 1], [[0, 1]])
  const record: StreamRecord = { ...born(), ...history, state: { kind: 'active' } }
  const change = changeStream(record, { kind: 'truncate', cut: cutOf({ 1: 9, '1.2': -1 }) })
  if (change.refused !== undefined) throw new Error(change.reason)
  deepStrictEqual(works(change.record), [['truncate-segment 1 9'], ['delete-segment 0']])
  strictEqual(
    outcome(
      { ...record, truncatedAt: cutOf({ 1: 9, '1.2': -1 }) },
      { kind: 'truncate', cut: cutOf({ 0: 9, 1: 9 }) },
    ),
    'cut-behind',
  )
})

test('sealing seals the open segments alone; deletion remembers the numbers, then removes all there ever were', () => {
  const record: StreamRecord = {
    ...born(),
    ...scaled(
      born(),
      [1],
      [
        [0.5, 0.7],
        [0.7, 1],
      ],
    ),
    state: { kind: 'sealing' },
  }
  deepStrictEqual(works(record), [
    ['seal-segment 0', `seal-segment ${(1n << 32n) | 2n}`, `seal-segment ${(1n << 32n) | 3n}`],
  ])
  deepStrictEqual(works({ ...record, state: { kind: 'deleting' } }), [
    ['bury 4'],
    ['delete-mark'],
    [
      'delete-segment 0',
      'delete-segment 1',
      `delete-segment ${(1n << 32n) | 2n}`,
      `delete-segment ${(1n << 32n) | 3n}`,
    ],
  ])
  strictEqual(afterWork({ ...record, state: { kind: 'deleting' } }), undefined)
})

test('a subscriber keeps its cut over generations, and loses it to a new group of its name', () => {
  let record = inState('active')
  const apply = (event: StreamEvent): void => {
    const change = changeStream(record, event)
    if (change.refused !== undefined) throw new Error(change.reason)
    record = change.record
  }
  const group = { kind: 'subscribe', name: 'a/b' } as const
  const cut = cutOf({ 0: 3, 1: 3 })
  apply({ ...group, groupId: 'x', generation: 0n })
  apply({ kind: 'note-cut', name: 'a/b', cut })
  apply({ ...group, groupId: 'x', generation: 1n })
  deepStrictEqual(record.subscribers, [{ name: 'a/b', groupId: 'x', generation: 1n, cut }])
  strictEqual(outcome(record, { ...group, groupId: 'x', generation: 0n }), 'same')
  apply({ ...group, groupId: 'y', generation: 0n })
  deepStrictEqual(record.subscribers, [{ name: 'a/b', groupId: 'y', generation: 0n, cut: undefined }])
})

test('a walk through any events: the head never goes back, states follow the picture, the stored form is the same', () => {
  const arrows: Readonly<Record<StreamState['kind'], readonly StreamState['kind'][]>> = {
    creating: ['active'],
    active: ['active', 'truncating', 'sealing', 'deleting'],
    truncating: ['active'],
    sealing: ['sealed'],
    sealed: ['sealed', 'deleting'],
    deleting: [],
  }
  const offset = fc.integer({ min: -1, max: 20 })
  const event: fc.Arbitrary<StreamEvent> = fc.oneof(
    fc.record({
      kind: fc.constant('configure'),
      settings: fc.integer({ min: 1, max: 3 }).map((n) => settings(n)),
    }),
    fc.record({
      kind: fc.constant('truncate'),
      cut: fc.tuple(offset, offset).map(([a, b]) => cutOf({ 0: a, 1: b })),
    }),
    fc.record({
      kind: fc.constant('subscribe'),
      name: fc.constantFrom('a/b', 'a/c'),
      groupId: fc.constantFrom('x', 'y'),
      generation: fc.bigInt({ min: 0n, max: 3n }),
    }),
    fc.record({ kind: fc.constant('unsubscribe'), name: fc.constantFrom('a/b', 'a/c') }),
    fc.record({
      kind: fc.constant('note-cut'),
      name: fc.constantFrom('a/b', 'a/c'),
      cut: fc.tuple(offset, offset).map(([a, b]) => cutOf({ 0: a, 1: b })),
    }),
    fc.constantFrom<StreamEvent>({ kind: 'seal' }, { kind: 'delete', evenOpen: false }),
  )
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 40 }), (events) => {
      let record: StreamRecord | undefined = born()
      const take = (next: StreamRecord | undefined): void => {
        const before = record
        record = next
        if (before === undefined || next === undefined) return
        if (next !== before) ok(arrows[before.state.kind].includes(next.state.kind))
        const [from, to] = [frontierOf(before, headOf(before)), frontierOf(next, headOf(next))]
        if (typeof from === 'string' || typeof to === 'string') throw new Error('The head is a cut')
        strictEqual(isBehind(to, from), false)
        strictEqual(nextSegmentNumber(next), 2)
        strictEqual(currentSegments(next).length, 2)
        const value = encodeRecord(STREAM_CODEC, { key: 'k', record: next, writeId: 'w' })
        const { record: stored } = decodeRecord(STREAM_CODEC, { key: 'k', value })
        deepStrictEqual(encodeRecord(STREAM_CODEC, { key: 'k', record: stored, writeId: 'w' }), value)
        deepStrictEqual(workOf(stored), workOf(next))
      }
      for (const each of events) {
        while (record !== undefined && isUnderWay(record)) take(afterWork(record))
        if (record === undefined) return
        const change = changeStream(record, each)
        if (change.refused === undefined) take(change.record)
      }
    }),
    { seed: 1, numRuns: 300 },
  )
})
