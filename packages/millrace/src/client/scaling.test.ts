import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { ControllerError } from '../protocol/controller/service.ts'
import { failsWith, order, playClient, withClient } from '../testing/client-scene.ts'
import { simulate } from '../testing/sim/simulate.ts'

test(
  'to a number of segments, each with its predecessors; what is so already stays',
  withClient(async ({ orders, controller }) => {
    await orders.create()
    const topology = await orders.scale(4)
    deepStrictEqual(topology, {
      epoch: 1,
      segments: [
        { id: '1.#epoch.1', range: { low: 0, high: 0.25 }, predecessors: ['0.#epoch.0'] },
        { id: '2.#epoch.1', range: { low: 0.25, high: 0.5 }, predecessors: ['0.#epoch.0'] },
        { id: '3.#epoch.1', range: { low: 0.5, high: 0.75 }, predecessors: ['0.#epoch.0'] },
        { id: '4.#epoch.1', range: { low: 0.75, high: 1 }, predecessors: ['0.#epoch.0'] },
      ],
    })
    controller.calls.length = 0
    deepStrictEqual(await orders.scale(4), topology)
    ok(!controller.calls.includes('scale'))
    deepStrictEqual((await orders.info()).topology, topology)
  }),
)

test(
  'as it is said: some segments, and the others stay',
  withClient(async ({ orders }) => {
    await orders.create({ scaling: { segments: 1 } })
    await orders.scale(3)
    const merged = await orders.scale({
      seal: ['1.#epoch.1', '2.#epoch.1'],
      into: [{ low: 0, high: 2 / 3 }],
    })
    deepStrictEqual(merged, {
      epoch: 2,
      segments: [
        { id: '4.#epoch.2', range: { low: 0, high: 2 / 3 }, predecessors: ['1.#epoch.1', '2.#epoch.1'] },
        { id: '3.#epoch.1', range: { low: 2 / 3, high: 1 }, predecessors: ['0.#epoch.0'] },
      ],
    })
    await rejects(
      orders.scale({ seal: ['1.#epoch.1'], into: [{ low: 0, high: 1 / 3 }] }),
      failsWith('segment-not-open'),
    )
  }),
)

test(
  'it resolves when the controller says that it is done',
  withClient(async ({ orders, controller, world }) => {
    await orders.create()
    controller.scaleChecks = 6
    const startMs = world.nowMs
    await orders.scale(2)
    strictEqual(controller.calls.filter((rpc) => rpc === 'checkScale').length, 7)
    const waitedMs = world.nowMs - startMs
    ok(waitedMs > 60 && waitedMs < 260, `${waitedMs} ms`)
  }),
)

test(
  'what a stream does not allow: sealed, missing, fewer segments than its policy asks for',
  withClient(async ({ orders, store }) => {
    await rejects(orders.scale(2), failsWith('stream-not-found'))
    const wide = store.stream('shop/wide', { key: null, create: { scaling: { segments: 4 } } })
    await wide.create()
    await rejects(
      wide.scale(2),
      failsWith('invalid-argument', /policy of shop\/wide asks for 4 segments at least, and 2 would be left/),
    )
    await wide.seal()
    await rejects(wide.scale(8), failsWith('stream-sealed'))
  }),
)

test(
  'update with another number of segments scales',
  withClient(async ({ orders }) => {
    await orders.create()
    await orders.update({ scaling: { segments: 3 } })
    strictEqual((await orders.info()).topology.segments.length, 3)
  }),
)

test(
  'an answer that was lost is asked for again, and what was done is not refused for being done',
  withClient(async ({ orders, controller }) => {
    await orders.create()
    const seal = ['0.#epoch.0']
    const into = [
      { low: 0, high: 0.3 },
      { low: 0.3, high: 1 },
    ]
    loseAnswer(controller, 'scale', () => controller.scale('shop/orders', [0n], [0.3, 1]))
    deepStrictEqual(
      (await orders.scale({ seal, into })).segments.map(({ id }) => id),
      ['1.#epoch.1', '2.#epoch.1'],
    )
    loseAnswer(controller, 'scale', () =>
      controller.scale('shop/orders', [(1n << 32n) | 1n, (1n << 32n) | 2n], [0.5, 1]),
    )
    strictEqual((await orders.scale(2)).epoch, 2)
  }),
)

test(
  'to a number, when the stream has scaled on the way: the plan is made anew',
  withClient(async ({ orders, controller }) => {
    await orders.create()
    let others = 2
    controller.before = (rpc) => {
      if (rpc !== 'scale' || others-- <= 0) return
      const { current } = controller.streams.get('shop/orders')!
      controller.scale('shop/orders', current, [0.1, 0.2, 1])
    }
    const { epoch, segments } = await orders.scale(2)
    strictEqual(epoch, 3)
    deepStrictEqual(
      segments.map(({ range }) => range.high),
      [0.5, 1],
    )
  }),
)

test(
  'a signal ends the waiting with its reason, and a controller that refuses for ever is told of',
  withClient(async ({ orders, controller, world }) => {
    await orders.create()
    const reason = new Error('enough')
    const impatient = new AbortController()
    controller.scaleChecks = 1_000_000
    const scaling = orders.scale(2, { signal: impatient.signal })
    await world.sleep(1000)
    impatient.abort(reason)
    await rejects(scaling, reason)
    controller.scaleChecks = 0
    controller.before = (rpc) => {
      if (rpc === 'scale') throw new ControllerError('internal', 'no')
    }
    await rejects(orders.scale(5), failsWith('internal', /^no$/))
  }),
)

test('scaling under writers over a bad network: no event is lost, doubled or out of order', async () => {
  for (let seed = 0; seed < 8; seed++) {
    await simulate(seed, (world) =>
      playClient(world, async ({ orders, other, stored }) => {
        await orders.create()
        world.network.weather.breakChance = 0.02
        const customers = ['ada', 'bob', 'cat', 'dan', 'eve']
        const writing = (async () => {
          for (let id = 0; id < 300; id++) {
            void Promise.all(customers.map((customer) => orders.write(order(id, customer))))
            if (world.random.chance(0.3)) await world.sleep(world.random.integer(5))
          }
          await orders.write(order(300))
        })()
        const scaler = other('scaler')
        for (const count of [4, 2, 7, 3, 1, 5]) {
          await world.sleep(world.random.integer(80))
          strictEqual((await scaler.scale(count)).segments.length, count)
        }
        await writing
        await orders.writeAll(customers.map((customer) => order(1000, customer)))
        for (const customer of customers) {
          const ids = stored(customer).filter((id) => id < 300)
          deepStrictEqual(
            ids,
            Array.from({ length: 300 }, (_, id) => id),
          )
        }
      }),
    )
  }
})

function loseAnswer(
  controller: { before: ((rpc: string, request: object) => void | Promise<void>) | undefined },
  lost: string,
  carryOut: () => void,
): void {
  controller.before = (rpc) => {
    if (rpc !== lost) return
    controller.before = undefined
    carryOut()
    throw new ControllerError('unavailable', 'The connection to the controller broke')
  }
}
