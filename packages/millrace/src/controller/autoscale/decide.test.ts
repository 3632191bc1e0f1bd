import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { ScaleType } from '../../protocol/controller/messages.ts'
import {
  byEvents,
  even,
  LoadModel,
  type LoadModelOptions,
  type LoadOf,
  type ScaleEvent,
  withHotKey,
} from '../../testing/load-model.ts'
import { SimRandom } from '../../testing/sim/sim-random.ts'
import type { KeyRange } from '../stream-segments.ts'

const TARGET = 5000
const MINUTE = 60
const HOUR = 3600

function model(options: Partial<LoadModelOptions> = {}): LoadModel {
  return new LoadModel({ policy: byEvents(TARGET), ...options })
}

/** `5 s: 1 -> 2` */
function story(scales: readonly ScaleEvent[]): string[] {
  return scales.map(({ atMs, kind, count }) => `${atMs / 1000} s: ${kind} to ${count}`)
}

function splitEvenly(count: number): LoadModelOptions {
  return { policy: byEvents(TARGET), segments: count }
}

// Splitting.

test('load over the target splits within 5 to 10 s, the sooner the more it is', () => {
  const cases: [targets: number, afterSeconds: number, into: number][] = [
    [1.1, 9, 2],
    [1.2, 8, 2],
    [1.5, 7, 2],
    [2, 6, 2],
    [3, 5, 3],
    [10, 5, 10],
    [100, 5, 16],
  ]
  for (const [targets, afterSeconds, into] of cases) {
    const stream = model({ policy: byEvents(TARGET, { scaleFactor: 16 }) }).run(9, even(targets * TARGET))
    deepStrictEqual(
      [targets, ...story(stream.scales.slice(0, 1))],
      [targets, `${afterSeconds} s: split to ${into}`],
    )
  }
})

test('load at the target or below does not', () => {
  for (const targets of [0.5, 0.95, 1])
    deepStrictEqual(model().run(10 * MINUTE, even(targets * TARGET)).scales, [])
})

test('bursts of one or two seconds do not split, however large they are', () => {
  for (const seconds of [1, 2])
    for (const targets of [2, 10, 1000])
      for (const background of [0, 0.5]) {
        const stream = model().run(MINUTE, even(background * TARGET))
        for (let round = 0; round < 20; round++)
          stream.run(seconds, even(targets * TARGET)).run(MINUTE, even(background * TARGET))
        // Bursts that come often enough are a load of their own.
        const isLoad = (seconds * targets) / MINUTE + background > 1
        if (!isLoad)
          deepStrictEqual([seconds, targets, background, ...stream.scales], [seconds, targets, background])
        else ok((stream.scales[0]?.atMs ?? Infinity) > (MINUTE + 30) * 1000, `${seconds} s of ${targets}`)
      }
})

test('a burst alone never does', () => {
  for (const seconds of [1, 2])
    for (const targets of [2, 30, 1000]) {
      const stream = model()
        .run(MINUTE, even(0))
        .run(seconds, even(targets * TARGET))
        .run(HOUR, even(0))
      deepStrictEqual(stream.scales, [])
    }
})

test('load that comes in batches of several seconds splits by its mean', () => {
  for (const everySeconds of [2, 5, 10]) {
    const batches = (range: KeyRange, second: number): number =>
      second % everySeconds === 0 ? everySeconds * even(3 * TARGET)(range) : 0
    const stream = model({ policy: byEvents(TARGET, { scaleFactor: 8 }) }).run(4 * MINUTE, batches)
    ok(stream.count >= 3 && stream.count <= 6, `${stream.count} segments, a batch in ${everySeconds} s`)
    ok(stream.scales.every(({ kind }) => kind === 'split'))
  }
})

test('the scale factor bounds how many a segment becomes, and 2 are always possible', () => {
  for (const [scaleFactor, into] of [
    [0, 2],
    [1, 2],
    [2, 2],
    [3, 3],
    [100, 40],
  ] as const) {
    const stream = model({ policy: byEvents(TARGET, { scaleFactor }) }).run(5, even(43 * TARGET))
    strictEqual(stream.count, into, `factor ${scaleFactor}`)
  }
})

