/**
 * The record of a stream as it is stored. Segments are many, so they are written without the names of their fields. Pages of
 * the past are entries of their own (stream-records.ts), the record only names them.
 */
import { type PastContent, PastPage } from './past-page.ts'
import type { RecordCodec } from './record-codec.ts'
import type { StreamRecord } from './stream-life.ts'
import { type Epoch, type EpochCause, newSegment, type StreamSegment } from './stream-segments.ts'

/** Number, epoch, low, high and, once it is sealed, the epoch that did it. */
type SegmentJson = readonly [number: number, epoch: number, low: number, high: number, sealedIn?: number]

type EpochJson = readonly [epoch: number, startedAtMs: number, cause: EpochCause, detail?: string]

interface StreamJson extends Omit<StreamRecord, 'segments' | 'epochs' | 'past'> {
  readonly segments: readonly SegmentJson[]
  readonly epochs: readonly EpochJson[]
  /** Their names; absent for none. */
  readonly past?: readonly string[]
}

/** Before streams scaled: epochs had no cause, and there was only the first one. */
interface StreamJson1 extends Omit<StreamJson, 'epochs'> {
  readonly epochs: readonly { readonly epoch: number; readonly startedAtMs: number }[]
}

export const STREAM_CODEC: RecordCodec<StreamRecord> = {
  what: 'stream',
  version: 2,
  versionsBefore: [1],
  toJson(record): StreamJson {
    const { past, segments, epochs, ...rest } = record
    return {
      ...rest,
      segments: segments.map(segmentToJson),
      epochs: epochs.map(epochToJson),
      ...(past.length > 0 ? { past: past.map(({ id }) => id) } : {}),
    }
  },
  fromJson(json, version): StreamRecord {
    const stored = version === 1 ? fromVersion1(json as StreamJson1) : (json as StreamJson)
    const { settings, past = [], ...rest } = stored
    return {
      ...rest,
      settings: { ...settings, retentionPolicy: settings.retentionPolicy },
      truncatedAt: stored.truncatedAt,
      past: past.map((id) => PastPage.unread(id)),
      segments: stored.segments.map(segmentFromJson),
      epochs: stored.epochs.map(epochFromJson),
    }
  },
  bytesBeside: ({ past }) => past.reduce((sum, page) => sum + bytesOf(page), 0),
}

interface PastJson {
  readonly segments: readonly SegmentJson[]
  readonly epochs: readonly EpochJson[]
}

export const PAST_CODEC: RecordCodec<PastContent> = {
  what: 'past of a stream',
  version: 1,
  toJson: ({ segments, epochs }): PastJson => ({
    segments: segments.map(segmentToJson),
    epochs: epochs.map(epochToJson),
  }),
  fromJson(json): PastContent {
    const { segments, epochs } = json as PastJson
    return { segments: segments.map(segmentFromJson), epochs: epochs.map(epochFromJson) }
  },
}

/** What is left of a deleted stream. */
export interface Grave {
  /** Segments of a new stream of this name are numbered from here. */
  readonly nextNumber: number
}

export const GRAVE_CODEC: RecordCodec<Grave> = {
  what: 'deleted stream',
  version: 1,
  toJson: (grave) => grave,
  fromJson: (json) => json as Grave,
}

function segmentToJson({ number, epoch, low, high, sealedIn }: StreamSegment): SegmentJson {
  return sealedIn === undefined ? [number, epoch, low, high] : [number, epoch, low, high, sealedIn]
}

function segmentFromJson([number, epoch, low, high, sealedIn]: SegmentJson): StreamSegment {
  return { ...newSegment({ number, epoch, low, high }), sealedIn }
}

function epochToJson({ epoch, startedAtMs, cause, detail }: Epoch): EpochJson {
  return detail === undefined ? [epoch, startedAtMs, cause] : [epoch, startedAtMs, cause, detail]
}

function epochFromJson([epoch, startedAtMs, cause, detail]: EpochJson): Epoch {
  return { epoch, startedAtMs, cause, ...(detail === undefined ? {} : { detail }) }
}

function fromVersion1(json: StreamJson1): StreamJson {
  return { ...json, epochs: json.epochs.map(({ epoch, startedAtMs }) => [epoch, startedAtMs, 'created']) }
}

function bytesOf(page: PastPage): number {
  return page.length * 40 + page.epochs.length * 64
}
