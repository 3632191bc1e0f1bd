/**
 * The network between the nodes of a world. A node's name is its host name; any other name, such as 127.0.0.1, is the node
 * itself. Bytes arrive late and cut differently, connections break, nodes lose sight of each other.
 */
import { type Address, type Connection, type Listener, type Network, NetworkError } from '../../base/host.ts'
import {
  connectionPair,
  inUse,
  type MemoryConnection,
  refused,
  type Wire,
} from '../../base/memory-network.ts'
import type { Life, Timeline } from './sim-clock.ts'
import type { SimRandom } from './sim-random.ts'
import type { Trace } from './trace.ts'

/** Odds and delays; may be changed at any time. */
export interface NetworkWeather {
  /** Mean one-way delay between nodes; a tenth of it within one. */
  latencyMs: number
  /** Odds that a transfer breaks its connection. */
  breakChance: number
  /** Odds that a connection attempt is refused. */
  refuseChance: number
  /** Odds that a transfer is cut anew; otherwise it arrives as written. */
  recutChance: number
  /** The reader takes only a few chunks a turn. */
  slowReaders: boolean
}

interface End {
  readonly life: Life
  readonly connection: MemoryConnection
}

interface Link {
  readonly ends: readonly [End, End]
}

const RESET_DELAY_MS_MAX = 5000
const CONNECT_TIMEOUT_MS = 3000

export class SimNetwork {
  readonly weather: NetworkWeather = {
    latencyMs: 0.2,
    breakChance: 0,
    refuseChance: 0,
    recutChance: 0.3,
    slowReaders: false,
  }
  readonly #timeline: Timeline
  readonly #random: SimRandom
  readonly #trace: Trace
  readonly #lives: ReadonlyMap<string, Life>
  readonly #listeners = new Map<string, { life: Life; onConnection: (connection: Connection) => void }>()
  readonly #links = new Set<Link>()
  readonly #blocked = new Set<string>()
  #held: { from: Life; to: Life; callback: () => void }[] = []
  #portLast = 20_000

  constructor(options: {
    timeline: Timeline
    random: SimRandom
    trace: Trace
    /** The present life of each node. */
    lives: ReadonlyMap<string, Life>
  }) {
    this.#timeline = options.timeline
    this.#random = options.random
    this.#trace = options.trace
    this.#lives = options.lives
  }

  attach(life: Life): Network {
    return {
      listen: (address, onConnection) => this.#listen(life, address, onConnection),
      connect: (address, options) => this.#connect(life, address, options?.signal),
    }
  }

