/** The record of a stream as it is stored. Segments are many, so they are written without the names of their fields. */
import type { RecordCodec } from './record-codec.ts'
import type { StreamRecord } from './stream-life.ts'
import { newSegment, type StreamSegment } from './stream-segments.ts'

/** Number, epoch, low, high and, once it is sealed, the epoch that did it. */
type SegmentJson = readonly [number: number, epoch: number, low: number, high: number, sealedIn?: number]

interface StreamJson extends Omit<StreamRecord, 'segments'> {
  readonly segments: readonly SegmentJson[]
}

export const STREAM_CODEC: RecordCodec<StreamRecord> = {
  what: 'stream',
  version: 1,
  toJson: (record): StreamJson => ({ ...record, segments: record.segments.map(segmentToJson) }),
  fromJson(json): StreamRecord {
    const stored = json as StreamJson
    const { settings } = stored
    return {
      ...stored,
      settings: { ...settings, retentionPolicy: settings.retentionPolicy },
      truncatedAt: stored.truncatedAt,
      segments: stored.segments.map(segmentFromJson),
    }
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
