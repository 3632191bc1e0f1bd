/** A store as programs hold it: handles of streams, over a controller and the segment stores that it names. */
import type { Host } from '../base/host.ts'
import type { ControllerClient } from '../protocol/controller/service.ts'
import {
  parseScopedName,
  parseSegmentName,
  type ScopedName,
  segmentIdOf,
  userNameProblem,
} from '../protocol/names.ts'
import type { Report } from './diagnostics.ts'
import { invalidArgument, storeClosed } from './errors.ts'
import { listStreams } from './listing.ts'
import { Locations } from './locations.ts'
import type { Closeable } from './reader.ts'
import type { Wait } from './segment-calls.ts'
import { segmentCalls } from './segment-client.ts'
import { SlabPool } from './slab-pool.ts'
import { steadyController } from './steady-controller.ts'
import type { StoreContext } from './store-context.ts'
import { StorePool } from './store-pool.ts'
import { type Stream, StreamHandle, type StreamOptions } from './stream.ts'
import type { StreamInfo } from './stream-info.ts'
import type { Json } from './values.ts'
import { sleep } from './waiting.ts'
import { WriterPool } from './writer-pool.ts'

export interface Store extends Closeable {
  /** `scope/stream`, or a stream of the scope `default`. Made with the first write or read, unless the options forbid it. */
  stream<T = Json>(name: string, options: StreamOptions<T>): Stream<T>
  /** Of one scope or of all. Streams of the system are left out. */
  streams(options?: ListOptions): AsyncIterable<StreamInfo>
  stats(): StoreStats
}

export interface ListOptions extends Wait {
  readonly scope?: string | undefined
  readonly tag?: string | undefined
}

export interface StoreStats {
  /** To segment stores, open now. */
  readonly connections: number
  /** Of events that are not durable yet, headers included. */
  readonly pendingBytes: number
  /** Readers, writers and transactions that have not been closed or ended. */
  readonly open: number
  /** Of the engine, where it runs in this process. */
  readonly engine?: EngineStats | undefined
}

export interface EngineStats {
  readonly syncs: number
  /** Waiting to be written to the log. */
  readonly queuedBytes: number
  readonly memoryBytes: number
  readonly memoryBytesMax: number
  /** How late the event loop was, at its worst since the last call. */
  readonly loopDelayMsMax: number
}

export interface StoreParts {
  readonly host: Host
  /** Closed with the store. */
  readonly controller: ControllerClient
  readonly report?: Report | undefined
  readonly engineStats?: (() => EngineStats) | undefined
  /** What runs for this store alone. Called last when it closes. */
  readonly onClose?: (() => Promise<void>) | undefined
}

const DEFAULT_SCOPE = 'default'

/** How long a store that closes waits for writes that are under way. */
const CLOSE_MS_MAX = 5000
const CLOSE_STEP_MS = 5

/** Connects when something is asked for. */
export function createStore(parts: StoreParts): Store {
  return new RemoteStore(parts)
}

class RemoteStore implements Store {
  readonly #parts: StoreParts
  readonly #closing: AbortController = new AbortController()
  readonly #callPool: StorePool
  readonly #context: StoreContext
  #closed: Promise<void> | undefined

  constructor(parts: StoreParts) {
    const { host, report = () => undefined } = parts
    const closing = this.#closing.signal
    const controller = steadyController({ host, controller: parts.controller, closing })
    const locations = new Locations(async (segment, { signal }) => {
      const { scope, stream, number, epoch } = parseSegmentName(segment)
      const segmentId = segmentIdOf({ number, epoch })
      const { endpoint, port } = await controller.getURI(
        { streamInfo: { scope, stream }, segmentId },
        { signal },
      )
      return { host: endpoint, port }
    })
    this.#parts = parts
    this.#callPool = new StorePool(host, { report })
    this.#context = {
      host,
      controller,
      controllerOnce: parts.controller,
      segments: segmentCalls({ host, locations, pool: this.#callPool }),
      locations,
      callPool: this.#callPool,
      appendPool: new StorePool(host, { report }),
      slabs: new SlabPool(),
      report,
      closing,
      writers: new WriterPool(),
      open: new Set(),
      sinks: new Set(),
    }
  }

  stream<T = Json>(name: string, options: StreamOptions<T>): Stream<T> {
    this.#closing.signal.throwIfAborted()
    return new StreamHandle(this.#context, parseStreamName(name), options)
  }

  streams({ scope, tag, signal }: ListOptions = {}): AsyncIterable<StreamInfo> {
    this.#closing.signal.throwIfAborted()
    return listStreams(this.#context, { scope, tag, signal })
  }

  stats(): StoreStats {
    const { appendPool, sinks, open } = this.#context
    let pendingBytes = 0
    for (const { bytes } of sinks) pendingBytes += bytes
    return {
      connections: this.#callPool.connections + appendPool.connections,
      pendingBytes,
      open: open.size,
      engine: this.#parts.engineStats?.(),
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { appendPool, open, sinks } = this.#context
    await this.#writesUnderWay()
    this.#closing.abort(storeClosed())
    for (const sink of sinks) sink.close()
    // A writer that has lost events says so at its own close; here it only ends.
    await Promise.allSettled([...open].map((closeable) => closeable.close()))
    appendPool.close()
    this.#callPool.close()
    await this.#parts.controller.close()
    await this.#parts.onClose?.()
  }

  /** Programs that close a store and its last writes together mean the writes to succeed. */
  async #writesUnderWay(): Promise<void> {
    const { clock } = this.#parts.host
    const startMs = clock.monotonicMs()
    while (this.stats().pendingBytes > 0 && clock.monotonicMs() - startMs < CLOSE_MS_MAX)
      await sleep(clock, CLOSE_STEP_MS)
  }
}

/** Throws `invalid-argument` for a name that no stream of a program can have. */
function parseStreamName(name: string): ScopedName {
  if (typeof name !== 'string') throw invalidArgument(`The name of a stream is a string, not ${typeof name}`)
  const scoped = name.includes('/') ? split(name) : { scope: DEFAULT_SCOPE, name }
  const problem = userNameProblem('scope', scoped.scope) ?? userNameProblem('stream', scoped.name)
  if (problem !== undefined) throw invalidArgument(problem)
  return scoped
}

function split(name: string): ScopedName {
  try {
    return parseScopedName(name)
  } catch (error) {
    throw invalidArgument(`A stream is named scope/stream, not '${name.slice(0, 600)}'`, error)
  }
}
