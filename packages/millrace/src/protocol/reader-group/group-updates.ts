/**
 * What readers write into their group's stream: a first state, then changes to it. Segments are full names, with the epoch.
 * Everybody applies the same changes in the same order (`group-state.ts`).
 */
import { ByteReader } from '../byte-reader.ts'
import type { ByteWriter } from '../byte-writer.ts'
import {
  encodeVersioned,
  readList,
  readMap,
  readOffset,
  readRevisions,
  readSizedBytes,
  readText,
  readTypeId,
  type Versioned,
  type WriteRevision,
  writeList,
  writeMap,
  writeOffset,
  writeSizedBytes,
  writeText,
} from '../java-serializer.ts'
import { type KeyRange, readKeyRange, readSegmentName, writeKeyRange } from '../segment-fields.ts'
import type { Long } from '../wire/commands.ts'
import {
  type CheckpointsRecord,
  decodeCheckpoints,
  encodeCheckpoints,
  type Offsets,
  readOffsets,
  writeOffsets,
} from './group-checkpoints.ts'
import { decodeGroupConfig, encodeGroupConfig, type GroupConfig } from './group-config.ts'

/** Undefined where old clients did not say. */
export type Ranges = ReadonlyMap<string, KeyRange | undefined>

export interface RangedOffset {
  readonly offset: number
  readonly range: KeyRange | undefined
}

/** Ids of segments that must have been read before this one. */
export type Predecessors = ReadonlyMap<string, readonly bigint[]>

/** A new group, or one that starts over with another configuration. */
export interface StartGroup {
  readonly kind: 'start'
  readonly config: GroupConfig
  readonly segments: ReadonlyMap<string, RangedOffset>
  /** Where the group stops reading. Infinity: at the end of the segment, wherever that is. */
  readonly endSegments: Offsets
  readonly updatingConfig: boolean
}

/** The whole state, which makes all that was written before superfluous. */
export interface CompactGroup {
  readonly kind: 'compact'
  readonly config: GroupConfig
  readonly checkpoints: CheckpointsRecord
  readonly distanceToTail: ReadonlyMap<string, Long>
  readonly future: Predecessors
  readonly assigned: ReadonlyMap<string, Offsets>
  readonly unassigned: Offsets
  readonly endSegments: Offsets
  readonly lastRead: Offsets
  readonly ranges: Ranges
  readonly updatingConfig: boolean
}

export type GroupInit = StartGroup | CompactGroup

export type GroupUpdate =
  | GroupInit
  | { readonly kind: 'add-reader'; readonly reader: string }
  | { readonly kind: 'remove-reader'; readonly reader: string; readonly owned: Offsets }
  | {
      readonly kind: 'release-segment'
      readonly reader: string
      readonly segment: string
      readonly offset: number
    }
  | { readonly kind: 'acquire-segment'; readonly reader: string; readonly segment: string }
  | {
      readonly kind: 'update-distance-to-tail'
      readonly reader: string
      /** How far behind it is, in milliseconds of writing. */
      readonly distanceMs: Long
      readonly lastRead: ReadonlyMap<string, RangedOffset>
    }
  | {
      readonly kind: 'complete-segment'
      readonly reader: string
      readonly segment: string
      readonly successors: Predecessors
      /** Of the segment and its successors. */
      readonly ranges: Ranges
    }
  | {
      readonly kind: 'report-checkpoint'
      readonly checkpoint: string
      readonly reader: string
      readonly positions: Offsets
    }
  | { readonly kind: 'create-checkpoint'; readonly checkpoint: string }
  | { readonly kind: 'clear-checkpoints-before'; readonly checkpoint: string }
  | { readonly kind: 'set-checkpoint-published'; readonly published: boolean }
  | { readonly kind: 'set-updating-config'; readonly updating: boolean }
  | { readonly kind: 'remove-outstanding-checkpoints' }

type Kind = GroupUpdate['kind']
type UpdateOf<K extends Kind> = Extract<GroupUpdate, { readonly kind: K }>

interface UpdateCodec<U> {
  readonly typeId: number
  revisions(update: U): readonly WriteRevision[]
  read(fields: Versioned): U
}

