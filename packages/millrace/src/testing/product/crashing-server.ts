/** A server on a node of its own that dies in every way there is, and comes back. */
import { ok } from 'node:assert/strict'
import type { Host } from '../../base/host.ts'
import { connectLocalController } from '../../client/local-controller.ts'
import { createStore, type Store } from '../../client/store.ts'
import type { ControllerClient } from '../../protocol/controller/service.ts'
import { type Server, startServer } from '../../server/server.ts'
import type { SimNode, World } from '../sim/world.ts'

const CONTROLLER = { host: 'server', port: 9090 }
const SEGMENT_STORE = { host: 'server', port: 12_345 }

/** What is changed about a server, to see whether anybody notices. */
export interface Planted {
  /** For a server that is about to start: what it gets instead of its host. */
  readonly host?: (host: Host, server: { readonly started: boolean }) => Host
  /** For a client. */
  readonly controller?: (controller: ControllerClient) => ControllerClient
}

export class CrashingServer {
  readonly #world: World
  readonly #node: SimNode
  readonly #planted: Planted
  #server: Server | undefined
  #failed: Promise<void> = Promise.resolve()

  constructor(world: World, planted: Planted = {}) {
    this.#world = world
    this.#node = world.node('server')
    this.#planted = planted
  }

  async start(): Promise<void> {
    let onFailed = (): void => undefined
    this.#failed = new Promise((resolve) => {
      onFailed = resolve
    })
    this.#server = await this.#serve(this.#node.running ? this.#node.host : this.#node.restart(), onFailed)
  }

  async stop(): Promise<void> {
    await this.#server?.close()
  }

  /** Ends the server in some way and starts it again; now and then a start is cut off too. */
  async crash(): Promise<void> {
    const { random } = this.#world
    const power = random.chance(0.5)
    const fate = random.integer(10)
    if (random.chance(0.5)) await this.#untilWriting()
    if (fate < 2) await this.stop()
    else if (fate < 4) await this.#failSync()
    this.#node.crash({ power })
    await this.#world.sleep(random.integer(300))
    while (random.chance(0.3)) {
      this.#serve(this.#node.restart(), () => undefined).catch(() => undefined)
      await this.#world.sleep(random.ratio() * 60)
      this.#node.crash({ power: random.chance(0.5) })
    }
    await this.start()
  }

  async #serve(host: Host, onFailed: () => void): Promise<Server> {
    const state = { started: false }
    const server = await serve(this.#planted.host?.(host, state) ?? host, onFailed)
    state.started = true
    return server
  }

  /** Most moments are quiet ones, and what goes wrong goes wrong in the others. */
  async #untilWriting(): Promise<void> {
    const { random } = this.#world
    let forget = (): void => undefined
    const writing = new Promise<void>((resolve) => {
      forget = this.#node.disk.whenWriting(random.between(1, 3), resolve)
    })
    await Promise.race([writing, this.#world.sleep(300)])
    forget()
    if (random.chance(0.5)) await this.#world.sleep(random.ratio())
  }

  /** A sync fails while there is traffic. The server must notice, and acknowledge nothing afterwards. */
  async #failSync(): Promise<void> {
    const end = this.#node.disk.inject({
      action: 'sync',
      times: 1,
      path: (path) => path.includes('/log/log-'),
    })
    await Promise.race([this.#failed, this.#world.sleep(500)])
    end()
    const { store } = this.#server!
    if (store.failure !== undefined) ok(store.containers.some(({ failure }) => failure !== undefined))
  }
}

function serve(host: Host, onFailed: () => void): Promise<Server> {
  return startServer({
    host,
    data: 'data',
    containers: 4,
    listen: { controller: CONTROLLER, segmentStore: SEGMENT_STORE, transport: 'local' },
    log: { fileBytesFirst: 64 * 1024, fileBytesMax: 256 * 1024 },
    onEvent: (event) => {
      if (event.kind === 'store-failed') onFailed()
    },
  })
}

export function connect(host: Host, planted: Planted = {}): Store {
  const controller = connectLocalController(host, CONTROLLER)
  return createStore({ host, controller: planted.controller?.(controller) ?? controller })
}
