import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { segmentNameOfId } from '../protocol/names.ts'
import { failsWith } from '../testing/client-scene.ts'
import { planScale, type ScaleTo } from './scale-plan.ts'
import type { Segment } from './stream-metadata.ts'
import { type KeyRange, showSegmentId } from './topology.ts'

/** Open segments with these upper bounds, numbered from 0. */
function cutAt(...highs: readonly number[]): readonly Segment[] {
  return highs.map((high, index) => {
    const id = BigInt(index)
    return { id, name: segmentNameOfId('shop', 'orders', id), low: highs[index - 1] ?? 0, high }
  })
}

function evenly(count: number): readonly Segment[] {
  return cutAt(...Array.from({ length: count }, (_, index) => (index + 1) / count))
}

function plan(current: readonly Segment[], to: ScaleTo): [seal: number[], into: number[][]] | undefined {
  const made = planScale('shop/orders', current, to)
  return made && [made.seal.map(Number), made.into.map(({ low, high }) => [low, high])]
}

test('to a number: as few segments as possible change', () => {
  const cases: readonly (readonly [readonly Segment[], number, ReturnType<typeof plan>])[] = [
    [evenly(1), 1, undefined],
    [evenly(3), 3, undefined],
    [
      evenly(1),
      4,
      [
        [0],
        [
          [0, 0.25],
          [0.25, 0.5],
          [0.5, 0.75],
          [0.75, 1],
        ],
      ],
    ],
    [evenly(4), 1, [[0, 1, 2, 3], [[0, 1]]]],
    [
      cutAt(0.25, 0.5, 1),
      4,
      [
        [2],
        [
          [0.5, 0.75],
          [0.75, 1],
        ],
      ],
    ],
    [
      cutAt(0.25, 0.5, 0.75, 1),
      2,
      [
        [0, 1, 2, 3],
        [
          [0, 0.5],
          [0.5, 1],
        ],
      ],
    ],
    [cutAt(0.5, 0.6, 0.7, 1), 2, [[1, 2, 3], [[0.5, 1]]]],
    // What changes need not be in one piece.
    [
      cutAt(0.1, 0.25, 0.5, 0.75, 0.8, 1),
      4,
      [
        [0, 1, 4, 5],
        [
          [0, 0.25],
          [0.75, 1],
        ],
      ],
    ],
  ]
  for (const [current, count, expected] of cases) deepStrictEqual(plan(current, count), expected)
})

test('trap 33: borders that were computed in another way are taken as they are, bit by bit', () => {
  const third = 1 / 3 + Number.EPSILON / 4
  ok(third !== 1 / 3)
  const current = cutAt(third, 2 / 3, 1)
  strictEqual(plan(current, 3), undefined)
  deepStrictEqual(plan(current, 6)?.[1].map(([low]) => low)[2], third)
  const split = {
    seal: ['0.#epoch.0'],
    into: [
      { low: 0, high: 0.1 },
      { low: 0.1, high: 1 / 3 },
    ],
  }
  deepStrictEqual(plan(current, split), [
    [0],
    [
      [0, 0.1],
      [0.1, third],
    ],
  ])
})

test('as it is said: the ranges have the keys of what is sealed, in any order', () => {
  const current = cutAt(0.25, 0.5, 1)
  deepStrictEqual(
    plan(current, {
      seal: ['2.#epoch.0', '0.#epoch.0'],
      into: [
        { low: 0.5, high: 1 },
        { low: 0, high: 0.25 },
      ],
    }),
    [
      [2, 0],
      [
        [0, 0.25],
        [0.5, 1],
      ],
    ],
  )
  deepStrictEqual(plan(current, { seal: ['0.#epoch.0', '1.#epoch.0'], into: [{ low: 0, high: 0.5 }] }), [
    [0, 1],
    [[0, 0.5]],
  ])
})

test('what cannot be is refused with a sentence', () => {
  const current = evenly(2)
  const all = ['0.#epoch.0', '1.#epoch.0']
  const whole = { low: 0, high: 1 }
  const refused: readonly (readonly [ScaleTo, RegExp])[] = [
    [0, /^A stream has from 1 to 10000 segments, not 0$/],
    [2.5, /not 2\.5$/],
    [1e9, /not 1000000000$/],
    [Number.NaN, /not NaN$/],
    [{ seal: [], into: [whole] }, /^A scale takes the ids/],
    [{ seal: all, into: [] }, /^A scale takes the ids/],
    [
      { seal: all, into: Array.from({ length: 10_001 }, () => whole) },
      /^A stream has from 1 to 10000 segments, and this would make it 10001$/,
    ],
    [{ seal: ['zero'], into: [whole] }, /^The id of a segment is number\.#epoch\.epoch, not 'zero'$/],
    [{ seal: [...all, all[0]!], into: [whole] }, /an id came twice$/],
    [{ seal: all, into: [{ low: 0.5, high: 0.5 }] }, /^A range of keys goes up.*not \[0\.5, 0\.5\)$/],
    [{ seal: all, into: [{ low: -1, high: 1 }] }, /^A range of keys goes up/],
    [{ seal: all, into: [{ low: 0, high: Number.NaN }] }, /^A range of keys goes up/],
    [{ seal: all, into: [whole, { low: 0.5, high: 1 }] }, /^The ranges \[0, 1\) and \[0\.5, 1\) overlap$/],
    [{ seal: all, into: [{ low: 0, high: 0.9 }] }, /those that are sealed: \[0, 1\), not \[0, 0\.9\)$/],
    [{ seal: [all[0]!], into: [whole] }, /those that are sealed: \[0, 0\.5\), not \[0, 1\)$/],
    [
      {
        seal: all,
        into: [
          { low: 0, high: 0.2 },
          { low: 0.4, high: 1 },
        ],
      },
      /\[0, 1\), not \[0, 0\.2\) and \[0\.4, 1\)$/,
    ],
  ]
  for (const [to, message] of refused) throws(() => plan(current, to), failsWith('invalid-argument', message))
  throws(
    () => plan(current, { seal: ['5.#epoch.1'], into: [whole] }),
    failsWith('segment-not-open', /no open segment 5\.#epoch\.1/),
  )
})

test('whatever the segments are, a plan leaves as many equal ones as wanted, and the keys covered once', () => {
  const borders = fc.uniqueArray(fc.integer({ min: 1, max: 23 }), { maxLength: 12 })
  fc.assert(
    fc.property(borders, fc.integer({ min: 1, max: 24 }), (inner, count) => {
      const current = cutAt(...inner.toSorted((one, two) => one - two).map((border) => border / 24), 1)
      const after = apply(current, planScale('shop/orders', current, count))
      strictEqual(after.length, count)
      strictEqual(after[0]?.low, 0)
      strictEqual(after.at(-1)?.high, 1)
      for (const [index, { low, high }] of after.entries()) {
        strictEqual(high, after[index + 1]?.low ?? 1)
        ok(Math.abs(high - low - 1 / count) < 1e-9)
      }
    }),
  )
})

function apply(
  current: readonly Segment[],
  change: { readonly seal: readonly bigint[]; readonly into: readonly KeyRange[] } | undefined,
): readonly KeyRange[] {
  const stay = current.filter(({ id }) => change?.seal.includes(id) !== true)
  const into = change?.into ?? []
  // What is wanted could also be said in so many words.
  if (change !== undefined)
    deepStrictEqual(planScale('shop/orders', current, { seal: change.seal.map(showSegmentId), into }), change)
  return [...stay, ...into].toSorted((one, two) => one.low - two.low)
}
