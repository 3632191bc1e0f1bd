/** The lives of reader groups as Java's classes wrote and saw them: interop/golden/ says how. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { ProtocolError } from '../protocol-error.ts'
import type { StreamCut } from '../stream-cut.ts'
import { parseUuid } from '../uuid.ts'
import { decodeGroupChange, encodeGroupChange } from './group-changes.ts'
import type { Offsets } from './group-checkpoints.ts'
import { type ConfiguredCuts, decodeGroupConfig, encodeGroupConfig } from './group-config.ts'
import { GroupState } from './group-state.ts'
import { decodeGroupUpdate, encodeGroupUpdate, type GroupInit } from './group-updates.ts'

interface Golden {
  readonly configs: readonly {
    automaticCheckpointIntervalMs: string
    groupRefreshTimeMs: string
    maxOutstandingCheckpointRequests: number
    retention: number
    generation: string
    groupId: string
    startingStreamCuts: Readonly<Record<string, Readonly<Record<string, string>> | null>>
    endingStreamCuts: Readonly<Record<string, Readonly<Record<string, string>> | null>>
    bytes: string
  }[]
  readonly payloads: readonly { init?: string; updates?: readonly string[]; payload: string }[]
  readonly groups: readonly {
    init: string
    state: unknown
    steps: readonly { update: string; illegal?: string; state?: unknown }[]
    compact: string
    compactState: unknown
  }[]
}

const golden = JSON.parse(readFileSync(new URL('../golden/groups.json', import.meta.url), 'utf8')) as Golden

test('configurations of groups are those of Java', () => {
  for (const expected of golden.configs) {
    const config = decodeGroupConfig(Buffer.from(expected.bytes, 'hex'))
    strictEqual(encodeGroupConfig(config).toString('hex'), expected.bytes)
    deepStrictEqual(
      {
        automaticCheckpointIntervalMs: String(config.automaticCheckpointIntervalMs),
        groupRefreshTimeMs: String(config.groupRefreshTimeMs),
        maxOutstandingCheckpointRequests: config.maxOutstandingCheckpointRequests,
        retention: config.retention,
        generation: String(config.generation),
        groupId: config.groupId,
        startingStreamCuts: noteCuts(config.startingStreamCuts),
        endingStreamCuts: noteCuts(config.endingStreamCuts),
        bytes: expected.bytes,
      },
      { ...expected, groupId: parseUuid(expected.groupId) },
    )
  }
})

test('initialisations and updates are packed as Java packs them', () => {
  for (const { init, updates, payload } of golden.payloads) {
    const change = decodeGroupChange(Buffer.from(payload, 'hex'))
    strictEqual(encodeGroupChange(change).toString('hex'), payload)
    if (change.kind === 'init') strictEqual(encodeGroupUpdate(change.init).toString('hex'), init)
    else
      deepStrictEqual(
        change.updates.map((update) => encodeGroupUpdate(update).toString('hex')),
        updates,
      )
  }
})

test('trap 44: a group that Java and we follow has the same state in everybody’s eyes', () => {
  for (const [number, group] of golden.groups.entries()) {
    const init = initOf(group.init)
    const state = new GroupState(init)
    deepStrictEqual(note(state), group.state)
    for (const [step, expected] of group.steps.entries()) {
      const where = `group ${number}, step ${step}`
      const update = decodeGroupUpdate(Buffer.from(expected.update, 'hex'))
      strictEqual(encodeGroupUpdate(update).toString('hex'), expected.update, where)
      if (expected.illegal === undefined) state.apply(update)
      else throws(() => state.apply(update), { code: 'illegal-update' }, where)
      if (expected.state !== undefined) deepStrictEqual(note(state), expected.state, where)
    }
    // What Java wrote of the whole state is what we have, and what we would write means the same.
    const compact = initOf(group.compact)
    strictEqual(encodeGroupUpdate(compact).toString('hex'), group.compact)
    deepStrictEqual(note(new GroupState(compact)), group.compactState)
    const ours = initOf(encodeGroupUpdate(state.compact()).toString('hex'))
    deepStrictEqual(note(new GroupState(ours)), group.compactState)
    deepStrictEqual(unordered(ours), unordered(compact))
  }
})

test('changed bytes are malformed or mean something else, never anything worse', () => {
  const payloads = [
    ...golden.payloads.map(({ payload }) => payload),
    ...golden.groups.flatMap(({ compact, steps }) => [compact, ...steps.map(({ update }) => update)]),
  ]
  const edits = fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(fc.constantFrom(...payloads), edits, fc.nat(2000), (hex, changes, length) => {
      const bytes = Buffer.from(hex, 'hex').subarray(0, length)
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      for (const decode of [decodeGroupChange, decodeGroupUpdate]) {
        try {
          decode(bytes)
        } catch (error) {
          ok(error instanceof ProtocolError && error.code === 'malformed', String(error))
        }
      }
    }),
    { seed: 1, numRuns: 3000 },
  )
})

function initOf(hex: string): GroupInit {
  const init = decodeGroupUpdate(Buffer.from(hex, 'hex'))
  ok(init.kind === 'start' || init.kind === 'compact')
  return init
}

/** Everything that can be seen of a state, in the form of the golden file. */
function note(state: GroupState): unknown {
  const online = state.readers.toSorted()
  const rangedName = (segment: string): string => {
    const range = state.rangeOf(segment)
    return `${segment} ${range === undefined ? '?' : `${double(range.low)} ${double(range.high)}`}`
  }
  const ranged = (offsets: Offsets): unknown => sorted(offsets, String, rangedName)
  const sizes = state.relativeSizes()
  const lastRead = state.compact().lastRead
  const streams = new Set([...lastRead.keys()].map((segment) => segment.slice(0, segment.lastIndexOf('/'))))
  for (const stream of streams)
    for (const [segment, offset] of state.lastReadPositions(stream))
      strictEqual(lastRead.get(segment), offset)
  return {
    assigned: Object.fromEntries(online.map((reader) => [reader, ranged(state.segmentsOf(reader)!)])),
    unassigned: ranged(state.unassigned),
    future: sorted(
      state.future,
      (ids) => [...ids].toSorted((one, other) => Number(one - other)).map(String),
      rangedName,
    ),
    lastRead: ranged(lastRead),
    endSegments: sorted(state.endSegments, String),
    distanceToTail: sorted(state.distanceToTail, String),
    relativeSizes: Object.fromEntries(online.map((reader) => [reader, sizes.get(reader)])),
    rankings: Object.fromEntries(online.map((reader) => [reader, state.rankOf(reader)])),
    segments: state.segmentCount,
    streams: [...state.positions().keys()].toSorted(),
    positions: sorted(state.positions(), ranged),
    endOfData: state.isEndOfData,
    updatingConfig: state.updatingConfig,
    checkpoints: noteCheckpoints(state),
  }
}

