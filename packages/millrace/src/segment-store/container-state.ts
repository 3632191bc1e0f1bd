/**
 * The rules of one container, without I/O: what an operation needs, what it changes, what it is refused for.
 *
 * `accept` checks a request against the state and returns the operation that carries it out, or the rejection. `apply` changes the
 * state, both when an operation was just accepted and when it comes back from the log, so the two cannot differ.
 *
 * The state here runs ahead of the disk. Whoever answers from it waits until every operation accepted so far is durable; only
 * then does anybody outside know. `durableLength` says how far event bytes may be read at once.
 */
import { unreachable } from '../base/assert.ts'
import { LONG_MIN, type Long } from '../protocol/wire/commands.ts'
import { type Attributes, type AttributeUpdate, EVENT_COUNT, updated } from './attributes.ts'
import { FormatError } from './binary.ts'
import type { Append, AttributeValue, Operation, SegmentType } from './operation.ts'
import { entryBytes, Table, versionFits } from './table.ts'

/** Bytes of another extent that a merge put into the segment. Everything between runs is the segment's own. */
export interface Run {
  readonly start: number
  readonly length: number
  readonly extent: number
  readonly extentOffset: number
}

export interface Segment {
  readonly id: number
  readonly name: string
  readonly type: SegmentType
  readonly attributes: Attributes
  /** Of a table segment. */
  readonly table: Table | undefined
  startOffset: number
  length: number
  sealed: boolean
  /** No longer found by its name. */
  gone: boolean
  lastModifiedMs: number
  /** Ascending. */
  runs: Run[]
  /** What may be read: behind it are bytes on their way to the disk. */
  durableLength: number
  durablySealed: boolean
}

export type Rejection =
  | { readonly code: 'no-such-segment'; readonly segment: string }
  | { readonly code: 'exists'; readonly segment: string }
  | { readonly code: 'sealed'; readonly segment: string }
  | { readonly code: 'truncated'; readonly segment: string; readonly startOffset: number }
  /** The writer's last event number is not the one this append builds on. */
  | { readonly code: 'event-number'; readonly segment: string }
  | { readonly code: 'wrong-offset'; readonly segment: string }
  | { readonly code: 'attribute'; readonly segment: string }
  | { readonly code: 'key-version'; readonly segment: string }
  | { readonly code: 'no-such-key'; readonly segment: string }
  | { readonly code: 'table-offset'; readonly segment: string; readonly length: number }
  | { readonly code: 'not-empty'; readonly segment: string }
  | { readonly code: 'invalid'; readonly segment: string; readonly reason: string }

export type Request =
  | {
      readonly kind: 'create'
      readonly name: string
      readonly type: SegmentType
      readonly attributes: readonly AttributeValue[]
    }
  | {
      readonly kind: 'attribute'
      readonly name: string
      readonly update: AttributeUpdate
    }
  | { readonly kind: 'policy'; readonly name: string; readonly values: readonly AttributeValue[] }
  | { readonly kind: 'seal'; readonly name: string }
  | { readonly kind: 'truncate'; readonly name: string; readonly offset: number }
  | {
      readonly kind: 'delete'
      readonly name: string
      readonly type: 'stream' | 'table'
      readonly mustBeEmpty: boolean
    }
  | {
      readonly kind: 'merge'
      readonly target: string
      readonly source: string
      readonly updates: readonly AttributeUpdate[]
    }
  | {
      readonly kind: 'table-put'
      readonly name: string
      readonly entries: readonly { readonly key: Buffer; readonly value: Buffer; readonly version: Long }[]
      /** -1 for any. */
      readonly tableOffset: number
    }
  | {
      readonly kind: 'table-remove'
      readonly name: string
      readonly keys: readonly { readonly key: Buffer; readonly version: Long }[]
      readonly tableOffset: number
    }

export type Decision =
  | { readonly operation: Operation; readonly rejection?: undefined }
  | { readonly operation?: undefined; readonly rejection: Rejection }

export class ContainerState {
  readonly #byName = new Map<string, Segment>()
  readonly #byId = new Map<number, Segment>()
  #lastId = 0

