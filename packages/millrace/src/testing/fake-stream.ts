/** A stream as the fake controller has it. */
import type { SegmentRange, StreamConfig, StreamInfo } from '../protocol/controller/messages.ts'
import { segmentNameOfId } from '../protocol/names.ts'

export interface FakeRange {
  readonly id: bigint
  readonly low: number
  readonly high: number
  readonly predecessors: readonly bigint[]
}

export interface FakeStream {
  config: StreamConfig
  readonly info: StreamInfo
  readonly ranges: Map<bigint, FakeRange>
  current: readonly bigint[]
  head: Map<bigint, number>
  epoch: number
  /** The segments of each epoch. */
  readonly epochs: (readonly bigint[])[]
  nextNumber: number
  sealed: boolean
}

export function nameOf({ info }: FakeStream, id: bigint): string {
  return segmentNameOfId(info.scope, info.stream, id)
}

export function rangeOf(stream: FakeStream, id: bigint): SegmentRange {
  const { low, high } = stream.ranges.get(id)!
  return { segmentId: { streamInfo: stream.info, segmentId: id }, minKey: low, maxKey: high }
}