/** Java's names stand beside its type ids. */
const CODECS: { readonly [K in Kind]: UpdateCodec<UpdateOf<K>> } = {
  // ReaderGroupStateInit
  start: { typeId: 0, revisions: startRevisions, read: readStart },
  // CompactReaderGroupState
  compact: { typeId: 1, revisions: compactRevisions, read: readCompactGroup },
  // AddReader
  'add-reader': {
    typeId: 2,
    revisions: ({ reader }) => [(writer) => writer.string(reader)],
    read: ({ first }) => ({ kind: 'add-reader', reader: first.string() }),
  },
  // RemoveReader
  'remove-reader': {
    typeId: 3,
    revisions: ({ reader, owned }) => [
      (writer) => {
        writer.string(reader)
        writeOffsets(writer, owned)
      },
    ],
    read: ({ first }) => ({ kind: 'remove-reader', reader: first.string(), owned: readOffsets(first) }),
  },
  // ReleaseSegment
  'release-segment': {
    typeId: 4,
    revisions: ({ reader, segment, offset }) => [
      (writer) => {
        writer.string(reader)
        writer.string(segment)
        writer.long(offset)
      },
    ],
    read: ({ first }) => ({
      kind: 'release-segment',
      reader: first.string(),
      segment: readSegmentName(first),
      offset: first.safeLong(),
    }),
  },
  // AcquireSegment
  'acquire-segment': {
    typeId: 5,
    revisions: ({ reader, segment }) => [
      (writer) => {
        writer.string(reader)
        writer.string(segment)
      },
    ],
    read: ({ first }) => ({
      kind: 'acquire-segment',
      reader: first.string(),
      segment: readSegmentName(first),
    }),
  },
  // UpdateDistanceToTail
  'update-distance-to-tail': {
    typeId: 6,
    revisions: ({ reader, distanceMs, lastRead }) => [
      (writer) => {
        writer.string(reader)
        writer.long(distanceMs)
      },
      (writer) => writeRangedOffsets(writer, lastRead),
    ],
    read: ({ first, second }) => ({
      kind: 'update-distance-to-tail',
      reader: first.string(),
      distanceMs: first.long(),
      lastRead: second === undefined ? new Map() : readRangedOffsets(second),
    }),
  },
  // SegmentCompleted
  'complete-segment': {
    typeId: 7,
    revisions: ({ reader, segment, successors, ranges }) => [
      (writer) => {
        writer.string(reader)
        writer.string(segment)
        writePredecessors(writer, successors)
      },
      (writer) => writeRanges(writer, ranges),
    ],
    read: ({ first, second }) => ({
      kind: 'complete-segment',
      reader: first.string(),
      segment: readSegmentName(first),
      successors: readPredecessors(first),
      ranges: second === undefined ? new Map() : readRanges(second),
    }),
  },
  // CheckpointReader
  'report-checkpoint': {
    typeId: 8,
    revisions: ({ checkpoint, reader, positions }) => [
      (writer) => {
        writer.string(checkpoint)
        writer.string(reader)
        writeOffsets(writer, positions)
      },
    ],
    read: ({ first }) => ({
      kind: 'report-checkpoint',
      checkpoint: first.string(),
      reader: first.string(),
      positions: readOffsets(first),
    }),
  },
  // CreateCheckpoint
  'create-checkpoint': {
    typeId: 9,
    revisions: ({ checkpoint }) => [(writer) => writer.string(checkpoint)],
    read: ({ first }) => ({ kind: 'create-checkpoint', checkpoint: first.string() }),
  },
  // ClearCheckpointsBefore
  'clear-checkpoints-before': {
    typeId: 10,
    revisions: ({ checkpoint }) => [(writer) => writer.string(checkpoint)],
    read: ({ first }) => ({ kind: 'clear-checkpoints-before', checkpoint: first.string() }),
  },
  // UpdateCheckpointPublished
  'set-checkpoint-published': {
    typeId: 11,
    revisions: ({ published }) => [(writer) => writer.boolean(published)],
    read: ({ first }) => ({ kind: 'set-checkpoint-published', published: first.boolean() }),
  },
  // UpdatingConfig
  'set-updating-config': {
    typeId: 12,
    revisions: ({ updating }) => [(writer) => writer.boolean(updating)],
    read: ({ first }) => ({ kind: 'set-updating-config', updating: first.boolean() }),
  },
  // RemoveOutstandingCheckpoints
  'remove-outstanding-checkpoints': {
    typeId: 13,
    revisions: () => [() => undefined],
    read: () => ({ kind: 'remove-outstanding-checkpoints' }),
  },
}

const KINDS_BY_ID: readonly Kind[] = (Object.keys(CODECS) as Kind[]).toSorted(
  (one, other) => CODECS[one].typeId - CODECS[other].typeId,
)

export function encodeGroupUpdate(update: GroupUpdate): Buffer {
  // The table has the codec of each kind under that kind, which the types cannot tell for a union.
  const codec = CODECS[update.kind] as UpdateCodec<GroupUpdate>
  return encodeVersioned({ typeId: codec.typeId, version: 0 }, codec.revisions(update))
}

export function decodeGroupUpdate(bytes: Buffer): GroupUpdate {
  const reader: ByteReader = new ByteReader(bytes, 'update of a reader group')
  const typeId = readTypeId(reader)
  const kind = KINDS_BY_ID[typeId]
  if (kind === undefined) reader.fail(`is of type ${typeId}, known: 0 to ${KINDS_BY_ID.length - 1}`)
  const fields = readRevisions(reader, `${kind} of a reader group`, [0])
  return CODECS[kind].read(fields)
}

