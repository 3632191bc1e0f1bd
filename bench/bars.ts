/** What must hold, and whether it does, from the records of a session. Ratios are taken pair by pair. */
import type { ClientName, Part, TargetName } from './options.ts'
import {
  type BarRecord,
  type FigureRecord,
  type LimitsRecord,
  median,
  type ResultRecord,
  type RunRecord,
} from './results.ts'
import type { WorkloadName } from './workload.ts'

interface Bar {
  readonly part: Part
  readonly name: string
  readonly unit: string
  readonly bar: number
  readonly better: 'more' | 'less'
  /** One for each pair; undefined where the pair lacks something. */
  value(pair: Pair): number | undefined
}

/** What one pair has measured. */
interface Pair {
  readonly limits: LimitsRecord | undefined
  run(workload: WorkloadName, target: TargetName, client: ClientName): RunRecord | undefined
}

const WORKLOAD_BARS: readonly Bar[] = [
  {
    part: 'P1',
    name: 'our client, ack p50 to the raw sync',
    unit: '',
    bar: 2.5,
    better: 'less',
    value: (pair) => ratio(pair.run('P1', 'millrace', 'ts')?.ackMs.p50, pair.limits?.syncMs.p50),
  },
  {
    part: 'P1',
    name: "Java client, ack p50 to Pravega's",
    unit: '',
    bar: 0.5,
    better: 'less',
    value: (pair) =>
      ratio(pair.run('P1', 'millrace', 'java')?.ackMs.p50, pair.run('P1', 'pravega', 'java')?.ackMs.p50),
  },
  {
    part: 'P2',
    name: 'our client',
    unit: 'events/s',
    bar: 500_000,
    better: 'more',
    value: (pair) => pair.run('P2', 'millrace', 'ts')?.eventsPerSecond,
  },
  peakBar('P2'),
  {
    part: 'P3',
    name: 'our client at 50,000/s, write to read p99',
    unit: 'ms',
    bar: 10,
    better: 'less',
    value: (pair) => atFullRate(pair.run('P3', 'millrace', 'ts'))?.endToEndMs?.p99,
  },
  {
    part: 'P3',
    name: "Java client at 10,000/s, write to read p99 to Pravega's",
    unit: '',
    bar: 0.2,
    better: 'less',
    value: (pair) =>
      ratio(
        atFullRate(pair.run('P3', 'millrace', 'java'))?.endToEndMs?.p99,
        pair.run('P3', 'pravega', 'java')?.endToEndMs?.p99,
      ),
  },
  {
    part: 'P4',
    name: 'our client',
    unit: 'MB/s',
    bar: 150,
    better: 'more',
    value: (pair) => pair.run('P4', 'millrace', 'ts')?.megabytesPerSecond,
  },
  peakBar('P4'),
  {
    part: 'P10',
    name: "Java client, commits one after the other to Pravega's",
    unit: '',
    bar: 10,
    better: 'more',
    value: (pair) =>
      ratio(
        pair.run('P10', 'millrace', 'java')?.eventsPerSecond,
        pair.run('P10', 'pravega', 'java')?.eventsPerSecond,
      ),
  },
  commitBar('java', 'Java client'),
  commitBar('ts', 'our client'),
]

function commitBar(client: ClientName, name: string): Bar {
  return {
    part: 'P10',
    name: `${name}, 10 at a time, commit p99`,
    unit: 'ms',
    bar: 50,
    better: 'less',
    value: (pair) => pair.run('P10x10', 'millrace', client)?.ackMs.p99,
  }
}

/** Against the peer, unless the client itself cannot go that fast on this machine. */
function peakBar(workload: 'P2' | 'P4'): Bar {
  return {
    part: workload,
    name: "Java client, rate to the lower of 1.5 x Pravega's and 0.9 x the sink's",
    unit: '',
    bar: 1,
    better: 'more',
    value: (pair) => {
      const peer = pair.run(workload, 'pravega', 'java')?.eventsPerSecond
      const sink = pair.run(workload, 'sink', 'java')?.eventsPerSecond
      if (peer === undefined || sink === undefined) return undefined
      return ratio(pair.run(workload, 'millrace', 'java')?.eventsPerSecond, Math.min(1.5 * peer, 0.9 * sink))
    },
  }
}

