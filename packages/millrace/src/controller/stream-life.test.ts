import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ScaleType } from '../protocol/controller/messages.ts'
import { cutOf } from '../testing/controller-fixture.ts'
import { scaled } from '../testing/scaled-history.ts'
import { decodeRecord, encodeRecord } from './record-codec.ts'
import type { ScaleRequest } from './scale-plan.ts'
import { frontierOf, isBehind } from './stream-cut.ts'
import {
  afterWork,
  changeStream,
  headOf,
  isTrueMeanwhile,
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
import {
  currentEpoch,
  currentSegments,
  everyEpoch,
  everySegment,
  type KeyRange,
  nextSegmentNumber,
  sameSegmentsNow,
  segmentsOfEpoch,
  splitEvenly,
  successorsOf,
} from './stream-segments.ts'

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

function halved({ low, high }: KeyRange): KeyRange {
  return { low: low / 2, high: high / 2 }
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

/** `number.epoch` */
function shortName(id: bigint): string {
  return `${id & 0xffff_ffffn}.${id >> 32n}`
}

function works(record: StreamRecord): string[][] {
  const show = (work: StreamWork): string => {
    if ('from' in work)
      return `${work.kind} ${shortName(work.from)} -> ${shortName(work.id)}: ${work.transactions.join()}`
    if ('transactions' in work) return `${work.kind} ${work.transactions.join()}`
    if ('offset' in work) return `${work.kind} ${shortName(work.id)} ${work.offset}`
    if ('id' in work) return `${work.kind} ${shortName(work.id)}`
    return 'nextNumber' in work ? `${work.kind} ${work.nextNumber}` : work.kind
  }
  return workOf(record).map((stage) => stage.map(show))
}

test('what each event makes of an active and of a sealed stream', () => {
  const configure = (minNumSegments: number, scaleType?: 2): StreamEvent => {
    return { kind: 'configure', settings: settings(minNumSegments, scaleType), nowMs: 2000 }
  }
  const manual = { kind: 'scale', nowMs: 2000, cause: 'manual' } as const
  const cases: readonly (readonly [event: StreamEvent, active: string, sealed: string])[] = [
    [configure(2), 'active', 'sealed'],
    [configure(3), 'scaling', 'sealed'],
    [configure(1), 'scaling', 'sealed'],
    [configure(1, ScaleType.BY_RATE_IN_EVENTS_PER_SEC), 'active', 'sealed'],
    [configure(3, ScaleType.BY_RATE_IN_EVENTS_PER_SEC), 'scaling', 'sealed'],
    [{ ...manual, seal: [0n], into: splitEvenly(2).map(halved) }, 'scaling', 'sealed'],
    [{ ...manual, seal: [5n], into: splitEvenly(2).map(halved) }, 'wrong-segments', 'sealed'],
    [{ ...manual, seal: [0n], into: splitEvenly(2) }, 'wrong-ranges', 'sealed'],
    [{ ...manual, seal: [0n, 1n], into: splitEvenly(1) }, 'below-minimum', 'sealed'],
    [{ kind: 'roll', epoch: 0, transactions: ['a'], nowMs: 2000 }, 'rolling', 'sealed'],
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
  deepStrictEqual(works(record), [['create-segment 5.0', 'create-segment 6.0'], ['create-mark']])
  deepStrictEqual(works(born({ segments: 1, hasMark: false })), [['create-segment 0.0'], []])
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
    ['truncate-segment 3.2 7'],
    ['delete-segment 0.0', 'delete-segment 1.0', 'delete-segment 2.1'],
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
  deepStrictEqual(works(change.record), [['truncate-segment 1.0 9'], ['delete-segment 0.0']])
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
  deepStrictEqual(works(record), [['seal-segment 0.0', 'seal-segment 2.1', 'seal-segment 3.1']])
  deepStrictEqual(works({ ...record, state: { kind: 'deleting' } }), [
    ['bury 4'],
    ['delete-mark'],
    ['delete-segment 0.0', 'delete-segment 1.0', 'delete-segment 2.1', 'delete-segment 3.1'],
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

test('a scale has its epoch at once, creates before it seals, and is active then', () => {
  const change = changeStream(inState('active'), {
    kind: 'scale',
    seal: [1n],
    into: [
      { low: 0.5, high: 0.75 },
      { low: 0.75, high: 1 },
    ],
    nowMs: 5000,
    cause: 'load',
    detail: 'hot',
  })
  if (change.refused !== undefined) throw new Error(change.reason)
  deepStrictEqual(works(change.record), [['create-segment 2.1', 'create-segment 3.1'], ['seal-segment 1.0']])
  deepStrictEqual(change.record.epochs.at(-1), { epoch: 1, startedAtMs: 5000, cause: 'load', detail: 'hot' })
  const after = afterWork(change.record)
  deepStrictEqual(after?.state, { kind: 'active' })
  strictEqual(after === undefined ? undefined : isUnderWay(after), false)
})

test('trap 46, observed 13: a roll creates both epochs, merges and seals the first, then the current one gives way to the second', () => {
  const history = scaled(born(), [0, 1], [[0, 1]])
  const record: StreamRecord = { ...born(), ...history, state: { kind: 'active' } }
  const change = changeStream(record, { kind: 'roll', epoch: 0, transactions: ['a', 'b'], nowMs: 5000 })
  if (change.refused !== undefined) throw new Error(change.reason)
  deepStrictEqual(works(change.record), [
    ['create-segment 0.2', 'create-segment 1.2', 'create-segment 2.3'],
    ['merge-transactions 0.0 -> 0.2: a,b', 'merge-transactions 1.0 -> 1.2: a,b'],
    ['seal-segment 0.2', 'seal-segment 1.2'],
  ])
  // Readers go on with the epoch before meanwhile.
  strictEqual(isTrueMeanwhile(change.record), true)
  strictEqual(currentEpoch(change.record), 1)
  const rolled = afterWork(change.record)
  if (rolled === undefined) throw new Error('A roll ends no stream')
  strictEqual(rolled.state.kind, 'rolled')
  strictEqual(isTrueMeanwhile(rolled), false)
  deepStrictEqual(works(rolled), [['seal-segment 2.1'], ['finish-transactions a,b']])
  deepStrictEqual(
    rolled.epochs.slice(2).map(({ epoch, cause }) => [epoch, cause]),
    [
      [2, 'commit'],
      [3, 'commit'],
    ],
  )
  const successors = (id: bigint): string[] =>
    successorsOf(rolled, id).map(({ segment, predecessors }) => {
      return `${shortName(segment.id)} after ${predecessors.map((before) => shortName(before.id)).join()}`
    })
  deepStrictEqual(successors((1n << 32n) | 2n), ['0.2 after 2.1', '1.2 after 2.1'])
  deepStrictEqual(successors(2n << 32n), ['2.3 after 0.2,1.2'])
  deepStrictEqual(afterWork(rolled)?.state, { kind: 'active' })
  strictEqual(nextSegmentNumber(rolled), 3)
  // What was opened in the epoch before the roll needs no further one.
  deepStrictEqual(
    sameSegmentsNow(rolled, 1)?.map(({ then, now }) => `${shortName(then.id)} ${shortName(now.id)}`),
    ['2.1 2.3'],
  )
  strictEqual(sameSegmentsNow(rolled, 0), undefined)
})

/** What a step of a walk is about; what that is in the stream as it is then, is decided on the way. */
type Step =
  | { kind: 'configure' | 'roll' | 'seal' | 'delete'; at: number }
  | { kind: 'subscribe' | 'unsubscribe' | 'note-cut' | 'truncate' | 'scale'; at: number; size: number }

function eventOf(record: StreamRecord, step: Step, nowMs: number): StreamEvent {
  const { at } = step
  const name = at % 2 === 0 ? 'a/b' : 'a/c'
  switch (step.kind) {
    case 'configure':
      return { kind: 'configure', settings: settings(1 + (at % 4), at % 3 === 0 ? 2 : 0), nowMs }
    case 'roll':
      return { kind: 'roll', epoch: at % (currentEpoch(record) + 1), transactions: ['a'], nowMs }
    case 'seal':
      return { kind: 'seal' }
    case 'delete':
      return { kind: 'delete', evenOpen: at % 2 === 0 }
    case 'subscribe':
      return { kind: 'subscribe', name, groupId: 'x', generation: BigInt(step.size) }
    case 'unsubscribe':
      return { kind: 'unsubscribe', name }
    case 'note-cut':
      return { kind: 'note-cut', name, cut: someCut(record, step) }
    case 'truncate':
      return { kind: 'truncate', cut: someCut(record, step) }
    case 'scale':
      return { kind: 'scale', ...someScale(record, step), nowMs, cause: 'manual' }
  }
}

/** Of an epoch of the stream, at offsets that grow with the step. */
function someCut(record: StreamRecord, { at, size }: { at: number; size: number }): Map<bigint, number> {
  const segments = segmentsOfEpoch(record, at % (currentEpoch(record) + 1)) ?? []
  return new Map(segments.map(({ id }, i) => [id, (at + i) % (size + 2)]))
}

function someScale(record: StreamRecord, { at, size }: { at: number; size: number }): ScaleRequest {
  const open = currentSegments(record)
  const sealed = open.slice(at % open.length).slice(0, 1 + (at % 3))
  const [low, high] = [sealed[0]!.low, sealed.at(-1)!.high]
  const into = splitEvenly(1 + size).map((range) => ({
    low: low + range.low * (high - low),
    high: low + range.high * (high - low),
  }))
  return { seal: sealed.map(({ id }) => id), into }
}

test('a walk through any events: keys are covered once, the head never goes back, ids are new, states follow the picture, the stored form is the same', () => {
  const arrows: Readonly<Record<StreamState['kind'], readonly StreamState['kind'][]>> = {
    creating: ['active'],
    active: ['active', 'truncating', 'scaling', 'rolling', 'sealing', 'deleting'],
    truncating: ['active'],
    scaling: ['active'],
    rolling: ['rolled'],
    rolled: ['active'],
    sealing: ['sealed'],
    sealed: ['sealed', 'deleting'],
    deleting: [],
  }
  const step = fc.oneof(
    { weight: 6, arbitrary: sized(['scale']) },
    { weight: 2, arbitrary: plain(['roll', 'configure']) },
    { weight: 4, arbitrary: sized(['truncate', 'subscribe', 'unsubscribe', 'note-cut']) },
    { weight: 1, arbitrary: plain(['seal', 'delete']) },
  )
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      let record: StreamRecord | undefined = born()
      const take = (next: StreamRecord | undefined): void => {
        const before = record
        record = next
        if (before === undefined || next === undefined) return
        if (next !== before) ok(arrows[before.state.kind].includes(next.state.kind))
        const [from, to] = [frontierOf(before, headOf(before)), frontierOf(next, headOf(next))]
        if (typeof from === 'string' || typeof to === 'string') throw new Error('The head is a cut')
        strictEqual(isBehind(to, from), false)
        checkEpochs(next)
        const value = encode(next)
        const { record: stored } = decodeRecord(STREAM_CODEC, { key: 'k', value })
        deepStrictEqual(JSON.parse(String(encode(stored))), JSON.parse(String(value)))
        deepStrictEqual(workOf(stored), workOf(next))
      }
      for (const [i, each] of steps.entries()) {
        while (record !== undefined && isUnderWay(record)) take(afterWork(record))
        if (record === undefined) return
        const change = changeStream(record, eventOf(record, each, 2000 + i))
        if (change.refused === undefined) take(change.record)
      }
    }),
    { seed: 1, numRuns: 200 },
  )
})

function sized<K extends (Step & { size: number })['kind']>(kinds: readonly K[]): fc.Arbitrary<Step> {
  return fc.record({
    kind: fc.constantFrom(...kinds),
    at: fc.nat({ max: 50 }),
    size: fc.nat({ max: 3 }),
  }) as fc.Arbitrary<Step>
}

function plain<K extends Exclude<Step, { size: number }>['kind']>(kinds: readonly K[]): fc.Arbitrary<Step> {
  return fc.record({ kind: fc.constantFrom(...kinds), at: fc.nat({ max: 50 }) }) as fc.Arbitrary<Step>
}

function encode(record: StreamRecord): Buffer {
  return encodeRecord(STREAM_CODEC, { key: 'k', record, writeId: 'w' })
}

/** Every epoch covers the keys once with shared borders, and no id comes twice. */
function checkEpochs(record: StreamRecord): void {
  const ids = [...everySegment(record)].map(({ id }) => id)
  strictEqual(new Set(ids).size, ids.length)
  deepStrictEqual(
    everyEpoch(record).map(({ epoch }) => epoch),
    Array.from({ length: currentEpoch(record) + 1 }, (_, epoch) => epoch),
  )
  for (let epoch = 0; epoch <= currentEpoch(record); epoch++) {
    const segments = segmentsOfEpoch(record, epoch) ?? []
    strictEqual(segments[0]?.low, 0)
    strictEqual(segments.at(-1)?.high, 1)
    for (let i = 1; i < segments.length; i++) strictEqual(segments[i]?.low, segments[i - 1]?.high)
  }
}
