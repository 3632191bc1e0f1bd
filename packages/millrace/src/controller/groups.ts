/** Reader groups: their records, the streams that hold their state, and their subscriptions. */
import { unreachable } from '../base/assert.ts'
import type { ReaderGroupConfiguration } from '../protocol/controller/messages.ts'
import { groupStreamOf, parseScopedName, scopedName } from '../protocol/names.ts'
import { type GroupRecord, subscriptionsOf, updateGroup } from './group-record.ts'
import type { KeyedQueue } from './keyed-queue.ts'
import { GROUP_STREAM_ROLLOVER_BYTES } from './limits.ts'
import type { Place, Records } from './records.ts'
import { oneSegment, type OpenScope, type StreamOutcome, type Streams } from './streams.ts'
import type { StreamEvent } from './stream-life.ts'
import { Workflow } from './workflow.ts'

interface GroupPlace extends Place {
  readonly scope: string
  readonly group: string
}

const GROUP_PREFIX = 'g/'

export class Groups {
  readonly #streams: Streams
  readonly #openScope: (scope: string) => Promise<OpenScope | undefined>
  readonly #records: Records<GroupRecord>
  readonly #workflow: Workflow<GroupRecord, GroupPlace>

  constructor(dependencies: {
    streams: Streams
    openScope: (scope: string) => Promise<OpenScope | undefined>
    queue: KeyedQueue
    records: Records<GroupRecord>
  }) {
    const { queue, records } = dependencies
    this.#streams = dependencies.streams
    this.#openScope = dependencies.openScope
    this.#records = records
    this.#workflow = new Workflow(
      { records, queue },
      {
        isUnderWay: (record) => record.state.kind !== 'active',
        carryOut: (place, record) => this.#carryOut(place, record),
      },
    )
  }

  async read(scope: OpenScope, group: string): Promise<ReaderGroupConfiguration | undefined> {
    return (await this.#workflow.read(placeOf(scope, group)))?.config
  }

  /** The configuration that is stored now; `no-stream` if the group is to subscribe to a stream that does not exist. */
  create(
    scope: OpenScope,
    config: ReaderGroupConfiguration,
  ): Promise<ReaderGroupConfiguration | 'no-stream'> {
    const place = placeOf(scope, config.readerGroupName)
    return this.#workflow.change<ReaderGroupConfiguration | 'no-stream'>(place, async (record) => {
      if (record !== undefined) return { answer: record.config }
      if (!(await this.#haveStreams(config))) return { answer: 'no-stream' }
      return { next: { state: { kind: 'creating' }, config }, answerFor: () => config }
    })
  }

  /** The new generation. */
  update(
    scope: OpenScope,
    config: ReaderGroupConfiguration,
  ): Promise<bigint | 'missing' | 'other-version' | 'no-stream'> {
    const place = placeOf(scope, config.readerGroupName)
    return this.#workflow.change<bigint | 'missing' | 'other-version' | 'no-stream'>(
      place,
      async (record) => {
        if (record === undefined) return { answer: 'missing' }
        const { generation, readerGroupId } = record.config
        if (generation !== config.generation || !isSameId(readerGroupId, config.readerGroupId))
          return { answer: 'other-version' }
        if (!(await this.#haveStreams(config))) return { answer: 'no-stream' }
        const next = updateGroup(record, config)
        return { next, answerFor: () => next.config.generation }
      },
    )
  }

  /** `readerGroupId` undefined: whichever there is. */
  delete(scope: OpenScope, group: string, readerGroupId: string | undefined): Promise<'deleted' | 'missing'> {
    return this.#workflow.change<'deleted' | 'missing'>(placeOf(scope, group), (record, finished) => {
      const known = record ?? (finished?.state.kind === 'deleting' ? finished : undefined)
      if (known === undefined) return { answer: 'missing' }
      if (readerGroupId !== undefined && !isSameId(known.config.readerGroupId, readerGroupId))
        return { answer: 'missing' }
      if (record === undefined) return { answer: 'deleted' }
      return { next: { ...record, state: { kind: 'deleting' } }, answerFor: () => 'deleted' }
    })
  }

  /** The groups in a scope's table, in no order. */
  async *list(scope: OpenScope): AsyncGenerator<string> {
    for await (const page of this.#records.list(scope.table, GROUP_PREFIX))
      for (const { key } of page) yield key.slice(GROUP_PREFIX.length)
  }

  async #carryOut(place: GroupPlace, { state, config }: GroupRecord): Promise<GroupRecord | undefined> {
    const stateStream = groupStreamOf(place.group)
    switch (state.kind) {
      case 'active':
        break
      case 'creating': {
        await this.#subscribe(place, config)
        const rolloverSizeBytes =
          config.rolloverSizeBytes > 0n ? config.rolloverSizeBytes : GROUP_STREAM_ROLLOVER_BYTES
        await this.#streams.create(place, stateStream, oneSegment({ rolloverSizeBytes }))
        break
      }
      case 'updating':
        await this.#unsubscribe(place, state.left)
        await this.#subscribe(place, config)
        break
      case 'deleting':
        await this.#unsubscribe(place, subscriptionsOf(config))
        await this.#streams.apply(place, stateStream, { kind: 'delete', evenOpen: true })
        return undefined
      default:
        return unreachable(state)
    }
    return { state: { kind: 'active' }, config }
  }

  async #haveStreams(config: ReaderGroupConfiguration): Promise<boolean> {
    for (const name of subscriptionsOf(config)) {
      const { scope, name: stream } = parseScopedName(name)
      const open = await this.#openScope(scope)
      if (open === undefined || (await this.#streams.read(open, stream)) === undefined) return false
    }
    return true
  }

  async #subscribe(place: GroupPlace, config: ReaderGroupConfiguration): Promise<void> {
    const { readerGroupId: groupId, generation } = config
    const name = scopedName(place.scope, place.group)
    for (const stream of subscriptionsOf(config))
      await this.#tell(stream, { kind: 'subscribe', name, groupId, generation })
  }

  async #unsubscribe(place: GroupPlace, streams: readonly string[]): Promise<void> {
    const name = scopedName(place.scope, place.group)
    for (const stream of streams) await this.#tell(stream, { kind: 'unsubscribe', name })
  }

  /** A stream that was deleted meanwhile has no retention that could wait. */
  async #tell(name: string, event: StreamEvent): Promise<StreamOutcome> {
    const { scope, name: stream } = parseScopedName(name)
    const open = await this.#openScope(scope)
    return open === undefined ? 'missing' : this.#streams.apply(open, stream, event)
  }
}

/** The text of a UUID may be written in either case. */
export function isSameId(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function placeOf({ scope, table }: OpenScope, group: string): GroupPlace {
  return { table, key: GROUP_PREFIX + group, scope, group }
}
