/** The configuration of a reader group as it stands in the group's state. The controller keeps one of its own. */
import { ByteReader } from '../byte-reader.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { GroupRetention } from '../controller/messages.ts'
import {
  encodeVersioned,
  readCompactInt,
  readMap,
  readSizedBytes,
  readText,
  readVersioned,
  writeCompactInt,
  writeMap,
  writeSizedBytes,
  writeText,
} from '../java-serializer.ts'
import { decodeStreamCut, encodeStreamCut, type StreamCut } from '../stream-cut.ts'
import { UUID_ZERO } from '../uuid.ts'
import type { Long } from '../wire/commands.ts'

/** By `scope/stream`; undefined is Java's UNBOUNDED: the head of the stream at a start, and no end at an end. */
export type ConfiguredCuts = ReadonlyMap<string, StreamCut | undefined>

export interface GroupConfig {
  readonly groupRefreshTimeMs: Long
  /** Not above zero: there are no automatic checkpoints. */
  readonly automaticCheckpointIntervalMs: Long
  readonly maxOutstandingCheckpointRequests: number
  /** One of `GroupRetention`. */
  readonly retention: number
  /** Of the configuration at the controller that this one is. */
  readonly generation: Long
  /** Sixteen characters; all zero in groups of old clients: trap 68. */
  readonly groupId: string
  readonly startingStreamCuts: ConfiguredCuts
  readonly endingStreamCuts: ConfiguredCuts
}

const SUBJECT = 'configuration of a reader group'
const OUTSTANDING_DEFAULT = 3

export function encodeGroupConfig(config: GroupConfig): Buffer {
  // The second revision repeats the first one.
  const writeFirst = (writer: ByteWriter): void => {
    writer.long(config.automaticCheckpointIntervalMs)
    writer.long(config.groupRefreshTimeMs)
    writeMap(writer, config.startingStreamCuts, writeText, writeCut)
    writeMap(writer, config.endingStreamCuts, writeText, writeCut)
  }
  return encodeVersioned({ version: 0 }, [
    writeFirst,
    (writer) => {
      writeFirst(writer)
      writer.int32(config.maxOutstandingCheckpointRequests)
    },
    (writer) => {
      writeCompactInt(writer, config.retention)
      writer.long(config.generation)
      writer.uuid(config.groupId)
    },
  ])
}

export function decodeGroupConfig(bytes: Buffer): GroupConfig {
  const { first, second, third } = readVersioned(new ByteReader(bytes, SUBJECT), SUBJECT, [0])
  const fields = second ?? first
  fields.part = 'intervals'
  const automaticCheckpointIntervalMs = fields.long()
  const groupRefreshTimeMs = fields.long()
  fields.part = 'starting cuts'
  const startingStreamCuts = readMap(fields, readText, readCut)
  fields.part = 'ending cuts'
  const endingStreamCuts = readMap(fields, readText, readCut)
  fields.part = 'checkpoints'
  const maxOutstandingCheckpointRequests = second === undefined ? OUTSTANDING_DEFAULT : fields.int32()
  const lastFields =
    third === undefined
      ? { retention: GroupRetention.NONE, generation: -1, groupId: UUID_ZERO }
      : readLastFields(third)
  return {
    automaticCheckpointIntervalMs,
    groupRefreshTimeMs,
    startingStreamCuts,
    endingStreamCuts,
    maxOutstandingCheckpointRequests,
    ...lastFields,
  }
}

function readLastFields(fields: ByteReader): Pick<GroupConfig, 'retention' | 'generation' | 'groupId'> {
  fields.part = 'retention'
  const retention = readCompactInt(fields)
  if (retention > GroupRetention.AUTOMATIC) fields.fail(`is ${retention}, known: 0 to 2`)
  fields.part = 'generation'
  return { retention, generation: fields.long(), groupId: fields.latin1(16) }
}

// An unbounded cut is no bytes.
function writeCut(writer: ByteWriter, cut: StreamCut | undefined): void {
  writeSizedBytes(writer, cut === undefined ? Buffer.alloc(0) : encodeStreamCut(cut))
}

function readCut(reader: ByteReader): StreamCut | undefined {
  const bytes = readSizedBytes(reader)
  return bytes.length === 0 ? undefined : decodeStreamCut(bytes)
}
