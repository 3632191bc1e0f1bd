/**
 * The controller: Pravega's ControllerService over segment stores, with its metadata in their tables. It has no state of its
 * own but what it holds of those tables, so it may stop at any moment, and the next one goes on from there.
 *
 * One controller belongs to one store at a time; what holds the store's directory holds that, too.
 */
import type { Host } from '../base/host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import {
  type CallContext,
  callByName,
  ControllerError,
  type ControllerService,
  type RpcName,
  serviceOf,
} from '../protocol/controller/service.ts'
import { toControllerError } from './failures.ts'
import { GROUP_CODEC } from './group-record.ts'
import { groupCalls } from './group-calls.ts'
import { Groups } from './groups.ts'
import { KeyedQueue } from './keyed-queue.ts'
import { RECORD_CACHE_BYTES } from './limits.ts'
import { Records } from './records.ts'
import { scopeCalls } from './scope-calls.ts'
import { SCOPE_CODEC, Scopes } from './scopes.ts'
import { segmentQueries, type Whereabouts } from './segment-queries.ts'
import { streamCalls } from './stream-calls.ts'
import { GRAVE_CODEC, STREAM_CODEC } from './stream-record.ts'
import { Streams } from './streams.ts'
import { unservedCalls } from './unserved-calls.ts'

export interface ControllerOptions extends Whereabouts {
  readonly host: Host
  /** All that the controller does, it does through these. */
  readonly segments: SegmentCalls
  /** A call that failed in a way its caller cannot have caused. */
  readonly onFailure?: (failure: { rpc: RpcName; error: unknown }) => void
}

export interface Controller {
  readonly service: ControllerService
  /** Refuses further calls and resolves when those under way are over. Close the segment calls first to cut them short. */
  close(): Promise<void>
}

export function createController(options: ControllerOptions): Controller {
  const { onFailure = (): void => undefined } = options
  const { scopes, streams } = assemble(options)
  const calls: ControllerService = {
    ...scopeCalls(scopes, streams),
    ...streamCalls(scopes, streams),
    ...segmentQueries(scopes, streams, options),
    ...groupCalls(scopes, options.host.random),
    ...unservedCalls,
  }
  const running = new Set<Promise<unknown>>()
  let isClosed = false
  let prepared: Promise<void> | undefined

  /** Once it has succeeded it is not done again; after a failure the next call tries anew. */
  function prepare(): Promise<void> {
    prepared ??= scopes.prepare().catch((error: unknown) => {
      prepared = undefined
      throw error
    })
    return prepared
  }

  async function serve(rpc: RpcName, request: object, context: CallContext): Promise<object> {
    try {
      if (!WITHOUT_METADATA.has(rpc)) await prepare()
      return await callByName(calls, { rpc, request, context })
    } catch (error) {
      const told = toControllerError(error)
      if (!(told instanceof ControllerError) || BLAMELESS.has(told.code)) onFailure({ rpc, error: told })
      throw told
    }
  }

  return {
    service: serviceOf(async (rpc, request, context) => {
      if (isClosed) throw new ControllerError('unavailable', 'The controller is closed')
      if (context.signal?.aborted === true) throw cancelled(context.signal)
      const answer = serve(rpc, request, context)
      running.add(answer)
      const over = (): void => {
        running.delete(answer)
      }
      answer.then(over, over)
      return unlessAborted(answer, context.signal)
    }),
    async close() {
      isClosed = true
      await Promise.allSettled(running)
    },
  }
}

/** Calls that are answered even while no store can be reached. */
const WITHOUT_METADATA: ReadonlySet<string> = new Set([
  'getURI',
  'getDelegationToken',
  'getControllerServerList',
  ...Object.keys(unservedCalls),
])

/** Codes that tell of the state of the system, not of what the caller asked for. */
const BLAMELESS: ReadonlySet<string> = new Set(['internal', 'data-loss', 'resource-exhausted', 'unknown'])

function assemble({ host, segments }: ControllerOptions): { scopes: Scopes; streams: Streams } {
  const { random, clock } = host
  const queue = new KeyedQueue()
  const stored = { segments, random }
  const heldBytesMax = RECORD_CACHE_BYTES
  const streams = new Streams({
    segments,
    clock,
    queue,
    records: new Records(stored, { codec: STREAM_CODEC, heldBytesMax: heldBytesMax / 2 }),
    graves: new Records(stored, { codec: GRAVE_CODEC, heldBytesMax: heldBytesMax / 8 }),
  })
  const groupRecords = new Records(stored, { codec: GROUP_CODEC, heldBytesMax: heldBytesMax / 8 })
  const scopes = new Scopes(
    {
      segments,
      random,
      queue,
      streams,
      records: new Records(stored, { codec: SCOPE_CODEC, heldBytesMax: heldBytesMax / 4 }),
    },
    (openScope) => new Groups({ streams, openScope, queue, records: groupRecords }),
  )
  return { scopes, streams }
}

/** The caller stops waiting; what was set in motion goes on. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(cancelled(signal))
    signal.addEventListener('abort', abort, { once: true })
    const forget = (): void => signal.removeEventListener('abort', abort)
    answer.then(resolve, reject)
    answer.then(forget, forget)
  })
}

function cancelled(signal: AbortSignal): ControllerError {
  return new ControllerError('cancelled', 'The caller stopped waiting', { cause: signal.reason as unknown })
}
