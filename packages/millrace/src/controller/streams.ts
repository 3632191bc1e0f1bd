/** Streams: their records in the tables of their scopes, and the segments that the records ask for. */
import { unreachable } from '../base/assert.ts'
import type { Clock } from '../base/host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { type CutMap, ScaleType } from '../protocol/controller/messages.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import type { Long } from '../protocol/wire/commands.ts'
import { isMarkStream, markStreamOf, scopedName, segmentNameOfId } from '../protocol/names.ts'
import { Directory, type ListedName } from './directory.ts'
import type { KeyedQueue } from './keyed-queue.ts'
import { CALLS_AT_ONCE, LISTED_NAMES_MAX } from './limits.ts'
import { inParallel } from './parallel.ts'
import { isSegmentError, type Place, type Records } from './records.ts'
import {
  afterWork,
  changeStream,
  isUnderWay,
  newStream,
  type Refusal,
  type StreamEvent,
  type StreamRecord,
  type StreamSettings,
  type StreamWork,
  workOf,
} from './stream-life.ts'
import type { Grave } from './stream-record.ts'
import { frontierOf } from './stream-cut.ts'
import { Workflow } from './workflow.ts'

/** A scope that exists, with the table of its streams and groups. */
export interface OpenScope {
  readonly scope: string
  readonly table: string
}

export interface StreamPlace extends Place {
  readonly scope: string
  readonly stream: string
}

/** What became of an event; `missing` if there is no such stream. */
export type StreamOutcome = 'done' | 'missing' | { readonly refused: Refusal; readonly reason: string }

/** Remembers streams that were deleted, so that a new one of the name has other segments. */
export const GRAVES_TABLE = '_system/_tables/deleted-streams'

const STREAM_PREFIX = 's/'
const INT32_MAX = 2 ** 31 - 1

export class Streams {
  readonly #segments: SegmentCalls
  readonly #clock: Clock
  readonly #records: Records<StreamRecord>
  readonly #graves: Records<Grave>
  readonly #workflow: Workflow<StreamRecord, StreamPlace>
  readonly #directory: Directory

