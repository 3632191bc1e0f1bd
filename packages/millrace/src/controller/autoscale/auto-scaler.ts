/**
 * Scales streams by their load: looks at what the segment store measures, decides (decide.ts), and has it done.
 *
 * It looks once in `pollMs` while something is appended, and as long as one of its calls is under way. Otherwise it sleeps until the
 * next append, or until a stream that has more segments than it needs may be merged; the store's measuring needs a look a minute until it
 * has forgotten what was. With nothing of that there is no timer at all.
 *
 * Streams do not wait for one another: each has at most one piece of work under way, and one that fails is tried again later and
 * later, for itself. What is decided is told, what fails too, and nothing of it is thrown.
 */
import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/host.ts'
import { parseSegmentName, scopedName, segmentIdOf, type StreamSegment } from '../../protocol/names.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { CALLS_AT_ONCE } from '../limits.ts'
import { decide, nextLookMs, type PlannedScale } from './decide.ts'
import type { RememberedStreams } from './remembered-streams.ts'
import {
  mayScale,
  type ScalableStreams,
  type StreamDescription,
  type StreamName,
} from './scalable-streams.ts'
import { type AutoScaleSettings, autoScaleSettings } from './settings.ts'
import { type Load, type Look, observe, type StreamMemory } from './stream-memory.ts'

export interface MeasuredLoad extends Load {
  /** `scope/stream/7.#epoch.3` */
  readonly segment: string
  /** Since its last event was measured. */
  readonly quietMs: number
}

/** What the segment store measures. */
export interface LoadSource {
  /** Every segment that has had traffic lately. */
  loads(): readonly MeasuredLoad[]
  /** Calls back once, with the next append. A later call takes the place of an earlier one. */
  onceAppended(callback: () => void): void
}

export type AutoScaleEvent =
  | (StreamName & {
      readonly kind: 'scaled'
      readonly direction: PlannedScale['kind']
      readonly sealed: number
      readonly created: number
      /** Why, in a line. */
      readonly detail: string
      readonly tookMs: number
    })
  /** The stream has changed meanwhile, or cannot be scaled. */
  | (StreamName & { readonly kind: 'refused'; readonly detail: string; readonly reason: string })
  /** Something hot was not split, the line says why. */
  | (StreamName & { readonly kind: 'left-alone'; readonly detail: string })
  /** Tried again later. Without a stream: the list of streams that were scaled could not be read. */
  | { readonly kind: 'failed'; readonly name: StreamName | undefined; readonly error: unknown }

export interface AutoScalerParts {
  readonly clock: Clock
  readonly loads: LoadSource
  readonly streams: ScalableStreams
  readonly remembered: RememberedStreams
  readonly onEvent?: (event: AutoScaleEvent) => void
}

/** How old a description may be: of a stream that scales (what is decided on an older one is refused), and of one that does not. */
const DESCRIBED_MS_MAX = 15_000
const FIXED_MS_MAX = 30_000

/** Streams that are attended to in one turn. */
const AT_ONE_TURN = 500

/** Traffic that stopped longer ago has left the rates over 2 s. */
const TRAFFIC_MS = 15_000

/** How often the store is asked when nothing moves, so that it can forget. */
const FORGETTING_MS = 60_000

/** What is remembered of a stream without traffic (its caution) is kept for so long. */
const IDLE_MS_MAX = 3_600_000

/** Streams watched at a time, those of a fixed number too as long as they have traffic. */
const STREAMS_MAX = 50_000

/** Streams of earlier days that are watched at a time; others follow when these have been merged. */
const OLD_STREAMS_MAX = 10_000

const RETRY_MS = 2000
const RETRY_MS_MAX = 300_000

interface Described {
  readonly atMs: number
  /** Undefined for a stream that does not scale. */
  readonly description: StreamDescription | undefined
  readonly ids: ReadonlySet<bigint>
}

interface Watched {
  readonly name: StreamName
  loads: ReadonlyMap<bigint, MeasuredLoad>
  /** When these were measured. */
  lookedAtMs: number
  described: Described | undefined
  memory: StreamMemory | undefined
  trafficAtMs: number
  isBusy: boolean
  isRemembered: boolean
  failures: number
  retryAtMs: number
  /** When it may be merged though nothing is appended. */
  nextLookMs: number | undefined
}