  get lastId(): number {
    return this.#lastId
  }

  get segments(): Iterable<Segment> {
    return this.#byId.values()
  }

  get size(): number {
    return this.#byId.size
  }

  find(name: string): Segment | undefined {
    return this.#byName.get(name)
  }

  byId(id: number): Segment | undefined {
    return this.#byId.get(id)
  }

  /** Puts a segment back as a checkpoint has it. */
  restore(segment: Segment): void {
    this.#byName.set(segment.name, segment)
    this.#byId.set(segment.id, segment)
    this.#lastId = Math.max(this.#lastId, segment.id)
  }

  restoreLastId(lastId: number): void {
    this.#lastId = Math.max(this.#lastId, lastId)
  }

  accept(request: Request, nowMs: number): Decision {
    switch (request.kind) {
      case 'create':
        if (this.#byName.has(request.name)) return reject({ code: 'exists', segment: request.name })
        return {
          operation: {
            kind: 'create',
            id: this.#lastId + 1,
            name: request.name,
            type: request.type,
            nowMs,
            attributes: request.attributes,
          },
        }
      case 'merge':
        return this.#acceptMerge(request, nowMs)
      default: {
        const segment = this.#byName.get(request.name)
        if (segment === undefined) return reject({ code: 'no-such-segment', segment: request.name })
        return acceptFor(segment, request, nowMs)
      }
    }
  }

  /** Of the request's fields, an append is checked by these. The caller has checked that the length is in range. */
  checkAppend(
    segment: Segment,
    append: { eventNumber: Long; writerId: string; expectedOffset: number },
  ): Rejection | undefined {
    const { name } = segment
    if (segment.gone) return { code: 'no-such-segment', segment: name }
    if (segment.table !== undefined) return { code: 'invalid', segment: name, reason: 'It is a table' }
    if (segment.sealed) return { code: 'sealed', segment: name }
    // The attribute comes before the offset: a conditional append that is sent again after it succeeded fails on its number.
    const last = segment.attributes.get(append.writerId) ?? LONG_MIN
    if (append.eventNumber <= last) return { code: 'event-number', segment: name }
    if (append.expectedOffset >= 0 && append.expectedOffset !== segment.length)
      return { code: 'wrong-offset', segment: name }
    return undefined
  }

  #acceptMerge(request: Request & { kind: 'merge' }, nowMs: number): Decision {
    const target = this.#byName.get(request.target)
    if (target === undefined) return reject({ code: 'no-such-segment', segment: request.target })
    const source = this.#byName.get(request.source)
    if (source === undefined) return reject({ code: 'no-such-segment', segment: request.source })
    if (source === target) return invalid(target, 'A segment cannot be merged into itself')
    if (target.table !== undefined || source.table !== undefined)
      return invalid(target, 'Tables cannot be merged')
    if (source.startOffset > 0) return invalid(source, 'A truncated segment cannot be merged')
    if (target.sealed) return reject({ code: 'sealed', segment: target.name })
    const values: AttributeValue[] = []
    for (const update of request.updates) {
      const value = updated(target.attributes, update)
      if (value === undefined) return reject({ code: 'attribute', segment: target.name })
      values.push({ id: update.id, value })
    }
    const events = source.attributes.get(EVENT_COUNT)
    if (events !== undefined)
      values.push({
        id: EVENT_COUNT,
        value: Number(target.attributes.get(EVENT_COUNT) ?? 0) + Number(events),
      })
    return {
      operation: {
        kind: 'merge',
        target: target.id,
        source: source.id,
        targetOffset: target.length,
        nowMs,
        values,
      },
    }
  }

