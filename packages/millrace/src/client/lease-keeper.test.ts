import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { mock, test } from 'node:test'
import { nodeClock } from '../base/node-clock.ts'
import { PingTxnStatus } from '../protocol/controller/messages.ts'
import { ControllerError } from '../protocol/controller/service.ts'
import { simulate } from '../testing/sim/simulate.ts'
import type { World } from '../testing/sim/world.ts'
import { LeaseKeeper } from './lease-keeper.ts'

type Answer = PingTxnStatus['status'] | ControllerError

interface Played {
  /** When, and for how long. */
  readonly pings: readonly (readonly [atMs: number, leaseMs: number])[]
  readonly ends: readonly string[]
}

/** A keeper that gets these answers, the last one for ever, and 100 s to ask. */
async function play(
  answers: readonly Answer[],
  options: { known?: boolean; stopAtMs?: number } = {},
): Promise<Played> {
  const pings: [number, number][] = []
  const ends: string[] = []
  await simulate(1, async (world: World) => {
    const left = [...answers]
    const keeper = new LeaseKeeper(
      {
        host: world.node('client').host,
        leaseMs: 30_000,
        async ping(leaseMs) {
          pings.push([Math.round(world.nowMs), leaseMs])
          const answer = left.length > 1 ? left.shift()! : left[0]!
          if (answer instanceof ControllerError) throw answer
          return answer
        },
        onEnded: (end) => ends.push(end),
      },
      { known: options.known ?? true },
    )
    const stopAtMs = options.stopAtMs ?? 100_000
    await world.sleep(stopAtMs)
    keeper.stop()
    await world.sleep(100_000)
  })
  return { pings, ends }
}

test('three pings in a lease, the first at once if the server has not been told the lease', async () => {
  const { OK } = PingTxnStatus
  const times = ({ pings }: Played): number[] => pings.map(([atMs]) => Math.round(atMs / 1000))
  deepStrictEqual(times(await play([OK], { stopAtMs: 35_000 })), [10, 20, 30])
  deepStrictEqual(times(await play([OK], { known: false, stopAtMs: 35_000 })), [0, 10, 20, 30])
})

test('a ping that fails is followed by another one soon, for as long as nobody answers', async () => {
  const away = new ControllerError('unavailable', 'away')
  const { pings, ends } = await play([away, away, PingTxnStatus.DISCONNECTED, PingTxnStatus.OK])
  ok(pings[3]![0] < 10_200, `${pings[3]![0]} ms`)
  ok(pings[4]![0] > 19_900)
  deepStrictEqual(ends, [])
  const hopeless = await play([away])
  ok(hopeless.pings.length > 80 && hopeless.pings.length < 250, `${hopeless.pings.length} pings`)
  deepStrictEqual(hopeless.ends, [])
})

test('trap 47: what a ping says of the transaction ends the pinging', async () => {
  const { COMMITTED, ABORTED, UNKNOWN, OK } = PingTxnStatus
  const cases: readonly (readonly [Answer, string])[] = [
    [COMMITTED, 'committed'],
    [ABORTED, 'aborted'],
    [UNKNOWN, 'unknown'],
    [new ControllerError('not-found', 'no such stream'), 'unknown'],
  ]
  for (const [answer, end] of cases) {
    const { pings, ends } = await play([OK, answer])
    strictEqual(pings.length, 2)
    deepStrictEqual(ends, [end])
  }
  const limited = await play([OK, PingTxnStatus.MAX_EXECUTION_TIME_EXCEEDED])
  strictEqual(limited.pings.length, 2)
  // Until its lease is over it may still be committed.
  deepStrictEqual(limited.ends, [])
})

test('a lease that is too long for the server is cut until it is not', async () => {
  const { LEASE_TOO_LARGE, OK } = PingTxnStatus
  const { pings } = await play([LEASE_TOO_LARGE, LEASE_TOO_LARGE, OK], { stopAtMs: 14_000 })
  deepStrictEqual(
    pings.map(([, leaseMs]) => leaseMs),
    [30_000, 15_000, 7500, 7500],
  )
})

test('a keeper that was stopped while a ping was under way hears no more of it', async () => {
  await simulate(1, async (world) => {
    let answer: ((status: PingTxnStatus['status']) => void) | undefined
    const ends: string[] = []
    const keeper = new LeaseKeeper(
      {
        host: world.node('client').host,
        leaseMs: 3000,
        ping: () =>
          new Promise((resolve) => {
            answer = resolve
          }),
        onEnded: (end) => ends.push(end),
      },
      { known: false },
    )
    keeper.stop()
    answer?.(PingTxnStatus.ABORTED)
    await world.sleep(10_000)
    deepStrictEqual(ends, [])
  })
})

test('a lease is kept under the fake timers of a program, too', async () => {
  const pings: number[] = []
  let enough = (): void => undefined
  const pinged = new Promise<void>((resolve) => {
    enough = resolve
  })
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] })
  try {
    const random = { ratio: () => 0, integer: () => 0, bytes: (length: number) => Buffer.alloc(length) }
    const keeper = new LeaseKeeper(
      {
        host: { clock: nodeClock, random },
        leaseMs: 6,
        ping: async (leaseMs) => {
          pings.push(leaseMs)
          if (pings.length === 3) enough()
          return 0
        },
        onEnded: () => undefined,
      },
      { known: true },
    )
    // The timers of a keeper do not keep the process alive: this one does, as a server would.
    const alive = nodeClock.setTimer(60_000, () => undefined)
    await pinged
    alive.cancel()
    keeper.stop()
  } finally {
    mock.timers.reset()
  }
  deepStrictEqual(pings.slice(0, 3), [6, 6, 6])
})
