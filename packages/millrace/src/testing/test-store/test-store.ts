/** The whole product for tests of other programs: client, controller and segment store on machines that exist in memory only. */
import type { Host } from '../../base/host.ts'
import { invalidArgument, MillraceError } from '../../client/errors.ts'
import { connectLocalController } from '../../client/local-controller.ts'
import { nodeReport } from '../../client/node-diagnostics.ts'
import { createStore, type EngineStats, type Store } from '../../client/store.ts'
import { type Server, startServer } from '../../server/server.ts'
import { LiveTime } from '../sim/live-time.ts'
import { type SimNode, World } from '../sim/world.ts'
import { Gate } from '../../client/gate.ts'

export interface TestStoreOptions {
  /** What is random follows from it: the same seed and the same program make the same store. 1 if absent. */
  readonly seed?: number | undefined
  /** What the clock of the store shows when it opens. The first of January 2026 if absent. */
  readonly start?: Date | undefined
}

export interface TestClock {
  /**
   * Lets so much time pass in the store, at once: leases end, streams scale by themselves, readers of a group look what others did.
   * Resolves when what came due has happened.
   */
  advance(ms: number): Promise<void>
}

/**
 * A store as `open` makes it, on a disk and with a clock that are simulated. Nothing in it waits for real time, and other people's
 * fake timers do not touch it.
 *
 * Disk and network take no time: a call that needs nothing else goes on by itself, in turns of the event loop. Where a call makes a
 * short pause, as between asking whether a scale is done and asking again, the clock of the store moves over it by itself, some
 * milliseconds. Everything else that takes time waits for `clock.advance`: leases, auto-scaling, `watch` looking again, and
 * what a reader of a group learns of readers of another `group` handle.
 */
export interface TestStore extends Store {
  readonly clock: TestClock
  /**
   * The machine that the store runs on loses its power and starts again. Resolves when the store has recovered: what was not synced
   * is gone. Calls that are under way go on as they do after any lost connection, and so do all handles.
   */
  crash(): Promise<void>
  /**
   * The next sync of the store's log fails, and with it the store: what was to be synced is gone. From then on everything rejects
   * with `unavailable`, as it would until a program opens the store again; here, until `crash` has done so. Readers, writers and
   * transactions that were told are over. Streams and groups go on.
   */
  failSync(): void
}

const CONTROLLER = { host: 'server', port: 9090 }
const SEGMENT_STORE = { host: 'server', port: 12_345 }
const CONTAINERS = 4
const FILES = { fileBytesFirst: 256 * 1024, fileBytesMax: 4 * 1024 * 1024 }

/** Opens an empty store. It is gone when nobody holds it any more; closing it ends what is under way. */
export async function testStore({ seed = 1, start }: TestStoreOptions = {}): Promise<TestStore> {
  if (!Number.isFinite(seed)) throw invalidArgument(`seed is a number, not ${seed}`)
  const startMs = start?.getTime()
  if (Number.isNaN(startMs)) throw invalidArgument('start is no valid date')
  const machine = new Machine(new World(`testStore ${seed}`, { startMs }))
  await machine.start()
  return machine.store
}

class Machine {
  readonly #node: SimNode
  readonly #world: World
  readonly #time: LiveTime
  readonly #gate: Gate = new Gate()
  #server: Server | undefined
  /** One start follows the other. */
  #starting: Promise<void> = Promise.resolve()
  #closed = false
  #healDisk: () => void = () => undefined
  readonly store: TestStore

  constructor(world: World) {
    this.#world = world
    this.#time = new LiveTime(world.timeline)
    world.network.weather.latencyMs = 0
    world.network.weather.recutChance = 0
    this.#node = world.node('server')
    this.#node.disk.delays = { readMs: 0, writeMs: 0, syncMs: 0 }
    this.store = this.#storeOn(this.#gate.host(world.node('client').host))
  }

  async start(): Promise<void> {
    const host = this.#node.running ? this.#node.host : this.#node.restart()
    this.#server = await startServer({
      host,
      data: 'data',
      containers: CONTAINERS,
      listen: { controller: CONTROLLER, segmentStore: SEGMENT_STORE, transport: 'local' },
      log: FILES,
      onEvent: (event) => {
        if (event.kind === 'store-failed') this.#fail(event.error)
      },
    })
    this.#gate.open()
  }

  #storeOn(host: Host): TestStore {
    const store = createStore({
      host,
      controller: this.#gate.controller(connectLocalController(host, CONTROLLER)),
      report: nodeReport,
      engineStats: () => this.#engineStats(),
      onClose: () => this.#close(),
    })
    return {
      stream: (name, options) => store.stream(name, options),
      streams: (options) => store.streams(options),
      stats: () => store.stats(),
      close: () => store.close(),
      [Symbol.asyncDispose]: () => store.close(),
      clock: { advance: (ms) => this.#advance(ms) },
      crash: () => this.#crash(),
      failSync: () => this.#failSync(),
    }
  }

  async #advance(ms: number): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0)
      throw invalidArgument(`The clock goes forward by a number of milliseconds, not ${ms}`)
    await this.#time.advance(ms)
  }

  #crash(): Promise<void> {
    this.#starting = this.#starting.then(async () => {
      if (this.#closed) throw new MillraceError('closed', 'The store was closed')
      this.#losePower()
      await this.start()
    })
    return this.#starting
  }

  #failSync(): void {
    const path = (name: string): boolean => /\/log\/log-\d+$/.test(name)
    this.#healDisk = this.#node.disk.inject({ action: 'sync', times: 1, path })
  }

  /** A server whose store has failed ends, and nobody who waits for it is to wait for ever. */
  #fail(cause: Error): void {
    const message = `The store has failed and has to be opened again: ${cause.message}`
    this.#gate.shut(new MillraceError('unavailable', message, { cause }))
    this.#losePower()
  }

  #losePower(): void {
    this.#healDisk()
    this.#server = undefined
    // Clients hear of it at once.
    this.#world.network.breakConnections('server')
    this.#node.crash({ power: true })
  }

  #engineStats(): EngineStats {
    const stats = this.#server?.store.stats()
    return {
      syncs: stats?.log.syncs ?? 0,
      queuedBytes: stats?.inFlightBytes ?? 0,
      memoryBytes: stats?.cacheBytes ?? 0,
      memoryBytesMax: stats?.cacheBytesMax ?? 0,
      loopDelayMsMax: 0,
    }
  }

  async #close(): Promise<void> {
    this.#closed = true
    await this.#starting.catch(() => undefined)
    await this.#server?.close()
    // Nothing that waits for some later time is left.
    for (const node of this.#world.nodes) node.crash()
  }
}
