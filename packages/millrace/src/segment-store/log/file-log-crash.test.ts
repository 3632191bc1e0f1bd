import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '../../base/host.ts'
import { ModelContainer } from '../../testing/log-model.ts'
import { simulate } from '../../testing/sim/simulate.ts'
import type { World } from '../../testing/sim/world.ts'
import { type DurableLog, LogError } from './durable-log.ts'
import { openFileLog } from './file-log.ts'

const SEEDS = 150
const STORE_ID = Buffer.alloc(16, 7)
const COMMAND = 'node packages/millrace/src/segment-store/log/file-log-crash.test.ts'

test('over many histories of crashes, power cuts and faults nothing acknowledged is lost, nothing invented', async () => {
  for (const seed of seedsToRun()) await simulate(seed, live, { command: COMMAND })
})

test('one seed is one history', async () => {
  const { traceHash } = await simulate(3, live)
  strictEqual((await simulate(3, live)).traceHash, traceHash)
})

/** `--seed S` plays one history again, `--seeds N` plays more of them. */
function seedsToRun(): readonly number[] {
  const valueOf = (name: string): number | undefined => {
    const index = process.argv.indexOf(name)
    return index === -1 ? undefined : Number(process.argv[index + 1])
  }
  const one = valueOf('--seed')
  return one === undefined ? Array.from({ length: valueOf('--seeds') ?? SEEDS }, (_, seed) => seed) : [one]
}

async function live(world: World): Promise<void> {
  const containers = Array.from({ length: world.random.between(1, 4) }, (_, id) => new ModelContainer(id))
  const lives = world.random.between(2, 5)
  for (let life = 0; life < lives; life++) {
    const log = await openThroughCrashes(world, containers)
    const working = work(world, containers)
    const { random } = world
    const fault = {
      action: random.pick(['sync', 'write', 'sync-directory'] as const),
      times: 1,
      chance: 0.05,
    }
    const endFault = random.chance(0.15) ? world.node('a').disk.inject(fault) : (): void => undefined
    await world.sleep(world.random.exponential(20))
    working.stop()
    if (world.random.chance(0.2)) await world.sleep(world.random.exponential(100))
    endFault()
    if (random.chance(0.3)) await log.close()
    world.node('a').crash({ power: random.chance(0.6) })
    if (random.chance(0.3)) world.node('a').disk.dropCache()
    world.node('a').restart()
  }
  const log = await open(world.node('a').host, containers)
  for (const container of containers) await container.verify()
  const before = containers.map((container) => container.through)
  await log.close()
  world.node('a').crash({ power: true })
  await open(world.node('a').restart(), containers)
  deepStrictEqual(
    containers.map((container) => container.through),
    before,
  )
  for (const container of containers) await container.verify()
}

/** Opens, and now and then dies while opening. */
async function openThroughCrashes(world: World, containers: readonly ModelContainer[]): Promise<DurableLog> {
  const node = world.node('a')
  while (world.random.chance(0.4)) {
    const opening = openFileLog(optionsFor(node.host, containers))
    opening.catch(() => undefined)
    await world.sleep(world.random.exponential(3))
    node.crash({ power: world.random.chance(0.5) })
    node.restart()
  }
  return open(node.host, containers)
}

async function open(host: Host, containers: readonly ModelContainer[]): Promise<DurableLog> {
  const log = await openFileLog(optionsFor(host, containers))
  for (const container of containers) {
    strictEqual(container.damage, undefined)
    container.open(log)
  }
  return log
}

function optionsFor(host: Host, containers: readonly ModelContainer[]): Parameters<typeof openFileLog>[0] {
  const fresh = containers.map((container) => container.recovery())
  return {
    host,
    directory: 'data/log',
    storeId: STORE_ID,
    fileBytesFirst: 32 * 1024,
    fileBytesMax: 128 * 1024,
    slots: 2 + (containers.length % 2),
    recover: (container) => fresh[container]!,
  }
}

/** Lets every container log, drop, read and checkpoint, in bursts. */
function work(world: World, containers: readonly ModelContainer[]): { stop: () => void } {
  const { random } = world
  let stopped = false
  const { clock } = world.node('a').host
  /** A failure fails the history, unless the log was closed or has failed before it was done. */
  const background = (doing: Promise<void>): void => {
    doing.catch((error: unknown) => {
      if (error instanceof LogError && (error.code === 'closed' || error.code === 'io')) return
      clock.defer(() => {
        throw error
      })
    })
  }
  const step = (container: ModelContainer, pace: Pace): void => {
    if (stopped) return
    for (let burst = random.between(1, 4); burst > 0; burst--) {
      const lengths = Array.from({ length: random.between(1, 3) }, () =>
        random.chance(0.05) ? random.between(1, 65_536) : random.between(1, 3000),
      )
      container.put({
        ...(random.chance(0.7) ? { lengths } : {}),
        drop: container.extents.filter(() => random.chance(0.2)),
        filler: random.chance(0.01) ? 150_000 : random.integer(200),
      })
    }
    container.log.wake()
    const extent = container.extents.at(-1)
    if (extent !== undefined && random.chance(0.1)) background(container.verifyExtent(extent))
    if (random.chance(pace.checkpointChance)) background(container.checkpoint())
    clock.setTimer(random.exponential(pace.meanMs), () => step(container, pace))
  }
  for (const container of containers) {
    const pace = { meanMs: random.pick([2, 5, 30]), checkpointChance: random.pick([0, 0.1, 0.7]) }
    step(container, pace)
  }
  return {
    stop: () => {
      stopped = true
    },
  }
}

interface Pace {
  readonly meanMs: number
  readonly checkpointChance: number
}
