import { deepEqual, equal, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions, UsageError } from './options.ts'
import { readArguments, readRunSpec, type RunSpec, toArguments, WORKLOADS } from './workload.ts'

test('without arguments everything is measured, three times, for fifteen seconds', () => {
  const options = readOptions([])
  equal(options.parts.length, 13)
  deepEqual(options.targets, ['millrace', 'pravega', 'sink'])
  deepEqual([options.pairs, options.warmupMs, options.measureMs], [3, 5000, 10_000])
})

test('a full session is longer, and single settings still win', () => {
  const { pairs, warmupMs, measureMs } = readOptions(['--full', '--pairs', '2'])
  deepEqual([pairs, warmupMs, measureMs], [2, 30_000, 60_000])
})

test('parts come in their own order, and what there is not is named', () => {
  deepEqual(readOptions(['P10', 'P1', '--client', 'ts']).parts, ['P1', 'P10'])
  throws(
    () => readOptions(['P5']),
    new UsageError(`There is no part 'P5', but ${readOptions([]).parts.join(', ')}`),
  )
  throws(() => readOptions(['--target', 'kafka']), UsageError)
  throws(() => readOptions(['--pairs', '0']), UsageError)
  throws(() => readOptions(['--measure', 'long']), UsageError)
  throws(() => readOptions(['--fast']), UsageError)
})

test('a run goes through arguments unchanged', () => {
  for (const { ts, java } of Object.values(WORKLOADS))
    for (const workload of [ts, java]) {
      const where = { uri: 'tcp://127.0.0.1:9090', scope: 'bench', stream: 's' }
      const spec: RunSpec = { ...workload, ...where, warmupMs: 5000, measureMs: 10_000 }
      deepEqual(readRunSpec(readArguments(toArguments(spec))), spec)
    }
})

test('a run that cannot be is refused', () => {
  const good = toArguments({
    ...WORKLOADS.P1.ts,
    uri: 'u',
    scope: 's',
    stream: 's',
    warmupMs: 0,
    measureMs: 1,
  })
  const withOther =
    (other: string): (() => RunSpec) =>
    () =>
      readRunSpec(readArguments([...good, other]))
  throws(withOther('eventBytes=8'), /eventBytes is a whole number of at least 24/)
  throws(withOther('load=fast'), /load/)
  throws(() => readRunSpec(readArguments(good.slice(1))), /eventBytes=... is missing/)
  throws(() => readArguments(['nonsense']), /name=value/)
})
