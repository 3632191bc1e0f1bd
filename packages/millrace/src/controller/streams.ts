/** Streams: their records in the tables of their scopes, and the segments that the records ask for. */
import { unreachable } from '../base/assert.ts'
import type { Clock } from '../base/host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { type CutMap, ScaleType } from '../protocol/controller/messages.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import type { Long } from '../protocol/wire/commands.ts'
import {
  isMarkStream,
  markStreamOf,
  scopedName,
  segmentNameOfId,
  transactionSegmentName,
} from '../protocol/names.ts'
import { Directory, type ListedName } from './directory.ts'
import type { KeyedQueue } from './keyed-queue.ts'
import { CALLS_AT_ONCE, LISTED_NAMES_MAX } from './limits.ts'
import { inParallel } from './parallel.ts'
import { isSegmentError, type Place, type Records } from './records.ts'
import {
  afterWork,
  changeStream,
  isTrueMeanwhile,
  isUnderWay,
  newStream,
  type Refusal,
  type Roll,
  type Scale,
  type StreamEvent,
  type StreamRecord,
  type StreamSettings,
  type StreamWork,
  workOf,
} from './stream-life.ts'
import type { Grave } from './stream-record.ts'
import type { StreamRecords } from './stream-records.ts'
import { frontierOf } from './stream-cut.ts'
import {
  currentEpoch,
  currentSegments,
  sameSegmentsNow,
  segmentsOfEpoch,
  type StreamSegment,
} from './stream-segments.ts'
import { idOfHex } from './transaction-record.ts'
import type { Transactions } from './transactions.ts'
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

/** Transactions to be committed, all of one epoch. */
export interface Commit extends Roll {
  /** By a process that has ended since. */
  readonly mayBeMerged: boolean
}

/** What a scale has come to. */
export interface Scaled {
  readonly refused?: undefined
  /** The epoch that it ended. */
  readonly epoch: number
  readonly created: readonly StreamSegment[]
}

/** Remembers streams that were deleted, so that a new one of the name has other segments. */
export const GRAVES_TABLE = '_system/_tables/deleted-streams'

const STREAM_PREFIX = 's/'
const INT32_MAX = 2 ** 31 - 1

export class Streams {
  readonly #segments: SegmentCalls
  readonly #clock: Clock
  readonly #records: StreamRecords
  readonly #graves: Records<Grave>
  readonly #workflow: Workflow<StreamRecord, StreamPlace>
  readonly #directory: Directory
  readonly #transactions: Transactions