function ratio(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one / other
}

/** A latency at a rate that was not reached says nothing. */
function atFullRate(run: RunRecord | undefined): RunRecord | undefined {
  if (run === undefined || typeof run.parameters.load !== 'number') return run
  return run.eventsPerSecond >= run.parameters.load * 0.99 ? run : undefined
}

/** Of figures, by part and name: at most so much. */
const FIGURE_BARS: readonly { readonly part: Part; readonly name: string; readonly bar: number }[] = [
  { part: 'P11', name: 'split after the load crossed a multiple of the target, the latest', bar: 10 },
  { part: 'P11', name: 'written to read p99', bar: 100 },
  { part: 'P11', name: 'written to read p99 in the worst 5 s', bar: 100 },
  { part: 'P11', name: 'merged into one segment after the load', bar: 90 },
  { part: 'transactions', name: 'resident with 5,000 open above none', bar: 100 },
  { part: 'transactions', name: 'of 5,000 that ended wrong after a restart', bar: 0 },
  { part: 'start', name: 'ready on an empty directory, from sources', bar: 600 },
  { part: 'open', name: 'open() to the first value read, from sources', bar: 60 },
  { part: 'open', name: 'open() to the first value read, packed', bar: 60 },
  { part: 'P12', name: 'ready with a log of 1 GiB', bar: 5000 },
  { part: 'crash', name: 'kill -9 under load until acks flow again', bar: 2000 },
  { part: 'memory', name: 'resident above --memory, P4 with 50 stalled readers', bar: 190 },
  { part: 'idle', name: 'resident before anyone came, packed', bar: 90 },
  { part: 'idle', name: 'resident, packed', bar: 90 },
  { part: 'idle', name: 'of a core, packed', bar: 0.5 },
  { part: 'idle', name: 'wake-ups, packed', bar: 5 },
]

/** Those that the session has measured what they need for. */
export function judge(records: readonly ResultRecord[]): BarRecord[] {
  const pairs = pairsOf(records)
  const workloads = WORKLOAD_BARS.flatMap((bar) => {
    const values = pairs.flatMap((pair) => bar.value(pair) ?? [])
    return values.length === 0 ? [] : [judged(bar, values)]
  })
  const figures = FIGURE_BARS.flatMap((bar) => {
    const figure = records.find(
      (record): record is FigureRecord =>
        record.record === 'figure' && record.part === bar.part && record.name === bar.name,
    )
    return figure === undefined ? [] : [judged({ ...bar, unit: figure.unit, better: 'less' }, [figure.value])]
  })
  return [...workloads, ...figures]
}

/** Wrong answers, given fast, are no results. */
function pairsOf(records: readonly ResultRecord[]): Pair[] {
  const runs = records
    .filter((record) => record.record === 'run')
    .filter(({ problem }) => problem === undefined)
  const limits = records.filter((record) => record.record === 'limits')
  const numbers = new Set([...runs, ...limits].map(({ pair }) => pair))
  return [...numbers].map((number) => ({
    limits: limits.find(({ pair }) => pair === number),
    run: (workload, target, client) =>
      runs.find(
        (run) =>
          run.pair === number && run.workload === workload && run.target === target && run.client === client,
      ),
  }))
}

function judged(bar: Omit<Bar, 'value'>, values: readonly number[]): BarRecord {
  const { part, name, unit } = bar
  const value = median(values)
  const holds = bar.better === 'more' ? value >= bar.bar : value <= bar.bar
  return { record: 'bar', part, name, unit, value, values, bar: bar.bar, holds }
}
