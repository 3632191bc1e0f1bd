/**
 * The controller: Pravega's ControllerService over segment stores, with its metadata in their tables. It has no state of its
 * own but what it holds of those tables, so it may stop at any moment, and the next one goes on from there.
 *
 * One controller belongs to one store at a time; what holds the store's directory holds that, too.
 */
import type { Clock, Host } from '../base/host.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import {
  type CallContext,
  callByName,
  ControllerError,
  type ControllerService,
  type RpcName,
  serviceOf,
} from '../protocol/controller/service.ts'
import { type AutoScaleEvent, AutoScaler, type LoadSource } from './autoscale/auto-scaler.ts'
import { rememberedStreams } from './autoscale/remembered-streams.ts'
import { scalableStreams } from './autoscale/scalable-streams.ts'
import { type AutoScaleSettings, autoScaleSettings } from './autoscale/settings.ts'
import { toControllerError } from './failures.ts'
import { GROUP_CODEC } from './group-record.ts'
import { groupCalls } from './group-calls.ts'
import { Groups } from './groups.ts'
import { KeyedQueue } from './keyed-queue.ts'
import { RECORD_CACHE_BYTES } from './limits.ts'
import { isSegmentError, Records } from './records.ts'
import { scopeCalls } from './scope-calls.ts'
import { SCOPE_CODEC, Scopes } from './scopes.ts'
import { segmentQueries, type Whereabouts } from './segment-queries.ts'
import { streamCalls } from './stream-calls.ts'
import { GRAVE_CODEC } from './stream-record.ts'
import { StreamRecords } from './stream-records.ts'
import { type OpenScope, Streams } from './streams.ts'
import { transactionCalls } from './transaction-calls.ts'
import { TRANSACTION_LIMITS, type TransactionLimits } from './transaction-life.ts'
import { Transactions } from './transactions.ts'
import { unservedCalls } from './unserved-calls.ts'

export interface ControllerOptions extends Whereabouts {
  readonly host: Host
  /** All that the controller does, it does through these. */
  readonly segments: SegmentCalls
  /** A call that failed in a way its caller cannot have caused, or what a call has left to be done after its answer. */
  readonly onFailure?: (failure: { rpc: RpcName | 'start'; error: unknown }) => void
  /** Pravega's, if absent. */
  readonly transactions?: Partial<TransactionLimits>
  /** Without it no stream scales by itself. */
  readonly autoScaling?: {
    readonly loads: LoadSource
    /** What is not given is as usual. */
    readonly settings?: Partial<AutoScaleSettings> | undefined
    readonly onEvent?: (event: AutoScaleEvent) => void
  }
}

export interface Controller {
  readonly service: ControllerService
  /**
   * Goes on with what an earlier controller has left undone, which the first call does as well. Resolves when that is
   * under way, however long the store cannot be reached, or when the controller is closed; rejects with nothing.
   */
  start(): Promise<void>
  /** Refuses further calls and resolves when those under way are over. Close the segment calls first to cut them short. */
  close(): Promise<void>
}

