import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { scaled } from '../testing/scaled-history.ts'
import { SEGMENTS_MAX } from './limits.ts'
import { planScale, type ScaleRefusal } from './scale-plan.ts'
import {
  currentSegments,
  firstEpoch,
  type History,
  type KeyRange,
  newSegment,
  scaledHistory,
  splitEvenly,
} from './stream-segments.ts'

function history(count: number): History {
  return firstEpoch({ number: 0, count, startedAtMs: 0 })
}

function ranges(...bounds: readonly (readonly [low: number, high: number])[]): KeyRange[] {
  return bounds.map(([low, high]) => ({ low, high }))
}

/** The ranges of the plan, or the refusal. */
function plan(
  of: History,
  seal: readonly bigint[],
  into: readonly KeyRange[],
  minSegments = 1,
): readonly KeyRange[] | ScaleRefusal {
  const planned = planScale(of, { seal, into }, minSegments)
  return planned.refused ?? planned.into
}

test('any ranges that cover exactly what is sealed will do: split, merge, uneven, some apart, the whole stream', () => {
  const four = history(4)
  for (const [seal, into] of [
    [[0n], ranges([0, 0.1], [0.1, 0.25])],
    [[0n, 1n], ranges([0, 0.5])],
    [[0n, 1n], ranges([0, 0.2], [0.2, 0.3], [0.3, 0.5])],
    [[0n, 3n], ranges([0, 0.25], [0.75, 0.8], [0.8, 1])],
    [[0n, 1n, 2n, 3n], ranges([0, 1])],
    [[3n], ranges([0.75, 1])],
  ] as const)
    deepStrictEqual(plan(four, seal, into), into)
  deepStrictEqual(plan(four, [1n, 0n, 1n], ranges([0.25, 0.5], [0, 0.25])), ranges([0, 0.25], [0.25, 0.5]))
})

test('what cannot be is refused with its reason', () => {
  const four = history(4)
  const past = scaled(four, [0], [[0, 0.25]])
  const cases: readonly (readonly [History, readonly bigint[], KeyRange[], number, ScaleRefusal])[] = [
    [four, [], [], 1, 'wrong-ranges'],
    [four, [], ranges([0, 1]), 1, 'wrong-ranges'],
    [four, [0n], [], 1, 'wrong-ranges'],
    [four, [9n], ranges([0, 0.25]), 1, 'wrong-segments'],
    [four, [-1n], ranges([0, 0.25]), 1, 'wrong-segments'],
    [past, [0n], ranges([0, 0.25]), 1, 'wrong-segments'],
    [four, [0n], ranges([0, 0.2]), 1, 'wrong-ranges'],
    [four, [0n], ranges([0, 0.1], [0.15, 0.25]), 1, 'wrong-ranges'],
    [four, [0n], ranges([0, 0.15], [0.1, 0.25]), 1, 'wrong-ranges'],
    [four, [0n], ranges([0, 0.25], [0, 0.25]), 1, 'wrong-ranges'],
    [four, [0n], ranges([0, 0.25], [0.25, 0.25]), 1, 'wrong-ranges'],
    [four, [0n], ranges([0.25, 0]), 1, 'wrong-ranges'],
    [four, [0n], ranges([0, 0.5]), 1, 'wrong-ranges'],
    [four, [0n], ranges([-0.1, 0.25]), 1, 'wrong-ranges'],
    [four, [3n], ranges([0.75, 1.1]), 1, 'wrong-ranges'],
    [four, [0n], ranges([Number.NaN, 0.25]), 1, 'wrong-ranges'],
    [four, [0n], ranges([0, Number.POSITIVE_INFINITY]), 1, 'wrong-ranges'],
    [four, [0n, 1n], ranges([0, 0.5]), 4, 'below-minimum'],
    [
      four,
      [0n],
      splitEvenly(SEGMENTS_MAX).map(({ low, high }) => ({ low: low / 4, high: high / 4 })),
      1,
      'too-many-segments',
    ],
  ]
  for (const [of, seal, into, minSegments, refusal] of cases)
    strictEqual(plan(of, seal, into, minSegments), refusal, JSON.stringify([seal.map(String), into]))
})

test('a stream that has used up its numbers is told so', () => {
  const last = { number: 2 ** 31 - 3, epoch: 0, low: 0, high: 1 }
  const used: History = { ...history(1), segments: [newSegment(last)] }
  const { id } = used.segments[0]!
  strictEqual(plan(used, [id], ranges([0, 0.5], [0.5, 1])), 'out-of-numbers')
  deepStrictEqual(plan(used, [id], ranges([0, 1])), ranges([0, 1]))
})

test('trap 33: borders computed another way are taken for those that exist, to the last bit', () => {
  for (let count = 2; count <= 200; count++) {
    const of = history(count)
    const chunk = 1 / count
    const into = Array.from({ length: count }, (_, i) => ({ low: i * chunk, high: (i + 1) * chunk }))
    const { seal, ...planned } = planScale(of, { seal: of.segments.map(({ id }) => id), into }, 1) as {
      seal: ReadonlySet<bigint>
      into: readonly KeyRange[]
    }
    strictEqual(seal.size, count)
    deepStrictEqual(planned.into, splitEvenly(count))
  }
})

test('borders that were meant to be the same become the same', () => {
  const third = 1 / 3
  const into = ranges([0, third], [third + 1e-16, 2 * third - 1e-12], [2 * third, 1 - 1e-15])
  const planned = plan(history(1), [0n], into) as readonly KeyRange[]
  strictEqual(planned[0]?.high, planned[1]?.low)
  strictEqual(planned[1]?.high, planned[2]?.low)
  strictEqual(planned[2]?.high, 1)
})

test('whatever is planned, the epoch after it covers all keys once with shared borders', () => {
  const step = fc.record({
    from: fc.nat(),
    count: fc.integer({ min: 1, max: 3 }),
    cuts: fc.array(fc.double({ min: 0.01, max: 0.99, noNaN: true }), { maxLength: 3 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let of = history(3)
      for (const { from, count, cuts } of steps) {
        const open = currentSegments(of)
        const sealed = open.slice(from % open.length).slice(0, count)
        const [low, high] = [sealed[0]!.low, sealed.at(-1)!.high]
        const borders = [...new Set([low, ...cuts.map((at) => low + at * (high - low)), high])].toSorted(
          (a, b) => a - b,
        )
        const into = borders.slice(1).map((border, i) => ({ low: borders[i]!, high: border }))
        const planned = planScale(of, { seal: sealed.map(({ id }) => id), into }, 1)
        // Cut so often at one place that nothing is left to cut.
        if (planned.refused !== undefined) continue
        of = scaledHistory(of, { ...planned, began: { startedAtMs: 0, cause: 'manual' } })
        const after = currentSegments(of)
        strictEqual(after[0]?.low, 0)
        strictEqual(after.at(-1)?.high, 1)
        for (let i = 1; i < after.length; i++) strictEqual(after[i]?.low, after[i - 1]?.high)
      }
    }),
    { seed: 2, numRuns: 200 },
  )
})