  constructor(dependencies: {
    segments: SegmentCalls
    clock: Clock
    queue: KeyedQueue
    records: Records<StreamRecord>
    graves: Records<Grave>
  }) {
    const { segments, clock, queue, records, graves } = dependencies
    this.#segments = segments
    this.#clock = clock
    this.#records = records
    this.#graves = graves
    this.#directory = new Directory(
      { scan: (table) => listedStreams(records, table) },
      { namesMax: LISTED_NAMES_MAX },
    )
    this.#workflow = new Workflow(
      { records, queue },
      {
        isUnderWay,
        carryOut: (place, record) => this.#carryOut(place, record),
        written: (place, record) => {
          const isListed = record !== undefined && record.state.kind !== 'deleting'
          this.#directory.note(place.table, place.stream, isListed ? record.settings.tags : undefined)
        },
        inDoubt: (place) => this.#directory.forget(place.table),
      },
    )
  }

  /** Undefined if there is no such stream. */
  read(scope: OpenScope, stream: string): Promise<StreamRecord | undefined> {
    return this.#workflow.read(placeOf(scope, stream))
  }

  /** Rejects with `not-found` if there is no such stream, or no such scope. */
  async describe(
    open: OpenScope | undefined,
    { scope, stream }: { scope: string; stream: string },
  ): Promise<StreamRecord> {
    const record = open === undefined ? undefined : await this.read(open, stream)
    if (record === undefined)
      throw new ControllerError('not-found', `There is no stream ${scopedName(scope, stream)}`)
    return record
  }

  /** Names, sorted, internal ones too. */
  list(scope: OpenScope, request: { after: string; tag?: string | undefined }): Promise<readonly string[]> {
    return this.#directory.page(scope.table, request)
  }

  create(scope: OpenScope, stream: string, settings: StreamSettings): Promise<'created' | 'exists'> {
    return this.#workflow.change<'created' | 'exists'>(placeOf(scope, stream), async (record) => {
      if (record !== undefined) return { answer: 'exists' }
      const grave = await this.#graves.get(gravePlace(scope.scope, stream))
      const firstNumber = grave?.record.nextNumber ?? 0
      if (firstNumber + settings.scalingPolicy.minNumSegments > INT32_MAX)
        throw new ControllerError(
          'out-of-range',
          `Streams named ${scope.scope}/${stream} have used up the numbers of segments, 2^31`,
        )
      const next = newStream({
        settings,
        firstNumber,
        hasMark: !isMarkStream(stream),
        nowMs: this.#clock.now(),
      })
      return { next, answerFor: () => 'created' }
    })
  }

  async truncate(scope: OpenScope, stream: string, cut: CutMap): Promise<StreamOutcome> {
    const record = await this.read(scope, stream)
    if (record === undefined) return 'missing'
    if (record.state.kind !== 'sealed' && typeof frontierOf(record, cut) !== 'string') {
      const problem = await this.#offsetProblem(scope, stream, cut)
      if (problem !== undefined) return { refused: 'invalid-cut', reason: problem }
    }
    return this.apply(scope, stream, { kind: 'truncate', cut })
  }

  /** Changes a stream by an event and carries that out. */
  apply(scope: OpenScope, stream: string, event: StreamEvent): Promise<StreamOutcome> {
    return this.#workflow.change<StreamOutcome>(placeOf(scope, stream), (record, finished) => {
      if (record === undefined) {
        const isDeleted = event.kind === 'delete' && finished?.state.kind === 'deleting'
        return { answer: isDeleted ? 'done' : 'missing' }
      }
      const change = changeStream(record, event)
      if (change.refused !== undefined) return { answer: change }
      if (change.record === record) return { answer: 'done' }
      return { next: change.record, answerFor: () => 'done' }
    })
  }

  /** The streams in the scope's table, in no order, those that are being deleted too. */
  async *everyName(scope: OpenScope): AsyncGenerator<string> {
    for await (const page of this.#records.list(scope.table, STREAM_PREFIX))
      for (const { key } of page) yield key.slice(STREAM_PREFIX.length)
  }

  /** Nothing is known any more of the streams of a table that was deleted. */
  forgetScope(scope: OpenScope): void {
    this.#directory.forget(scope.table)
  }

  async #carryOut(place: StreamPlace, record: StreamRecord): Promise<StreamRecord | undefined> {
    for (const stage of workOf(record))
      await inParallel(stage, CALLS_AT_ONCE, (work) => this.#do(place, record, work))
    return afterWork(record)
  }

  async #do(place: StreamPlace, record: StreamRecord, work: StreamWork): Promise<void> {
    const { scope, stream, table } = place
    switch (work.kind) {
      case 'create-segment': {
        const rolloverBytes = record.settings.rolloverSizeBytes
        const options = rolloverBytes > 0n ? { rolloverBytes: toLong(rolloverBytes) } : {}
        await this.#segments.createSegment(segmentNameOfId(scope, stream, work.id), options)
        return
      }
      case 'truncate-segment':
        return unlessMissing(
          this.#segments.truncateSegment(segmentNameOfId(scope, stream, work.id), work.offset),
        )
      case 'seal-segment':
        return unlessMissing(this.#segments.sealSegment(segmentNameOfId(scope, stream, work.id)))
      case 'delete-segment':
        await this.#segments.deleteSegment(segmentNameOfId(scope, stream, work.id))
        return
      case 'create-mark':
        return this.#createMark({ scope, table }, markStreamOf(stream))
      case 'delete-mark':
        await this.apply({ scope, table }, markStreamOf(stream), { kind: 'delete', evenOpen: true })
        return
      case 'bury':
        return this.#bury(gravePlace(scope, stream), work.nextNumber)
      default:
        return unreachable(work)
    }
  }

  /** Readers cannot begin on a stream whose mark stream is sealed, so one left of an earlier life is made anew. */
  async #createMark(scope: OpenScope, mark: string): Promise<void> {
    const found = await this.read(scope, mark)
    if (found?.state.kind === 'sealed') await this.apply(scope, mark, { kind: 'delete', evenOpen: true })
    await this.create(scope, mark, oneSegment({ rolloverSizeBytes: 0n }))
  }

  async #bury(place: Place, nextNumber: number): Promise<void> {
    for (;;) {
      const grave = await this.#graves.get(place)
      if (grave !== undefined && grave.record.nextNumber >= nextNumber) return
      if ((await this.#graves.put(place, { nextNumber }, grave)) !== undefined) return
    }
  }

  /** A cut beyond the end of a segment could be stored but never carried out, so it is refused before. */
  async #offsetProblem(scope: OpenScope, stream: string, cut: CutMap): Promise<string | undefined> {
    let problem: string | undefined
    const offsets = [...cut].filter(([, offset]) => offset > 0)
    await inParallel(offsets, CALLS_AT_ONCE, async ([id, offset]) => {
      const name = segmentNameOfId(scope.scope, stream, id)
      try {
        const { writeOffset } = await this.#segments.segmentState(name)
        if (offset > writeOffset) problem = `Segment ${name} ends at ${writeOffset}, before offset ${offset}`
      } catch (error) {
        if (!isSegmentError(error, 'no-such-segment')) throw error
        problem = `Segment ${name} was truncated away`
      }
    })
    return problem
  }
}

/** The settings of streams that the system makes. */
export function oneSegment(options: { rolloverSizeBytes: bigint }): StreamSettings {
  return {
    scalingPolicy: {
      scaleType: ScaleType.FIXED_NUM_SEGMENTS,
      targetRate: 0,
      scaleFactor: 0,
      minNumSegments: 1,
    },
    retentionPolicy: undefined,
    tags: [],
    timestampAggregationTimeout: 0n,
    rolloverSizeBytes: options.rolloverSizeBytes,
  }
}

/** For listings, in no order. */
async function* listedStreams(
  records: Records<StreamRecord>,
  table: string,
): AsyncGenerator<readonly ListedName[]> {
  for await (const page of records.list(table, STREAM_PREFIX))
    yield page
      .filter(({ record }) => record.state.kind !== 'deleting')
      .map(({ key, record }) => ({
        name: key.slice(STREAM_PREFIX.length),
        tags: record.settings.tags,
      }))
}

function placeOf({ scope, table }: OpenScope, stream: string): StreamPlace {
  return { table, key: STREAM_PREFIX + stream, scope, stream }
}

function gravePlace(scope: string, stream: string): Place {
  return { table: GRAVES_TABLE, key: scopedName(scope, stream) }
}

function toLong(value: bigint): Long {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

/** A segment that is gone needs no more to be truncated or sealed. */
async function unlessMissing(call: Promise<void>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!isSegmentError(error, 'no-such-segment')) throw error
  }
}
