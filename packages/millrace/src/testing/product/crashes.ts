import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import type { Host } from '../../base/host.ts'
import { connectLocalController } from '../../client/local-controller.ts'
import { createStore, type Store } from '../../client/store.ts'
import { type Server, startServer } from '../../server/server.ts'
import type { SimNode, World } from '../sim/world.ts'

/**
 * The whole product in one simulated world: a server node that is killed and loses power, and a client node whose writers go on
 * through all of it. At the end every acknowledged event is there once, in order per key, and none that was never written. Answers with the number of events.
 */

const CONTROLLER = { host: 'server', port: 9090 }
const SEGMENT_STORE = { host: 'server', port: 12_345 }
const KEYS = 5

interface Order {
  readonly key: string
  readonly number: number
}

export async function crashes(world: World): Promise<number> {
  const server = world.node('server')
  let running = await serve(server.host)
  const store = connect(world.node('client').host)
  const acknowledged: Order[] = []
  let written = 0
  const stream = store.stream<Order>('shop/orders', {
    key: ({ key }) => key,
    create: { scaling: { segments: 3 } },
  })
  const until = 3000 + world.random.integer(3000)
  const writers = Array.from({ length: 3 }, async (_, writer) => {
    for (let number = 0; world.nowMs < until; number++) {
      const orders = Array.from({ length: 1 + world.random.integer(4) }, (__, index) => ({
        key: `${writer}-${world.random.integer(KEYS)}`,
        number: number * 10 + index,
      }))
      written += orders.length
      await stream.writeAll(orders)
      acknowledged.push(...orders)
      await world.sleep(world.random.integer(40))
    }
  })
  while (world.nowMs < until) {
    await world.sleep(world.random.exponential(700))
    running = await crash(world, server, running)
  }
  await Promise.all(writers)
  const read: Order[] = []
  for await (const { value, key } of stream.read({ until: 'tail' })) {
    strictEqual(key, value.key)
    read.push(value)
  }
  deepStrictEqual(perKey(read), perKey(acknowledged))
  await store.close()
  await running.close()
  return written
}

async function crash(world: World, node: SimNode, running: Server): Promise<Server> {
  if (world.random.chance(0.2)) {
    await running.close()
    node.crash()
  } else node.crash({ power: world.random.chance(0.5) })
  await world.sleep(world.random.integer(300))
  // Some starts are cut off too.
  while (world.random.chance(0.3)) {
    serve(node.restart()).catch(() => undefined)
    await world.sleep(world.random.ratio() * 60)
    node.crash({ power: world.random.chance(0.5) })
  }
  return serve(node.restart())
}

function serve(host: Host): Promise<Server> {
  return startServer({
    host,
    data: 'data',
    containers: 4,
    listen: { controller: CONTROLLER, segmentStore: SEGMENT_STORE, transport: 'local' },
    log: { fileBytesFirst: 64 * 1024, fileBytesMax: 256 * 1024 },
  })
}

function connect(host: Host): Store {
  return createStore({ host, controller: connectLocalController(host, CONTROLLER) })
}

function perKey(orders: readonly Order[]): Record<string, number[]> {
  const numbers: Record<string, number[]> = {}
  for (const { key, number } of orders) (numbers[key] ??= []).push(number)
  return numbers
}
