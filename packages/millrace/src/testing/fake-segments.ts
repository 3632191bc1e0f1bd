/**
 * Segment stores as the controller sees them, in memory: what they hold outlives the callers, each of which connects for
 * itself and can be made to fail before or after any of its calls has been carried out.
 */
import {
  type SegmentCalls,
  SegmentError,
  type SegmentState,
  type TableEntry,
} from '../client/segment-calls.ts'
import type { Long } from '../protocol/wire/commands.ts'

export interface FakeSegment {
  startOffset: number
  writeOffset: number
  sealed: boolean
  readonly rolloverBytes: Long | undefined
  /** The segments that were merged into it, in this order. */
  readonly merged: string[]
}

export interface FakeCall {
  /** From 1, for each connection. */
  readonly number: number
  readonly name: keyof SegmentCalls
  readonly segment: string
}

/** What a call fails with, and whether it has been carried out all the same. */
export interface Fault {
  readonly carriedOut: boolean
  readonly error: SegmentError
}

type FaultPlan = (call: FakeCall) => Fault | undefined

export class FakeSegments {
  readonly segments: Map<string, FakeSegment> = new Map()
  readonly tables: Map<string, Map<string, TableEntry>> = new Map()
  /** Small, so that what is listed takes several pages. */
  pageEntries = 3
  #version = 0

  /** Another caller, that meets the faults of its plan. */
  connect(plan: FaultPlan = () => undefined): SegmentCalls & { readonly calls: readonly FakeCall[] } {
    const calls: FakeCall[] = []
    const run = async <T>(name: keyof SegmentCalls, segment: string, carryOut: () => T): Promise<T> => {
      const call = { number: calls.length + 1, name, segment }
      calls.push(call)
      const fault = plan(call)
      // As long as others may come in between, wherever that is.
      await Promise.resolve()
      if (fault?.carriedOut === false) throw fault.error
      const result = carryOut()
      await Promise.resolve()
      if (fault !== undefined) throw fault.error
      return result
    }
    return { calls, ...this.#segmentCalls(run), ...this.#tableCalls(run) }
  }

  /** As if somebody had written to it. */
  append(segment: string, bytes: number): void {
    this.#segment(segment).writeOffset += bytes
  }

  /** The records of a table as text, by their keys. */
  dump(table: string): ReadonlyMap<string, string> {
    return new Map([...this.#table(table).values()].map(({ key, value }) => [String(key), String(value)]))
  }

  #segmentCalls(run: Run): Omit<SegmentCalls, TableCall> {
    return {
      createSegment: (name, options) =>
        run('createSegment', name, () => {
          if (this.segments.has(name)) return 'exists'
          const rolloverBytes = options?.rolloverBytes
          this.segments.set(name, {
            startOffset: 0,
            writeOffset: 0,
            sealed: false,
            rolloverBytes,
            merged: [],
          })
          return 'created'
        }),
      segmentState: (name) =>
        run('segmentState', name, (): SegmentState => {
          const { startOffset, writeOffset, sealed } = this.#segment(name)
          return { startOffset, writeOffset, sealed, lastModifiedMs: 0 }
        }),
      sealSegment: (name) =>
        run('sealSegment', name, () => {
          this.#segment(name).sealed = true
        }),
      truncateSegment: (name, offset) =>
        run('truncateSegment', name, () => {
          const segment = this.#segment(name)
          if (offset > segment.writeOffset) throw new SegmentError('truncated', name, 'beyond the end')
          segment.startOffset = Math.max(segment.startOffset, offset)
        }),
      deleteSegment: (name) =>
        run('deleteSegment', name, () => (this.segments.delete(name) ? 'deleted' : 'missing')),
      mergeAll: ({ target, sources }) => run('mergeAll', target, () => this.#mergeAll(target, sources)),
      mergeSegments: ({ target }) => run('mergeSegments', target, () => notNeeded(target)),
      attribute: (name) => run('attribute', name, () => notNeeded(name)),
      updateAttribute: (name) => run('updateAttribute', name, () => notNeeded(name)),
    }
  }

  #tableCalls(run: Run): Pick<SegmentCalls, TableCall> {
    return {
      createTable: (name) =>
        run('createTable', name, () => {
          if (this.tables.has(name)) return 'exists'
          this.tables.set(name, new Map())
          return 'created'
        }),
      deleteTable: (name, options) =>
        run('deleteTable', name, () => {
          const table = this.tables.get(name)
          if (table === undefined) return 'missing'
          if (options?.mustBeEmpty === true && table.size > 0)
            throw new SegmentError('not-empty', name, `${table.size} entries`)
          this.tables.delete(name)
          return 'deleted'
        }),
      updateTable: (name, updates) =>
        run('updateTable', name, () => {
          const table = this.#table(name)
          for (const { key, condition } of updates) checkCondition(name, table.get(hex(key)), condition)
          return updates.map(({ key, value }) => {
            const version = ++this.#version
            table.set(hex(key), { key, value, version })
            return version
          })
        }),
      removeFromTable: (name, keys) =>
        run('removeFromTable', name, () => {
          const table = this.#table(name)
          for (const { key, condition } of keys) checkCondition(name, table.get(hex(key)), condition)
          for (const { key } of keys) table.delete(hex(key))
        }),
      readTable: (name, keys) =>
        run('readTable', name, () => {
          const table = this.#table(name)
          return keys.map((key) => table.get(hex(key)))
        }),
      listTable: (name, { count, continuationToken }) =>
        run('listTable', name, () => {
          // In an order that is no order of the names.
          const entries = [...this.#table(name).entries()].toSorted(([a], [b]) =>
            scatter(a) < scatter(b) ? -1 : 1,
          )
          const after = continuationToken?.toString()
          const rest = entries.filter(([id]) => after === undefined || scatter(id) > after)
          const page = rest.slice(0, Math.min(count, this.pageEntries))
          const last = page.at(-1)
          const isEnd = last === undefined || page.length === rest.length
          return {
            entries: page.map(([, entry]) => entry),
            continuationToken: isEnd ? undefined : Buffer.from(scatter(last[0])),
          }
        }),
    }
  }

  #mergeAll(target: string, sources: readonly string[]): number[] {
    const into = this.#segment(target)
    return sources.map((name) => {
      const source = this.segments.get(name)
      if (source === undefined) return into.writeOffset
      if (into.sealed) throw new SegmentError('sealed', target, 'sealed')
      into.writeOffset += source.writeOffset
      into.merged.push(name)
      this.segments.delete(name)
      return into.writeOffset
    })
  }

  #segment(name: string): FakeSegment {
    const segment = this.segments.get(name)
    if (segment === undefined) throw new SegmentError('no-such-segment', name, 'no such segment')
    return segment
  }

