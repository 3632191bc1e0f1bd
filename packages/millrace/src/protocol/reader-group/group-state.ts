import { unreachable } from '../../base/assert.ts'
import { javaHashCode } from '../hash.ts'
import { parseSegmentName, segmentIdOf } from '../names.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { KeyRange } from '../segment-fields.ts'
import { LONG_MIN, type Long } from '../wire/commands.ts'
import { GroupCheckpoints, isSilentCheckpoint, type Offsets } from './group-checkpoints.ts'
import type { GroupConfig } from './group-config.ts'
import type { CompactGroup, GroupInit, GroupUpdate, StartGroup } from './group-updates.ts'

/** A reader is taken to be at least that far behind. */
const ASSUMED_LAG_MS = 30_000
const LONG_MAX = -LONG_MIN - 1n

/**
 * The state of a reader group: which reader reads which segment, and from where. All readers of a group, be they Java's or ours,
 * apply the updates that stand in its stream in their order, and must come to the same state; so this does exactly what Java's
 * ReaderGroupState does. Where that is at fault, a comment says so.
 *
 * A segment is in one place: future until those before it are read, then unassigned, then assigned to one reader, which may
 * release it; once read to its end it is in none. What is returned is a view, and changes with the next update.
 *
 * `apply` throws an `illegal-update` `ProtocolError` for an update that nobody can apply; it has changed nothing then.
 */
export class GroupState {
  // Set by `#load`, which is also what starting over does.
  #config!: GroupConfig
  #checkpoints!: GroupCheckpoints
  #distanceToTail!: Map<string, Long>
  #future!: Map<string, Set<bigint>>
  #assigned!: Map<string, Map<string, number>>
  #unassigned!: Map<string, number>
  #lastRead!: Map<string, number>
  #endSegments!: Offsets
  /** Of the segments in any of the maps above. */
  #ranges!: Map<string, KeyRange | undefined>
  #updatingConfig!: boolean

  constructor(init: GroupInit) {
    this.#load(init)
  }

  get config(): GroupConfig {
    return this.#config
  }

  /** The group is about to start over with a new configuration, which the controller has. */
  get updatingConfig(): boolean {
    return this.#updatingConfig
  }

  get checkpoints(): Omit<GroupCheckpoints, 'begin' | 'report' | 'removeReader'> {
    return this.#checkpoints
  }

