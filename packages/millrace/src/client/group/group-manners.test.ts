import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '../../base/host.ts'
import { FakeController } from '../../testing/fake-controller.ts'
import { withGroups } from '../../testing/fake-groups.ts'
import { FakeStore } from '../../testing/fake-store.ts'
import { numbered, type Order } from '../../testing/group-scene.ts'
import { simulate } from '../../testing/sim/simulate.ts'
import type { World } from '../../testing/sim/world.ts'
import { createStore } from '../store.ts'
import type { Stream } from '../stream.ts'

interface Bench {
  readonly world: World
  readonly store: FakeStore
  readonly orders: Stream<Order>
  /** The same stream, as a client on another machine has it. */
  readonly other: Stream<Order>
  /** How many timers that keep the process alive were set since the last call. */
  strongTimers(): number
}

function bench(scenario: (bench: Bench) => Promise<void>): () => Promise<void> {
  return async () => {
    await simulate(1, async (world) => {
      const store = new FakeStore()
      const { address } = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
      const controller = { ...withGroups(new FakeController(store, address)), close: async () => undefined }
      let strong = 0
      const real = world.node('one').host
      const host: Host = {
        ...real,
        clock: {
          now: () => real.clock.now(),
          monotonicMs: () => real.clock.monotonicMs(),
          defer: (callback) => real.clock.defer(callback),
          setTimer(delayMs, callback, options) {
            if (options?.weak !== true) strong++
            return real.clock.setTimer(delayMs, callback, options)
          },
        },
      }
      const clients = [host, world.node('two').host].map((each) => createStore({ host: each, controller }))
      const [orders, other] = clients.map((client) =>
        client.stream<Order>('shop/orders', { key: (order) => order.customer }),
      )
      const strongTimers = (): number => {
        const count = strong
        strong = 0
        return count
      }
      await scenario({ world, store, orders: orders!, other: other!, strongTimers })
      for (const client of clients) await client.close()
    })
  }
}

test(
  'an idle reader looks at its group every three seconds, and keeps the process alive',
  bench(async ({ world, store, orders, strongTimers }) => {
    await orders.writeAll(numbered(0, 3))
    const reader = orders.group('billing').reader()
    const seen: number[] = []
    const reading = (async () => {
      for await (const { value } of reader) seen.push(value.id)
    })()
    await world.sleep(10_000)
    deepStrictEqual(seen, [0, 1, 2])
    strongTimers()
    const requests: string[] = []
    store.intercept = ({ kind }) => {
      if (kind !== 'keep-alive') requests.push(kind)
      return false
    }
    await world.sleep(15_000)
    ok(requests.length >= 4 && requests.length <= 6, requests.join(' '))
    ok(requests.every((kind) => kind === 'get-stream-segment-info'))
    const timers = strongTimers()
    ok(timers >= 4 && timers <= 12, `${timers} timers`)
    await reader.close()
    await reading
  }),
)

test(
  'a reader that nobody waits for records and looks on, but keeps no process alive',
  bench(async ({ world, store, orders, strongTimers }) => {
    await orders.writeAll(numbered(0, 10))
    const reader = orders.group('billing').reader()
    const events = reader[Symbol.asyncIterator]()
    for (let count = 0; count < 5; count++) await events.next()
    strongTimers()
    const before = store.segment('shop/_RGbilling/0.#epoch.0').events.length
    await world.sleep(20_000)
    strictEqual(strongTimers(), 0)
    // The four that were done with, once.
    strictEqual(store.segment('shop/_RGbilling/0.#epoch.0').events.length, before + 1)
    await reader.close()
  }),
)

test(
  'in a group of several it shows life for as long as its process lives, and does not keep it alive for that',
  bench(async ({ world, store, orders, other, strongTimers }) => {
    await orders.writeAll(numbered(0, 10))
    const reader = orders.group('billing').reader()
    const events = reader[Symbol.asyncIterator]()
    await events.next()
    const another = other.group('billing').reader()
    const waiting = another[Symbol.asyncIterator]().next()
    await world.sleep(5000)
    strongTimers()
    const before = store.segment('shop/_RGbilling/0.#epoch.0').events.length
    await world.sleep(20_000)
    strictEqual(strongTimers(), 0)
    // Each of the two shows life four times in twenty seconds, and writes nothing else.
    const signs = store.segment('shop/_RGbilling/0.#epoch.0').events.length - before
    ok(signs >= 7 && signs <= 9, `${signs} signs`)
    await another.close()
    await waiting
    await reader.close()
  }),
)
