/**
 * Time for a world that a program lives in, where `Timeline.run` is for one that a scenario watches from outside.
 *
 * What is due runs by itself, one event a turn, so that calls that need only disk and network go on while virtual time stands
 * still. Time passes when `advance` says so; and by itself over the pauses that somebody waits for, such as those between two
 * attempts, and no further: what is patient, such as leases, comes due then only if the pause reaches over it.
 */
import { assert } from '../../base/assert.ts'
import type { Timeline } from './sim-clock.ts'
import { nextTurn } from './turns.ts'

interface Advance {
  readonly targetUs: number
  readonly resolve: () => void
}

export class LiveTime {
  readonly #timeline: Timeline
  /** In the order of their targets, and with them ever later ones. */
  readonly #advances: Advance[] = []
  #awake = false

  constructor(timeline: Timeline) {
    this.#timeline = timeline
    timeline.onScheduled = () => this.#wake()
  }

  /** Resolves when so much time has passed, and with it all that came due and what that led to without a pause. */
  advance(delayMs: number): Promise<void> {
    assert(Number.isFinite(delayMs) && delayMs >= 0, `Time cannot pass for ${delayMs} ms`)
    const fromUs = this.#advances.at(-1)?.targetUs ?? this.#timeline.nowUs
    return new Promise((resolve) => {
      this.#advances.push({ targetUs: fromUs + Math.ceil(delayMs * 1000), resolve })
      this.#wake()
    })
  }

  #wake(): void {
    if (this.#awake) return
    this.#awake = true
    nextTurn(() => this.#turn())
  }

  #turn(): void {
    this.#awake = false
    const { nextUs } = this.#timeline
    const targetUs = this.#advances[0]?.targetUs
    const due = nextUs !== undefined && nextUs <= Math.max(this.#timeline.nowUs, targetUs ?? 0)
    if (due || (targetUs === undefined && this.#timeline.hurries)) {
      // Whatever it throws, the rest goes on.
      this.#wake()
      this.#timeline.step()
    } else if (targetUs !== undefined) {
      this.#timeline.moveTo(Math.max(targetUs, this.#timeline.nowUs))
      this.#advances.shift()!.resolve()
      this.#wake()
    }
  }
}
