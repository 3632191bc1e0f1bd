/** A stream under load in virtual time, scaled as auto-scaling decides: for tests of the decisions. */
import { assert } from '../base/assert.ts'
import { decide, type PlannedScale } from '../controller/autoscale/decide.ts'
import type { DescribedSegment } from '../controller/autoscale/scalable-streams.ts'
import { type AutoScaleSettings, autoScaleSettings } from '../controller/autoscale/settings.ts'
import { type Load, type Look, observe, type StreamMemory } from '../controller/autoscale/stream-memory.ts'
import { type KeyRange, splitEvenly } from '../controller/stream-segments.ts'
import { type ScalingPolicy, ScaleType } from '../protocol/controller/messages.ts'
import { MovingRates, stretchOf } from '../segment-store/load-rates.ts'

export function byEvents(targetRate: number, options: Partial<ScalingPolicy> = {}): ScalingPolicy {
  const scaleType = ScaleType.BY_RATE_IN_EVENTS_PER_SEC
  return { scaleType, targetRate, scaleFactor: 2, minNumSegments: 1, ...options }
}

/** How many events a second the keys of a range get. */
export type LoadOf = (range: KeyRange) => number

export interface ScaleEvent extends PlannedScale {
  readonly atMs: number
  /** Segments that the stream has after it. */
  readonly count: number
}

interface ModelSegment extends KeyRange {
  readonly id: bigint
  readonly bornAtMs: number
  readonly splitAtMs: number | undefined
  readonly events: MovingRates
  readonly bytes: MovingRates
}

export interface LoadModelOptions {
  readonly policy: ScalingPolicy
  readonly settings?: Partial<AutoScaleSettings>
  readonly segments?: number
  readonly eventBytes?: number
}

export class LoadModel {
  readonly settings: AutoScaleSettings
  readonly scales: ScaleEvent[] = []
  readonly notes: { readonly atMs: number; readonly note: string }[] = []
  policy: ScalingPolicy
  nowMs = 0
  memory: StreamMemory | undefined
  readonly #eventBytes: number
  #segments: readonly ModelSegment[]
  #lastId = 0n

  constructor(options: LoadModelOptions) {
    this.policy = options.policy
    this.settings = autoScaleSettings(options.settings)
    this.#eventBytes = options.eventBytes ?? 100
    const count = options.segments ?? options.policy.minNumSegments
    this.#segments = splitEvenly(count).map((range) => this.#newSegment(range, undefined))
  }

  get ranges(): readonly KeyRange[] {
    return this.#segments.map(({ low, high }) => ({ low, high }))
  }

  get count(): number {
    return this.#segments.length
  }

  /** As after a restart: what was measured and remembered is gone, what the stream is stays. */
  restart(): void {
    this.memory = undefined
    this.#segments = this.#segments.map((segment) => ({
      ...segment,
      bornAtMs: this.nowMs,
      events: new MovingRates(),
      bytes: new MovingRates(),
    }))
  }

  /** One look after so long, with load that was the same meanwhile. */
  step(ms: number, loadOf: LoadOf): ScaleEvent | undefined {
    this.nowMs += ms
    const stretch = stretchOf(ms)
    for (const segment of this.#segments) {
      const events = (loadOf(segment) * ms) / 1000
      segment.events.pass(stretch, events)
      segment.bytes.pass(stretch, events * this.#eventBytes)
    }
    const look = this.look()
    this.memory = observe(this.memory, look, this.settings)
    const { memory, scale, notes } = decide(this.memory, look, this.settings)
    this.memory = memory
    for (const note of notes) this.notes.push({ atMs: this.nowMs, note })
    if (scale === undefined) return undefined
    this.apply(scale)
    const event = { ...scale, atMs: this.nowMs, count: this.count }
    this.scales.push(event)
    return event
  }

  /** A look a second for so long. */
  run(seconds: number, loadOf: LoadOf | ((range: KeyRange, second: number) => number)): this {
    for (let second = 0; second < seconds; second++) this.step(1000, (range) => loadOf(range, second))
    return this
  }

  look(): Look {
    return {
      nowMs: this.nowMs,
      policy: this.policy,
      segments: this.#segments.map((segment) => this.#describe(segment)),
      loads: new Map(this.#segments.map((segment) => [segment.id, this.#loadOf(segment)])),
    }
  }

  /** Checks that the new ranges are exactly the keys of what is sealed. */
  apply(scale: Pick<PlannedScale, 'kind' | 'seal' | 'into'>): void {
    const sealed = this.#segments.filter(({ id }) => scale.seal.includes(id))
    assert(sealed.length === scale.seal.length, 'Only open segments are sealed, each once')
    const kept = this.#segments.filter((segment) => !sealed.includes(segment))
    const splitAtMs = scale.kind === 'split' ? this.nowMs : undefined
    const made = scale.into.map((range) => this.#newSegment(range, splitAtMs))
    this.#segments = [...kept, ...made].toSorted((a, b) => a.low - b.low)
    const borders = this.#segments.map(({ low }) => low)
    assert(borders[0] === 0 && this.#segments.at(-1)?.high === 1, 'The segments reach from 0 to 1')
    assert(
      this.#segments.every(({ low, high }, i) => low < high && high === (borders[i + 1] ?? 1)),
      `The segments cover each key once: ${JSON.stringify(this.ranges)}`,
    )
  }

  #newSegment(range: KeyRange, splitAtMs: number | undefined): ModelSegment {
    const { low, high } = range
    const id = this.#lastId++
    return {
      id,
      low,
      high,
      splitAtMs,
      bornAtMs: this.nowMs,
      events: new MovingRates(),
      bytes: new MovingRates(),
    }
  }

  #describe({ id, low, high, splitAtMs }: ModelSegment): DescribedSegment {
    const splitAgeMs = splitAtMs === undefined ? undefined : this.nowMs - splitAtMs
    return { id, low, high, splitAgeMs }
  }

  #loadOf(segment: ModelSegment): Load {
    return {
      eventsPerSecond: segment.events.rates,
      bytesPerSecond: segment.bytes.rates,
      ageMs: this.nowMs - segment.bornAtMs,
    }
  }
}

/** So many events a second in all, spread evenly over the keys. */
export function even(eventsPerSecond: number): LoadOf {
  return ({ low, high }) => eventsPerSecond * (high - low)
}

/** The share `hot` of them has a single key, the others are spread evenly. */
export function withHotKey(eventsPerSecond: number, key: number, hot: number): LoadOf {
  return (range) => {
    const hasKey = range.low <= key && key < range.high
    return eventsPerSecond * ((1 - hot) * (range.high - range.low) + (hasKey ? hot : 0))
  }
}