  #table(name: string): Map<string, TableEntry> {
    const table = this.tables.get(name)
    if (table === undefined) throw new SegmentError('no-such-segment', name, 'no such table')
    return table
  }
}

/** A process that dies with its n-th call, `carriedOut` or not: neither that nor any later call is answered. */
export function crashAt(n: number, carriedOut: boolean): FaultPlan {
  return ({ number, segment }) => {
    if (number < n) return undefined
    return {
      carriedOut: carriedOut && number === n,
      error: new SegmentError('closed', segment, 'the process has died'),
    }
  }
}

type TableCall = 'createTable' | 'deleteTable' | 'updateTable' | 'removeFromTable' | 'readTable' | 'listTable'
type Run = <T>(name: keyof SegmentCalls, segment: string, carryOut: () => T) => Promise<T>

function checkCondition(
  table: string,
  entry: TableEntry | undefined,
  condition: Long | 'any' | 'absent',
): void {
  if (condition === 'any') return
  if (condition === 'absent' ? entry === undefined : entry?.version === condition) return
  const code = entry === undefined ? 'no-such-key' : 'bad-key-version'
  throw new SegmentError(code, table, `${code}: ${String(entry?.version)} instead of ${String(condition)}`)
}

function hex(key: Buffer): string {
  return key.toString('hex')
}

function scatter(id: string): string {
  return Array.from(id).toReversed().join('')
}

function notNeeded(segment: string): never {
  throw new SegmentError('unsupported', segment, 'the fake has no such call')
}
