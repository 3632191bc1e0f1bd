/**
 * How much is appended to each segment, as the store measures it: events and bytes a second over several horizons.
 *
 * An append adds to two counters and that is all; the rates are computed from them when somebody asks. Who asks regularly and finds
 * that nothing moves any more can go to sleep, and is told of the next append (`onceAppended`): this part has no timer.
 *
 * What a transaction wrote counts for the segment that it is merged into, from the merge on, at the rate and for the time that the
 * transaction took to write it: a million events that came within ten minutes are no burst when they are committed. Transactions
 * that follow one another give the same steady rate as the plain events would have.
 *
 * Only segments of streams that may scale are measured: not those of the system and of internal streams, no tables, and neither
 * transactions nor large events on their way. After a restart all rates begin at zero.
 */
import type { Clock } from '../base/host.ts'
import { isInternalName } from '../protocol/names.ts'
import { CREATION_TIME, EVENT_COUNT } from './attributes.ts'
import type { Segment } from './container-state.ts'
import { LOADS_MAX } from './limits.ts'
import { MovingRates, type Rates, type Stretch, stretchOf } from './load-rates.ts'

export interface SegmentLoad {
  /** `scope/stream/7.#epoch.3` */
  readonly segment: string
  readonly eventsPerSecond: Rates
  readonly bytesPerSecond: Rates
  /** Since its first event was measured. */
  readonly ageMs: number
  /** Since its last event was measured. */
  readonly quietMs: number
}

/** Until the slowest rate of a segment that went quiet is below 1 % of what it was. */
const FORGOTTEN_AFTER_MS = 5 * 60_000

/** Longer transactions count at the rate that they had, but no longer than this. */
const SPREAD_MS_MAX = 10 * 60_000

/** Nothing is spread over less time than lies between two looks. */
const SPREAD_MS_MIN = 1000

/** Segments that are not measured, known by themselves so that their names are not taken apart for every append. */
const UNMEASURED_MAX = 4096

/** Room is made at most this often, since it takes a look at everybody. */
const ROOM_EVERY_MS = 1000

/** Who has been quiet for so long is the first to make room. */
const QUIET_MS = 10_000

export class SegmentLoads {
  readonly #clock: Clock
  readonly #segmentsMax: number
  readonly #measures = new Map<Segment, Measure>()
  /** Counts for all the segments that are not measured, and is never looked at. */
  readonly #nobody: Measure
  #unmeasured = 0
  #passedAtMs: number
  /** The first append after a time in which nobody looked since there was nothing to see. */
  #resumedAtMs: number
  #roomMadeAtMs = -Infinity
  #onAppended: (() => void) | undefined

  constructor(clock: Clock, options: { segmentsMax?: number } = {}) {
    this.#clock = clock
    this.#segmentsMax = options.segmentsMax ?? LOADS_MAX
    this.#passedAtMs = clock.monotonicMs()
    this.#resumedAtMs = this.#passedAtMs
    this.#nobody = new Measure('', this.#passedAtMs)
  }