function noteCheckpoints({ checkpoints }: GroupState): unknown {
  const { waitingFor, positions, last } = checkpoints.record()
  const pending = new Map<string, string[]>()
  for (const [id, readers] of waitingFor)
    for (const reader of readers) pending.set(reader, [...(pending.get(reader) ?? []), id].toSorted())
  for (const [reader, ids] of pending) ok(ids.includes(checkpoints.pendingFor(reader) ?? ''))
  const lastByStream: Record<string, Record<string, string>> = {}
  for (const [segment, offset] of last)
    (lastByStream[segment.slice(0, segment.lastIndexOf('/'))] ??= {})[segment] = String(offset)
  const outstanding = checkpoints.outstanding()
  return {
    ids: checkpoints.ids,
    waitingFor: sorted(waitingFor, (readers) => readers.toSorted()),
    pending: sorted(pending, (ids) => ids),
    completed: sorted(positions, (_, id) => {
      const completed = checkpoints.positionsOfCompleted(id)
      return completed === undefined ? null : sorted(completed, String)
    }),
    last: lastByStream,
    ongoing: checkpoints.ongoing,
    lastPublished: checkpoints.lastPublished,
    outstanding,
    blocking: [...new Set(outstanding)].toSorted(),
  }
}

function sorted<V>(
  map: ReadonlyMap<string, V>,
  value: (value: V, key: string) => unknown,
  key: (key: string) => string = (name) => name,
): Record<string, unknown> {
  const entries = [...map].map(([name, each]) => [key(name), value(each, name)] as const)
  return Object.fromEntries(entries.toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

/** Java shows a double with its fraction. */
function double(value: number): string {
  if (Number.isInteger(value)) return value.toFixed(1)
  return value < 0.001 ? value.toExponential().replace('e', 'E') : String(value)
}

/** Without the order of maps and lists of readers and ids, which hashes decide in Java. */
function unordered(init: GroupInit): unknown {
  ok(init.kind === 'compact')
  const readers = [...init.checkpoints.waitingFor].map(([id, list]) => [id, list.toSorted()] as const)
  const future = [...init.future].map(([segment, ids]) => [segment, new Set(ids)] as const)
  return {
    ...init,
    checkpoints: { ...init.checkpoints, waitingFor: new Map(readers) },
    future: new Map(future),
  }
}

function noteCuts(cuts: ConfiguredCuts): unknown {
  const noted = (cut: StreamCut | undefined): unknown => {
    if (cut === undefined) return null
    const entries = [...cut.positions].map(([id, offset]) => [
      `${cut.scope}/${cut.stream}/${id & 0xffff_ffffn}.#epoch.${id >> 32n}`,
      String(offset),
    ])
    return Object.fromEntries(entries) as unknown
  }
  return Object.fromEntries([...cuts].map(([stream, cut]) => [stream, noted(cut)]))
}
