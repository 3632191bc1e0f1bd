/** What a client is told to do, as arguments that programs in both languages read. */
import { EVENT_BYTES_MIN } from './events.ts'
import type { Part } from './options.ts'

export type WorkloadName = 'P1' | 'P2' | 'P3' | 'P4' | 'P10' | 'P10x10'

export interface Workload {
  readonly eventBytes: number
  readonly segments: number
  readonly writers: number
  /**
   * `single`: the next event leaves when the last one is acknowledged. `max`: as many as are taken. A number: so many
   * a second, each due at its own moment whether or not the earlier ones are through. `transactions`: each writer has one
   * open, and begins the next when the events of the last one can be read.
   */
  readonly load: 'single' | 'max' | 'transactions' | number
  /** Events in each of them. */
  readonly transactionEvents?: number | undefined
  /** A reader at the tail takes the time from the moment an event was due until it is read. */
  readonly reader: boolean
}

export const WORKLOADS: { readonly [N in WorkloadName]: Readonly<Record<'ts' | 'java', Workload>> } = {
  P1: both({ eventBytes: 100, segments: 1, writers: 1, load: 'single', reader: false }),
  P2: both({ eventBytes: 100, segments: 1, writers: 1, load: 'max', reader: false }),
  P3: {
    ts: { eventBytes: 1024, segments: 16, writers: 1, load: 50_000, reader: true },
    // Beyond this rate the peer's latency is that of its queues.
    java: { eventBytes: 1024, segments: 16, writers: 1, load: 10_000, reader: true },
  },
  P4: both({ eventBytes: 1024, segments: 16, writers: 4, load: 'max', reader: false }),
  P10: both(transactions({ writers: 1 })),
  P10x10: both(transactions({ writers: 10 })),
}

/** The workloads of a part, in the order in which they run. */
export const WORKLOADS_OF: Readonly<Partial<Record<Part, readonly WorkloadName[]>>> = {
  P1: ['P1'],
  P2: ['P2'],
  P3: ['P3'],
  P4: ['P4'],
  P10: ['P10', 'P10x10'],
}

function transactions({ writers }: { writers: number }): Workload {
  return {
    eventBytes: 1024,
    segments: 4,
    writers,
    load: 'transactions',
    transactionEvents: 100,
    reader: false,
  }
}

function both(workload: Workload): Readonly<Record<'ts' | 'java', Workload>> {
  return { ts: workload, java: workload }
}

/** One run of a workload against a server. */
export interface RunSpec extends Workload {
  readonly uri: string
  readonly scope: string
  readonly stream: string
  readonly warmupMs: number
  readonly measureMs: number
}

/** `name=value` arguments. */
export function toArguments(values: object): string[] {
  return Object.entries(values).map(([name, value]) => `${name}=${value}`)
}

/** What `toArguments` has made, by name. */
export function readArguments(args: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    args.map((arg) => {
      const at = arg.indexOf('=')
      if (at < 1) throw new Error(`An argument is name=value, not '${arg}'`)
      return [arg.slice(0, at), arg.slice(at + 1)] as const
    }),
  )
}

export function readRunSpec(args: ReadonlyMap<string, string>): RunSpec {
  const text = (name: string): string => {
    const value = args.get(name)
    if (value === undefined) throw new Error(`The argument ${name}=... is missing`)
    return value
  }
  const number = (name: string, min: number): number => {
    const value = Number(text(name))
    if (!Number.isInteger(value) || value < min)
      throw new Error(`${name} is a whole number of at least ${min}, not '${text(name)}'`)
    return value
  }
  const load = text('load')
  const isNamed = load === 'single' || load === 'max' || load === 'transactions'
  return {
    uri: text('uri'),
    scope: text('scope'),
    stream: text('stream'),
    eventBytes: number('eventBytes', EVENT_BYTES_MIN),
    segments: number('segments', 1),
    writers: number('writers', 1),
    load: isNamed ? load : number('load', 1),
    ...(load === 'transactions' ? { transactionEvents: number('transactionEvents', 1) } : {}),
    reader: text('reader') === 'true',
    warmupMs: number('warmupMs', 0),
    measureMs: number('measureMs', 1),
  }
}
