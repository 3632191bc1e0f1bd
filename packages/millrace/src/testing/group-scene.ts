/** A server and its clients on machines of their own, each of which can die, for tests of reader groups. */
import type { Host } from '../base/host.ts'
import type { Diagnostic } from '../client/diagnostics.ts'
import type { Event } from '../client/events.ts'
import { connectLocalController } from '../client/local-controller.ts'
import type { Reader } from '../client/reader.ts'
import { createStore, type Store } from '../client/store.ts'
import type { Stream } from '../client/stream.ts'
import { type Server, startServer } from '../server/server.ts'
import { simulate } from './sim/simulate.ts'
import type { SimNode, World } from './sim/world.ts'

const CONTROLLER = { host: 'server', port: 9090 }
const SEGMENT_STORE = { host: 'server', port: 12_345 }

export interface Order {
  readonly id: number
  readonly customer: string
}

export interface GroupScene {
  readonly world: World
  readonly server: { crash(): void; start(): Promise<void> }
  /** The server as it runs now. */
  embedded(): { readonly server: Server }
  /** A client on a machine of this name. */
  client(name: string): { readonly node: SimNode; readonly store: Store }
  /** `shop/orders`, made with so many segments as the scene says. */
  ordersOf(store: Store): Stream<Order>
  readonly diagnostics: readonly Diagnostic[]
}

export async function groupScene(
  segments: number,
  scenario: (scene: GroupScene) => Promise<void>,
  seed: string | number = 1,
): Promise<void> {
  await simulate(seed, async (world) => {
    const node = world.node('server')
    const stores: { readonly node: SimNode; readonly store: Store }[] = []
    const diagnostics: Diagnostic[] = []
    let running = await serve(node.host)
    await scenario({
      world,
      diagnostics,
      server: {
        crash: () => node.crash(),
        async start() {
          running = await serve(node.restart())
        },
      },
      embedded: () => ({ server: running }),
      client(name) {
        const machine = world.node(name)
        const { host } = machine
        const controller = connectLocalController(host, CONTROLLER)
        const store = createStore({ host, controller, report: (diagnostic) => diagnostics.push(diagnostic) })
        stores.push({ node: machine, store })
        return { node: machine, store }
      },
      ordersOf(store) {
        const options = { key: (order: Order): string => order.customer, create: { scaling: { segments } } }
        return store.stream<Order>('shop/orders', options)
      },
    })
    for (const { node: machine, store } of stores) if (machine.running) await store.close()
    await running.close()
  })
}

function serve(host: Host): Promise<Server> {
  return startServer({
    host,
    data: 'data',
    containers: 4,
    listen: { controller: CONTROLLER, segmentStore: SEGMENT_STORE, transport: 'local' },
    log: { fileBytesFirst: 256 * 1024, fileBytesMax: 1024 * 1024 },
  })
}

export function numbered(from: number, to: number): Order[] {
  return Array.from({ length: to - from }, (_, index) => ({
    id: from + index,
    customer: `customer ${(from + index) % 23}`,
  }))
}

export async function idsOf(events: AsyncIterable<Event<Order>>): Promise<number[]> {
  const seen: number[] = []
  for await (const { value } of events) seen.push(value.id)
  return seen
}

export interface Running {
  /** The ids of the events so far; may be shared by several. */
  readonly seen: number[]
  /** Resolves or rejects when the reader's loop ends. */
  readonly over: Promise<void>
  /** Closes the reader in good order. */
  stop(): Promise<void>
}

/** A program that reads in the background. */
export function run(reader: Reader<Order>, seen: number[] = []): Running {
  const over = (async () => {
    for await (const { value } of reader) seen.push(value.id)
  })()
  over.catch(() => undefined)
  return {
    seen,
    over,
    async stop() {
      await reader.close()
      await over
    },
  }
}
