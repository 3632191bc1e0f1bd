import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { UUID_ZERO } from '../uuid.ts'
import type { GroupConfig } from './group-config.ts'
import { GroupState } from './group-state.ts'
import type { GroupUpdate, StartGroup } from './group-updates.ts'

const config: GroupConfig = {
  groupRefreshTimeMs: 3000,
  automaticCheckpointIntervalMs: 30_000,
  maxOutstandingCheckpointRequests: 3,
  retention: 0,
  generation: 0,
  groupId: UUID_ZERO,
  startingStreamCuts: new Map([['shop/orders', undefined]]),
  endingStreamCuts: new Map(),
}

const LEFT = 'shop/orders/0.#epoch.0'
const RIGHT = 'shop/orders/1.#epoch.0'
const MERGED = 'shop/orders/2.#epoch.1'
const MERGED_RANGE = { low: 0, high: 1 }

/** A group over two segments, and the updates that follow. */
function groupAfter(...updates: readonly GroupUpdate[]): GroupState {
  const start: StartGroup = {
    kind: 'start',
    config,
    segments: new Map([
      [LEFT, { offset: 10, range: { low: 0, high: 0.5 } }],
      [RIGHT, { offset: 20, range: { low: 0.5, high: 1 } }],
    ]),
    endSegments: new Map(),
    updatingConfig: false,
  }
  const state = new GroupState(start)
  for (const update of updates) state.apply(update)
  return state
}

const add = (reader: string): GroupUpdate => ({ kind: 'add-reader', reader })
const acquire = (reader: string, segment: string): GroupUpdate => ({
  kind: 'acquire-segment',
  reader,
  segment,
})
const create = (checkpoint: string): GroupUpdate => ({ kind: 'create-checkpoint', checkpoint })
const report = (checkpoint: string, reader: string, positions: Record<string, number>): GroupUpdate => ({
  kind: 'report-checkpoint',
  checkpoint,
  reader,
  positions: new Map(Object.entries(positions)),
})
const complete = (reader: string, segment: string, predecessors: readonly bigint[]): GroupUpdate => ({
  kind: 'complete-segment',
  reader,
  segment,
  successors: new Map([[MERGED, predecessors]]),
  ranges: new Map([[MERGED, MERGED_RANGE]]),
})

test('a reader takes a segment where the group stands, and lets go of it where it has come to', () => {
  const state = groupAfter(add('anna'), acquire('anna', LEFT))
  deepStrictEqual(state.segmentsOf('anna'), new Map([[LEFT, 10]]))
  deepStrictEqual([...state.unassigned.keys()], [RIGHT])
  state.apply({ kind: 'release-segment', reader: 'anna', segment: LEFT, offset: 15 })
  deepStrictEqual(
    [...state.unassigned],
    [
      [RIGHT, 20],
      [LEFT, 15],
    ],
  )
  deepStrictEqual(
    state.lastReadPositions('shop/orders'),
    new Map([
      [LEFT, 15],
      [RIGHT, 20],
    ]),
  )
})

test('a reader that is gone leaves its segments where it says, or else where it last reported', () => {
  const state = groupAfter(add('anna'), acquire('anna', LEFT), acquire('anna', RIGHT), create('c'))
  state.apply(report('c', 'anna', { [LEFT]: 12, [RIGHT]: 22 }))
  state.apply({ kind: 'remove-reader', reader: 'anna', owned: new Map([[LEFT, 14]]) })
  deepStrictEqual(
    state.unassigned,
    new Map([
      [LEFT, 14],
      [RIGHT, 22],
    ]),
  )
  strictEqual(state.isReaderOnline('anna'), false)
})

test('trap 34: a merged segment is free only when all before it have been read', () => {
  const state = groupAfter(add('anna'), acquire('anna', LEFT), acquire('anna', RIGHT))
  state.apply(complete('anna', LEFT, [0n, 1n]))
  deepStrictEqual([state.unassigned.size, state.future.get(MERGED)], [0, new Set([1n])])
  strictEqual(state.isEndOfData, false)
  state.apply(complete('anna', RIGHT, [0n, 1n]))
  deepStrictEqual([[...state.unassigned], state.future.size], [[[MERGED, 0]], 0])
  deepStrictEqual([state.rangeOf(MERGED), state.rangeOf(LEFT)], [MERGED_RANGE, undefined])
  state.apply(acquire('anna', MERGED))
  state.apply({ ...complete('anna', MERGED, []), successors: new Map() } as GroupUpdate)
  strictEqual(state.isEndOfData, true)
})

test('a segment that another stream’s id has freed too early keeps its range when it is named again', () => {
  const other = 'shop/returns/1.#epoch.0'
  const state = groupAfter(add('anna'))
  const { segments, ...start } = { ...state.compact(), segments: new Map<string, never>() }
  strictEqual(segments.size, 0)
  state.apply({
    ...start,
    unassigned: new Map([
      [LEFT, 0],
      [RIGHT, 0],
      [other, 0],
    ]),
  })
  for (const segment of [LEFT, RIGHT, other]) state.apply(acquire('anna', segment))
  state.apply(complete('anna', LEFT, [0n, 1n]))
  state.apply({ ...complete('anna', other, []), successors: new Map() } as GroupUpdate)
  deepStrictEqual([...state.unassigned.keys()], [MERGED])
  state.apply(acquire('anna', MERGED))
  state.apply(complete('anna', RIGHT, [0n, 1n]))
  deepStrictEqual(state.future.get(MERGED), new Set([0n]))
  state.apply({ ...complete('anna', MERGED, []), successors: new Map() } as GroupUpdate)
  deepStrictEqual(state.rangeOf(MERGED), MERGED_RANGE)
})