test('all hot segments of a stream are split in one scale, the cold ones stay', () => {
  const loadOf: LoadOf = (range) => (range.low >= 0.5 ? 2 * TARGET : 100)
  const stream = model(splitEvenly(4)).run(7, loadOf)
  strictEqual(stream.scales.length, 1)
  deepStrictEqual(stream.ranges, [
    { low: 0, high: 0.25 },
    { low: 0.25, high: 0.5 },
    { low: 0.5, high: 0.625 },
    { low: 0.625, high: 0.75 },
    { low: 0.75, high: 0.875 },
    { low: 0.875, high: 1 },
  ])
})

test('by kilobytes, a kilobyte is 1024 bytes and events do not count', () => {
  const policy = byEvents(1000, { scaleType: ScaleType.BY_RATE_IN_KBYTES_PER_SEC })
  const bytesPerSecond = 1500 * 1024
  const few = model({ policy, eventBytes: bytesPerSecond }).run(8, even(1))
  strictEqual(few.count, 2)
  strictEqual(few.scales[0]?.detail, '1,455 KiB/s for 5 s, target 1,000: split in 2')
  const many = model({ policy, eventBytes: 1 }).run(MINUTE, even(900_000))
  strictEqual(many.count, 1)
})

test('where a handful of events is a load, it takes longer to tell it from chance', () => {
  const policy = byEvents(1)
  ok(model({ policy }).run(9, even(3)).scales.length === 0)
  strictEqual(model({ policy }).run(12, even(3)).count, 2)
})

test('a stream has no more segments than the cap, and that is said once', () => {
  const policy = byEvents(TARGET, { scaleFactor: 4 })
  const stream = model({ policy, settings: { segmentsMax: 10 } }).run(5 * MINUTE, even(100 * TARGET))
  strictEqual(stream.count, 10)
  strictEqual(stream.notes.length, 1)
  ok(
    /^[\d,]+ events\/s for \d+ s, target 5,000: not split .* may have 10 segments$/.test(
      stream.notes[0]!.note,
    ),
  )
})

test('a split says why', () => {
  const one = model({ policy: byEvents(TARGET, { scaleFactor: 4 }) }).run(5, even(15_000))
  strictEqual(one.scales[0]?.detail, '13,769 events/s for 5 s, target 5,000: split in 3')
  const two = model(splitEvenly(2)).run(6, even(20_000))
  strictEqual(
    two.scales[0]?.detail,
    '2 segments over target, the hottest at 9,502 events/s for 5 s, target 5,000: split into 4 in all',
  )
})

// Merging.

test('when load ends the segments become one in one scale, within 60 s', () => {
  for (const segments of [2, 16, 200]) {
    const stream = model(splitEvenly(segments)).run(2 * MINUTE, even(segments * 0.9 * TARGET))
    deepStrictEqual(stream.scales, [])
    stream.run(MINUTE, even(0))
    strictEqual(stream.scales.length, 1)
    strictEqual(stream.count, 1)
  }
})

test('a merge says why', () => {
  const stream = model(splitEvenly(4)).run(MINUTE, even(1000))
  strictEqual(
    stream.scales[0]?.detail,
    'at most 1,000 events/s together for 30 s, target 5,000: 4 segments merged into 1',
  )
})

test('neighbours are merged as far as together they have half the target', () => {
  const load = 10 * 0.2 * TARGET
  const stream = model(splitEvenly(10)).run(2 * MINUTE, even(load))
  strictEqual(stream.count, 5)
  stream.run(HOUR, even(load))
  strictEqual(stream.scales.length, 1)
  stream.run(HOUR, even(1.5 * load))
  strictEqual(stream.scales.length, 1)
})

test('segments that have load between them stay apart', () => {
  const loadOf: LoadOf = ({ low, high }) => (low <= 0.4 && 0.4 < high ? 0.8 * TARGET : 0)
  const stream = model(splitEvenly(5)).run(5 * MINUTE, loadOf)
  deepStrictEqual(stream.ranges, [
    { low: 0, high: 0.4 },
    { low: 0.4, high: 0.6 },
    { low: 0.6, high: 1 },
  ])
})

test('nothing goes below the minimum, and what is left is even', () => {
  for (const [minNumSegments, ranges] of [
    [2, [0.5]],
    [3, [0.375, 0.625]],
    [8, [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875]],
  ] as const) {
    const stream = model({ policy: byEvents(TARGET, { minNumSegments }), segments: 8 }).run(HOUR, even(0))
    deepStrictEqual(
      stream.ranges.slice(1).map(({ low }) => low),
      ranges,
    )
    ok(stream.scales.length <= 1)
  }
})

