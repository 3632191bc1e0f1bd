/** Records of a session: a line of JSON each in a file, and a line for people on stdout. */
import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ClientResult } from './client.ts'
import { ROOT } from './directories.ts'
import type { DiskLimits } from './limits.ts'
import type { Machine } from './machine.ts'
import type { ClientName, Part, TargetName } from './options.ts'
import type { Workload, WorkloadName } from './workload.ts'

/**
 * What stands behind an acknowledgement. D2: the event was synced. D0: nothing. Between them, D1 would be an event that only the
 * page cache holds.
 */
export type Durability = 'D2' | 'D0'

export interface SessionRecord extends Machine {
  readonly record: 'session'
  readonly at: string
  /** With a plus sign if the checkout was changed. */
  readonly commit: string
  readonly warmupMs: number
  readonly measureMs: number
  readonly pairs: number
  /** How many processes wanted to run during the minute before it, on average. */
  readonly load: number
}

/** What the disk can do, at one moment of the session. */
export interface LimitsRecord extends DiskLimits {
  readonly record: 'limits'
  readonly pair: number
  readonly load: number
}

/** One client against one server. */
export interface RunRecord extends Omit<ClientResult, 'acknowledged'> {
  readonly record: 'run'
  readonly workload: WorkloadName
  readonly target: TargetName
  readonly client: ClientName
  readonly durability: Durability
  readonly pair: number
  readonly parameters: Workload
  /** During the minute before; most of it is what the session itself ran then. */
  readonly load: number
  readonly serverCpuSeconds: number
  readonly serverCpuSecondsPerMillionEvents: number
  readonly serverCpuSecondsPerGigabyte: number
  readonly serverMiBPeak: number
  readonly clientCpuSeconds: number
  readonly clientMiBPeak: number
  /** By the server's own count. */
  readonly syncs?: number | undefined
  readonly syncsPerEvent?: number | undefined
  /** Bytes written to the log for each byte of an event. */
  readonly writeAmplification?: number | undefined
  /** Afterwards, all of it from the head, with every event checked. */
  readonly readBack?: { readonly events: number; readonly megabytesPerSecond: number } | undefined
}

/** A figure of the other parts. */
export interface FigureRecord {
  readonly record: 'figure'
  readonly part: Part
  readonly name: string
  readonly unit: string
  readonly value: number
  /** All that `value` is the median of. */
  readonly values?: readonly number[] | undefined
  readonly [detail: string]: unknown
}

/** Something could not be measured. */
export interface FailureRecord {
  readonly record: 'failure'
  readonly what: string
  readonly message: string
}

/** Whether something holds that must. */
export interface BarRecord {
  readonly record: 'bar'
  readonly part: Part
  readonly name: string
  readonly unit: string
  /** The median of the values, which are one for each pair. */
  readonly value: number
  readonly values: readonly number[]
  readonly bar: number
  readonly holds: boolean
}

export type ResultRecord = SessionRecord | LimitsRecord | RunRecord | FigureRecord | FailureRecord | BarRecord

export class Results {
  readonly path: string
  readonly records: ResultRecord[] = []

  constructor(options: { path: string | undefined; at: string; commit: string }) {
    const name = `${options.at.slice(0, 19).replaceAll(':', '')}-${options.commit.replace('+', '')}.ndjson`
    this.path = options.path ?? join(ROOT, 'bench/results', name)
    mkdirSync(dirname(this.path), { recursive: true })
  }

  add(record: ResultRecord): void {
    this.records.push(record)
    appendFileSync(this.path, `${JSON.stringify(record, round)}\n`)
    console.log(describe(record))
  }

  /** What fails is written down and costs nothing but itself. */
  async attempt(what: string, measure: () => Promise<void>): Promise<void> {
    try {
      await measure()
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.add({ record: 'failure', what, message })
    }
  }
}

/** More digits than a measurement has only hide it. */
function round(_name: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

function describe(record: ResultRecord): string {
  switch (record.record) {
    case 'session':
      return `${record.processor}, ${record.cores} cores, ${record.memoryGiB} GiB, ${record.fileSystem}, Linux ${record.kernel}, Node ${record.node.slice(1)}, commit ${record.commit}, load ${record.load.toFixed(1)}`
    case 'limits':
      return `disk  sync p50 ${ms(record.syncMs.p50)} p99 ${ms(record.syncMs.p99)}, through the host p50 ${ms(record.hostSyncMs.p50)} p99 ${ms(record.hostSyncMs.p99)}, 1 MiB synced ${record.syncedMegabytesPerSecond.toFixed(0)} MB/s, load ${record.load.toFixed(1)}`
    case 'run':
      return describeRun(record)
    case 'figure':
      return `${record.part.padEnd(6)} ${record.name}: ${show(record.value, record.unit)}`
    case 'failure':
      return `FAIL  ${record.what}: ${record.message}`
    case 'bar':
      return `${record.holds ? 'ok  ' : 'MISS'}  ${record.part} ${record.name}: ${show(record.value, record.unit)}, must be ${show(record.bar, record.unit)} [${record.values.map((value) => show(value, '')).join(' ')}]`
  }
}

function describeRun(run: RunRecord): string {
  const parts = [
    `${run.workload.padEnd(6)}  ${run.client.padEnd(4)} ${run.target.padEnd(8)}`,
    `${run.eventsPerSecond.toFixed(0).padStart(8)}/s ${run.megabytesPerSecond.toFixed(1).padStart(6)} MB/s`,
    `${describeTransactions(run)} p50 ${ms(run.ackMs.p50)} p99 ${ms(run.ackMs.p99)}`,
    ...(run.endToEndMs === undefined
      ? []
      : [`read p50 ${ms(run.endToEndMs.p50)} p99 ${ms(run.endToEndMs.p99)}`]),
    `server ${run.serverCpuSecondsPerMillionEvents.toFixed(1)} s/M ${run.serverMiBPeak.toFixed(0)} MiB`,
    ...(run.problem === undefined ? [] : [`WRONG: ${run.problem}`]),
  ]
  return parts.join('  ')
}

function describeTransactions({ eventsPerSecond, parameters: { transactionEvents } }: RunRecord): string {
  return transactionEvents === undefined
    ? 'ack'
    : `${show(eventsPerSecond / transactionEvents, '')} commits/s`
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`
}

export function show(value: number, unit: string): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  const text = value.toLocaleString('en-US', { maximumFractionDigits: digits })
  return unit === '' ? text : `${text} ${unit}`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, two) => one - two)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
