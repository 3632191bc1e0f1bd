/** The calls that make, change, scale and describe streams. */
import type { Clock } from '../base/host.ts'
import {
  CreateStreamStatus,
  DeleteStreamStatus,
  SubscribersResponse,
  ScaleResponse,
  ScaleStatusResponse,
  type StreamInfo,
  UpdateStreamStatus,
  UpdateSubscriberStatus,
} from '../protocol/controller/messages.ts'
import { ControllerError, type ControllerService } from '../protocol/controller/service.ts'
import { anyNameProblem, SYSTEM_SCOPE } from '../protocol/names.ts'
import { isSameId } from './groups.ts'
import { NoTableError } from './records.ts'
import { settingsOf } from './requests.ts'
import type { Scopes } from './scopes.ts'
import { rangeOf } from './segment-queries.ts'
import type { Refusal, StreamEvent } from './stream-life.ts'
import { currentEpoch } from './stream-segments.ts'
import type { StreamOutcome, Streams } from './streams.ts'

type StreamCalls = Pick<
  ControllerService,
  | 'createStream'
  | 'updateStream'
  | 'truncateStream'
  | 'sealStream'
  | 'deleteStream'
  | 'scale'
  | 'checkScale'
  | 'checkStreamExists'
  | 'getStreamConfiguration'
  | 'listSubscribers'
  | 'updateSubscriberStreamCut'
  | 'getDelegationToken'
>

export function streamCalls(scopes: Scopes, streams: Streams, clock: Clock): StreamCalls {
  async function apply({ scope, stream }: StreamInfo, event: StreamEvent): Promise<StreamOutcome> {
    const open = await scopes.open(scope)
    if (open === undefined) return 'missing'
    if (event.kind === 'truncate') return streams.truncate(open, stream, event.cut)
    return streams.apply(open, stream, event)
  }

  return {
    async createStream(config) {
      const { scope, stream } = config.streamInfo
      const settings = settingsOf(config)
      if (anyNameProblem('stream', stream) !== undefined || isReserved(scope, stream))
        return { status: CreateStreamStatus.INVALID_STREAM_NAME }
      const open = await scopes.open(scope)
      if (open === undefined) return { status: CreateStreamStatus.SCOPE_NOT_FOUND }
      try {
        const outcome = await streams.create(open, stream, settings)
        return {
          status: outcome === 'created' ? CreateStreamStatus.SUCCESS : CreateStreamStatus.STREAM_EXISTS,
        }
      } catch (error) {
        if (error instanceof NoTableError) return { status: CreateStreamStatus.SCOPE_NOT_FOUND }
        throw error
      }
    },

    async updateStream(config) {
      const settings = settingsOf(config)
      const event = { kind: 'configure', settings, nowMs: clock.now() } as const
      return { status: updateStatus(await apply(config.streamInfo, event)) }
    },

    async truncateStream({ streamInfo, cut }) {
      return { status: updateStatus(await apply(streamInfo, { kind: 'truncate', cut })) }
    },

    async sealStream(streamInfo) {
      return { status: updateStatus(await apply(streamInfo, { kind: 'seal' })) }
    },

    async deleteStream(streamInfo) {
      const outcome = await apply(streamInfo, { kind: 'delete', evenOpen: false })
      if (outcome === 'done') return { status: DeleteStreamStatus.SUCCESS }
      if (outcome === 'missing') return { status: DeleteStreamStatus.STREAM_NOT_FOUND }
      const isOpen = outcome.refused === 'not-sealed'
      return { status: isOpen ? DeleteStreamStatus.STREAM_NOT_SEALED : DeleteStreamStatus.FAILURE }
    },

    async scale({ streamInfo, sealedSegments, newKeyRanges }) {
      const open = await scopes.open(streamInfo.scope)
      const into = newKeyRanges.map(({ start, end }) => ({ low: start, high: end }))
      const asked = { seal: sealedSegments, into, cause: 'manual' } as const
      const outcome = open === undefined ? 'missing' : await streams.scale(open, streamInfo.stream, asked)
      if (outcome === 'missing') return { status: ScaleResponse.FAILURE, segments: [], epoch: 0 }
      if (outcome.refused !== undefined)
        return { status: refusedScale(outcome.refused, outcome.reason), segments: [], epoch: 0 }
      const segments = outcome.created.map((segment) => rangeOf(streamInfo, segment))
      return { status: ScaleResponse.STARTED, segments, epoch: outcome.epoch }
    },

    async checkScale({ streamInfo, epoch }) {
      if (epoch < 0) throw new ControllerError('invalid-argument', `There is no epoch ${epoch}`)
      const open = await scopes.open(streamInfo.scope)
      const record = open === undefined ? undefined : await streams.read(open, streamInfo.stream)
      if (record === undefined || epoch > currentEpoch(record))
        return { status: ScaleStatusResponse.INVALID_INPUT }
      const isOver = epoch < currentEpoch(record)
      return { status: isOver ? ScaleStatusResponse.SUCCESS : ScaleStatusResponse.IN_PROGRESS }
    },

    async checkStreamExists({ scope, stream }) {
      const open = await scopes.open(scope)
      return { exists: open !== undefined && (await streams.read(open, stream)) !== undefined }
    },

    async getStreamConfiguration({ scope, stream }) {
      const { settings } = await streams.describe(await scopes.open(scope), { scope, stream })
      const { tags, ...rest } = settings
      return { ...rest, streamInfo: { scope, stream }, tags: { tag: tags } }
    },

    async listSubscribers({ scope, stream }) {
      const open = await scopes.open(scope)
      const record = open === undefined ? undefined : await streams.read(open, stream)
      if (record === undefined) return { subscribers: [], status: SubscribersResponse.STREAM_NOT_FOUND }
      return {
        subscribers: record.subscribers.map(({ name }) => name),
        status: SubscribersResponse.SUCCESS,
      }
    },

    async updateSubscriberStreamCut({ subscriber, generation, readerGroupId, streamCut }) {
      const { streamInfo, cut } = streamCut
      const open = await scopes.open(streamInfo.scope)
      const record = open === undefined ? undefined : await streams.read(open, streamInfo.stream)
      if (record === undefined) return { status: UpdateSubscriberStatus.STREAM_NOT_FOUND }
      const known = record.subscribers.find(({ name }) => name === subscriber)
      if (known === undefined || !isSameId(known.groupId, readerGroupId))
        return { status: UpdateSubscriberStatus.SUBSCRIBER_NOT_FOUND }
      if (known.generation !== generation) return { status: UpdateSubscriberStatus.GENERATION_MISMATCH }
      return {
        status: subscriberStatus(await apply(streamInfo, { kind: 'note-cut', name: subscriber, cut })),
      }
    },

    // Nobody is asked who they are, and with an empty token clients do not ask for another one.
    getDelegationToken: async () => ({ delegationToken: '' }),
  }
}