test('for ten minutes after a split its segments are not merged', () => {
  const stream = model().run(20, even(2 * TARGET))
  strictEqual(stream.count, 2)
  const splitAtMs = stream.scales[0]!.atMs
  stream.run(20 * MINUTE, even(0))
  strictEqual(stream.scales.length, 2)
  const mergedAfterMs = stream.scales[1]!.atMs - splitAtMs
  ok(mergedAfterMs >= 600_000 && mergedAfterMs < 620_000, `${mergedAfterMs} ms`)
})

test('other segments of the stream are', () => {
  const loadOf: LoadOf = ({ low }) => (low >= 0.5 ? TARGET : 0)
  const stream = model(splitEvenly(8)).run(10, (range: KeyRange) =>
    range.low < 0.125 ? 2 * TARGET : loadOf(range),
  )
  strictEqual(stream.count, 9)
  stream.run(2 * MINUTE, loadOf)
  deepStrictEqual(
    stream.ranges.slice(0, 4).map(({ low }) => low),
    [0, 0.0625, 0.125, 0.5],
  )
})

test('after a restart all of that holds, once the load is known again', () => {
  const stream = model().run(20, even(2 * TARGET))
  stream.restart()
  stream.run(5 * MINUTE, even(0))
  strictEqual(stream.count, 2)
  stream.run(6 * MINUTE, even(0))
  strictEqual(stream.count, 1)
  const busy = model(splitEvenly(4)).run(MINUTE, even(4 * 0.9 * TARGET))
  busy.restart()
  busy.run(10 * MINUTE, even(4 * 0.9 * TARGET))
  deepStrictEqual(busy.scales, [])
})

test('load that comes and goes makes the stream cautious, so that it is scaled less and less', () => {
  const stream = model()
  const perHour: number[] = []
  for (let hour = 0; hour < 12; hour++) {
    const before = stream.scales.length
    for (let round = 0; round < 4; round++) stream.run(450, even(3 * TARGET)).run(450, even(0))
    perHour.push(stream.scales.length - before)
  }
  ok(perHour[0]! >= 8, `${perHour}`)
  ok(
    perHour.slice(2).every((count) => count <= 4),
    `${perHour}`,
  )
  // It fades, and what goes is merged again without ado.
  stream
    .run(48 * HOUR, even(0))
    .run(20, even(2 * TARGET))
    .run(11 * MINUTE, even(0))
  strictEqual(stream.count, 1)
})

// Single keys.

test('a hot key is given up after three splits in two, and tried again after an hour, two, four', () => {
  const stream = model().run(8 * HOUR, withHotKey(3 * TARGET, 0.3, 0.95))
  const splits = stream.scales
    .filter(({ kind }) => kind === 'split')
    .map(({ atMs }) => Math.round(atMs / 60_000))
  deepStrictEqual(splits, [0, 0, 0, 60, 180, 421])
  strictEqual(stream.notes.length, 4)
  strictEqual(
    stream.notes[0]?.note,
    '13,166 events/s on keys 0.25 to 0.375 stayed together in every split, as the load of a single key does: left alone for 60 min',
  )
  // What lies beside it is merged again.
  strictEqual(stream.count, 3)
})

test('after one split in many', () => {
  const stream = model({ policy: byEvents(TARGET, { scaleFactor: 16 }) })
  stream.run(30 * MINUTE, withHotKey(10 * TARGET, 0.3, 0.95))
  deepStrictEqual(story(stream.scales), ['5 s: split to 10', '615 s: merge to 3'])
})

test('two hot keys are parted, then both left alone', () => {
  const loadOf = twoKeys(0.3, 0.6)
  const stream = model().run(5 * MINUTE, loadOf)
  strictEqual(stream.ranges.filter((range) => loadOf(range) > 0).length, 2)
  strictEqual(stream.notes.length, 2)
  ok(stream.count <= 8, `${stream.count} segments`)
})

test('two that stay together in three splits look like one, until an hour later', () => {
  const loadOf = twoKeys(0.3, 0.35)
  const stream = model().run(HOUR, loadOf)
  strictEqual(stream.ranges.filter((range) => loadOf(range) > 0).length, 1)
  strictEqual(stream.notes.length, 1)
  stream.run(5 * MINUTE, loadOf)
  strictEqual(stream.ranges.filter((range) => loadOf(range) > 0).length, 2)
  stream.run(24 * HOUR, loadOf)
  ok(stream.scales.length < 40, `${stream.scales.length} scales`)
})

function twoKeys(one: number, other: number): LoadOf {
  return (range) => withHotKey(2 * TARGET, one, 1)(range) + withHotKey(2 * TARGET, other, 1)(range)
}