  /** An append was accepted. */
  appended(append: {
    readonly segment: Segment
    readonly eventCount: number
    readonly length: number
  }): void {
    const measure = this.#measures.get(append.segment) ?? this.#begin(append.segment)
    measure.events += append.eventCount
    measure.bytes += append.length
    if (this.#onAppended !== undefined && measure !== this.#nobody) this.#resume()
  }

  /** A merge was accepted; `source` is as it was before. */
  merged(merge: { readonly target: Segment; readonly source: Segment }): void {
    const { target, source } = merge
    const measure = this.#measures.get(target) ?? this.#begin(target)
    if (measure === this.#nobody) return
    // The parts of a large event count as events of the segment that they are collected in, yet are one.
    const events = source.type === 'transient' ? 1 : Number(source.attributes.get(EVENT_COUNT) ?? 0)
    const createdAtMs = source.attributes.get(CREATION_TIME)
    const tookMs = createdAtMs === undefined ? 0 : this.#clock.now() - Number(createdAtMs)
    if (tookMs >= SPREAD_MS_MIN) measure.spread({ events, bytes: source.length, tookMs })
    else {
      measure.events += events
      measure.bytes += source.length
    }
    if (this.#onAppended !== undefined) this.#resume()
  }

  /** Every segment that has had traffic in the last minutes. */
  loads(): readonly SegmentLoad[] {
    const nowMs = this.#clock.monotonicMs()
    this.#pass(nowMs)
    const loads: SegmentLoad[] = []
    for (const measure of this.#measures.values())
      if (measure !== this.#nobody) loads.push(measure.describe(nowMs))
    return loads
  }

  /** Calls back once, from within the next append or merge that is measured. A later call takes the place of an earlier one. */
  onceAppended(callback: () => void): void {
    this.#onAppended = callback
  }

  #resume(): void {
    const callback = this.#onAppended
    this.#onAppended = undefined
    this.#resumedAtMs = this.#clock.monotonicMs()
    callback?.()
  }

  #begin(segment: Segment): Measure {
    if (!isMeasured(segment)) {
      if (this.#unmeasured >= UNMEASURED_MAX) this.#dropUnmeasured()
      this.#measures.set(segment, this.#nobody)
      this.#unmeasured++
      return this.#nobody
    }
    const nowMs = this.#clock.monotonicMs()
    if (this.#measures.size >= this.#segmentsMax && !this.#makeRoom(nowMs)) return this.#nobody
    const measure = new Measure(segment.name, nowMs)
    this.#measures.set(segment, measure)
    return measure
  }

  /** Brings all rates up to date. */
  #pass(nowMs: number): void {
    if (nowMs <= this.#passedAtMs) return
    if (this.#resumedAtMs > this.#passedAtMs) {
      // What was counted came after the silence: spread over all of it, it would not show.
      const silence = stretchOf(this.#resumedAtMs - this.#passedAtMs)
      for (const measure of this.#measures.values())
        if (measure !== this.#nobody && measure.beganAtMs < this.#resumedAtMs) measure.decay(silence)
      this.#passedAtMs = this.#resumedAtMs
      if (nowMs <= this.#passedAtMs) return
    }
    const stretch = stretchOf(nowMs - this.#passedAtMs)
    for (const [segment, measure] of this.#measures) {
      if (measure === this.#nobody) {
        if (segment.gone && this.#measures.delete(segment)) this.#unmeasured--
        continue
      }
      const isNew = measure.beganAtMs > this.#passedAtMs
      if (isNew && measure.beganAtMs >= nowMs) continue
      measure.pass(isNew ? stretchOf(nowMs - measure.beganAtMs) : stretch, nowMs)
      const isOver = segment.gone || segment.sealed || nowMs - measure.movedAtMs > FORGOTTEN_AFTER_MS
      if (isOver) this.#measures.delete(segment)
    }
    this.#passedAtMs = nowMs
  }

  /** Whoever has been quiet goes, then whoever has long had far less than others of both, events and bytes. */
  #makeRoom(nowMs: number): boolean {
    if (nowMs - this.#roomMadeAtMs < ROOM_EVERY_MS) return false
    this.#roomMadeAtMs = nowMs
    this.#dropUnmeasured()
    this.#pass(nowMs)
    for (const [segment, measure] of this.#measures)
      if (nowMs - measure.movedAtMs > QUIET_MS) this.#measures.delete(segment)
    if (this.#measures.size < this.#segmentsMax) return true
    let events = 0
    let bytes = 0
    for (const { eventRates, byteRates } of this.#measures.values()) {
      events += eventRates.over10s
      bytes += byteRates.over10s
    }
    const count = this.#measures.size
    for (const [segment, { beganAtMs, eventRates, byteRates }] of this.#measures) {
      const isLow = eventRates.over10s < events / count / 2 && byteRates.over10s < bytes / count / 2
      // Who has just come has had no time to show what it gets.
      if (isLow && nowMs - beganAtMs > QUIET_MS) this.#measures.delete(segment)
    }
    return this.#measures.size < this.#segmentsMax
  }

  #dropUnmeasured(): void {
    for (const [segment, measure] of this.#measures)
      if (measure === this.#nobody) this.#measures.delete(segment)
    this.#unmeasured = 0
  }
}

class Measure {
  readonly segment: string
  readonly beganAtMs: number
  readonly eventRates: MovingRates = new MovingRates()
  readonly byteRates: MovingRates = new MovingRates()
  /** Not in the rates yet. */
  events = 0
  bytes = 0
  /** Up to when something is known to have come. */
  movedAtMs: number
  /** Of transactions: what counts in the next `#spreadMs`, evenly. */
  #spreadEvents = 0
  #spreadBytes = 0
  #spreadMs = 0

  constructor(segment: string, nowMs: number) {
    this.segment = segment
    this.beganAtMs = nowMs
    this.movedAtMs = nowMs
  }

  /**
   * All that is still to be counted is one pool that drains evenly: the time left is the mean of both, weighed by what they hold.
   * Nothing is lost by that, and with transactions that overlap, each `n` events in `t` and one every `d`, it settles where
   * `n/d` drains.
   */
  spread(more: { events: number; bytes: number; tookMs: number }): void {
    const ms = Math.min(more.tookMs, SPREAD_MS_MAX)
    const part = ms / more.tookMs
    const weight = this.#spreadEvents + this.#spreadBytes
    const moreWeight = (more.events + more.bytes) * part
    if (moreWeight === 0) return
    this.#spreadMs = (this.#spreadMs * weight + ms * moreWeight) / (weight + moreWeight)
    this.#spreadEvents += more.events * part
    this.#spreadBytes += more.bytes * part
  }

  pass(stretch: Stretch, nowMs: number): void {
    this.#drain(stretch.seconds * 1000)
    if (this.events > 0 || this.bytes > 0) this.movedAtMs = nowMs
    this.eventRates.pass(stretch, this.events)
    this.byteRates.pass(stretch, this.bytes)
    this.events = 0
    this.bytes = 0
  }

  decay(stretch: Stretch): void {
    this.eventRates.pass(stretch, 0)
    this.byteRates.pass(stretch, 0)
  }

  describe(nowMs: number): SegmentLoad {
    return {
      segment: this.segment,
      eventsPerSecond: this.eventRates.rates,
      bytesPerSecond: this.byteRates.rates,
      ageMs: nowMs - this.beganAtMs,
      quietMs: nowMs - this.movedAtMs,
    }
  }

  #drain(ms: number): void {
    if (this.#spreadMs <= 0) return
    const part = Math.min(1, ms / this.#spreadMs)
    this.events += this.#spreadEvents * part
    this.bytes += this.#spreadBytes * part
    this.#spreadEvents *= 1 - part
    this.#spreadBytes *= 1 - part
    this.#spreadMs = part === 1 ? 0 : this.#spreadMs - ms
  }
}

function isMeasured(segment: Segment): boolean {
  if (segment.type !== 'stream') return false
  // Names that go on behind the epoch are those of transactions and large events.
  const match = /^([^/]+)\/([^/]+)\/\d+(?:\.#epoch\.\d+)?$/.exec(segment.name)
  return match !== null && !isInternalName(match[1]!) && !isInternalName(match[2]!)
}
