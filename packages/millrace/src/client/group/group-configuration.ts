/** A group's configuration, which stands in the group's state and at the controller, and what follows from it. */
import type { ReaderGroupConfiguration, StreamCut as SentCut } from '../../protocol/controller/messages.ts'
import { GroupRetention } from '../../protocol/controller/messages.ts'
import type { ScopedName } from '../../protocol/names.ts'
import { parseScopedName, scopedName, segmentNameOfId } from '../../protocol/names.ts'
import type { ConfiguredCuts, GroupConfig } from '../../protocol/reader-group/group-config.ts'
import type { StartGroup } from '../../protocol/reader-group/group-updates.ts'
import type { StreamCut } from '../../protocol/stream-cut.ts'
import { parseUuid, showUuid } from '../../protocol/uuid.ts'
import type { Long } from '../../protocol/wire/commands.ts'
import type { Wait } from '../segment-calls.ts'
import type { Cut, StreamMetadata } from '../stream-metadata.ts'
import { missingBefore } from './following.ts'

/** Java's defaults. Its readers hand over at checkpoints only, so a group that they may join has automatic ones. */
const REFRESH_TIME_MS = 3000
const AUTOMATIC_CHECKPOINT_INTERVAL_MS = 30_000
const OUTSTANDING_CHECKPOINTS_MAX = 3
/** In place of an offset, as in Java. */
const READ_TO_ITS_END = -1

/** A new group of one stream. `from` undefined: it starts at the head of the stream. */
export function newGroupConfig(stream: string, from: Cut | undefined, groupId: string): GroupConfig {
  return {
    groupRefreshTimeMs: REFRESH_TIME_MS,
    automaticCheckpointIntervalMs: AUTOMATIC_CHECKPOINT_INTERVAL_MS,
    maxOutstandingCheckpointRequests: OUTSTANDING_CHECKPOINTS_MAX,
    retention: GroupRetention.NONE,
    generation: 0,
    groupId,
    startingStreamCuts: startingAt(stream, from),
    // As Java: every stream has an entry, be it that of no end.
    endingStreamCuts: new Map([[stream, undefined]]),
  }
}

export function startingAt(stream: string, from: Cut | undefined): ConfiguredCuts {
  const { scope, name } = parseScopedName(stream)
  return new Map([[stream, from === undefined ? undefined : { scope, stream: name, positions: from }]])
}

export function toMessage({ scope, name }: ScopedName, config: GroupConfig): ReaderGroupConfiguration {
  return {
    scope,
    readerGroupName: name,
    groupRefreshTimeMillis: BigInt(config.groupRefreshTimeMs),
    automaticCheckpointIntervalMillis: BigInt(config.automaticCheckpointIntervalMs),
    maxOutstandingCheckpointRequest: config.maxOutstandingCheckpointRequests,
    retentionType: config.retention,
    generation: BigInt(config.generation),
    readerGroupId: showUuid(config.groupId),
    startingStreamCuts: cutsToMessage(config.startingStreamCuts),
    endingStreamCuts: cutsToMessage(config.endingStreamCuts),
    rolloverSizeBytes: 0n,
  }
}

export function fromMessage(message: ReaderGroupConfiguration): GroupConfig {
  return {
    groupRefreshTimeMs: toLong(message.groupRefreshTimeMillis),
    automaticCheckpointIntervalMs: toLong(message.automaticCheckpointIntervalMillis),
    maxOutstandingCheckpointRequests: message.maxOutstandingCheckpointRequest,
    retention: message.retentionType,
    generation: toLong(message.generation),
    groupId: parseUuid(message.readerGroupId),
    startingStreamCuts: cutsFromMessage(message.startingStreamCuts),
    endingStreamCuts: cutsFromMessage(message.endingStreamCuts),
  }
}

/** The state that a group of one stream begins with. */
export async function startOf(
  config: GroupConfig,
  metadata: StreamMetadata,
  wait: Wait,
): Promise<StartGroup> {
  const cut = config.startingStreamCuts.get(metadata.stream)?.positions
  const start = cut === undefined ? await metadata.head(wait) : await withMissing(metadata, cut, wait)
  const segments = [...start].map(
    ([id, offset]) => [metadata.nameOf(id), { offset, range: undefined }] as const,
  )
  return {
    kind: 'start',
    config,
    segments: new Map(segments),
    endSegments: endSegmentsOf(config),
    updatingConfig: false,
  }
}

/** A cut that Java made of a group amid a merge does not name what had been read to its end: nothing would follow it. */
async function withMissing(metadata: StreamMetadata, cut: Cut, wait: Wait): Promise<Cut> {
  const missing = await missingBefore(metadata, cut, wait)
  return new Map([...cut, ...[...missing].map((id) => [id, READ_TO_ITS_END] as const)])
}

function endSegmentsOf({ endingStreamCuts }: GroupConfig): ReadonlyMap<string, number> {
  const ends = new Map<string, number>()
  for (const cut of endingStreamCuts.values()) {
    if (cut === undefined) continue
    for (const [id, offset] of cut.positions) {
      const segment = segmentNameOfId(cut.scope, cut.stream, id)
      // To the end of the segment, and not on behind it.
      ends.set(segment, offset < 0 ? Number.POSITIVE_INFINITY : offset)
    }
  }
  return ends
}

/** Unbounded is no positions at all, as in Java. */
function cutsToMessage(cuts: ConfiguredCuts): readonly SentCut[] {
  return [...cuts].map(([name, cut]) => {
    const { scope, name: stream } = parseScopedName(name)
    return { streamInfo: { scope, stream }, cut: cut?.positions ?? new Map() }
  })
}

function cutsFromMessage(cuts: readonly SentCut[]): ConfiguredCuts {
  const byStream = new Map<string, StreamCut | undefined>()
  for (const { streamInfo, cut } of cuts) {
    const { scope, stream } = streamInfo
    const bounded = cut.size === 0 ? undefined : { scope, stream, positions: cut }
    byStream.set(scopedName(scope, stream), bounded)
  }
  return byStream
}

function toLong(value: bigint): Long {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
