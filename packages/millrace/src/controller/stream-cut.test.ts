import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutOf } from '../testing/controller-fixture.ts'
import { scaled } from '../testing/scaled-history.ts'
import { frontierOf, headCut, isBehind, segmentsBetween, tailFrontier, type Frontier } from './stream-cut.ts'
import { currentSegments, firstEpoch, type History, splitEvenly, successorsOf } from './stream-segments.ts'

/** Two segments, 0 and 1, that were merged into 1.2, which was split into 2.3 and 2.4. */
function mergedAndSplit(): History {
  const two = firstEpoch({ number: 0, count: 2, startedAtMs: 0 })
  return scaled(
    scaled(two, [0, 1], [[0, 1]]),
    [2],
    [
      [0, 0.5],
      [0.5, 1],
    ],
  )
}

function frontier(history: History, offsets: Record<string, number>): Frontier {
  const found = frontierOf(history, cutOf(offsets))
  if (typeof found === 'string') throw new Error(found)
  return found
}

test('a frontier holds the offsets of a cut, and where nothing is reached, what comes next', () => {
  const history = mergedAndSplit()
  const shape = (offsets: Record<string, number>): unknown[] =>
    frontier(history, offsets).map(({ low, high, id, offset }) => [
      low,
      high,
      String(id & 0xffff_ffffn),
      offset,
    ])
  deepStrictEqual(shape({ 0: 5, 1: 7 }), [
    [0, 0.5, '0', 5],
    [0.5, 1, '1', 7],
  ])
  // Segment 0 is read to its end; what follows it waits for segment 1.
  deepStrictEqual(shape({ 1: 7, '1.2': -1 }), [
    [0, 0.5, '2', -1],
    [0.5, 1, '1', 7],
  ])
  deepStrictEqual(shape({ '1.2': 0 }), [[0, 1, '2', 0]])
  deepStrictEqual(shape({ '2.3': 1, '2.4': 0 }), [
    [0, 0.5, '3', 1],
    [0.5, 1, '4', 0],
  ])
})

test('amid a merge a segment that was read to its end stands beside one that took over some of its keys', () => {
  const two = firstEpoch({ number: 0, count: 2, startedAtMs: 0 })
  const history = scaled(
    two,
    [0, 1],
    [
      [0, 0.25],
      [0.25, 1],
    ],
  )
  const cut = frontier(history, { 0: 9, 1: 7, '1.2': 3 })
  deepStrictEqual(
    cut.map(({ low, high, id, offset }) => [low, high, String(id & 0xffff_ffffn), offset]),
    [
      [0, 0.25, '2', 3],
      [0.25, 0.5, '0', 9],
      [0.5, 1, '1', 7],
    ],
  )
  const between = (from: Frontier, to: Frontier): string[] =>
    segmentsBetween(history, { from, to }).map(({ number }) => String(number))
  const head = frontier(history, { 0: 0, 1: 0 })
  deepStrictEqual(between(head, cut), ['0', '1', '2'])
  deepStrictEqual(between(cut, tailFrontier(history)), ['0', '1', '2', '3'])
  ok(isBehind(head, cut))
  ok(!isBehind(cut, cut))
})