export class AutoScaler {
  readonly #parts: AutoScalerParts
  readonly #clock: Clock
  readonly #settings: AutoScaleSettings
  readonly #watched = new Map<string, Watched>()
  /** What waits for a place in `#running`. */
  readonly #waiting = new Set<() => Promise<void>>()
  readonly #running = new Set<Promise<void>>()
  readonly #old: OldStreams
  #timer: { readonly atMs: number; readonly timer: Timer } | undefined
  #isClosed = false

  /** Settings that are not given are as usual; those that cannot be are refused with `invalid-argument`. */
  constructor(parts: AutoScalerParts, settings: Partial<AutoScaleSettings> = {}) {
    this.#parts = parts
    this.#clock = parts.clock
    this.#settings = autoScaleSettings(settings)
    this.#old = new OldStreams(parts.remembered)
  }

  /** Nothing has to be reachable yet. */
  start(): void {
    this.#wakeAt(this.#clock.monotonicMs())
  }

  /** Resolves when nothing is under way any more. Close what it works with first to cut that short. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#waiting.clear()
    this.#timer?.timer.cancel()
    this.#parts.loads.onceAppended(() => undefined)
    await Promise.all(this.#running)
  }

  // When to look.

  #wakeAt(atMs: number): void {
    if (this.#isClosed) return
    if (this.#timer !== undefined && this.#timer.atMs <= atMs) return
    this.#timer?.timer.cancel()
    const delayMs = Math.max(0, atMs - this.#clock.monotonicMs())
    const timer = this.#clock.setTimer(
      delayMs,
      () => {
        this.#timer = undefined
        this.#look()
      },
      { weak: true },
    )
    this.#timer = { atMs, timer }
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs()
    const loads = this.#parts.loads.loads()
    this.#assign(loads, nowMs)
    this.#attendAll([...this.#watched.values()], { from: 0, nowMs, loads })
  }

  #attendAll(
    all: readonly Watched[],
    at: { from: number; nowMs: number; loads: readonly MeasuredLoad[] },
  ): void {
    if (this.#isClosed) return
    const { nowMs, loads } = at
    const end = Math.min(all.length, at.from + AT_ONE_TURN)
    for (let i = at.from; i < end; i++) {
      const watched = all[i]!
      if (isIdle(watched, nowMs)) this.#watched.delete(scopedName(watched.name.scope, watched.name.stream))
      else this.#attend(watched, nowMs)
    }
    if (end < all.length) return this.#clock.defer(() => this.#attendAll(all, { ...at, from: end }))
    const old = all.filter(({ isRemembered, loads: { size } }) => isRemembered && size === 0)
    if (this.#old.isDue(nowMs) && old.length < OLD_STREAMS_MAX) this.#run(undefined, () => this.#recall())
    this.#lookAgain(loads, nowMs)
  }

  #lookAgain(loads: readonly MeasuredLoad[], nowMs: number): void {
    const { pollMs } = this.#settings
    const hasTraffic = loads.some(({ quietMs }) => quietMs < TRAFFIC_MS)
    if (hasTraffic || this.#running.size > 0) return this.#wakeAt(nowMs + pollMs)
    this.#parts.loads.onceAppended(() => this.#wakeAt(this.#clock.monotonicMs() + pollMs))
    let nextMs = loads.length > 0 ? nowMs + FORGETTING_MS : Infinity
    nextMs = Math.min(nextMs, this.#old.nextMs)
    for (const watched of this.#watched.values()) nextMs = Math.min(nextMs, dueMs(watched))
    if (nextMs < Infinity) this.#wakeAt(Math.max(nextMs, nowMs + pollMs))
  }

  /** Gives each stream the loads of its segments, and those without any none. */
  #assign(loads: readonly MeasuredLoad[], nowMs: number): void {
    const byStream = new Map<string, Map<bigint, MeasuredLoad>>()
    for (const load of loads) {
      const name = parsed(load.segment)
      if (name === undefined) continue
      const { scope, stream, ...segment } = name
      const key = scopedName(scope, stream)
      let group = byStream.get(key)
      if (group === undefined) {
        const watched = this.#watch({ scope, stream })
        if (watched === undefined) continue
        byStream.set(key, (group = new Map()))
        watched.loads = group
        watched.lookedAtMs = nowMs
      }
      group.set(segmentIdOf(segment), load)
      const watched = this.#watched.get(key)!
      watched.trafficAtMs = Math.max(watched.trafficAtMs, nowMs - load.quietMs)
    }
    for (const [key, watched] of this.#watched) {
      if (byStream.has(key)) continue
      watched.loads = NO_LOADS
      watched.lookedAtMs = nowMs
    }
  }

  /** Undefined if there are too many. */
  #watch(name: StreamName): Watched | undefined {
    const key = scopedName(name.scope, name.stream)
    const known = this.#watched.get(key)
    if (known !== undefined) return known
    if (this.#watched.size >= STREAMS_MAX) return undefined
    const watched: Watched = {
      name,
      loads: NO_LOADS,
      lookedAtMs: this.#clock.monotonicMs(),
      described: undefined,
      memory: undefined,
      trafficAtMs: -Infinity,
      isBusy: false,
      isRemembered: false,
      failures: 0,
      retryAtMs: -Infinity,
      nextLookMs: undefined,
    }
    this.#watched.set(key, watched)
    return watched
  }

  // One stream.

  #attend(watched: Watched, nowMs: number): void {
    if (watched.isBusy || nowMs < watched.retryAtMs) return
    if (!isFresh(watched, nowMs, this.#settings)) {
      this.#run(watched, async () => {
        await this.#describe(watched)
        await this.#carryOut(watched, this.#decide(watched))
      })
      return
    }
    const scale = this.#decide(watched)
    if (scale !== undefined || isToBeRemembered(watched))
      this.#run(watched, () => this.#carryOut(watched, scale))
  }

  async #describe(watched: Watched): Promise<void> {
    const atMs = this.#clock.monotonicMs()
    const description = await this.#parts.streams.describe(watched.name)
    // Of one that does not scale, all that counts is that.
    const kept = description !== undefined && mayScale(description) ? description : undefined
    watched.described = { atMs, description: kept, ids: new Set(kept?.segments.map(({ id }) => id)) }
    if (kept === undefined) {
      watched.memory = undefined
      watched.nextLookMs = undefined
    }
    if (!watched.isRemembered || (kept !== undefined && isAboveMinimum(kept))) return
    await this.#parts.remembered.remove(watched.name)
    watched.isRemembered = false
  }

  #decide(watched: Watched): PlannedScale | undefined {
    const description = watched.described?.description
    if (description === undefined) return undefined
    const look: Look = {
      nowMs: watched.lookedAtMs,
      policy: description.policy,
      segments: description.segments,
      loads: watched.loads,
    }
    const decision = decide(observe(watched.memory, look, this.#settings), look, this.#settings)
    watched.memory = decision.memory
    watched.nextLookMs = nextLookMs(decision.memory, look, this.#settings)
    for (const detail of decision.notes) this.#tell({ kind: 'left-alone', ...watched.name, detail })
    return decision.scale
  }

  async #carryOut(watched: Watched, scale: PlannedScale | undefined): Promise<void> {
    const { name } = watched
    // Before the split, or a crash behind it would leave a stream that nobody merges again.
    if (!watched.isRemembered && (scale?.kind === 'split' || isToBeRemembered(watched))) {
      await this.#parts.remembered.add(name)
      watched.isRemembered = true
    }
    if (scale === undefined) watched.failures = 0
    if (scale === undefined || this.#isClosed) return
    const { kind: direction, seal, into, detail } = scale
    const startedMs = this.#clock.monotonicMs()
    watched.described = undefined
    const answer = await this.#parts.streams.scale(name, { seal, into, cause: 'load', detail })
    if (answer === 'done') {
      watched.failures = 0
      const tookMs = this.#clock.monotonicMs() - startedMs
      const [sealed, created] = [seal.length, into.length]
      this.#tell({ kind: 'scaled', ...name, direction, sealed, created, detail, tookMs })
      return
    }
    this.#retryLater(watched)
    this.#tell({ kind: 'refused', ...name, detail, reason: answer.refused })
  }

  /** Streams that were above their minimum when an earlier process ended. */
  async #recall(): Promise<void> {
    const page = await this.#old.next(this.#clock.monotonicMs())
    for (const name of page) {
      const watched = this.#watch(name)
      if (watched !== undefined) watched.isRemembered = true
    }
  }

  // Work under way.

  #run(watched: Watched | undefined, work: () => Promise<void>): void {
    if (watched !== undefined) watched.isBusy = true
    this.#waiting.add(async () => {
      try {
        await work()
      } catch (error) {
        if (watched !== undefined) this.#retryLater(watched)
        if (!this.#isClosed) this.#tell({ kind: 'failed', name: watched?.name, error })
      } finally {
        if (watched !== undefined) watched.isBusy = false
      }
    })
    this.#runWaiting()
  }

  #runWaiting(): void {
    for (const work of this.#waiting) {
      if (this.#running.size >= CALLS_AT_ONCE) return
      this.#waiting.delete(work)
      const running = work().then(() => {
        this.#running.delete(running)
        this.#runWaiting()
      })
      this.#running.add(running)
    }
  }

  #retryLater(watched: Watched): void {
    const delayMs = Math.min(RETRY_MS * 2 ** watched.failures, RETRY_MS_MAX)
    watched.failures++
    watched.retryAtMs = this.#clock.monotonicMs() + delayMs
    watched.described = undefined
  }

  #tell(event: AutoScaleEvent): void {
    this.#parts.onEvent?.(event)
  }
}