  apply(operation: Operation): void {
    if (operation.kind === 'append') return this.applyAppend(operation)
    if (operation.kind === 'create') return this.#create(operation)
    if (operation.kind === 'merge') return this.#merge(operation)
    if (operation.kind === 'move') return
    const segment = this.#known(operation.segment)
    switch (operation.kind) {
      case 'attributes':
        return setAttributes(segment.attributes, operation.values)
      case 'seal':
        segment.sealed = true
        segment.lastModifiedMs = operation.nowMs
        return
      case 'truncate':
        segment.startOffset = operation.offset
        return
      case 'delete':
        return this.#forget(segment)
      case 'table-put': {
        const table = tableOf(segment, operation.length)
        for (const { key, value } of operation.entries) table.put(key, value)
        segment.length = table.length
        return
      }
      case 'table-remove': {
        const table = tableOf(segment, operation.length)
        for (const key of operation.keys) table.remove(key)
        segment.length = table.length
        return
      }
      default:
        return unreachable(operation)
    }
  }

  applyAppend(operation: Append): void {
    const segment = this.#known(operation.segment)
    if (operation.offset !== segment.length)
      throw new FormatError(
        `An append to ${segment.name} at ${operation.offset}, where ${segment.length} is next`,
      )
    const { attributes } = segment
    segment.length += operation.length
    segment.lastModifiedMs = operation.nowMs
    attributes.set(operation.writerId, operation.eventNumber)
    attributes.set(
      EVENT_COUNT,
      ((attributes.get(EVENT_COUNT) as number | undefined) ?? 0) + operation.eventCount,
    )
  }

  #create(operation: Operation & { kind: 'create' }): void {
    if (operation.id <= this.#lastId || this.#byName.has(operation.name))
      throw new FormatError(`Segment ${operation.id}, ${operation.name}, is made twice`)
    const segment: Segment = {
      id: operation.id,
      name: operation.name,
      type: operation.type,
      attributes: new Map(),
      table: operation.type === 'table' ? new Table() : undefined,
      startOffset: 0,
      length: 0,
      sealed: false,
      gone: false,
      lastModifiedMs: operation.nowMs,
      runs: [],
      durableLength: 0,
      durablySealed: false,
    }
    setAttributes(segment.attributes, operation.attributes)
    this.restore(segment)
  }

  #merge(operation: Operation & { kind: 'merge' }): void {
    const target = this.#known(operation.target)
    const source = this.#known(operation.source)
    if (operation.targetOffset !== target.length)
      throw new FormatError(
        `A merge into ${target.name} at ${operation.targetOffset}, where ${target.length} is next`,
      )
    target.runs.push(...movedRuns(source, target.length))
    target.length += source.length
    target.lastModifiedMs = operation.nowMs
    setAttributes(target.attributes, operation.values)
    this.#forget(source)
  }

  #forget(segment: Segment): void {
    segment.gone = true
    this.#byId.delete(segment.id)
    this.#byName.delete(segment.name)
  }

  #known(id: number): Segment {
    const segment = this.#byId.get(id)
    if (segment === undefined) throw new FormatError(`There is no segment ${id}`)
    return segment
  }
}

/** The source's bytes as runs of the target from `at` on: its own stretches and what was merged into it before. */
export function movedRuns(source: Segment, at: number): Run[] {
  const runs: Run[] = []
  let position = 0
  const own = (end: number): void => {
    if (end > position)
      runs.push({ start: at + position, length: end - position, extent: source.id, extentOffset: position })
  }
  for (const run of source.runs) {
    own(run.start)
    runs.push({ ...run, start: at + run.start })
    position = run.start + run.length
  }
  own(source.length)
  return runs
}

/** Where the byte at `offset` is stored, and how many of those behind it follow there. */
export function locate(segment: Segment, offset: number): { extent: number; offset: number; length: number } {
  const { runs } = segment
  let low = 0
  let high = runs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (runs[middle]!.start <= offset) low = middle + 1
    else high = middle
  }
  const run = runs[low - 1]
  if (run !== undefined && offset < run.start + run.length) {
    const within = offset - run.start
    return { extent: run.extent, offset: run.extentOffset + within, length: run.length - within }
  }
  const end = runs[low]?.start ?? segment.length
  return { extent: segment.id, offset, length: end - offset }
}

