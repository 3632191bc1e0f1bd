/** What callers send, checked before anything is done with it. Everything here throws `invalid-argument`. */
import type { Random } from '../base/host.ts'
import {
  GroupRetention,
  type ReaderGroupConfiguration,
  RetentionType,
  ScaleType,
  type StreamConfig,
} from '../protocol/controller/messages.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import { parseUuid, randomUuid, showUuid, UUID_ZERO } from '../protocol/uuid.ts'
import { SEGMENTS_MAX, TAG_LENGTH_MAX, TAGS_MAX } from './limits.ts'
import type { StreamSettings } from './stream-life.ts'

export function settingsOf(config: StreamConfig): StreamSettings {
  const { scaleType, targetRate, scaleFactor, minNumSegments } = config.scalingPolicy
  require(minNumSegments >= 1 &&
    minNumSegments <=
      SEGMENTS_MAX, `A stream has 1 to ${SEGMENTS_MAX} segments, the policy asks for ${minNumSegments}`)
  require(Object.values(ScaleType).includes(scaleType), `There is no type ${scaleType} of scaling policy`)
  if (scaleType !== ScaleType.FIXED_NUM_SEGMENTS) {
    require(targetRate >= 1, `A scaling policy by rate has a target of at least 1, not ${targetRate}`)
    require(scaleFactor >= 1, `A scaling policy by rate has a factor of at least 1, not ${scaleFactor}`)
  }
  require(config.rolloverSizeBytes >=
    0n, `The rollover size is at least 0 bytes, not ${config.rolloverSizeBytes}`)
  const tags = config.tags?.tag ?? []
  require(tags.length <= TAGS_MAX, `A stream has at most ${TAGS_MAX} tags, not ${tags.length}`)
  for (const tag of tags)
    require(tag.length <=
      TAG_LENGTH_MAX, `A tag has at most ${TAG_LENGTH_MAX} characters, this one has ${tag.length}: ${tag.slice(0, 32)}`)
  return {
    scalingPolicy: { scaleType, targetRate, scaleFactor, minNumSegments },
    retentionPolicy: retentionOf(config),
    tags: [...new Set(tags)],
    timestampAggregationTimeout: config.timestampAggregationTimeout,
    rolloverSizeBytes: config.rolloverSizeBytes,
  }
}

/** The configuration that is stored: as it was sent, but never under the zero id, which clients take for "not set". */
export function newGroupConfig(sent: ReaderGroupConfiguration, random: Random): ReaderGroupConfiguration {
  const config = groupConfigOf(sent)
  if (config.readerGroupId !== '' && parseId(config.readerGroupId) !== UUID_ZERO) return config
  return { ...config, readerGroupId: showUuid(randomUuid(random)), generation: 0n }
}

export function groupConfigOf(sent: ReaderGroupConfiguration): ReaderGroupConfiguration {
  require(Object.values<number>(GroupRetention).includes(
    sent.retentionType,
  ), `There is no retention type ${sent.retentionType} of reader groups`)
  require(sent.rolloverSizeBytes >=
    0n, `The rollover size is at least 0 bytes, not ${sent.rolloverSizeBytes}`)
  if (sent.readerGroupId !== '') parseId(sent.readerGroupId)
  for (const { streamInfo } of [...sent.startingStreamCuts, ...sent.endingStreamCuts])
    require(streamInfo.scope !== '' &&
      streamInfo.stream !== '', 'A stream cut of a reader group names its scope and its stream')
  return sent
}

/** `UNKNOWN` is what older clients send for none. */
function retentionOf({ retentionPolicy }: StreamConfig): StreamSettings['retentionPolicy'] {
  if (retentionPolicy === undefined || retentionPolicy.retentionType === RetentionType.UNKNOWN)
    return undefined
  const { retentionType, retentionParam, retentionMax } = retentionPolicy
  require(Object.values(RetentionType).includes(
    retentionType,
  ), `There is no type ${retentionType} of retention policy`)
  return { retentionType, retentionParam, retentionMax }
}

function parseId(text: string): string {
  try {
    return parseUuid(text)
  } catch (error) {
    throw new ControllerError('invalid-argument', `The id of a reader group is a UUID, not '${text}'`, {
      cause: error,
    })
  }
}

function require(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ControllerError('invalid-argument', message)
}
