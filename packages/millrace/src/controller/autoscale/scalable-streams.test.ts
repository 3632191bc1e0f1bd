import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { ScaleType } from '../../protocol/controller/messages.ts'
import { nodeHost } from '../../base/node-host.ts'
import { fixed } from '../../testing/controller-fixture.ts'
import { byEvents } from '../../testing/load-model.ts'
import type { StreamRecord } from '../stream-life.ts'
import {
  currentSegments,
  type Epoch,
  firstEpoch,
  type History,
  type KeyRange,
  rolledHistory,
  scaledHistory,
} from '../stream-segments.ts'
import { describeStream, mayScale, scalableStreams } from './scalable-streams.ts'

const MINUTE_MS = 60_000
const WITHIN = { withinMs: 10 * MINUTE_MS }

type Described = Pick<StreamRecord, 'state' | 'settings' | 'past' | 'segments' | 'epochs'>

function record(history: History, options: Partial<Described> = {}): Described {
  const settings = {
    scalingPolicy: byEvents(100),
    retentionPolicy: undefined,
    tags: [],
    timestampAggregationTimeout: 0n,
    rolloverSizeBytes: 0n,
  }
  return { ...history, state: { kind: 'active' }, settings, ...options }
}

function begin(count: number): History {
  return firstEpoch({ number: 0, count, startedAtMs: 0 })
}

function scaled(
  history: History,
  atMs: number,
  low: number,
  high: number,
  into: readonly KeyRange[],
): History {
  const inside = currentSegments(history).filter((segment) => segment.low >= low && segment.high <= high)
  const seal = new Set(inside.map(({ id }) => id))
  return scaledHistory(history, { seal, into, began: began(atMs) })
}

function began(startedAtMs: number): Omit<Epoch, 'epoch'> {
  return { startedAtMs, cause: 'manual' }
}

function splitAges(history: History, nowMs: number): (number | undefined)[] {
  return describeStream(record(history), { nowMs, ...WITHIN }).segments.map(({ splitAgeMs }) => splitAgeMs)
}

test('a segment tells how long ago a split has made it, until that is long ago', () => {
  const history = scaled(begin(2), MINUTE_MS, 0.5, 1, [
    { low: 0.5, high: 0.75 },
    { low: 0.75, high: 1 },
  ])
  deepStrictEqual(splitAges(history, 3 * MINUTE_MS), [undefined, 2 * MINUTE_MS, 2 * MINUTE_MS])
  deepStrictEqual(splitAges(history, 11 * MINUTE_MS), [undefined, undefined, undefined])
})

test('a merge makes nothing that was split', () => {
  const history = scaled(begin(2), MINUTE_MS, 0, 1, [{ low: 0, high: 1 }])
  deepStrictEqual(splitAges(history, MINUTE_MS), [undefined])
})

test('what is cut anew counts as split where a predecessor reaches further', () => {
  const history = scaled(begin(2), MINUTE_MS, 0, 1, [
    { low: 0, high: 0.25 },
    { low: 0.25, high: 1 },
  ])
  deepStrictEqual(splitAges(history, MINUTE_MS), [0, 0])
})

test('a clock that was set back makes a split new, and nothing worse', () => {
  const history = scaled(begin(1), 1000 * MINUTE_MS, 0, 1, [
    { low: 0, high: 0.5 },
    { low: 0.5, high: 1 },
  ])
  deepStrictEqual(splitAges(history, MINUTE_MS), [0, 0])
})

test('segments that a commit made anew are as old as those they stand for', () => {
  const split = scaled(begin(1), MINUTE_MS, 0, 1, [
    { low: 0, high: 0.5 },
    { low: 0.5, high: 1 },
  ])
  // A commit of the current layout once more: the ranges stay, and so does the time of the split.
  const again = rolledHistory(split, 1, { startedAtMs: 4 * MINUTE_MS, cause: 'commit' })
  deepStrictEqual(splitAges(again, 5 * MINUTE_MS), [4 * MINUTE_MS, 4 * MINUTE_MS])
})

test('what may scale is open and has a policy that says so', () => {
  const time = { nowMs: 0, ...WITHIN }
  const history = begin(2)
  const settings = record(history).settings
  strictEqual(mayScale(describeStream(record(history), time)), true)
  strictEqual(mayScale(describeStream(record(history, { state: { kind: 'sealed' } }), time)), false)
  const none = { ...settings, scalingPolicy: fixed(2) }
  strictEqual(mayScale(describeStream(record(history, { settings: none }), time)), false)
  const zero = { ...settings, scalingPolicy: byEvents(0) }
  strictEqual(mayScale(describeStream(record(history, { settings: zero }), time)), false)
  strictEqual(settings.scalingPolicy.scaleType, ScaleType.BY_RATE_IN_EVENTS_PER_SEC)
})

test("a controller's streams are described as they are, and scaled or not with its reason", async () => {
  const history = begin(2)
  const asked: unknown[] = []
  const whole = record(history) as StreamRecord
  const streams = scalableStreams(
    {
      clock: nodeHost().clock,
      scopes: {
        open: async (scope) => (scope === 'shop' ? { scope, table: 'the table of shop' } : undefined),
      },
      streams: {
        read: async (_, stream) => (stream === 'orders' ? whole : undefined),
        async scale(open, stream, change) {
          asked.push([open.table, stream, change])
          if (stream === 'gone') return 'missing'
          if (stream === 'sealed') return { refused: 'sealed', reason: 'The stream is sealed' }
          return { epoch: 0, created: [] }
        },
      },
    },
    WITHIN,
  )
  const described = await streams.describe({ scope: 'shop', stream: 'orders' })
  deepStrictEqual(
    described?.segments.map(({ id, low, high }) => ({ id, low, high })),
    [
      { id: 0n, low: 0, high: 0.5 },
      { id: 1n, low: 0.5, high: 1 },
    ],
  )
  strictEqual(await streams.describe({ scope: 'shop', stream: 'gone' }), undefined)
  strictEqual(await streams.describe({ scope: 'none', stream: 'orders' }), undefined)
  const change = { seal: [0n, 1n], into: [{ low: 0, high: 1 }], cause: 'load', detail: 'cold' } as const
  strictEqual(await streams.scale({ scope: 'shop', stream: 'orders' }, change), 'done')
  deepStrictEqual(asked, [['the table of shop', 'orders', change]])
  deepStrictEqual(await streams.scale({ scope: 'shop', stream: 'sealed' }, change), {
    refused: 'The stream is sealed',
  })
  for (const name of [
    { scope: 'shop', stream: 'gone' },
    { scope: 'none', stream: 'orders' },
  ])
    deepStrictEqual(await streams.scale(name, change), {
      refused: `There is no stream ${name.scope}/${name.stream} any more`,
    })
})
