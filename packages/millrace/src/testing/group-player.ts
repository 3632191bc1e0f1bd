/**
 * Readers of a group without the reading, for tests of what they decide: what a player decides is made true at once, as if
 * nobody else came in between. `Player` is one of ours; `JavaPlayer` does what Java's ReaderGroupStateManager and
 * EventStreamReaderImpl do: it gives things away and completes segments right after a checkpoint only.
 */
import { ok } from 'node:assert/strict'
import { type Decision, decide, firstTimers, leave, type Timers } from '../client/group/decisions.ts'
import { newGroupConfig } from '../client/group/group-configuration.ts'
import { type Following, Holding } from '../client/group/holding.ts'
import { LifeSigns } from '../client/group/life-signs.ts'
import type { ReadingBounds } from '../client/group/reading-bounds.ts'
import type { Offsets } from '../protocol/reader-group/group-checkpoints.ts'
import { GroupState } from '../protocol/reader-group/group-state.ts'
import type { GroupUpdate, RangedOffset } from '../protocol/reader-group/group-updates.ts'
import { UUID_ZERO } from '../protocol/uuid.ts'

export function segmentOf(number: number): string {
  return `shop/orders/${number}.#epoch.0`
}

/** A group that starts with so many segments, or with these. */
export function groupOf(segments: number | readonly string[]): GroupState {
  const config = newGroupConfig('shop/orders', undefined, UUID_ZERO)
  const names =
    typeof segments === 'number' ? Array.from({ length: segments }, (_, n) => segmentOf(n)) : segments
  const places = names.map((segment) => [segment, { offset: 0, range: undefined }] as const)
  return new GroupState({
    kind: 'start',
    config,
    segments: new Map(places),
    endSegments: new Map(),
    updatingConfig: false,
  })
}

export interface PlayerOptions {
  readonly bounds?: ReadingBounds
  /** What it has seen of the others' lives; nothing unless given. */
  readonly life?: LifeSigns
  /** Told of each update that is written, once it is applied. */
  readonly onUpdate?: (update: GroupUpdate) => void
}

export class Player {
  readonly holdings: Map<string, Holding> = new Map()
  readonly reader: string
  readonly #options: PlayerOptions
  readonly #life: LifeSigns
  timers: Timers = firstTimers(0)
  joined: number | undefined
  joins = 0
  delivering: Holding | undefined
  #joinedMs = Number.POSITIVE_INFINITY

  constructor(reader: string, options: PlayerOptions = {}) {
    this.reader = reader
    this.#options = options
    this.#life = options.life ?? new LifeSigns()
  }

