/**
 * Readers of one group in one simulated world: machines that read, leave, come back, stand still, and die with what they had in
 * hand, while the stream splits and merges and the server dies, too, over a network that breaks now and then. Who died comes back
 * by its old name or by none, or its segments wait until the others know. Every event arrives, those of a key first come in
 * order, and where every reader could close none comes twice. One that died repeats at most what it had not yet recorded.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { isMillraceError } from '../../client/errors.ts'
import type { Reader } from '../../client/reader.ts'
import type { ScaleTo } from '../../client/scale-plan.ts'
import type { Store } from '../../client/store.ts'
import type { Stream } from '../../client/stream.ts'
import type { TopologySegment } from '../../client/topology.ts'
import type { SimRandom } from '../sim/sim-random.ts'
import type { SimNode, World } from '../sim/world.ts'
import { connect, CrashingServer } from './crashing-server.ts'

const CONSUMERS = 3
const SEGMENTS = 5
const SEGMENTS_MIN = 2
const SEGMENTS_MAX = 9
const KEYS = 20

interface Order {
  readonly key: string
  readonly number: number
}

interface Delivery {
  readonly name: string
  readonly atMs: number
  /** It was in the hands of a program that had just stood still: others may have it by then. */
  readonly late: boolean
}

interface Play {
  readonly world: World
  readonly until: number
  readonly dies: boolean
  readonly stands: boolean
  readonly scales: boolean
  readonly crashing: boolean
  /** In the order of time. */
  readonly deliveries: Delivery[]
  /** When readers went without saying where they were. */
  readonly lossesMs: number[]
}

/** A program, and what has become of it. */
interface Life {
  over: boolean
  /** Resolves when the program goes on. */
  standing: Promise<void> | undefined
  wokeMs: number
}

/** Resolves with the number of events. */
export async function groups(world: World): Promise<number> {
  const { random } = world
  world.network.weather.breakChance = random.pick([0, 0, 0.002])
  const server = new CrashingServer(world)
  await server.start()
  const play: Play = {
    world,
    // In the longer ones there is time to find out who is dead while the others read.
    until: (random.chance(0.2) ? 35_000 : 8000) + random.integer(12_000),
    dies: random.chance(0.6),
    stands: random.chance(0.3),
    scales: random.chance(0.8),
    crashing: random.chance(0.6),
    deliveries: [],
    lossesMs: [],
  }
  const store = connect(world.node('writer').host)
  const orders = ordersOf(store)
  const written: Order[] = []
  const writing = write(world, play.until, orders, written)
  const consuming = Array.from({ length: CONSUMERS }, (_, index) => consume(play, `reader-${index}`))
  const scaling = play.scales ? scale(play, orders) : undefined
  while (world.nowMs < play.until) {
    await world.sleep(random.exponential(6000))
    if (play.crashing && world.nowMs < play.until) await server.crash()
  }
  await writing
  await scaling
  await Promise.all(consuming)
  world.network.weather.breakChance = 0
  await drain(play, orders)
  check(play, written)
  const { bytes, readers } = await orders.group('billing').lag()
  strictEqual(bytes, 0)
  if (play.lossesMs.length === 0) deepStrictEqual(readers, [])
  await store.close()
  await server.stop()
  return written.length
}

function ordersOf(store: Store): Stream<Order> {
  return store.stream<Order>('shop/orders', {
    key: ({ key }) => key,
    create: { scaling: { segments: SEGMENTS_MIN } },
  })
}

async function write(world: World, until: number, orders: Stream<Order>, written: Order[]): Promise<void> {
  for (let number = 0; world.nowMs < until; number++) {
    const batch = Array.from({ length: 1 + world.random.integer(3) }, (_, index) => ({
      key: `${world.random.integer(KEYS)}`,
      number: number * 10 + index,
    }))
    await orders.writeAll(batch)
    written.push(...batch)
    await world.sleep(world.random.integer(400))
  }
}

async function scale({ world, until }: Play, orders: Stream<Order>): Promise<void> {
  await orders.create()
  await orders.scale(SEGMENTS)
  const meanMs = world.random.pick([800, 2000, 6000])
  while (world.nowMs < until) {
    await world.sleep(world.random.exponential(meanMs))
    const { topology } = await orders.info()
    await orders.scale(someScale(world.random, topology.segments))
  }
}

/** A split, a merge, or both, of neighbours. */
function someScale(random: SimRandom, segments: readonly TopologySegment[]): ScaleTo {
  const sealed = Math.min(1 + random.integer(3), segments.length)
  const from = random.integer(segments.length - sealed + 1)
  const seal = segments.slice(from, from + sealed)
  const least = Math.max(1, SEGMENTS_MIN - segments.length + sealed)
  const most = Math.max(least, SEGMENTS_MAX - segments.length + sealed)
  const count = Math.min(random.between(least, most), sealed + 2)
  const low = seal[0]!.range.low
  const high = seal.at(-1)!.range.high
  const inner = Array.from({ length: count - 1 }, () => low + (high - low) * (0.05 + random.ratio() * 0.9))
  const bounds = [low, ...inner.toSorted((one, other) => one - other), high]
  const into = bounds.slice(1).map((bound, index) => ({ low: bounds[index]!, high: bound }))
  return { seal: seal.map(({ id }) => id), into }
}