  constructor(
    dependencies: {
      segments: SegmentCalls
      clock: Clock
      queue: KeyedQueue
      records: StreamRecords
      graves: Records<Grave>
    },
    transactionsOf: (streams: Streams) => Transactions,
  ) {
    const { segments, clock, queue, records, graves } = dependencies
    this.#segments = segments
    this.#clock = clock
    this.#records = records
    this.#graves = graves
    this.#transactions = transactionsOf(this)
    this.#directory = new Directory(
      { scan: (table) => listedStreams(records, table) },
      { namesMax: LISTED_NAMES_MAX },
    )
    this.#workflow = new Workflow(
      { records, queue },
      {
        isUnderWay,
        isTrueMeanwhile,
        carryOut: (place, record) => this.#carryOut(place, record),
        written: (place, record) => {
          const isListed = record !== undefined && record.state.kind !== 'deleting'
          this.#directory.note(place.table, place.stream, isListed ? record.settings.tags : undefined)
        },
        inDoubt: (place) => this.#directory.forget(place.table),
      },
    )
  }

  get transactions(): Transactions {
    return this.#transactions
  }

  /** As it is, whatever is under way. */
  peek(scope: OpenScope, stream: string): Promise<StreamRecord | undefined> {
    return this.#workflow.peek(placeOf(scope, stream))
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
  async apply(scope: OpenScope, stream: string, event: StreamEvent): Promise<StreamOutcome> {
    const isEnd = event.kind === 'seal' || (event.kind === 'delete' && event.evenOpen)
    if (!isEnd) return this.#change(scope, stream, event)
    // Transactions end before their stream does.
    const release = await this.#transactions.end(scope, stream)
    try {
      return await this.#change(scope, stream, event)
    } finally {
      release()
    }
  }

  #change(scope: OpenScope, stream: string, event: StreamEvent): Promise<StreamOutcome> {
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

  /** Scales that are asked for at once are carried out one after the other, each judged by what is true then. */
  scale(scope: OpenScope, stream: string, asked: Scale): Promise<Scaled | Exclude<StreamOutcome, 'done'>> {
    return this.#workflow.change<Scaled | Exclude<StreamOutcome, 'done'>>(
      placeOf(scope, stream),
      (record) => {
        if (record === undefined) return { answer: 'missing' }
        const change = changeStream(record, { ...asked, kind: 'scale', nowMs: this.#clock.now() })
        if (change.refused !== undefined) return { answer: change }
        const epoch = currentEpoch(record)
        const created = currentSegments(change.record).filter((segment) => segment.epoch > epoch)
        return { next: change.record, answerFor: () => ({ epoch, created }) }
      },
    )
  }

  /**
   * Merges what transactions have written, one after the other. If the stream has scaled since they were opened they are
   * committed by a roll, which also writes them off. The stream neither scales nor ends meanwhile. `take` is asked for them when
   * it is their turn.
   */
  commit(
    scope: OpenScope,
    stream: string,
    take: () => Commit | undefined,
  ): Promise<'merged' | 'rolled' | 'none' | 'missing' | 'sealed'> {
    const place = placeOf(scope, stream)
    return this.#workflow.change<'merged' | 'rolled' | 'none' | 'missing' | 'sealed'>(
      place,
      async (record) => {
        if (record === undefined) return { answer: 'missing' }
        const commit = take()
        if (commit === undefined) return { answer: 'none' }
        const { epoch, transactions, mayBeMerged } = commit
        const same = sameSegmentsNow(record, epoch)
        if (record.state.kind !== 'sealed' && same !== undefined) {
          const merges = same.map(({ then, now }) => ({ from: then.id, id: now.id, transactions }))
          await inParallel(merges, CALLS_AT_ONCE, (merge) => this.#merge(place, merge))
          return { answer: 'merged' }
        }
        if (mayBeMerged && (await this.#areMerged(place, record, commit))) return { answer: 'merged' }
        const change = changeStream(record, { kind: 'roll', epoch, transactions, nowMs: this.#clock.now() })
        if (change.refused !== undefined) return { answer: 'sealed' }
        return { next: change.record, answerFor: () => 'rolled' }
      },
    )
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
      case 'merge-transactions':
        return this.#merge(place, work)
      case 'finish-transactions':
        return this.#transactions.finishCommits({ scope, stream }, work.transactions)
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

  async #merge(
    { scope, stream }: StreamPlace,
    merge: { from: bigint; id: bigint; transactions: readonly string[] },
  ): Promise<void> {
    const { from, id, transactions } = merge
    const target = segmentNameOfId(scope, stream, id)
    await this.#segments.mergeAll({ target, sources: partsOf({ scope, stream }, from, transactions) })
  }

  /** Whether an earlier process has merged all of them, and only not written them off. */
  async #areMerged({ scope, stream }: StreamPlace, record: StreamRecord, commit: Commit): Promise<boolean> {
    const { epoch, transactions } = commit
    const parts = (segmentsOfEpoch(record, epoch) ?? []).flatMap(({ id }) =>
      partsOf({ scope, stream }, id, transactions),
    )
    let areMerged = true
    await inParallel(parts, CALLS_AT_ONCE, async (part) => {
      if (!areMerged) return
      try {
        await this.#segments.segmentState(part)
        areMerged = false
      } catch (error) {
        if (!isSegmentError(error, 'no-such-segment')) throw error
      }
    })
    return areMerged
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
async function* listedStreams(records: StreamRecords, table: string): AsyncGenerator<readonly ListedName[]> {
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

/** What transactions have written for one segment, in segments of their own. */
function partsOf(
  { scope, stream }: { scope: string; stream: string },
  segmentId: bigint,
  transactions: readonly string[],
): readonly string[] {
  const segment = segmentNameOfId(scope, stream, segmentId)
  return transactions.map((hex) => transactionSegmentName(segment, idOfHex(hex)))
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