test('a cut that leaves keys out, holds some twice, or contradicts itself is none', () => {
  const history = mergedAndSplit()
  for (const [offsets, problem] of [
    [{}, /empty/],
    [{ 0: 1 }, /leaves out the keys from 0.5 to 1/],
    [{ 1: 1 }, /leaves out the keys from 0 to 0.5/],
    [{ 0: 1, '1.2': 0 }, /share the keys from 0 to 0.5/],
    [{ 0: 1, 1: 1, '2.3': 1 }, /share the keys/],
    [{ 0: -1, '1.2': 5 }, /0.#epoch.0 is not reached, but 2.#epoch.1/],
    [{ 1: 1, '2.4': -1 }, /leaves out the keys from 0 to 0.5/],
    [{ '1.9': 0 }, /no segment 9.#epoch.1/],
    [{ '1.2': -2 }, /cannot be cut at -2/],
  ] as const) {
    const found = frontierOf(history, cutOf(offsets as Record<string, number>))
    if (typeof found !== 'string') throw new Error(`${JSON.stringify(offsets)} passed for a cut`)
    match(found, problem)
  }
})

test('cuts are compared key by key', () => {
  const history = mergedAndSplit()
  const compare = (a: Record<string, number>, b: Record<string, number>): boolean[] => [
    isBehind(frontier(history, a), frontier(history, b)),
    isBehind(frontier(history, b), frontier(history, a)),
  ]
  deepStrictEqual(compare({ 0: 5, 1: 5 }, { 0: 5, 1: 5 }), [false, false])
  deepStrictEqual(compare({ 0: 5, 1: 5 }, { 0: 5, 1: 6 }), [true, false])
  deepStrictEqual(compare({ 0: 6, 1: 5 }, { 0: 5, 1: 6 }), [true, true])
  deepStrictEqual(compare({ 0: 99, 1: 99 }, { '1.2': 0 }), [true, false])
  deepStrictEqual(compare({ 0: 99, 1: 5 }, { 1: 5, '1.2': -1 }), [true, false])
  // Pravega finds this cut to be behind itself, and such a stream can never be truncated again.
  deepStrictEqual(compare({ 1: 5, '1.2': -1 }, { 1: 5, '1.2': -1 }), [false, false])
  deepStrictEqual(compare({ 1: 5, '1.2': -1 }, { 1: 6, '1.2': -1 }), [true, false])
})

test('between two cuts lie the segments that they divide and all in the middle', () => {
  const history = mergedAndSplit()
  const between = (from: Record<string, number>, to: Record<string, number>): number[] =>
    segmentsBetween(history, { from: frontier(history, from), to: frontier(history, to) }).map(
      ({ number }) => number,
    )
  deepStrictEqual(between({ 0: 0, 1: 0 }, { '2.3': 1, '2.4': 1 }), [0, 1, 2, 3, 4])
  deepStrictEqual(between({ 1: 5, '1.2': -1 }, { '1.2': 9 }), [1, 2])
  deepStrictEqual(between({ 0: 1, 1: 1 }, { 1: 5, '1.2': -1 }), [0, 1])
  deepStrictEqual(between({ '2.3': 1, '2.4': 1 }, { '2.3': 2, '2.4': 1 }), [3, 4])
  deepStrictEqual(between({ '1.2': 3 }, { '2.3': 0, '2.4': 0 }), [2, 3, 4])
})

test('in any history, a reader that goes from head to tail passes cuts that are valid and never go back', () => {
  fc.assert(
    fc.property(fc.infiniteStream(fc.nat()), (draws) => {
      const draw = (bound: number): number => (draws.next().value as number) % bound
      const history = drawHistory(draw)
      const head = headCut(history, undefined)
      const tail = tailFrontier(history)
      let before = valid(history, head)
      const passed = new Set<bigint>()
      for (const cut of readingCuts(history, head, draw)) {
        const now = valid(history, cut)
        strictEqual(isBehind(now, before), false)
        strictEqual(isBehind(tail, now), false)
        const ahead = new Set(segmentsBetween(history, { from: now, to: tail }).map(({ id }) => id))
        const behind = new Set(
          segmentsBetween(history, { from: valid(history, head), to: now }).map(({ id }) => id),
        )
        for (const { id } of history.segments)
          ok(ahead.has(id) || behind.has(id), 'nothing is lost between two cuts')
        for (const id of passed) strictEqual(ahead.has(id), false, 'what was read to its end is not ahead')
        for (const id of cut.keys()) if (cut.get(id) !== -1) ok(ahead.has(id))
        for (const { id } of history.segments) if (behind.has(id) && !cut.has(id)) passed.add(id)
        before = now
      }
      deepStrictEqual(
        before.map(({ id }) => id),
        currentSegments(history).map(({ id }) => id),
      )
    }),
    { seed: 1, numRuns: 100 },
  )
})

function valid(history: History, cut: ReadonlyMap<bigint, number>): Frontier {
  const found = frontierOf(history, cut)
  if (typeof found === 'string') throw new Error(found)
  return found
}

/** A few splits and merges of neighbours. */
function drawHistory(draw: (bound: number) => number): History {
  let history = firstEpoch({ number: draw(3), count: 1 + draw(4), startedAtMs: 0 })
  for (let left = draw(6); left > 0; left--) {
    const open = currentSegments(history)
    const at = draw(open.length)
    const sealed = open.slice(at, at + 1 + draw(3))
    const low = sealed[0]!.low
    const high = sealed.at(-1)!.high
    const ranges = splitEvenly(1 + draw(3)).map((range) => [
      low + range.low * (high - low),
      range.high === 1 ? high : low + range.high * (high - low),
    ])
    history = scaled(
      history,
      sealed.map(({ number }) => number),
      ranges as [number, number][],
    )
  }
  return history
}

/** The cuts of a reader group: segments end in any order, and what follows one begins when all before it have ended. */
function* readingCuts(
  history: History,
  head: ReadonlyMap<bigint, number>,
  draw: (bound: number) => number,
): Generator<ReadonlyMap<bigint, number>> {
  const cut = new Map(head)
  const ended = new Set<bigint>()
  for (;;) {
    yield new Map(cut)
    const reading = [...cut].filter(([, offset]) => offset >= 0)
    const sealed = reading.filter(([id]) => successorsOf(history, id).length > 0)
    if (sealed.length === 0) return
    for (const [id, offset] of reading) cut.set(id, offset + draw(5))
    const [id] = sealed[draw(sealed.length)]!
    cut.delete(id)
    ended.add(id)
    for (const { segment, predecessors } of successorsOf(history, id))
      cut.set(segment.id, predecessors.every((predecessor) => ended.has(predecessor.id)) ? 0 : -1)
  }
}