function acceptFor(
  segment: Segment,
  request: Exclude<Request, { kind: 'create' | 'merge' }>,
  nowMs: number,
): Decision {
  const { id, name } = segment
  switch (request.kind) {
    case 'attribute': {
      const value = updated(segment.attributes, request.update)
      if (value === undefined) return reject({ code: 'attribute', segment: name })
      return { operation: { kind: 'attributes', segment: id, values: [{ id: request.update.id, value }] } }
    }
    case 'policy':
      return { operation: { kind: 'attributes', segment: id, values: request.values } }
    case 'seal':
      if (segment.sealed) return reject({ code: 'sealed', segment: name })
      return { operation: { kind: 'seal', segment: id, nowMs } }
    case 'truncate':
      if (request.offset < segment.startOffset || request.offset > segment.length)
        return reject({ code: 'truncated', segment: name, startOffset: segment.startOffset })
      return { operation: { kind: 'truncate', segment: id, offset: request.offset } }
    case 'delete':
      if ((segment.table !== undefined) !== (request.type === 'table'))
        return invalid(segment, segment.table === undefined ? 'It is no table' : 'It is a table')
      if (request.mustBeEmpty && segment.table !== undefined && segment.table.size > 0)
        return reject({ code: 'not-empty', segment: name })
      return { operation: { kind: 'delete', segment: id } }
    case 'table-put':
      return acceptPut(segment, request)
    case 'table-remove':
      return acceptRemove(segment, request)
    default:
      return unreachable(request)
  }
}

function acceptPut(segment: Segment, request: Request & { kind: 'table-put' }): Decision {
  const { table } = segment
  const refused = refuseTable(segment, request.tableOffset)
  if (refused !== undefined || table === undefined) return reject(refused!)
  for (const { key, version } of request.entries) {
    const entry = table.get(key)
    if (versionFits(entry, version)) continue
    return reject({
      code: entry === undefined && version !== -1 ? 'no-such-key' : 'key-version',
      segment: segment.name,
    })
  }
  return {
    operation: { kind: 'table-put', segment: segment.id, length: table.length, entries: request.entries },
  }
}

function acceptRemove(segment: Segment, request: Request & { kind: 'table-remove' }): Decision {
  const { table } = segment
  const refused = refuseTable(segment, request.tableOffset)
  if (refused !== undefined || table === undefined) return reject(refused!)
  for (const { key, version } of request.keys) {
    const entry = table.get(key)
    if (versionFits(entry, version)) continue
    return reject({ code: entry === undefined ? 'no-such-key' : 'key-version', segment: segment.name })
  }
  const keys = request.keys.map(({ key }) => key)
  return { operation: { kind: 'table-remove', segment: segment.id, length: table.length, keys } }
}

function refuseTable(segment: Segment, tableOffset: number): Rejection | undefined {
  const { name, table } = segment
  if (table === undefined) return { code: 'invalid', segment: name, reason: 'It is no table' }
  if (tableOffset >= 0 && tableOffset !== table.length)
    return { code: 'table-offset', segment: name, length: table.length }
  if (segment.sealed) return { code: 'sealed', segment: name }
  return undefined
}

function tableOf(segment: Segment, length: number): Table {
  const { table } = segment
  if (table === undefined || table.length !== length)
    throw new FormatError(`A change of table ${segment.name} at ${length}, where ${table?.length} is next`)
  return table
}

/** Attributes as an operation sets them. */
export function setAttributes(attributes: Attributes, values: readonly AttributeValue[]): void {
  for (const { id, value } of values) {
    if (value === LONG_MIN) attributes.delete(id)
    else attributes.set(id, value)
  }
}

/** How long a table gets by these entries; the versions that they will have. */
export function versionsOf(operation: Operation & { kind: 'table-put' }): number[] {
  let length = operation.length
  return operation.entries.map(({ key, value }) => {
    const version = length
    length += entryBytes(key, value)
    return version
  })
}

function reject(rejection: Rejection): Decision {
  return { rejection }
}

function invalid(segment: Segment, reason: string): Decision {
  return reject({ code: 'invalid', segment: segment.name, reason })
}
