import { deepStrictEqual, match, notStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection, Host } from '../../base/host.ts'
import { DeadlockError } from './sim-clock.ts'
import { SimRandom } from './sim-random.ts'
import { simulate, SimulationError } from './simulate.ts'
import type { World } from './world.ts'

test('one seed is one history, and another seed another', async () => {
  const first = await simulate(7, chatter)
  const again = await simulate(7, chatter)
  const other = await simulate(8, chatter)
  deepStrictEqual(again, first)
  notStrictEqual(other.traceHash, first.traceHash)
  ok(first.events > 100)
})

test('a difference that the seed did not decide changes the hash', async () => {
  const hashes = new Set<string>()
  for (const extra of [0, 1]) {
    const { traceHash } = await simulate(7, async (world) => {
      const { disk } = world.node('a').host
      const file = await disk.open('a', 'create')
      await file.write([Buffer.alloc(100 + extra)], 0)
    })
    hashes.add(traceHash)
  }
  strictEqual(hashes.size, 2)
})

test('a failure names its seed, the command that plays it again and what happened last', async () => {
  const failing = simulate('0xbeef', async (world) => {
    await world.sleep(1500)
    throw new Error('Event 7 is lost')
  })
  await rejects(failing, (error) => {
    ok(error instanceof SimulationError)
    match(error.message, /1500 ms.*Event 7 is lost\n.*npm run sim -- --seed 0xbeef/)
    strictEqual((error.cause as Error).message, 'Event 7 is lost')
    ok(error.recent.some((line) => line.includes('sleep')))
    return true
  })
})

test('a failure in a callback fails the simulation', async () => {
  const failing = simulate(1, async (world) => {
    world.node('a').host.clock.setTimer(5, () => {
      throw new Error('broken callback')
    })
    await world.sleep(10)
  })
  await rejects(failing, /Seed 1 .*broken callback/)
})

test('waiting for nothing is a deadlock, and waiting for ever is one too', async () => {
  const hasDeadlock = (error: unknown): boolean =>
    error instanceof SimulationError && error.cause instanceof DeadlockError
  await rejects(
    simulate(1, () => new Promise(() => undefined)),
    hasDeadlock,
  )
  const endless = simulate(
    1,
    (world) => {
      const { clock } = world.node('a').host
      const tick = (): void => void clock.setTimer(1000, tick)
      tick()
      return new Promise(() => undefined)
    },
    { limitMs: 60_000 },
  )
  await rejects(endless, hasDeadlock)
})

test('a day passes in no time, in the order of the timers', async () => {
  const { value, simulatedMs } = await simulate(
    1,
    async (world) => {
      const { clock } = world.node('a').host
      const startMs = clock.now()
      await world.sleep(24 * 3600 * 1000)
      return clock.now() - startMs
    },
    { limitMs: 25 * 3600 * 1000 },
  )
  strictEqual(value, 24 * 3600 * 1000)
  strictEqual(simulatedMs, 24 * 3600 * 1000)
})

test('a crashed process does nothing more: no timer, no answer, no connection', async () => {
  await simulate(3, async (world) => {
    const node = world.node('a')
    const { host } = node
    const heard: string[] = []
    await listen(world.node('b').host, 'b', heard)
    const connection = await host.network.connect({ host: 'b', port: 1 })
    connection.start({ data: () => heard.push('data'), closed: () => heard.push('closed at a') })
    host.clock.setTimer(1, () => heard.push('timer'))
    host.clock.defer(() => heard.push('deferred'))
    void host.disk.makeDirectory('x').then(() => heard.push('disk'))
    connection.write(Buffer.alloc(10), () => heard.push('release'))
    node.crash()
    await world.sleep(60_000)
    deepStrictEqual(heard, ['b closed: The connection to a:20001 broke'])
    strictEqual(node.running, false)
    ok((await node.restart().disk.list('')).length <= 1)
  })
})

test('a paused process stands still, and does on resuming what came due', async () => {
  await simulate(3, async (world) => {
    const node = world.node('a')
    const fired: number[] = []
    node.host.clock.setTimer(10, () => fired.push(world.nowMs))
    node.pause()
    await world.sleep(500)
    deepStrictEqual(fired, [])
    node.resume()
    await world.sleep(1)
    deepStrictEqual(fired, [500])
  })
})

test('nodes that were cut off hear of each other again when the network heals', async () => {
  await simulate(5, async (world) => {
    const heard: string[] = []
    await listen(world.node('b').host, 'b', heard)
    const near = world.node('a').host
    const connection = await near.network.connect({ host: 'b', port: 1 })
    connection.start({ data: () => undefined, closed: () => heard.push('closed at a') })
    world.network.partition(['a'], ['b'])
    connection.write(Buffer.from([7]))
    const refusal = near.network.connect({ host: 'b', port: 1 })
    await rejects(refusal, { code: 'unreachable' })
    deepStrictEqual(heard, [])
    world.network.heal()
    await world.sleep(100)
    deepStrictEqual(heard, ['b got 1'])
    world.network.breakConnections('a', 'b')
    await world.sleep(100)
    deepStrictEqual(
      new Set(heard.slice(1)),
      new Set(['b closed: The connection to a:20001 broke', 'closed at a']),
    )
  })
})

test('clocks of nodes jump apart, monotonic time does not', async () => {
  await simulate(5, async (world) => {
    const node = world.node('a')
    const { clock } = node.host
    const before = { wallMs: clock.now(), monotonicMs: clock.monotonicMs() }
    node.shiftClock(-3_600_000)
    strictEqual(clock.now(), before.wallMs - 3_600_000)
    strictEqual(clock.monotonicMs(), before.monotonicMs)
    notStrictEqual(world.node('b').host.clock.monotonicMs(), before.monotonicMs)
  })
})

test('a fork of a random stream does not depend on what its parent drew', () => {
  const one = new SimRandom('seed')
  const two = new SimRandom('seed')
  for (let i = 0; i < 10; i++) one.word()
  strictEqual(one.fork('x').word(), two.fork('x').word())
  notStrictEqual(two.fork('x').word(), two.fork('y').word())
})

async function listen(host: Host, name: string, heard: string[]): Promise<void> {
  await host.network.listen({ host: name, port: 1 }, (connection) =>
    connection.start({
      data: (chunk) => heard.push(`${name} got ${chunk.length}`),
      closed: (error) => heard.push(`${name} closed: ${error?.message}`),
    }),
  )
}

/** Two nodes that talk, write and fall over. */
async function chatter(world: World): Promise<number> {
  world.network.weather.breakChance = 0.01
  let echoed = 0
  const serve = (connection: Connection): void =>
    connection.start({
      data: (chunk) => {
        echoed += chunk.length
        connection.write(Buffer.from(chunk))
      },
      closed: () => undefined,
    })
  await world.node('server').host.network.listen({ host: 'server', port: 1 }, serve)
  for (let round = 0; round < 10; round++) {
    const { host } = world.node('client')
    const connection = await host.network.connect({ host: 'server', port: 1 })
    connection.start({ data: () => undefined, closed: () => undefined })
    connection.write(host.random.bytes(1000))
    const file = await host.disk.open(`round-${round}`, 'create')
    await Promise.all([file.write([host.random.bytes(10_000)], 0), world.sleep(world.random.integer(3))])
    await file.sync()
    if (world.random.chance(0.5)) {
      world.node('client').crash({ power: true })
      world.node('client').restart()
    }
  }
  return echoed
}