const NO_LOADS: ReadonlyMap<bigint, MeasuredLoad> = new Map()

function parsed(segment: string): StreamSegment | undefined {
  try {
    return parseSegmentName(segment)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return undefined
  }
}

/** Nothing comes, and nothing is to be done. */
function isIdle(watched: Watched, nowMs: number): boolean {
  if (watched.loads.size > 0 || watched.isBusy || watched.described === undefined) return false
  if (watched.isRemembered || watched.nextLookMs !== undefined) return false
  return watched.memory === undefined || nowMs - watched.trafficAtMs > IDLE_MS_MAX
}

/** When there may be something to do though nothing is appended. */
function dueMs({ described, nextLookMs, retryAtMs }: Watched): number {
  return Math.max(retryAtMs, described === undefined ? -Infinity : (nextLookMs ?? Infinity))
}

function isFresh({ described, loads }: Watched, nowMs: number, { pollMs }: AutoScaleSettings): boolean {
  if (described === undefined) return false
  const { atMs, description, ids } = described
  if (description === undefined) return nowMs - atMs < FIXED_MS_MAX
  if (nowMs - atMs >= DESCRIBED_MS_MAX) return false
  if (nowMs - atMs < pollMs) return true
  // Traffic of a segment that is not known tells of a scale.
  for (const id of loads.keys()) if (!ids.has(id)) return false
  return true
}

