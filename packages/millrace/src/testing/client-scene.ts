/** A client of a fake store and a fake controller, in a world of its own. */
import { isMillraceError, type ErrorCode } from '../client/errors.ts'
import { createStore, type Store } from '../client/store.ts'
import type { Stream, StreamOptions } from '../client/stream.ts'
import { segmentNameOfId } from '../protocol/names.ts'
import { FakeController } from './fake-controller.ts'
import { FakeStore } from './fake-store.ts'
import { simulate } from './sim/simulate.ts'
import type { World } from './sim/world.ts'

export interface Order {
  readonly id: number
  readonly customer: string
}

export interface ClientScene {
  readonly world: World
  readonly segments: FakeStore
  readonly controller: FakeController
  readonly store: Store
  /** `shop/orders`, one segment unless it is said otherwise. */
  readonly orders: Stream<Order>
  /** Another client's handle of the same stream. */
  other(name: string): Stream<Order>
  /** The ids of the orders of a customer in the stream, in the order in which a reader meets them. */
  stored(customer: string): number[]
}

export function withClient(scenario: (scene: ClientScene) => Promise<void>): () => Promise<void> {
  return async () => {
    await simulate(1, (world) => playClient(world, scenario))
  }
}

export async function playClient(
  world: World,
  scenario: (scene: ClientScene) => Promise<void>,
): Promise<void> {
  const segments = new FakeStore()
  const { address } = await segments.listen(world.node('store').host.network, { host: 'store', port: 1 })
  const controller = new FakeController(segments, address)
  const client = { ...controller.service, close: async (): Promise<void> => undefined }
  const open: Store[] = []
  const connect = (name: string): Store => {
    const made = createStore({ host: world.node(name).host, controller: client })
    open.push(made)
    return made
  }
  const store = connect('client')
  await scenario({
    world,
    segments,
    controller,
    store,
    orders: ordersOf(store),
    other: (name) => ordersOf(connect(name)),
    stored(customer) {
      const { ranges } = controller.streams.get('shop/orders')!
      // Ids rise along every chain of successors.
      return [...ranges.keys()]
        .toSorted((one, two) => Number(one - two))
        .flatMap((id) => segments.segment(segmentNameOfId('shop', 'orders', id)).events)
        .map((event) => JSON.parse(event) as Order)
        .filter((order) => order.customer === customer)
        .map(({ id }) => id)
    },
  })
  for (const each of open) await each.close()
}

function ordersOf(store: Store): Stream<Order> {
  const options: StreamOptions<Order> = {
    key: ({ customer }) => customer,
    create: { scaling: { segments: 1 } },
  }
  return store.stream<Order>('shop/orders', options)
}

export function order(id: number, customer = 'ada'): Order {
  return { id, customer }
}

export function failsWith(code: ErrorCode, message?: RegExp): (error: unknown) => boolean {
  return (error) => isMillraceError(error) && error.code === code && (message?.test(error.message) ?? true)
}
