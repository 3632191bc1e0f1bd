/** Scopes: each has a table of its own for its streams and groups, which goes with it. */
import { unreachable } from '../base/assert.ts'
import type { Random } from '../base/host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { SYSTEM_SCOPE } from '../protocol/names.ts'
import { Directory, type ListedName } from './directory.ts'
import type { Groups } from './groups.ts'
import type { KeyedQueue } from './keyed-queue.ts'
import { LISTED_NAMES_MAX } from './limits.ts'
import type { RecordCodec } from './record-codec.ts'
import { isSegmentError, type Place, type Records } from './records.ts'
import { GRAVES_TABLE, type OpenScope, type Streams } from './streams.ts'
import { Workflow } from './workflow.ts'

export type ScopeState =
  | { readonly kind: 'creating' }
  | { readonly kind: 'active' }
  /** `withAll`: with everything in it; otherwise it comes back if there is anything. */
  | { readonly kind: 'deleting'; readonly withAll: boolean }

export interface ScopeRecord {
  readonly state: ScopeState
  /** Names the scope's table, so that calls meant for an earlier scope of the name do not reach this one. */
  readonly id: string
}

export const SCOPE_CODEC: RecordCodec<ScopeRecord> = {
  what: 'scope',
  version: 1,
  toJson: (record) => record,
  fromJson: (json) => json as ScopeRecord,
}

export const SCOPES_TABLE = '_system/_tables/scopes'

export class Scopes {
  readonly #segments: SegmentCalls
  readonly #random: Random
  readonly #streams: Streams
  readonly #groups: Groups
  readonly #workflow: Workflow<ScopeRecord, Place>
  readonly #directory: Directory

  constructor(
    dependencies: {
      segments: SegmentCalls
      random: Random
      queue: KeyedQueue
      records: Records<ScopeRecord>
      streams: Streams
    },
    groupsOf: (openScope: (scope: string) => Promise<OpenScope | undefined>) => Groups,
  ) {
    const { segments, random, queue, records, streams } = dependencies
    this.#segments = segments
    this.#random = random
    this.#streams = streams
    this.#groups = groupsOf((scope) => this.open(scope))
    this.#directory = new Directory({ scan: () => listedScopes(records) }, { namesMax: LISTED_NAMES_MAX })
    this.#workflow = new Workflow(
      { records, queue },
      {
        isUnderWay: (record) => record.state.kind !== 'active',
        carryOut: (place, record) => this.#carryOut(place.key, record),
        written: ({ key }, record) => {
          const isListed = record !== undefined && record.state.kind !== 'deleting'
          this.#directory.note(SCOPES_TABLE, key, isListed ? [] : undefined)
        },
        inDoubt: () => this.#directory.forget(SCOPES_TABLE),
      },
    )
  }

  get groups(): Groups {
    return this.#groups
  }

  /** What must be there before anything else. */
  async prepare(): Promise<void> {
    await this.#segments.createTable(SCOPES_TABLE)
    await this.#segments.createTable(GRAVES_TABLE)
    await this.create(SYSTEM_SCOPE)
  }

  /** Undefined if there is no such scope, or it is on its way out with everything in it. */
  async open(scope: string): Promise<OpenScope | undefined> {
    const found = await this.#workflow.peek(placeOf(scope))
    if (found === undefined) return undefined
    if (found.state.kind === 'active') return { scope, table: tableOf(scope, found.id) }
    if (found.state.kind === 'deleting' && found.state.withAll) return undefined
    const settled = await this.#workflow.read(placeOf(scope))
    return settled === undefined ? undefined : { scope, table: tableOf(scope, settled.id) }
  }

  /** Also one on its way in or out. */
  async find(scope: string): Promise<OpenScope | undefined> {
    const found = await this.#workflow.peek(placeOf(scope))
    return found === undefined ? undefined : { scope, table: tableOf(scope, found.id) }
  }

  /** Names, sorted. */
  list(after: string): Promise<readonly string[]> {
    return this.#directory.page(SCOPES_TABLE, { after })
  }

  create(scope: string): Promise<'created' | 'exists'> {
    return this.#workflow.change<'created' | 'exists'>(placeOf(scope), (record) => {
      if (record !== undefined) return { answer: 'exists' }
      const id = this.#random.bytes(8).toString('hex')
      return { next: { state: { kind: 'creating' }, id }, answerFor: () => 'created' }
    })
  }

  delete(scope: string, options: { withAll: boolean }): Promise<'deleted' | 'missing' | 'not-empty'> {
    const { withAll } = options
    return this.#workflow.change<'deleted' | 'missing' | 'not-empty'>(
      placeOf(scope),
      async (record, finished) => {
        if (record === undefined)
          return { answer: finished?.state.kind === 'deleting' ? 'deleted' : 'missing' }
        const open = { scope, table: tableOf(scope, record.id) }
        // Asked first, so that a scope in use does not seem to be gone for a moment.
        if (!withAll && !(await this.#isEmpty(open))) return { answer: 'not-empty' }
        return {
          next: { ...record, state: { kind: 'deleting', withAll } },
          answerFor: (after) => (after === undefined ? 'deleted' : 'not-empty'),
        }
      },
    )
  }

  async #carryOut(scope: string, record: ScopeRecord): Promise<ScopeRecord | undefined> {
    const { state } = record
    const open = { scope, table: tableOf(scope, record.id) }
    switch (state.kind) {
      case 'active':
        return record
      case 'creating':
        await this.#segments.createTable(open.table)
        return { ...record, state: { kind: 'active' } }
      case 'deleting':
        // What was created while the scope's content was being deleted is seen the next time around.
        while (!(await this.#deleteTable(open))) {
          if (!state.withAll) return { ...record, state: { kind: 'active' } }
          await this.#deleteContent(open)
        }
        return undefined
      default:
        return unreachable(state)
    }
  }

  /** False if there is anything in it. */
  async #deleteTable(open: OpenScope): Promise<boolean> {
    try {
      await this.#segments.deleteTable(open.table, { mustBeEmpty: true })
    } catch (error) {
      if (isSegmentError(error, 'not-empty')) return false
      throw error
    }
    this.#streams.forgetScope(open)
    return true
  }

  /** Groups first, for they take streams with them. */
  async #deleteContent(open: OpenScope): Promise<void> {
    for await (const group of this.#groups.list(open)) await this.#groups.delete(open, group, undefined)
    for await (const stream of this.#streams.everyName(open))
      await this.#streams.apply(open, stream, { kind: 'delete', evenOpen: true })
  }

  /** Finishes deletions that were left half done. */
  async #isEmpty(open: OpenScope): Promise<boolean> {
    for await (const group of this.#groups.list(open))
      if ((await this.#groups.read(open, group)) !== undefined) return false
    for await (const stream of this.#streams.everyName(open))
      if ((await this.#streams.read(open, stream)) !== undefined) return false
    return true
  }
}

async function* listedScopes(records: Records<ScopeRecord>): AsyncGenerator<readonly ListedName[]> {
  for await (const page of records.list(SCOPES_TABLE, ''))
    yield page
      .filter(({ record }) => record.state.kind !== 'deleting')
      .map(({ key }) => ({ name: key, tags: [] }))
}

function placeOf(scope: string): Place {
  return { table: SCOPES_TABLE, key: scope }
}

function tableOf(scope: string, id: string): string {
  return `_system/_tables/${scope}/members.${id}`
}
