import { assert } from '../../base/assert.ts'
import type { Host } from '../../base/host.ts'
import { Life, SimClock, START_MS, Timeline } from './sim-clock.ts'
import { SimDisk } from './sim-disk.ts'
import { SimNetwork } from './sim-network.ts'
import { SimRandom } from './sim-random.ts'
import { Trace } from './trace.ts'

/** Some machines, a network between them and one line of time, all decided by a seed. */
export class World {
  readonly seed: string
  /** For the scenario's own choices. */
  readonly random: SimRandom
  readonly trace: Trace = new Trace()
  readonly timeline: Timeline
  readonly network: SimNetwork
  readonly #root: SimRandom
  readonly #nodes = new Map<string, SimNode>()
  readonly #lives = new Map<string, Life>()
  /** The scenario itself, which lives as long as the world. */
  readonly #scenario = new Life('scenario')
  readonly #startMs: number

  /** `startMs`: what the clocks of all machines show first. */
  constructor(seed: string, { startMs = START_MS }: { startMs?: number | undefined } = {}) {
    this.seed = seed
    this.#startMs = startMs
    this.#root = new SimRandom(seed)
    this.random = this.#root.fork('scenario')
    this.timeline = new Timeline(this.trace)
    this.network = new SimNetwork({
      timeline: this.timeline,
      random: this.#root.fork('network'),
      trace: this.trace,
      lives: this.#lives,
    })
  }

  /** The machine of this name, which runs from its first mention on. */
  node(name: string): SimNode {
    let node = this.#nodes.get(name)
    if (node === undefined) {
      node = new SimNode(name, {
        timeline: this.timeline,
        network: this.network,
        trace: this.trace,
        random: this.#root.fork(`node ${name}`),
        startMs: this.#startMs,
        onLife: (life) => this.#lives.set(name, life),
      })
      this.#nodes.set(name, node)
    }
    return node
  }

  get nodes(): readonly SimNode[] {
    return [...this.#nodes.values()]
  }

  get nowMs(): number {
    return this.timeline.nowUs / 1000
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.timeline.schedule('sleep', this.#scenario, delayMs, resolve)
    })
  }

  /** Runs the world until `main` settles. */
  run<T>(main: Promise<T>, limitMs: number): Promise<T> {
    return this.timeline.run(main, limitMs)
  }
}

export interface SimNodeOptions {
  readonly timeline: Timeline
  readonly network: SimNetwork
  readonly trace: Trace
  readonly random: SimRandom
  readonly startMs: number
  readonly onLife: (life: Life) => void
}

/** A machine: its disk lasts, its process comes and goes. */
export class SimNode {
  readonly name: string
  readonly disk: SimDisk
  readonly #options: SimNodeOptions
  #lives = 0
  #life: Life
  #clock: SimClock
  #host: Host

  constructor(name: string, options: SimNodeOptions) {
    this.name = name
    this.#options = options
    this.disk = new SimDisk({ ...options, name, random: options.random.fork('disk') })
    const first = this.#begin()
    this.#life = first.life
    this.#clock = first.clock
    this.#host = first.host
  }

  /** What the present process of this node gets. */
  get host(): Host {
    return this.#host
  }

  get running(): boolean {
    return !this.#life.ended
  }

  /** The process dies; with `power` the machine does, and what its disk had not synced is at stake. */
  crash(options?: { power?: boolean }): void {
    if (!this.running) return
    const power = options?.power === true
    this.#options.trace.note(
      this.#options.timeline.nowUs,
      power ? 'power-cut' : 'kill',
      this.name,
      this.#lives,
    )
    this.#life.end()
    this.#options.network.end(this.#life, { power })
    if (power) this.disk.losePower(this.#life)
    else this.disk.kill(this.#life)
  }

  /** A new process on the same disk. */
  restart(): Host {
    assert(!this.running, `${this.name} runs already`)
    const next = this.#begin()
    this.#life = next.life
    this.#clock = next.clock
    this.#host = next.host
    return next.host
  }

  /** The process stands still, as under SIGSTOP; what is due runs when it goes on. */
  pause(): void {
    this.#life.pause()
  }

  resume(): void {
    for (const callback of this.#life.resume())
      this.#options.timeline.schedule('resume', this.#life, 0, callback)
  }

  /** The wall clock of this machine jumps. */
  shiftClock(byMs: number): void {
    this.#clock.wallOffsetMs += byMs
  }

  #begin(): { life: Life; clock: SimClock; host: Host } {
    const { timeline, network, random, startMs, onLife } = this.#options
    const lifeRandom = random.fork(`life ${++this.#lives}`)
    const life = new Life(this.name)
    onLife(life)
    const clock = new SimClock(timeline, life, { bootMs: lifeRandom.integer(1_000_000), startMs })
    const host = {
      clock,
      disk: this.disk.attach(life),
      network: network.attach(life),
      random: lifeRandom.fork('host'),
    }
    return { life, clock, host }
  }
}