/** Streams of the system's scope whose segments would lie among the controller's tables or the store's own segments. */
function isReserved(scope: string, stream: string): boolean {
  return scope === SYSTEM_SCOPE && (stream === '_tables' || stream === 'containers')
}

type UpdateOutcome = UpdateStreamStatus['status']

function updateStatus(outcome: StreamOutcome): UpdateOutcome {
  if (outcome === 'done') return UpdateStreamStatus.SUCCESS
  if (outcome === 'missing') return UpdateStreamStatus.STREAM_NOT_FOUND
  if (outcome.refused === 'out-of-numbers') throw new ControllerError('out-of-range', outcome.reason)
  return outcome.refused === 'sealed' ? UpdateStreamStatus.STREAM_SEALED : UpdateStreamStatus.FAILURE
}

/** As in Pravega, whose clients take the one for "no" and the other for an error. */
function refusedScale(refused: Refusal, reason: string): ScaleResponse['status'] {
  switch (refused) {
    case 'wrong-segments':
    case 'below-minimum':
      return ScaleResponse.PRECONDITION_FAILED
    case 'too-many-segments':
      throw new ControllerError('invalid-argument', reason)
    case 'out-of-numbers':
      throw new ControllerError('out-of-range', reason)
    default:
      return ScaleResponse.FAILURE
  }
}

function subscriberStatus(outcome: StreamOutcome): UpdateSubscriberStatus['status'] {
  if (outcome === 'done') return UpdateSubscriberStatus.SUCCESS
  if (outcome === 'missing') return UpdateSubscriberStatus.STREAM_NOT_FOUND
  if (outcome.refused === 'no-such-subscriber') return UpdateSubscriberStatus.SUBSCRIBER_NOT_FOUND
  if (outcome.refused === 'invalid-cut' || outcome.refused === 'cut-behind')
    return UpdateSubscriberStatus.STREAM_CUT_NOT_VALID
  return UpdateSubscriberStatus.FAILURE
}
