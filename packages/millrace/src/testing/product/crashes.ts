/**
 * The whole product in one simulated world: a server node that is killed, loses power and has syncs that fail, and a client node
 * whose writers and reader go on through all of it, over a network that breaks now and then. At the end every acknowledged
 * event is there once, in order per key, and none that was never written; the reader at the tail has seen the same.
 */
import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import type { Stream } from '../../client/stream.ts'
import type { World } from '../sim/world.ts'
import { connect, CrashingServer } from './crashing-server.ts'

const WRITERS = 3
const KEYS = 5

interface Order {
  readonly key: string
  readonly number: number
  /** Makes the log move on from file to file. */
  readonly note: string
}

/** Resolves with the number of events. */
export async function crashes(world: World): Promise<number> {
  world.network.weather.breakChance = world.random.pick([0, 0, 0.002, 0.01])
  const server = new CrashingServer(world)
  await server.start()
  const store = connect(world.node('client').host)
  const stream = store.stream<Order>('shop/orders', {
    key: ({ key }) => key,
    create: { scaling: { segments: 3 } },
  })
  const until = 3000 + world.random.integer(3000)
  const acknowledged: Order[] = []
  const tail = follow(stream)
  const writers = Array.from({ length: WRITERS }, (_, writer) =>
    write({ world, stream, writer, until, acknowledged }),
  )
  while (world.nowMs < until) {
    await world.sleep(world.random.exponential(700))
    await server.crash()
  }
  await Promise.all(writers)
  world.network.weather.breakChance = 0
  const read: Order[] = []
  for await (const { value, key } of stream.read({ until: 'tail' })) {
    strictEqual(key, value.key)
    read.push(value)
  }
  deepStrictEqual(perKey(read), perKey(acknowledged))
  deepStrictEqual(perKey(await tail.stop(read.length)), perKey(acknowledged))
  await store.close()
  await server.stop()
  return acknowledged.length
}

async function write(options: {
  world: World
  stream: Stream<Order>
  writer: number
  until: number
  acknowledged: Order[]
}): Promise<void> {
  const { world, stream, writer, until, acknowledged } = options
  for (let number = 0; world.nowMs < until; number++) {
    const orders = Array.from({ length: 1 + world.random.integer(4) }, (_, index) => ({
      key: `${writer}-${world.random.integer(KEYS)}`,
      number: number * 10 + index,
      note: 'x'.repeat(world.random.integer(world.random.pick([1, 100, 5000]))),
    }))
    await stream.writeAll(orders)
    acknowledged.push(...orders)
    await world.sleep(world.random.integer(40))
  }
}

/** Reads from the start and never stops, until it has seen so many events. */
function follow(stream: Stream<Order>): { stop(count: number): Promise<Order[]> } {
  const seen: Order[] = []
  let wanted = Number.POSITIVE_INFINITY
  let onSeen = (): void => undefined
  const abort = new AbortController()
  const reading = (async () => {
    try {
      for await (const { value } of stream.read({ signal: abort.signal })) {
        seen.push(value)
        if (seen.length >= wanted) onSeen()
      }
    } catch (error) {
      if (!abort.signal.aborted) throw error
    }
  })()
  return {
    async stop(count) {
      wanted = count
      if (seen.length < count) {
        const complete = new Promise<void>((resolve) => {
          onSeen = resolve
        })
        await Promise.race([complete, reading])
      }
      abort.abort()
      await reading
      return seen
    },
  }
}

function perKey(orders: readonly Order[]): Record<string, number[]> {
  const numbers: Record<string, number[]> = {}
  for (const { key, number } of orders) (numbers[key] ??= []).push(number)
  return numbers
}