  /** Decides until there is nothing more to do. Returns the last decision, and the kinds of the updates. */
  play(state: GroupState, nowMs: number): { last: Decision; kinds: string[] } {
    const kinds: string[] = []
    for (let rounds = 0; ; rounds++) {
      ok(rounds < 20, 'a reader comes to rest')
      const { updates, result } = decide(state, {
        reader: this.reader,
        joined: this.joined,
        joins: this.joins,
        holdings: this.holdings,
        delivering: this.delivering,
        bounds: this.#options.bounds,
        timers: this.timers,
        silent: this.#life.silent(),
        lives: (other) => this.#life.livesSince(other, this.#joinedMs),
        patience: 1,
        nowMs,
        wallMs: 1_700_000_000_000 + nowMs,
        checkpointId: `checkpoint-${nowMs}-${this.reader}`,
      })
      for (const update of updates) {
        apply(state, update, this.#options)
        kinds.push(update.kind)
        if (update.kind === 'add-reader') this.joins++
      }
      if (result.kind !== 'go-on') return { last: result, kinds }
      if (result.joined !== undefined) {
        this.joined = result.joined
        this.#joinedMs = nowMs
      }
      this.timers = result.timers
      for (const { holding, offset } of result.recorded) holding.recorded = offset
      for (const { segment } of [...result.completed, ...result.released]) this.holdings.delete(segment)
      for (const { segment, offset } of result.acquired)
        this.holdings.set(segment, new Holding(segment, offset))
      if (!result.again) return { last: result, kinds }
    }
  }

  leave(state: GroupState): void {
    apply(state, leave(this), this.#options)
    this.lose()
  }

  /** It has been taken out, or is to begin anew. */
  lose(): void {
    this.holdings.clear()
    this.joined = undefined
  }
}

const ENDED = -1
const WINDOW_MS = 30_000
const TURN_MS = 1000

export class JavaPlayer {
  readonly reader: string
  /** Where it is in the segments that it reads, and `-1` in those that it has read to their ends. */
  readonly positions: Map<string, number> = new Map()
  readonly #options: PlayerOptions
  #joined = false
  #atCheckpoint: string | undefined
  #acquireMs = 0
  #releaseMs = 0
  #lagMs = 0

  constructor(reader: string, options: Pick<PlayerOptions, 'onUpdate'> = {}) {
    this.reader = reader
    this.#options = options
  }

  /** One call of `readNextEvent`. `following` tells what takes over from a segment. */
  play(state: GroupState, nowMs: number, following: (segment: string) => Following): void {
    if (!this.#joined) {
      this.#write(state, { kind: 'add-reader', reader: this.reader })
      this.#joined = true
    }
    // Its own exception for being offline: the program makes another reader.
    if (!state.isReaderOnline(this.reader)) return this.lose()
    if (this.#atCheckpoint !== undefined) this.#afterCheckpoint(state, nowMs, following)
    const checkpoint = state.checkpoints.pendingFor(this.reader)
    this.#atCheckpoint = checkpoint
    if (checkpoint === undefined) this.#acquire(state, nowMs)
  }

  leave(state: GroupState): void {
    this.#write(state, { kind: 'remove-reader', reader: this.reader, owned: new Map(this.positions) })
    this.lose()
  }

  lose(): void {
    this.positions.clear()
    this.#joined = false
    this.#atCheckpoint = undefined
  }

  #afterCheckpoint(state: GroupState, nowMs: number, following: (segment: string) => Following): void {
    const { reader, positions } = this
    const checkpoint = this.#atCheckpoint ?? ''
    if (state.checkpoints.pendingFor(reader) === checkpoint)
      this.#write(state, { kind: 'report-checkpoint', checkpoint, reader, positions: new Map(positions) })
    for (const [segment, offset] of positions) {
      if (offset !== ENDED || state.checkpoints.pendingFor(reader) !== undefined) continue
      this.#write(state, completionOf(reader, segment, following(segment)))
      positions.delete(segment)
      this.#acquireMs = nowMs
    }
    this.#release(state, nowMs)
  }

  #release(state: GroupState, nowMs: number): void {
    const { reader, positions } = this
    const sizes = state.relativeSizes()
    const least = Math.min(...sizes.values()) + Math.max(1, state.unassigned.size)
    if (nowMs < this.#releaseMs || positions.size <= 1 || (sizes.get(reader) ?? 0) <= least) return
    if (state.checkpoints.pendingFor(reader) !== undefined) return
    const open = [...positions].filter(([, offset]) => offset !== ENDED)
    const [segment, offset] = open.at(-1) ?? []
    if (segment === undefined || offset === undefined) return
    this.#write(state, { kind: 'release-segment', reader, segment, offset })
    positions.delete(segment)
    this.#tellLag(state, nowMs)
    this.#releaseMs = nowMs + TURN_MS * (1 + (state.rankOf(reader) ?? 0))
    this.#acquireMs = nowMs + TURN_MS * (state.readers.length - (state.rankOf(reader) ?? 0))
  }

  #acquire(state: GroupState, nowMs: number): void {
    const { reader, positions } = this
    const free = state.unassigned.size
    if (nowMs >= this.#acquireMs && free > 0) {
      const readers = state.readers.length
      const fair = Math.min(free, Math.round(state.segmentCount / readers) - positions.size)
      const count = Math.max(Math.floor(free / readers), fair, 1)
      for (const [segment, offset] of [...state.unassigned].slice(0, count)) {
        this.#write(state, { kind: 'acquire-segment', reader, segment })
        positions.set(segment, offset)
      }
      this.#tellLag(state, nowMs)
      this.#releaseMs = nowMs + WINDOW_MS
      this.#acquireMs = nowMs + TURN_MS * (readers - (state.rankOf(reader) ?? 0))
    } else if (nowMs >= this.#lagMs) this.#tellLag(state, nowMs)
  }

  #tellLag(state: GroupState, nowMs: number): void {
    const lastRead = new Map(
      [...this.positions].map(([segment, offset]): [string, RangedOffset] => [
        segment,
        { offset, range: state.rangeOf(segment) },
      ]),
    )
    this.#write(state, { kind: 'update-distance-to-tail', reader: this.reader, distanceMs: nowMs, lastRead })
    this.#lagMs = nowMs + TURN_MS * (state.readers.length + 1)
  }

  #write(state: GroupState, update: GroupUpdate): void {
    apply(state, update, this.#options)
  }
}

export function completionOf(reader: string, segment: string, following: Following): GroupUpdate {
  ok(following.kind === 'successors')
  const { successors } = following
  return {
    kind: 'complete-segment',
    reader,
    segment,
    successors: new Map(successors.map(({ segment: name, predecessors }) => [name, predecessors])),
    ranges: new Map(successors.map(({ segment: name, range }) => [name, range])),
  }
}

/** Everybody's offsets, in a form that tests can compare. */
export function offsetsOf(offsets: Offsets | undefined): Record<string, number> {
  return Object.fromEntries(offsets ?? [])
}

function apply(state: GroupState, update: GroupUpdate, { onUpdate }: PlayerOptions): void {
  state.apply(update)
  onUpdate?.(update)
}