export function createController(options: ControllerOptions): Controller {
  const { host, onFailure = (): void => undefined } = options
  const { scopes, streams } = assemble({ ...options, onFailure })
  const { transactions } = streams
  const calls: ControllerService = {
    ...scopeCalls(scopes, streams),
    ...streamCalls(scopes, streams, host.clock),
    ...segmentQueries(scopes, streams, options),
    ...transactionCalls(scopes, transactions),
    ...groupCalls(scopes, host.random),
    ...unservedCalls,
  }
  const autoScaler = autoScalerOf(options, scopes, streams)
  const running = new Set<Promise<unknown>>()
  const closing = new AbortController()
  let prepared: Promise<void> | undefined

  /** Once it has succeeded it is not done again; after a failure the next call tries anew. */
  function prepare(): Promise<void> {
    prepared ??= prepareOnce().catch((error: unknown) => {
      prepared = undefined
      throw error
    })
    return prepared
  }

  async function prepareOnce(): Promise<void> {
    const done = await Promise.allSettled([scopes.prepare(), transactions.load()])
    for (const each of done) if (each.status === 'rejected') throw each.reason
    transactions.resume()
  }

  async function start(): Promise<void> {
    autoScaler?.start()
    let delayMs = START_RETRY_MS_FIRST
    while (!closing.signal.aborted) {
      try {
        return await prepare()
      } catch (error) {
        if (isSegmentError(error, 'closed')) return
        onFailure({ rpc: 'start', error: toControllerError(error) })
        await pause(host.clock, delayMs, closing.signal)
        delayMs = Math.min(delayMs * 2, START_RETRY_MS_MAX)
      }
    }
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
      if (closing.signal.aborted) throw new ControllerError('unavailable', 'The controller is closed')
      if (context.signal?.aborted === true) throw cancelled(context.signal)
      const answer = serve(rpc, request, context)
      running.add(answer)
      const over = (): void => {
        running.delete(answer)
      }
      answer.then(over, over)
      return unlessAborted(answer, context.signal)
    }),
    start,
    async close() {
      closing.abort()
      await Promise.allSettled([...running, transactions.close(), autoScaler?.close()])
    },
  }
}

function autoScalerOf(
  { host, segments, autoScaling }: ControllerOptions,
  scopes: Scopes,
  streams: Streams,
): AutoScaler | undefined {
  if (autoScaling === undefined) return undefined
  const { loads, onEvent } = autoScaling
  const { clock, random } = host
  const settings = autoScaleSettings(autoScaling.settings)
  return new AutoScaler(
    {
      clock,
      loads,
      streams: scalableStreams({ scopes, streams, clock }, { withinMs: settings.holdOffMs }),
      remembered: rememberedStreams({ segments, random }),
      ...(onEvent === undefined ? {} : { onEvent }),
    },
    settings,
  )
}

const START_RETRY_MS_FIRST = 100
const START_RETRY_MS_MAX = 5000

/** Calls that are answered even while no store can be reached. */
const WITHOUT_METADATA: ReadonlySet<string> = new Set([
  'getURI',
  'getDelegationToken',
  'getControllerServerList',
  ...Object.keys(unservedCalls),
])

/** Codes that tell of the state of the system, not of what the caller asked for. */
const BLAMELESS: ReadonlySet<string> = new Set(['internal', 'data-loss', 'resource-exhausted', 'unknown'])

function assemble(options: ControllerOptions & { onFailure: NonNullable<ControllerOptions['onFailure']> }): {
  scopes: Scopes
  streams: Streams
} {
  const { host, segments } = options
  const { random, clock } = host
  const queue = new KeyedQueue()
  const stored = { segments, random }
  const heldBytesMax = RECORD_CACHE_BYTES
  const limits = { ...TRANSACTION_LIMITS, ...options.transactions }
  const findScope = (scope: string): Promise<OpenScope | undefined> => scopes.find(scope)
  const onFailure = ({ rpc, error }: { rpc: RpcName; error: unknown }): void =>
    options.onFailure({ rpc, error: toControllerError(error) })
  const streams: Streams = new Streams(
    {
      segments,
      clock,
      queue,
      records: new StreamRecords(stored, { heldBytesMax: heldBytesMax * (3 / 4) }),
      graves: new Records(stored, { codec: GRAVE_CODEC, heldBytesMax: heldBytesMax / 16 }),
    },
    (of) => new Transactions({ segments, clock, random, queue, streams: of, findScope, onFailure }, limits),
  )
  const groupRecords = new Records(stored, { codec: GROUP_CODEC, heldBytesMax: heldBytesMax / 16 })
  const scopes: Scopes = new Scopes(
    {
      segments,
      random,
      queue,
      streams,
      records: new Records(stored, { codec: SCOPE_CODEC, heldBytesMax: heldBytesMax / 8 }),
    },
    (openScope) => new Groups({ streams, openScope, queue, records: groupRecords }),
  )
  return { scopes, streams }
}

/** Shorter if the signal comes. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', over)
      resolve()
    }
    const timer = clock.setTimer(delayMs, over, { weak: true })
    signal.addEventListener('abort', over)
  })
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
