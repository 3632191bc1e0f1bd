/** A controller over fake segment stores, and requests as clients send them, for tests. */
import { nodeHost } from '../base/node-host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { createController, type ControllerOptions } from '../controller/controller.ts'
import {
  GroupRetention,
  type ReaderGroupConfiguration,
  type ScalingPolicy,
  ScaleType,
  type StreamConfig,
} from '../protocol/controller/messages.ts'
import type { ControllerService } from '../protocol/controller/service.ts'
import { segmentIdOf } from '../protocol/names.ts'
import { FakeSegments } from './fake-segments.ts'

export interface ControllerFixture {
  readonly service: ControllerService
  readonly segments: SegmentCalls
  readonly fake: FakeSegments
  readonly failures: readonly { rpc: string; error: unknown }[]
  /** Goes on with what was left undone. */
  start(): Promise<void>
  close(): Promise<void>
}

export function openController(
  fake: FakeSegments = new FakeSegments(),
  segments: SegmentCalls = fake.connect(),
  options: Partial<ControllerOptions> = {},
): ControllerFixture {
  const failures: { rpc: string; error: unknown }[] = []
  const controller = createController({
    host: nodeHost(),
    segments,
    locate: () => ({ endpoint: 'store.millrace', port: 12345 }),
    self: () => ({ endpoint: 'controller.millrace', port: 9090 }),
    onFailure: (failure) => failures.push(failure),
    ...options,
  })
  return {
    service: controller.service,
    segments,
    fake,
    failures,
    start: () => controller.start(),
    close: () => controller.close(),
  }
}

export function fixed(minNumSegments: number): ScalingPolicy {
  return { scaleType: ScaleType.FIXED_NUM_SEGMENTS, targetRate: 0, scaleFactor: 0, minNumSegments }
}

/** `name` is `scope/stream`. */
export function streamConfig(name: string, options: Partial<StreamConfig> = {}): StreamConfig {
  return {
    streamInfo: streamInfo(name),
    scalingPolicy: fixed(1),
    timestampAggregationTimeout: 0n,
    rolloverSizeBytes: 0n,
    ...options,
  }
}

export function streamInfo(name: string): { scope: string; stream: string } {
  const [scope = '', stream = ''] = name.split('/')
  return { scope, stream }
}

export function groupConfig(
  name: string,
  streams: readonly string[],
  options: Partial<ReaderGroupConfiguration> = {},
): ReaderGroupConfiguration {
  const { scope, stream: readerGroupName } = streamInfo(name)
  const unbounded = streams.map((stream) => ({
    streamInfo: streamInfo(stream),
    cut: new Map<bigint, number>(),
  }))
  return {
    scope,
    readerGroupName,
    groupRefreshTimeMillis: 3000n,
    automaticCheckpointIntervalMillis: 30_000n,
    maxOutstandingCheckpointRequest: 3,
    retentionType: GroupRetention.NONE,
    generation: 0n,
    readerGroupId: '3f2b7c1e-55aa-4a6e-9c0d-0123456789ab',
    startingStreamCuts: unbounded,
    endingStreamCuts: unbounded,
    rolloverSizeBytes: 0n,
    ...options,
  }
}

/** Of offsets by `number` (epoch 0) or `epoch.number`. */
export function cutOf(offsets: Readonly<Record<string, number>>): Map<bigint, number> {
  return new Map(
    Object.entries(offsets).map(([name, offset]) => {
      const [number, epoch = '0'] = name.split('.').toReversed()
      return [segmentIdOf({ number: Number(number), epoch: Number(epoch) }), offset]
    }),
  )
}