test('a checkpoint is complete when every reader that was online has reported or gone', () => {
  const state = groupAfter(add('anna'), add('ben'), acquire('anna', LEFT), acquire('ben', RIGHT), create('c'))
  state.apply(add('late'))
  deepStrictEqual(
    [state.checkpoints.pendingFor('anna'), state.checkpoints.pendingFor('late')],
    ['c', undefined],
  )
  state.apply(report('c', 'anna', { [LEFT]: 12 }))
  deepStrictEqual([state.checkpoints.isComplete('c'), state.checkpoints.waitingFor('c')], [false, ['ben']])
  strictEqual(state.checkpoints.positionsOfCompleted('c'), undefined)
  state.apply({ kind: 'remove-reader', reader: 'ben', owned: new Map() })
  deepStrictEqual(
    state.checkpoints.positionsOfCompleted('c'),
    new Map([
      [LEFT, 12],
      [RIGHT, 20],
    ]),
  )
  deepStrictEqual(state.checkpoints.last, state.checkpoints.positionsOfCompleted('c'))
  strictEqual(state.checkpoints.lastPublished, false)
})

test('a silent checkpoint tells where readers are, and changes nothing else', () => {
  const state = groupAfter(add('anna'), acquire('anna', LEFT), create('x_SILENT_'))
  state.apply(report('x_SILENT_', 'anna', { [LEFT]: 99 }))
  deepStrictEqual(state.checkpoints.positionsOfCompleted('x_SILENT_')?.get(LEFT), 99)
  deepStrictEqual([state.segmentsOf('anna')?.get(LEFT), state.checkpoints.last], [10, undefined])
  deepStrictEqual(state.checkpoints.outstanding(), [])
})

test('the oldest checkpoint comes first, and old ones are forgotten', () => {
  const state = groupAfter(add('anna'), create('a'), create('b'), create('c'))
  strictEqual(state.checkpoints.pendingFor('anna'), 'a')
  state.apply({ kind: 'clear-checkpoints-before', checkpoint: 'unknown' })
  state.apply({ kind: 'clear-checkpoints-before', checkpoint: 'b' })
  deepStrictEqual([state.checkpoints.pendingFor('anna'), state.checkpoints.ids], ['b', ['b', 'c']])
  state.apply({ kind: 'remove-outstanding-checkpoints' })
  deepStrictEqual([state.checkpoints.ongoing, state.checkpoints.pendingFor('anna')], [false, undefined])
})

test('updates that nobody can apply change nothing', () => {
  const state = groupAfter(
    add('anna'),
    acquire('anna', LEFT),
    create('c'),
    report('c', 'anna', {}),
    create('d'),
  )
  state.apply(report('d', 'anna', {}))
  state.apply(add('ben'))
  state.apply(create('e'))
  state.apply(report('e', 'ben', {}))
  const before = state.compact()
  const illegal: [GroupUpdate, string][] = [
    [add('anna'), 'anna is online already'],
    [acquire('nobody', RIGHT), 'nobody is not online'],
    [acquire('anna', LEFT), `${LEFT} is not unassigned`],
    [{ kind: 'release-segment', reader: 'anna', segment: RIGHT, offset: 1 }, `anna does not own ${RIGHT}`],
    [complete('anna', RIGHT, [1n]), `anna does not own ${RIGHT}`],
    [report('e', 'ben', { [LEFT]: 1 }), 'The checkpoint e does not wait for ben'],
    [report('c', 'nobody', {}), 'nobody is not online'],
    [{ ...startOf(state), segments: new Map() }, 'A group starts with no segment'],
  ]
  for (const [update, message] of illegal)
    throws(() => state.apply(update), { code: 'illegal-update', message })
  deepStrictEqual(state.compact(), before)
})

test('a group that starts over has no readers, and a new configuration', () => {
  const state = groupAfter(add('anna'), { kind: 'set-updating-config', updating: true })
  strictEqual(state.updatingConfig, true)
  const next = { ...config, generation: 1 }
  state.apply({
    ...startOf(state),
    config: next,
    segments: new Map([[MERGED, { offset: 0, range: undefined }]]),
  })
  deepStrictEqual([state.readers, state.config.generation, state.updatingConfig], [[], 1, false])
  deepStrictEqual(state.positions(), new Map([['shop/orders', new Map([[MERGED, 0]])]]))
})

test('who has more to do ranks first, and nobody shares a rank', () => {
  const state = groupAfter(add('anna'), add('ben'), add('carl'), acquire('ben', LEFT))
  const distance = (reader: string, distanceMs: number): GroupUpdate => ({
    kind: 'update-distance-to-tail',
    reader,
    distanceMs,
    lastRead: new Map([[LEFT, { offset: 11, range: undefined }]]),
  })
  state.apply(distance('ben', 5))
  deepStrictEqual(state.distanceToTail.get('ben'), 30_000)
  deepStrictEqual(
    state.relativeSizes(),
    new Map([
      ['anna', 0],
      ['ben', 1],
      ['carl', 0],
    ]),
  )
  strictEqual(state.rankOf('ben'), 0)
  deepStrictEqual(new Set(['anna', 'carl'].map((reader) => state.rankOf(reader))), new Set([1, 2]))
  strictEqual(state.rankOf('nobody'), undefined)
  strictEqual(state.lastReadPositions('shop/orders').get(LEFT), 11)
})

function startOf(state: GroupState): StartGroup {
  return {
    kind: 'start',
    config: state.config,
    segments: new Map(),
    endSegments: new Map(),
    updatingConfig: false,
  }
}