function isAboveMinimum({ segments, policy }: StreamDescription): boolean {
  return segments.length > Math.max(1, policy.minNumSegments)
}

function isToBeRemembered({ described, isRemembered }: Watched): boolean {
  const description = described?.description
  return !isRemembered && description !== undefined && isAboveMinimum(description)
}

/** The list of remembered streams, read a page at a time when there is room for them. */
class OldStreams {
  readonly #remembered: RememberedStreams
  #pages: AsyncIterator<readonly StreamName[]> | undefined
  #state: 'waiting' | 'reading' | 'done' = 'waiting'
  #dueMs = -Infinity
  #failures = 0

  constructor(remembered: RememberedStreams) {
    this.#remembered = remembered
  }

  /** When the next page is to be read: never, once all have been. */
  get nextMs(): number {
    return this.#state === 'done' ? Infinity : this.#dueMs
  }

  isDue(nowMs: number): boolean {
    return this.#state === 'waiting' && nowMs >= this.#dueMs
  }

  async next(nowMs: number): Promise<readonly StreamName[]> {
    assert(this.#state === 'waiting', 'One page is read at a time')
    this.#state = 'reading'
    try {
      this.#pages ??= this.#remembered.list()[Symbol.asyncIterator]()
      const page = await this.#pages.next()
      this.#state = page.done === true ? 'done' : 'waiting'
      this.#failures = 0
      return page.done === true ? [] : page.value
    } catch (error) {
      // From the beginning: what is known already does no harm.
      this.#pages = undefined
      this.#state = 'waiting'
      this.#dueMs = nowMs + Math.min(RETRY_MS * 2 ** this.#failures++, RETRY_MS_MAX)
      throw error
    }
  }
}
