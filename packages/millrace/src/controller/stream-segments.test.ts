import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { scaled } from '../testing/scaled-history.ts'
import {
  currentSegments,
  eachOverlap,
  firstEpoch,
  nextSegmentNumber,
  overlap,
  segmentsOfEpoch,
  splitEvenly,
  successorsOf,
} from './stream-segments.ts'

test('trap 32: the id of a segment holds its epoch above its number, which grows over epochs', () => {
  const one = firstEpoch({ number: 4, count: 1, startedAtMs: 0 })
  const history = scaled(
    one,
    [4],
    [
      [0, 0.5],
      [0.5, 1],
    ],
  )
  deepStrictEqual(
    history.segments.map(({ id }) => id),
    [4n, (1n << 32n) | 5n, (1n << 32n) | 6n],
  )
  strictEqual(nextSegmentNumber(history), 7)
})

test('trap 33: any number of equal ranges covers all keys with shared borders', () => {
  for (let count = 1; count <= 300; count++) {
    const ranges = splitEvenly(count)
    strictEqual(ranges[0]?.low, 0)
    strictEqual(ranges.at(-1)?.high, 1)
    for (let i = 1; i < count; i++) strictEqual(ranges[i]?.low, ranges[i - 1]?.high)
  }
})

test('an epoch has the segments that were open in it, whatever came later', () => {
  const one = firstEpoch({ number: 0, count: 2, startedAtMs: 0 })
  const history = scaled(
    one,
    [1],
    [
      [0.5, 0.75],
      [0.75, 1],
    ],
  )
  const numbers = (epoch: number): number[] | undefined =>
    segmentsOfEpoch(history, epoch)?.map(({ number }) => number)
  deepStrictEqual(numbers(0), [0, 1])
  deepStrictEqual(numbers(1), [0, 2, 3])
  strictEqual(numbers(2), undefined)
  deepStrictEqual(
    currentSegments(history).map(({ number }) => number),
    [0, 2, 3],
  )
})

test('trap 34: successors come with all of their predecessors, and an open segment has none', () => {
  const two = firstEpoch({ number: 0, count: 2, startedAtMs: 0 })
  const history = scaled(
    scaled(two, [0, 1], [[0, 1]]),
    [2],
    [
      [0, 0.3],
      [0.3, 1],
    ],
  )
  const successors = (id: bigint): unknown[] =>
    successorsOf(history, id).map(({ segment, predecessors }) => [
      segment.number,
      predecessors.map(({ number }) => number),
    ])
  deepStrictEqual(successors(0n), [[2, [0, 1]]])
  deepStrictEqual(successors(1n), [[2, [0, 1]]])
  deepStrictEqual(successors((1n << 32n) | 2n), [
    [3, [2]],
    [4, [2]],
  ])
  deepStrictEqual(successors((2n << 32n) | 3n), [])
  deepStrictEqual(successors(99n), [])
})

test('every pair of overlapping ranges is visited once', () => {
  const as = [
    [0, 1],
    [0, 0.2],
    [0.2, 0.4],
    [0.3, 0.9],
    [0.9, 1],
  ].map(([low, high]) => ({ low: low!, high: high! }))
  const bs = [
    [0, 0.1],
    [0, 0.5],
    [0.1, 0.3],
    [0.4, 0.95],
    [0.95, 1],
  ].map(([low, high]) => ({ low: low!, high: high! }))
  const expected = as.flatMap((a) => bs.filter((b) => overlap(a, b)).map((b) => [a, b]))
  const visited: unknown[] = []
  eachOverlap(as, bs, (a, b) => visited.push([a, b]))
  deepStrictEqual(visited, expected)
})
