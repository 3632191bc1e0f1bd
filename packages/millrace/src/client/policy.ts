/** How a stream scales and what it keeps, as programs say it and as the controller does. */
import {
  type RetentionPolicy,
  RetentionType,
  ScaleType,
  type ScalingPolicy,
  type StreamConfig,
} from '../protocol/controller/messages.ts'
import { invalidArgument } from './errors.ts'

export interface StreamPolicy {
  /** Unless it is said otherwise, one segment that splits and merges by itself with the bytes that come in a second. */
  readonly scaling?: Scaling | undefined
  /** Without it nothing is ever truncated by itself. */
  readonly retention?: Retention | undefined
  readonly tags?: readonly string[] | undefined
}

export type Scaling =
  | { readonly segments: number }
  | { readonly eventsPerSecond: number; readonly segmentsMin?: number | undefined }
  /** Whole kilobytes, of 1024 bytes. */
  | { readonly bytesPerSecond: number; readonly segmentsMin?: number | undefined }

/** What is older, or beyond so many bytes, may go. The maximum says when even what a group has not read goes. */
export type Retention =
  | { readonly ageMs: number; readonly ageMsMax?: number | undefined }
  | { readonly bytes: number; readonly bytesMax?: number | undefined }

const KILOBYTE = 1024
const INT32_MAX = 2 ** 31 - 1
/** A segment splits in two when it has too much to do. */
const SCALE_FACTOR = 2
const NO_MAXIMUM = 2n ** 63n - 1n

/**
 * A segment is read by one reader of a group, and 32 MiB a second is what one still keeps up with while it parses and handles
 * each event; what few streams ever get does not make more segments than somebody asked for.
 */
const BYTES_PER_SECOND = 32 * 1024 * KILOBYTE

const DEFAULT_SCALING: Scaling = { bytesPerSecond: BYTES_PER_SECOND }

type PolicyFields = Omit<StreamConfig, 'streamInfo'>

/** What of the policy is not said is taken from `present`, or is the default. */
export function configOf(
  policy: StreamPolicy,
  streamInfo: StreamConfig['streamInfo'],
  present?: StreamConfig,
): StreamConfig {
  const fields: PolicyFields = {
    scalingPolicy:
      policy.scaling === undefined && present !== undefined
        ? present.scalingPolicy
        : scalingPolicyOf(policy.scaling ?? DEFAULT_SCALING),
    retentionPolicy:
      policy.retention === undefined ? present?.retentionPolicy : retentionPolicyOf(policy.retention),
    tags: policy.tags === undefined ? present?.tags : { tag: policy.tags },
    timestampAggregationTimeout: present?.timestampAggregationTimeout ?? 0n,
    rolloverSizeBytes: present?.rolloverSizeBytes ?? 0n,
  }
  return { streamInfo, ...fields }
}

export function policyOf({ scalingPolicy, retentionPolicy, tags }: StreamConfig): StreamPolicy {
  const retention = retentionOf(retentionPolicy)
  return {
    scaling: scalingOf(scalingPolicy),
    ...(retention === undefined ? {} : { retention }),
    ...(tags === undefined || tags.tag.length === 0 ? {} : { tags: tags.tag }),
  }
}

function scalingPolicyOf(scaling: Scaling): ScalingPolicy {
  if ('segments' in scaling)
    return {
      scaleType: ScaleType.FIXED_NUM_SEGMENTS,
      targetRate: 0,
      scaleFactor: 0,
      minNumSegments: checked('segments', scaling.segments),
    }
  const minNumSegments = checked('segmentsMin', scaling.segmentsMin ?? 1)
  if ('eventsPerSecond' in scaling)
    return {
      scaleType: ScaleType.BY_RATE_IN_EVENTS_PER_SEC,
      targetRate: checked('eventsPerSecond', scaling.eventsPerSecond),
      scaleFactor: SCALE_FACTOR,
      minNumSegments,
    }
  const { bytesPerSecond } = scaling
  if (bytesPerSecond % KILOBYTE !== 0)
    throw invalidArgument(`bytesPerSecond is whole kilobytes of ${KILOBYTE} bytes, not ${bytesPerSecond}`)
  return {
    scaleType: ScaleType.BY_RATE_IN_KBYTES_PER_SEC,
    targetRate: checked('bytesPerSecond', bytesPerSecond / KILOBYTE),
    scaleFactor: SCALE_FACTOR,
    minNumSegments,
  }
}

function scalingOf({ scaleType, targetRate, minNumSegments }: ScalingPolicy): Scaling {
  switch (scaleType) {
    case ScaleType.FIXED_NUM_SEGMENTS:
      return { segments: minNumSegments }
    case ScaleType.BY_RATE_IN_EVENTS_PER_SEC:
      return { eventsPerSecond: targetRate, segmentsMin: minNumSegments }
    case ScaleType.BY_RATE_IN_KBYTES_PER_SEC:
      return { bytesPerSecond: targetRate * KILOBYTE, segmentsMin: minNumSegments }
  }
}

function retentionPolicyOf(retention: Retention): RetentionPolicy {
  if ('ageMs' in retention)
    return {
      retentionType: RetentionType.TIME,
      retentionParam: wide('ageMs', retention.ageMs),
      retentionMax: retention.ageMsMax === undefined ? NO_MAXIMUM : wide('ageMsMax', retention.ageMsMax),
    }
  return {
    retentionType: RetentionType.SIZE,
    retentionParam: wide('bytes', retention.bytes),
    retentionMax: retention.bytesMax === undefined ? NO_MAXIMUM : wide('bytesMax', retention.bytesMax),
  }
}

function retentionOf(policy: RetentionPolicy | undefined): Retention | undefined {
  if (policy === undefined || policy.retentionType === RetentionType.UNKNOWN) return undefined
  const limit = Number(policy.retentionParam)
  const max = policy.retentionMax === NO_MAXIMUM ? undefined : Number(policy.retentionMax)
  if (policy.retentionType === RetentionType.TIME)
    return { ageMs: limit, ...(max === undefined ? {} : { ageMsMax: max }) }
  return { bytes: limit, ...(max === undefined ? {} : { bytesMax: max }) }
}

function checked(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= INT32_MAX) return value
  throw invalidArgument(`${name} is a whole number from 1 to ${INT32_MAX}, not ${value}`)
}

function wide(name: string, value: number): bigint {
  if (Number.isSafeInteger(value) && value >= 1) return BigInt(value)
  throw invalidArgument(`${name} is a whole number from 1 on, not ${value}`)
}
