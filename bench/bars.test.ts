import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { judge } from './bars.ts'
import type { Latencies } from './latencies.ts'
import type { LimitsRecord, RunRecord } from './results.ts'
import { WORKLOADS } from './workload.ts'

function latencies(ms: number): Latencies {
  return { count: 1, p50: ms, p95: ms, p99: ms, p999: ms, max: ms }
}

function limits(pair: number, syncMs: number): LimitsRecord {
  const sync = latencies(syncMs)
  return { record: 'limits', pair, load: 0, syncMs: sync, hostSyncMs: sync, syncedMegabytesPerSecond: 1000 }
}

function run(
  what: Pick<RunRecord, 'workload' | 'target' | 'client' | 'pair'> & Partial<RunRecord>,
): RunRecord {
  return {
    record: 'run',
    durability: 'D2',
    parameters: WORKLOADS[what.workload][what.client],
    load: 0,
    events: 1000,
    seconds: 1,
    eventsPerSecond: 1000,
    megabytesPerSecond: 0.1,
    ackMs: latencies(1),
    serverCpuSeconds: 1,
    serverCpuSecondsPerMillionEvents: 1,
    serverCpuSecondsPerGigabyte: 1,
    serverMiBPeak: 1,
    clientCpuSeconds: 1,
    clientMiBPeak: 1,
    ...what,
  }
}

test('a ratio is taken within a pair, and the median of them decides', () => {
  const records = [0.2, 0.3, 0.9].flatMap((ackMs, pair) => [
    limits(pair, 0.1),
    run({ workload: 'P1', target: 'millrace', client: 'ts', pair, ackMs: latencies(ackMs) }),
  ])
  const [bar, ...others] = judge(records)
  deepEqual(others, [])
  deepEqual(
    bar?.values.map((value) => Number(value.toFixed(6))),
    [2, 3, 9],
  )
  equal(bar?.value.toFixed(3), '3.000')
  equal(bar?.holds, false)
})

test('where the client itself is the limit, the sink takes the place of the peer', () => {
  const rates = { millrace: 95, pravega: 90, sink: 100 } as const
  const records = (['millrace', 'pravega', 'sink'] as const).map((target) =>
    run({ workload: 'P2', target, client: 'java', pair: 0, eventsPerSecond: rates[target] }),
  )
  const [bar] = judge(records)
  equal(bar?.value.toFixed(4), (95 / 90).toFixed(4))
  equal(bar?.holds, true)
})

test('neither wrong answers nor a rate that was not reached count', () => {
  const fast = { workload: 'P2', target: 'millrace', client: 'ts', pair: 0, eventsPerSecond: 1e6 } as const
  deepEqual(judge([run({ ...fast, problem: 'event 1 is missing' })]), [])
  const slow = { workload: 'P3', target: 'millrace', client: 'ts', pair: 0 } as const
  deepEqual(judge([run({ ...slow, eventsPerSecond: 40_000, endToEndMs: latencies(1) })]), [])
  equal(judge([run({ ...slow, eventsPerSecond: 50_000, endToEndMs: latencies(1) })])[0]?.holds, true)
})

test('commits of the Java client are compared with its own with the peer, and waited for not too long', () => {
  const java = { workload: 'P10', client: 'java', pair: 0 } as const
  const records = [
    run({ ...java, target: 'millrace', eventsPerSecond: 12_000 }),
    run({ ...java, target: 'pravega', eventsPerSecond: 1000 }),
    run({ ...java, workload: 'P10x10', target: 'millrace', ackMs: latencies(51) }),
  ]
  deepEqual(
    judge(records).map(({ value, holds }) => [value, holds]),
    [
      [12, true],
      [51, false],
    ],
  )
})

test('of a figure the one value decides', () => {
  const merged = 'merged into one segment after the load'
  const figure = (value: number) =>
    ({ record: 'figure', part: 'P11', name: merged, unit: 's', value }) as const
  equal(judge([figure(60)])[0]?.holds, true)
  equal(judge([figure(91)])[0]?.holds, false)
  deepEqual(judge([]), [])
})