/** A machine that reads as one reader after the other, most of them by a name that outlives its processes. */
async function consume(play: Play, name: string): Promise<void> {
  const { world } = play
  const node = world.node(name)
  while (world.nowMs < play.until) {
    const store = connect(node.running ? node.host : node.restart())
    const id = world.random.chance(0.6) ? name : undefined
    const reader = ordersOf(store).group('billing').reader({ id })
    const life: Life = { over: false, standing: undefined, wokeMs: Number.NEGATIVE_INFINITY }
    const reading = read(play, reader, life)
    await world.sleep(world.random.exponential(6000))
    if (play.stands && world.random.chance(0.3)) await standStill(play, node, life)
    if (play.dies && world.random.chance(0.5) && world.nowMs < play.until) {
      play.lossesMs.push(world.nowMs)
      life.over = true
      node.crash()
    } else await leave(play, { node, store, reader, reading })
    await world.sleep(world.random.exponential(1000))
  }
}

/** For so long, others may take it for dead. It takes a reader some seconds to show that it lives, more without a server. */
const DEAD_MS = 15_000

async function standStill({ world, crashing, lossesMs }: Play, node: SimNode, life: Life): Promise<void> {
  const forMs = world.random.pick([3000, 12_000, 40_000])
  if (crashing || forMs > DEAD_MS) lossesMs.push(world.nowMs)
  let goOn = (): void => undefined
  life.standing = new Promise((resolve) => {
    goOn = resolve
  })
  node.pause()
  await world.sleep(forMs)
  if (forMs > DEAD_MS) life.wokeMs = world.nowMs
  node.resume()
  life.standing = undefined
  goOn()
  await world.sleep(world.random.exponential(4000))
}

async function leave(
  play: Play,
  one: { node: SimNode; store: Store; reader: Reader<Order>; reading: Promise<void> },
): Promise<void> {
  try {
    await one.reader.close()
    await one.reading
  } catch (error) {
    // The server was away for too long.
    ok(isMillraceError(error) && error.code === 'unavailable', String(error))
    play.lossesMs.push(play.world.nowMs)
  }
  await one.store.close()
}

/** How long after it woke a program may have something in hand that others have read on from. */
const LATE_MS = 10_000

async function read({ world, deliveries }: Play, reader: Reader<Order>, life?: Life): Promise<void> {
  for await (const event of reader) {
    // A dead program does nothing, though what it had at hand is still there.
    if (life?.over === true) return
    if (life?.standing !== undefined) await life.standing
    const late = life !== undefined && world.nowMs - life.wokeMs < LATE_MS
    deliveries.push({ name: nameOf(event.value), atMs: world.nowMs, late })
    // Closing comes at any moment; what is in hand then counts as done.
    event.ack()
    // Some take time, in which their reader looks after the group by itself.
    if (world.random.chance(0.2)) await world.sleep(world.random.exponential(200))
  }
}

/** Somebody new finds whatever the dead have left. */
async function drain(play: Play, orders: Stream<Order>): Promise<void> {
  await read(play, orders.group('billing').reader({ until: 'tail' }))
}

/** Recorded is every 5 s. A server without power takes connections with it that seem to be there for up to 5 s each time. */
const UNRECORDED_MS_MAX = 6000
const UNRECORDED_MS_MAX_CRASHING = 30_000

function check({ crashing, deliveries, lossesMs }: Play, written: readonly Order[]): void {
  const first = new Map<string, Delivery>()
  const unrecordedMsMax = crashing ? UNRECORDED_MS_MAX_CRASHING : UNRECORDED_MS_MAX
  for (const delivery of deliveries) {
    const { name, late } = delivery
    const before = first.get(name)
    if (before === undefined) first.set(name, delivery)
    else if (lossesMs.length > 0)
      ok(
        late ||
          before.late ||
          lossesMs.some((lossMs) => before.atMs <= lossMs && lossMs - before.atMs < unrecordedMsMax),
        `${name} twice for no reason`,
      )
  }
  deepStrictEqual([...first.keys()].toSorted(), written.map(nameOf).toSorted())
  for (let key = 0; key < KEYS; key++) {
    const numbers = [...first.keys()].filter((name) => name.startsWith(`${key}/`)).map(numberOf)
    deepStrictEqual(
      numbers,
      numbers.toSorted((one, other) => one - other),
    )
  }
  if (lossesMs.length === 0) strictEqual(deliveries.length, written.length)
}

function nameOf({ key, number }: Order): string {
  return `${key}/${number}`
}

function numberOf(name: string): number {
  return Number(name.slice(name.indexOf('/') + 1))
}
