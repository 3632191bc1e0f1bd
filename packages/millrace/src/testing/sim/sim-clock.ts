import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/host.ts'
import type { Trace } from './trace.ts'
import { nextTurn } from './turns.ts'

/** Simulated time starts here: a fixed day, so that what is written with a time in it is the same in each run. */
export const START_MS: number = Date.UTC(2026, 0, 1)

/** What somebody waits for in pauses shorter than this goes on by itself where time is live. */
const PAUSE_MS_MAX = 1000

/** One run of a process. What it has scheduled dies with it, or waits while it is paused. */
export class Life {
  readonly name: string
  #ended = false
  #held: (() => void)[] | undefined

  constructor(name: string) {
    this.name = name
  }

  get ended(): boolean {
    return this.#ended
  }

  end(): void {
    this.#ended = true
    this.#held = undefined
  }

  pause(): void {
    this.#held ??= []
  }

  /** What came due during the pause. */
  resume(): readonly (() => void)[] {
    const held = this.#held ?? []
    this.#held = undefined
    return held
  }

  /** Runs the callback now, on resuming, or never. */
  run(callback: () => void): void {
    if (this.#ended) return
    if (this.#held === undefined) callback()
    else this.#held.push(callback)
  }
}

interface Event {
  readonly timeUs: number
  readonly order: number
  readonly kind: string
  readonly life: Life
  callback: (() => void) | undefined
}

export class DeadlockError extends Error {
  override readonly name = 'DeadlockError'
}

/**
 * Virtual time: a queue of events in the order of (time, insertion), in whole microseconds. One event runs at a time, and
 * before the next the process takes a whole turn, so that all promises that can settle have settled.
 */
export class Timeline {
  /** Called when something was scheduled. */
  onScheduled: () => void = () => undefined
  readonly #trace: Trace
  readonly #queue: Event[] = []
  /** Those of the future that time is to hurry to, where it is live. */
  readonly #urgent = new Set<Event>()
  #nowUs = 0
  #orderLast = 0

  constructor(trace: Trace) {
    this.#trace = trace
  }

  get nowUs(): number {
    return this.#nowUs
  }

  /** When the next event is due; undefined if there is none. */
  get nextUs(): number | undefined {
    for (;;) {
      const event = this.#queue[0]
      if (event === undefined || isAlive(event)) return event?.timeUs
      this.#popFirst()
    }
  }

  /** Whether there is an event that time is to hurry to. */
  get hurries(): boolean {
    for (const event of this.#urgent) {
      if (isAlive(event)) return true
      this.#urgent.delete(event)
    }
    return false
  }

  /** Calls back after the delay unless the life has ended; the answer cancels. What is `patient` waits for time to pass. */
  schedule(
    kind: string,
    life: Life,
    delayMs: number,
    callback: () => void,
    { patient = false }: { patient?: boolean } = {},
  ): () => void {
    assert(delayMs >= 0, `Nothing can be scheduled ${delayMs} ms ahead`)
    const timeUs = this.#nowUs + Math.ceil(delayMs * 1000)
    const event: Event = { timeUs, order: ++this.#orderLast, kind, life, callback }
    this.#push(event)
    if (!patient && timeUs > this.#nowUs) this.#urgent.add(event)
    this.onScheduled()
    return () => {
      event.callback = undefined
      this.#urgent.delete(event)
    }
  }

  /** Runs the next event, at its time. */
  step(): void {
    const event = this.#pop()
    if (event !== undefined) this.#play(event)
  }

  /** Nothing may be due before. */
  moveTo(timeUs: number): void {
    assert(timeUs >= this.#nowUs, 'Time does not go back')
    this.#nowUs = timeUs
  }

  /** Runs events until `main` settles. Fails if it cannot, or if it takes longer than `limitMs` of virtual time. */
  run<T>(main: Promise<T>, limitMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      let settled = false
      const settle = (): void => {
        settled = true
      }
      main.then(settle, settle)
      const limitUs = this.#nowUs + limitMs * 1000
      const step = (): void => {
        if (settled) return resolve(main)
        const event = this.#pop()
        if (event === undefined)
          return reject(new DeadlockError('Nothing is scheduled any more, and the scenario still waits'))
        if (event.timeUs > limitUs)
          return reject(new DeadlockError(`The scenario still waits after ${limitMs} ms of simulated time`))
        try {
          this.#play(event)
        } catch (error) {
          return reject(error as Error)
        }
        nextTurn(step)
      }
      nextTurn(step)
    })
  }

  #play(event: Event): void {
    this.#nowUs = event.timeUs
    this.#urgent.delete(event)
    this.#trace.note(event.timeUs, event.kind, event.life.name, event.order)
    event.life.run(event.callback!)
  }

  #push(event: Event): void {
    const queue = this.#queue
    let index = queue.push(event) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (isBefore(queue[parent]!, event)) break
      queue[index] = queue[parent]!
      index = parent
    }
    queue[index] = event
  }

  /** The next event that still has something to do. */
  #pop(): Event | undefined {
    for (;;) {
      const event = this.#popFirst()
      if (event === undefined || isAlive(event)) return event
    }
  }

  #popFirst(): Event | undefined {
    const queue = this.#queue
    const first = queue[0]
    const last = queue.pop()
    if (first === undefined || last === undefined || queue.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= queue.length) break
      if (child + 1 < queue.length && isBefore(queue[child + 1]!, queue[child]!)) child++
      if (isBefore(last, queue[child]!)) break
      queue[index] = queue[child]!
      index = child
    }
    queue[index] = last
    return first
  }
}

/** Whether it has something to do still. */
function isAlive(event: Event): boolean {
  return event.callback !== undefined && !event.life.ended
}

function isBefore(left: Event, right: Event): boolean {
  return left.timeUs < right.timeUs || (left.timeUs === right.timeUs && left.order < right.order)
}

/** The clock of one life. `wallOffsetMs` may jump. */
export class SimClock implements Clock {
  wallOffsetMs = 0
  readonly #timeline: Timeline
  readonly #life: Life
  readonly #bootMs: number
  readonly #startMs: number

  constructor(timeline: Timeline, life: Life, options: { bootMs: number; startMs: number }) {
    this.#timeline = timeline
    this.#life = life
    this.#bootMs = options.bootMs
    this.#startMs = options.startMs
  }

  now(): number {
    return Math.floor(this.#startMs + this.#timeline.nowUs / 1000 + this.wallOffsetMs)
  }

  monotonicMs(): number {
    return this.#bootMs + this.#timeline.nowUs / 1000
  }

  /** A timer that does not keep a process alive is one that nobody waits for. */
  setTimer(delayMs: number, callback: () => void, options?: { weak?: boolean }): { cancel(): void } {
    const patient = options?.weak === true || delayMs >= PAUSE_MS_MAX
    return {
      cancel: this.#timeline.schedule('timer', this.#life, Math.max(delayMs, 0), callback, { patient }),
    }
  }

  defer(callback: () => void): void {
    this.#timeline.schedule('defer', this.#life, 0, callback)
  }
}