function startRevisions(start: StartGroup): readonly WriteRevision[] {
  return [
    (writer) => {
      writeSizedBytes(writer, encodeGroupConfig(start.config))
      writeMap(writer, start.segments, writeText, (fields, { offset }) => fields.long(offset))
      writeMap(writer, start.endSegments, writeText, writeEnd)
    },
    (writer) => writeRangedOffsets(writer, start.segments),
    (writer) => writer.boolean(start.updatingConfig),
  ]
}

function readStart({ first, second, third }: Versioned): StartGroup {
  first.part = 'configuration'
  const config = decodeGroupConfig(readSizedBytes(first))
  first.part = 'segments'
  const offsets = readOffsets(first)
  first.part = 'end segments'
  const endSegments = readMap(first, readSegmentName, readEnd)
  const withoutRanges = [...offsets].map(
    ([segment, offset]) => [segment, { offset, range: undefined }] as const,
  )
  const segments = second === undefined ? new Map(withoutRanges) : readRangedOffsets(second)
  return { kind: 'start', config, segments, endSegments, updatingConfig: third?.boolean() ?? false }
}

function compactRevisions(group: CompactGroup): readonly WriteRevision[] {
  return [
    (writer) => {
      writeSizedBytes(writer, encodeGroupConfig(group.config))
      writeSizedBytes(writer, encodeCheckpoints(group.checkpoints))
      writeMap(writer, group.distanceToTail, writeText, (fields, distance) => fields.long(distance))
      writePredecessors(writer, group.future)
      writeMap(writer, group.assigned, writeText, writeOffsets)
      writeOffsets(writer, group.unassigned)
      writeMap(writer, group.endSegments, writeText, writeEnd)
    },
    (writer) => {
      writeOffsets(writer, group.lastRead)
      writeRanges(writer, group.ranges)
    },
    (writer) => writer.boolean(group.updatingConfig),
  ]
}

function readCompactGroup({ first, second, third }: Versioned): CompactGroup {
  first.part = 'configuration'
  const config = decodeGroupConfig(readSizedBytes(first))
  first.part = 'checkpoints'
  const checkpoints = decodeCheckpoints(readSizedBytes(first))
  first.part = 'distances'
  const distanceToTail = readMap(first, readText, (fields) => fields.long())
  first.part = 'future segments'
  const future = readPredecessors(first)
  first.part = 'assigned segments'
  const assigned = readMap(first, readText, readOffsets)
  first.part = 'unassigned segments'
  const unassigned = readOffsets(first)
  first.part = 'end segments'
  const endSegments = readMap(first, readSegmentName, readEnd)
  return {
    kind: 'compact',
    config,
    checkpoints,
    distanceToTail,
    future,
    assigned,
    unassigned,
    endSegments,
    lastRead: second === undefined ? new Map() : readOffsets(second),
    ranges: second === undefined ? new Map() : readRanges(second),
    updatingConfig: third?.boolean() ?? false,
  }
}

/** Java's Long.MAX_VALUE is no offset: it stands for the end of a segment behind which nothing is to be read. */
const END_OF_SEGMENT = 2n ** 63n - 1n

function writeEnd(writer: ByteWriter, offset: number): void {
  writer.long(offset === Number.POSITIVE_INFINITY ? END_OF_SEGMENT : offset)
}

function readEnd(reader: ByteReader): number {
  const offset = reader.long()
  if (typeof offset === 'number') return offset
  if (offset !== END_OF_SEGMENT) reader.fail(`holds ${offset}, which is outside of ±2^53`)
  return Number.POSITIVE_INFINITY
}

function writeRangedOffsets(writer: ByteWriter, segments: ReadonlyMap<string, RangedOffset>): void {
  // The range belongs to the key, so it stands before the offset.
  writeMap(writer, segments, writeText, (fields, { offset, range }) => {
    writeKeyRange(fields, range)
    writeOffset(fields, offset)
  })
}

function readRangedOffsets(reader: ByteReader): Map<string, RangedOffset> {
  return readMap(reader, readSegmentName, (fields) => {
    const range = readKeyRange(fields)
    return { range, offset: readOffset(fields) }
  })
}

function writeRanges(writer: ByteWriter, ranges: Ranges): void {
  writeMap(writer, ranges, writeText, writeKeyRange)
}

function readRanges(reader: ByteReader): Map<string, KeyRange | undefined> {
  return readMap(reader, readSegmentName, readKeyRange)
}

function writePredecessors(writer: ByteWriter, predecessors: Predecessors): void {
  writeMap(writer, predecessors, writeText, (fields, ids) => {
    writeList(fields, ids, (element, id) => element.long(id))
  })
}

function readPredecessors(reader: ByteReader): Map<string, bigint[]> {
  return readMap(reader, readSegmentName, (fields) => readList(fields, (element) => BigInt(element.long())))
}