  /** Nothing gets from one node to the other until `unblock`; what is sent waits. */
  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`)
  }

  /** Cuts every node of one side off from every node of the other, both ways. */
  partition(side: readonly string[], otherSide: readonly string[]): void {
    for (const one of side) {
      for (const other of otherSide) {
        this.block(one, other)
        this.block(other, one)
      }
    }
  }

  /** Takes all blocks away; what waited arrives. */
  heal(): void {
    this.#blocked.clear()
    const held = this.#held
    this.#held = []
    for (const { from, to, callback } of held) this.#carry(from, to, callback)
  }

  /** Breaks the connections between two nodes, or all of one. */
  breakConnections(node: string, other?: string): void {
    for (const link of this.#links) {
      const names = link.ends.map(({ life }) => life.name)
      if (names.includes(node) && (other === undefined || names.includes(other))) this.#break(link)
    }
  }

  /** The process has died, and the kernel, if it lives, resets its connections. */
  end(life: Life, options: { power: boolean }): void {
    for (const [key, listener] of this.#listeners) if (listener.life === life) this.#listeners.delete(key)
    for (const link of this.#links) {
      const [one, two] = link.ends
      if (one.life !== life && two.life !== life) continue
      this.#links.delete(link)
      for (const [mine, other] of [
        [one, two],
        [two, one],
      ] as const) {
        if (mine.life !== life) continue
        mine.connection.abandon()
        if (other.life === life) continue
        const delayMs = options.power
          ? this.#random.integer(RESET_DELAY_MS_MAX)
          : this.#latency(life, other.life)
        this.#timeline.schedule('net-reset', other.life, delayMs, () => {
          if (!this.#isBlocked(life, other.life)) return other.connection.breakOff(reset(other.connection))
          this.#held.push({
            from: life,
            to: other.life,
            callback: () => other.connection.breakOff(reset(other.connection)),
          })
        })
      }
    }
  }

  async #listen(
    life: Life,
    address: Address,
    onConnection: (connection: Connection) => void,
  ): Promise<Listener> {
    const port = address.port === 0 ? ++this.#portLast : address.port
    const bound = { host: address.host, port }
    const key = `${life.name}:${port}`
    if (this.#listeners.has(key)) throw inUse(bound)
    const listener = { life, onConnection }
    this.#listeners.set(key, listener)
    const close = async (): Promise<void> => {
      if (this.#listeners.get(key) === listener) this.#listeners.delete(key)
    }
    return { address: bound, close }
  }

  #connect(life: Life, address: Address, signal: AbortSignal | undefined): Promise<Connection> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      const target = this.#lives.get(address.host) ?? life
      const unreachable = (): void =>
        reject(
          new NetworkError('unreachable', `Cannot connect to ${address.host}:${address.port}: no answer`),
        )
      if (target.ended || this.#isBlocked(life, target) || this.#isBlocked(target, life)) {
        this.#timeline.schedule('net-connect', life, CONNECT_TIMEOUT_MS, unreachable)
        return
      }
      this.#timeline.schedule('net-connect', life, this.#latency(life, target), () => {
        if (signal?.aborted === true) return
        const listener = this.#listeners.get(`${target.name}:${address.port}`)
        if (listener === undefined || this.#random.chance(this.weather.refuseChance))
          return reject(refused(address))
        const local = { host: life.name, port: ++this.#portLast }
        const link = this.#link({ near: life, far: listener.life, local, remote: address })
        const [near, far] = link.ends
        this.#timeline.schedule('net-accept', far.life, 0, () => listener.onConnection(far.connection))
        resolve(near.connection)
      })
    })
  }

  #link(options: { near: Life; far: Life; local: Address; remote: Address }): Link {
    const { near, far } = options
    const onBreak = (): void => this.#break(link)
    const [nearEnd, farEnd] = connectionPair({
      near: options.local,
      far: options.remote,
      nearWire: this.#wire(near, far, onBreak),
      farWire: this.#wire(far, near, onBreak),
    })
    const link: Link = {
      ends: [
        { life: near, connection: nearEnd },
        { life: far, connection: farEnd },
      ],
    }
    this.#links.add(link)
    return link
  }

  #wire(from: Life, to: Life, onBreak: () => void): Wire {
    return {
      defer: (callback) => void this.#timeline.schedule('net-turn', from, 0, callback),
      carry: (callback) => {
        if (this.#random.chance(this.weather.breakChance)) onBreak()
        this.#carry(from, to, callback)
      },
      recut: (chunks) => this.#recut(to, chunks),
      chunksPerTurn: () => (this.weather.slowReaders ? this.#random.between(1, 3) : Number.POSITIVE_INFINITY),
    }
  }

  #carry(from: Life, to: Life, callback: () => void): void {
    this.#timeline.schedule('net-carry', to, this.#latency(from, to), () => {
      if (this.#isBlocked(from, to)) this.#held.push({ from, to, callback })
      else callback()
    })
  }

  #break(link: Link): void {
    if (!this.#links.delete(link)) return
    for (const { life, connection } of link.ends) {
      const breakOff = (): void => connection.breakOff(reset(connection))
      this.#timeline.schedule('net-reset', life, this.#random.exponential(this.weather.latencyMs), breakOff)
    }
  }

  #isBlocked(from: Life, to: Life): boolean {
    return this.#blocked.has(`${from.name}>${to.name}`)
  }

  #latency(from: Life, to: Life): number {
    const { latencyMs } = this.weather
    return this.#random.exponential(from.name === to.name ? latencyMs / 10 : latencyMs)
  }

  #recut(to: Life, chunks: readonly Buffer[]): Buffer[] {
    const whole = Buffer.concat(chunks)
    this.#trace.note(this.#timeline.nowUs, 'net-bytes', to.name, whole.length)
    if (!this.#random.chance(this.weather.recutChance)) return [whole]
    const pieces: Buffer[] = []
    const pieceMax = this.#random.pick([3, 30, 1000, 65_536])
    let start = 0
    // Past some tens of cuts more of them find nothing new.
    while (start < whole.length && pieces.length < 50) {
      const end = Math.min(start + this.#random.between(1, pieceMax), whole.length)
      pieces.push(whole.subarray(start, end))
      start = end
    }
    if (start < whole.length) pieces.push(whole.subarray(start))
    return pieces
  }
}

function reset(connection: Connection): NetworkError {
  return new NetworkError(
    'closed',
    `The connection to ${connection.remote.host}:${connection.remote.port} broke`,
  )
}