test('a skewed load is split where it is', () => {
  // Four fifths lie in a tenth of the keys.
  const loadOf: LoadOf = ({ low, high }) => {
    const inside = Math.max(0, Math.min(high, 0.6) - Math.max(low, 0.5))
    return 10 * TARGET * (8 * inside + 0.2 * (high - low))
  }
  const stream = model({ policy: byEvents(TARGET, { scaleFactor: 4 }) }).run(5 * MINUTE, loadOf)
  const hottest = Math.max(...stream.ranges.map(loadOf))
  ok(hottest <= TARGET, `${hottest} events/s`)
  deepStrictEqual(stream.notes, [])
})

test('a load that crowds together more and more is not followed for ever', () => {
  // Of the load of any range from 0 on, seven eighths lie in its lower half: no split is in vain.
  const loadOf: LoadOf = ({ low, high }) => 100 * TARGET * (high ** 0.2 - low ** 0.2)
  const stream = model({ policy: byEvents(TARGET, { scaleFactor: 100 }) }).run(5 * MINUTE, loadOf)
  const told = 'lie too close together to be split: left alone for 60 min'
  ok(stream.notes.some(({ note }) => note.endsWith(told)))
  ok(stream.ranges.every(({ low, high }) => high - low > 0.99e-6))
})

// Other policies.

test('a policy that changes takes effect with the next looks, and its unit begins anew', () => {
  const stream = model().run(MINUTE, even(0.9 * TARGET))
  stream.policy = byEvents(TARGET / 2)
  stream.run(12, even(0.9 * TARGET))
  strictEqual(stream.count, 2)
  stream.policy = byEvents(1, { scaleType: ScaleType.BY_RATE_IN_KBYTES_PER_SEC, minNumSegments: 2 })
  stream.run(3, even(0.9 * TARGET))
  strictEqual(stream.count, 2)
  stream.run(3, even(0.9 * TARGET))
  strictEqual(stream.count, 4)
})

// Whatever comes.

test('whatever comes, segments cover each key once, within all bounds', () => {
  for (let seed = 0; seed < 60; seed++) {
    const random = new SimRandom(`decide ${seed}`)
    const minNumSegments = 1 + random.integer(4)
    const segmentsMax = 10 + random.integer(40)
    const scaleFactor = random.integer(6)
    const policy = byEvents(1 + random.integer(1000), { minNumSegments, scaleFactor })
    const settings = { segmentsMax, holdOffMs: random.integer(120_000), restMs: random.integer(60_000) }
    const stream = new LoadModel({ policy, settings })
    let loadOf = even(0)
    for (let round = 0; round < 12; round++) {
      const level = policy.targetRate * 20 * random.ratio() ** 3
      if (random.integer(3) === 0) loadOf = even(level)
      else loadOf = withHotKey(level, random.ratio(), random.ratio())
      if (random.integer(4) === 0) stream.restart()
      if (random.integer(4) === 0) recut(stream, random, segmentsMax)
      for (let look = 0; look < 60; look++) {
        const before = stream.look().segments
        const scale = stream.step(100 + random.integer(random.integer(10) === 0 ? 100_000 : 3000), loadOf)
        if (scale === undefined) continue
        ok(scale.count <= segmentsMax, `seed ${seed}: ${scale.count} segments`)
        ok(scale.count >= minNumSegments, `seed ${seed}: ${scale.count} segments`)
        const sealed = before.filter(({ id }) => scale.seal.includes(id))
        if (scale.kind === 'split') ok(scale.into.length <= sealed.length * Math.max(2, scaleFactor))
        else
          ok(
            sealed.every(
              ({ splitAgeMs }) => splitAgeMs === undefined || splitAgeMs >= settings.holdOffMs - 100_000,
            ),
          )
      }
    }
  }
})

/** Somebody scales by hand, to ranges of any width. */
function recut(stream: LoadModel, random: SimRandom, segmentsMax: number): void {
  const count = stream.policy.minNumSegments + random.integer(segmentsMax - stream.policy.minNumSegments)
  const borders = [...new Set(Array.from({ length: count - 1 }, () => random.ratio()))].filter((at) => at > 0)
  const lows = [0, ...borders.toSorted((a, b) => a - b)]
  const into = lows.map((low, i) => ({ low, high: lows[i + 1] ?? 1 }))
  stream.apply({ kind: 'split', seal: stream.look().segments.map(({ id }) => id), into })
}