  /** Of the readers online. */
  get readers(): readonly string[] {
    return [...this.#assigned.keys()]
  }

  isReaderOnline(reader: string): boolean {
    return this.#assigned.has(reader)
  }

  /** What the reader reads, and where it last said it was; undefined if it is not online. */
  segmentsOf(reader: string): Offsets | undefined {
    return this.#assigned.get(reader)
  }

  /** What nobody reads, in the order in which it came to be so. */
  get unassigned(): Offsets {
    return this.#unassigned
  }

  /** Segments whose predecessors are not all read, and those predecessors. */
  get future(): ReadonlyMap<string, ReadonlySet<bigint>> {
    return this.#future
  }

  /** Where reading ends, in the segments where it does before the segment does. */
  get endSegments(): Offsets {
    return this.#endSegments
  }

  get distanceToTail(): ReadonlyMap<string, Long> {
    return this.#distanceToTail
  }

  /** Assigned and unassigned ones. */
  get segmentCount(): number {
    let count = this.#unassigned.size
    for (const segments of this.#assigned.values()) count += segments.size
    return count
  }

  /** Nothing is left to read: all streams are sealed, or bounded by an end, and read. */
  get isEndOfData(): boolean {
    return this.#future.size === 0 && this.segmentCount === 0
  }

  /** Undefined, too, if old clients did not say. */
  rangeOf(segment: string): KeyRange | undefined {
    return this.#ranges.get(segment)
  }

  /** Where the readers were last known to be, in the segments of `scope/stream` that are not read to their end. */
  lastReadPositions(stream: string): Map<string, number> {
    const ofStream = [...this.#lastRead].filter(([segment]) => streamOf(segment) === stream)
    return new Map(ofStream)
  }

  /** Where reading would go on in all segments that are assigned or unassigned, by `scope/stream`. */
  positions(): Map<string, Map<string, number>> {
    const positions = new Map<string, Map<string, number>>()
    for (const segments of [this.#unassigned, ...this.#assigned.values()]) {
      for (const [segment, offset] of segments) {
        const stream = streamOf(segment)
        const ofStream = positions.get(stream) ?? new Map<string, number>()
        positions.set(stream, ofStream.set(segment, offset))
      }
    }
    return positions
  }

  /** How much each reader has to do, in units of one segment that lags as far as that of the slowest reader. */
  relativeSizes(): Map<string, number> {
    const distances = new Map<string, Long>()
    let distanceMax: Long = LONG_MIN
    for (const [reader, segments] of this.#assigned) {
      if (segments.size === 0) continue
      const told = this.#distanceToTail.get(reader) ?? ASSUMED_LAG_MS
      const distance = told > ASSUMED_LAG_MS ? told : ASSUMED_LAG_MS
      distances.set(reader, distance)
      if (distance > distanceMax) distanceMax = distance
    }
    const sizes = new Map<string, number>()
    for (const [reader, segments] of this.#assigned) {
      // The product wraps around where a reader has just come and owns two segments, as Java's does.
      const product = BigInt.asIntN(64, BigInt(segments.size) * BigInt(distances.get(reader) ?? 0))
      sizes.set(reader, segments.size === 0 ? 0 : Number(product) / Number(distanceMax))
    }
    return sizes
  }

  /** 0 for the reader with the most to do; undefined if it is not online. Readers take turns by it. */
  rankOf(reader: string): number | undefined {
    const sizes = this.relativeSizes()
    // Readers of the same size must have different ranks, and the same ones in everybody's eyes.
    const sorted = inJavaOrder([...sizes.keys()]).toSorted(
      (one, other) => (sizes.get(other) ?? 0) - (sizes.get(one) ?? 0),
    )
    const rank = sorted.indexOf(reader)
    return rank < 0 ? undefined : rank
  }

  apply(update: GroupUpdate): void {
    switch (update.kind) {
      case 'start':
      case 'compact':
        return this.#load(update)
      case 'add-reader':
        return this.#addReader(update.reader)
      case 'remove-reader':
        return this.#removeReader(update.reader, update.owned)
      case 'release-segment':
        return this.#release(update)
      case 'acquire-segment':
        return this.#acquire(update.reader, update.segment)
      case 'update-distance-to-tail':
        return this.#updateDistanceToTail(update)
      case 'complete-segment':
        return this.#complete(update)
      case 'report-checkpoint':
        return this.#reportCheckpoint(update)
      case 'create-checkpoint':
        return this.#checkpoints.begin(update.checkpoint, this.readers, this.#unassigned)
      case 'clear-checkpoints-before':
        return this.#checkpoints.clearBefore(update.checkpoint)
      case 'set-checkpoint-published':
        return this.#checkpoints.setLastPublished(update.published)
      case 'set-updating-config':
        this.#updatingConfig = update.updating
        return
      case 'remove-outstanding-checkpoints':
        return this.#checkpoints.removeOutstanding()
      default:
        return unreachable(update)
    }
  }

  /** All of the state, as what a group's stream may begin with. A copy. */
  compact(): CompactGroup {
    const future = [...this.#future].map(([segment, ids]) => [segment, [...ids]] as const)
    const assigned = [...this.#assigned].map(([reader, segments]) => [reader, new Map(segments)] as const)
    return {
      kind: 'compact',
      config: this.#config,
      checkpoints: this.#checkpoints.record(),
      distanceToTail: new Map(this.#distanceToTail),
      future: new Map(future),
      assigned: new Map(assigned),
      unassigned: new Map(this.#unassigned),
      endSegments: this.#endSegments,
      lastRead: new Map(this.#lastRead),
      ranges: new Map(this.#ranges),
      updatingConfig: this.#updatingConfig,
    }
  }

  #load(init: GroupInit): void {
    if (init.kind === 'start') this.#start(init)
    else this.#restore(init)
    this.#config = init.config
    this.#endSegments = new Map(init.endSegments)
    this.#updatingConfig = init.updatingConfig
  }

  #start({ segments }: StartGroup): void {
    if (segments.size === 0) throw illegal('A group starts with no segment')
    const offsets = [...segments].map(([segment, { offset }]) => [segment, offset] as const)
    const ranges = [...segments].map(([segment, { range }]) => [segment, range] as const)
    this.#checkpoints = new GroupCheckpoints()
    this.#distanceToTail = new Map()
    this.#future = new Map()
    this.#assigned = new Map()
    this.#unassigned = new Map(offsets)
    this.#lastRead = new Map(offsets)
    this.#ranges = new Map(ranges)
  }

  #restore(init: CompactGroup): void {
    this.#checkpoints = new GroupCheckpoints(init.checkpoints)
    this.#distanceToTail = new Map(init.distanceToTail)
    this.#future = new Map()
    for (const [segment, ids] of init.future) this.#future.set(segment, new Set(ids))
    this.#assigned = new Map()
    for (const [reader, segments] of init.assigned) this.#assigned.set(reader, new Map(segments))
    this.#unassigned = new Map(init.unassigned)
    this.#lastRead = new Map(init.lastRead)
    this.#ranges = new Map(init.ranges)
  }

  #addReader(reader: string): void {
    if (this.#assigned.has(reader)) throw illegal(`${reader} is online already`)
    this.#assigned.set(reader, new Map())
    if (!this.#distanceToTail.has(reader)) this.#distanceToTail.set(reader, LONG_MAX)
  }

  #removeReader(reader: string, owned: Offsets): void {
    const positions = new Map<string, number>()
    for (const [segment, lastKnown] of this.#assigned.get(reader) ?? []) {
      const offset = owned.get(segment) ?? lastKnown
      positions.set(segment, offset)
      this.#unassigned.set(segment, offset)
    }
    this.#assigned.delete(reader)
    this.#distanceToTail.delete(reader)
    this.#checkpoints.removeReader(reader, positions)
  }

  #release({ reader, segment, offset }: { reader: string; segment: string; offset: number }): void {
    if (!this.#onlineReader(reader).delete(segment)) throw illegal(`${reader} does not own ${segment}`)
    this.#unassigned.set(segment, offset)
    if (this.#lastRead.has(segment)) this.#lastRead.set(segment, offset)
  }

  #acquire(reader: string, segment: string): void {
    const segments = this.#onlineReader(reader)
    const offset = this.#unassigned.get(segment)
    if (offset === undefined) throw illegal(`${segment} is not unassigned`)
    this.#unassigned.delete(segment)
    segments.set(segment, offset)
  }

  #updateDistanceToTail(update: GroupUpdate & { kind: 'update-distance-to-tail' }): void {
    const { reader, distanceMs, lastRead } = update
    this.#distanceToTail.set(reader, distanceMs > ASSUMED_LAG_MS ? distanceMs : ASSUMED_LAG_MS)
    for (const [segment, { offset }] of lastRead)
      if (this.#lastRead.has(segment)) this.#lastRead.set(segment, offset)
  }

  #complete(update: GroupUpdate & { kind: 'complete-segment' }): void {
    const { reader, segment, successors, ranges } = update
    if (!this.#onlineReader(reader).delete(segment)) throw illegal(`${reader} does not own ${segment}`)
    this.#lastRead.delete(segment)
    for (const [successor, predecessors] of successors) {
      if (this.#future.has(successor)) continue
      this.#future.set(successor, new Set(predecessors))
      if (!this.#ranges.has(successor)) this.#ranges.set(successor, ranges.get(successor))
    }
    // Ids are unique within a stream only. In a group of several streams a successor thus may be freed too early, by the end of
    // a segment of another stream; Java does so, and whoever shares a group with Java must come to the same state.
    const id = segmentIdOf(parseSegmentName(segment))
    for (const [successor, predecessors] of this.#future) {
      predecessors.delete(id)
      if (predecessors.size > 0) continue
      this.#future.delete(successor)
      this.#unassigned.set(successor, 0)
      if (!this.#lastRead.has(successor)) this.#lastRead.set(successor, 0)
    }
    // Freed too early, a segment may be reported as a successor once more.
    if (!this.#future.has(segment) && !this.#unassigned.has(segment)) this.#ranges.delete(segment)
  }

  #reportCheckpoint(update: GroupUpdate & { kind: 'report-checkpoint' }): void {
    const { checkpoint, reader, positions } = update
    const segments = this.#assigned.get(reader)
    // A silent checkpoint must not move the place where reading goes on if the reader dies.
    const moves = !isSilentCheckpoint(checkpoint)
    if (moves && segments === undefined) throw illegal(`${reader} is not online`)
    this.#checkpoints.report(checkpoint, reader, positions)
    if (!moves || segments === undefined) return
    for (const segment of segments.keys()) {
      const offset = positions.get(segment)
      if (offset !== undefined) segments.set(segment, offset)
    }
  }

  #onlineReader(reader: string): Map<string, number> {
    const segments = this.#assigned.get(reader)
    if (segments === undefined) throw illegal(`${reader} is not online`)
    return segments
  }
}

function illegal(problem: string): ProtocolError {
  return new ProtocolError('illegal-update', problem)
}

function streamOf(segment: string): string {
  return segment.slice(0, segment.lastIndexOf('/'))
}

/**
 * Names in the order in which a Java hash map lists them, which is what decides between readers of the same size there. The
 * table doubles from 16 to hold a third more than there are names; names of one bucket stay in the order they came in.
 */
function inJavaOrder(names: readonly string[]): string[] {
  let buckets = 16
  while (names.length > buckets * 0.75) buckets *= 2
  const bucketOf = (name: string): number => {
    const hash = javaHashCode(name)
    return (hash ^ (hash >>> 16)) & (buckets - 1)
  }
  return names.toSorted((one, other) => bucketOf(one) - bucketOf(other))
}
