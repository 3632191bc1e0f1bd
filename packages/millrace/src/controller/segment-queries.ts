/** The calls that tell which segments a stream has, in what order they follow, and where they are. */
import type {
  NodeUri,
  SegmentRange,
  SegmentRanges,
  StreamInfo,
  SuccessorResponse,
} from '../protocol/controller/messages.ts'
import { type CallContext, ControllerError, type ControllerService } from '../protocol/controller/service.ts'
import { segmentNameOfId } from '../protocol/names.ts'
import type { Scopes } from './scopes.ts'
import { type Frontier, frontierOf, segmentsBetween, tailFrontier } from './stream-cut.ts'
import { headOf, type StreamRecord } from './stream-life.ts'
import {
  currentSegments,
  findEpoch,
  segmentsOfEpoch,
  type StreamSegment,
  successorsOf,
} from './stream-segments.ts'
import type { Streams } from './streams.ts'

type SegmentQueries = Pick<
  ControllerService,
  | 'getControllerServerList'
  | 'getCurrentSegments'
  | 'getEpochSegments'
  | 'getSegments'
  | 'getSegmentsImmediatelyFollowing'
  | 'getSegmentsImmediatlyFollowing'
  | 'getSegmentsBetween'
  | 'getURI'
  | 'isSegmentValid'
  | 'isStreamCutValid'
>

/** Where things are, as the caller reaches them. */
export interface Whereabouts {
  /** The store that serves a segment. */
  readonly locate: (context: CallContext, segmentName: string) => NodeUri | Promise<NodeUri>
  /** This controller. */
  readonly self: (context: CallContext) => NodeUri
}

export function segmentQueries(
  scopes: Scopes,
  streams: Streams,
  { locate, self }: Whereabouts,
): SegmentQueries {
  async function describe({ scope, stream }: StreamInfo): Promise<StreamRecord> {
    return streams.describe(await scopes.open(scope), { scope, stream })
  }

  async function following(streamInfo: StreamInfo, segmentId: bigint): Promise<SuccessorResponse> {
    const successors = successorsOf(await describe(streamInfo), segmentId)
    return {
      segments: successors.map(({ segment, predecessors }) => ({
        segment: rangeOf(streamInfo, segment),
        value: predecessors.map(({ id }) => id),
      })),
      delegationToken: '',
    }
  }

  return {
    getControllerServerList: async (_request, context = {}) => ({ nodeURI: [self(context)] }),

    async getCurrentSegments(streamInfo) {
      return rangesOf(streamInfo, openSegments(await describe(streamInfo)))
    },

    async getEpochSegments({ streamInfo, epoch }) {
      if (epoch < 0) throw new ControllerError('invalid-argument', `There is no epoch ${epoch}`)
      const record = await describe(streamInfo)
      const segments = segmentsOfEpoch(record, epoch)
      const began = findEpoch(record, epoch)
      if (segments === undefined || began === undefined)
        throw new ControllerError(
          'not-found',
          `Stream ${streamInfo.scope}/${streamInfo.stream} has had no epoch ${epoch}`,
        )
      const { startedAtMs, cause, detail = '' } = began
      const epochInfo = { startedAtMs: BigInt(startedAtMs), cause, detail }
      return { ...rangesOf(streamInfo, segments), epochInfo }
    },

    async getSegments({ streamInfo }) {
      const { scope, stream } = streamInfo
      const segments = [...headOf(await describe(streamInfo))].map(([segmentId, offset]) => ({
        segmentId: { streamInfo: { scope, stream }, segmentId },
        offset,
      }))
      return { segments, delegationToken: '' }
    },

    getSegmentsImmediatelyFollowing: ({ streamInfo, segmentId }) => following(streamInfo, segmentId),
    getSegmentsImmediatlyFollowing: ({ streamInfo, segmentId }) => following(streamInfo, segmentId),

    async getSegmentsBetween({ streamInfo, from, to }) {
      const { scope, stream } = streamInfo
      if (from.size === 0 && to.size === 0)
        throw new ControllerError('invalid-argument', 'One of the two stream cuts names segments')
      const record = await describe(streamInfo)
      const bounds = {
        from: toFrontier(frontierOf(record, from.size === 0 ? headOf(record) : from)),
        to: to.size === 0 ? tailFrontier(record) : toFrontier(frontierOf(record, to)),
      }
      const segments = segmentsBetween(record, bounds)
      return {
        segments: segments.map(({ id }) => ({ streamInfo: { scope, stream }, segmentId: id })),
        delegationToken: '',
      }
    },

    async getURI({ streamInfo, segmentId }, context = {}) {
      return locate(context, segmentNameOfId(streamInfo.scope, streamInfo.stream, segmentId))
    },

    async isSegmentValid({ streamInfo, segmentId }) {
      const segments = openSegments(await describe(streamInfo))
      return { response: segments.some(({ id }) => id === segmentId) }
    },

    async isStreamCutValid({ streamInfo, cut }) {
      return { response: typeof frontierOf(await describe(streamInfo), cut) !== 'string' }
    },
  }
}

/** Those that can be appended to: none of a sealed stream. */
function openSegments(record: StreamRecord): readonly StreamSegment[] {
  return record.state.kind === 'sealed' ? [] : currentSegments(record)
}

function rangesOf(streamInfo: StreamInfo, segments: readonly StreamSegment[]): SegmentRanges {
  return { segmentRanges: segments.map((segment) => rangeOf(streamInfo, segment)), delegationToken: '' }
}

export function rangeOf({ scope, stream }: StreamInfo, { id, low, high }: StreamSegment): SegmentRange {
  return { segmentId: { streamInfo: { scope, stream }, segmentId: id }, minKey: low, maxKey: high }
}

function toFrontier(frontier: Frontier | string): Frontier {
  if (typeof frontier === 'string') throw new ControllerError('invalid-argument', frontier)
  return frontier
}
