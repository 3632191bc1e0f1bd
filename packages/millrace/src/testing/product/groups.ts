/**
 * Readers of one group in one simulated world: machines that read, leave, come back, and die with what they had in hand, while
 * the server dies, too, over a network that breaks now and then. Every event arrives, those of a key first come in order, and
 * where every reader could close none comes twice. One that died repeats at most what it had not yet recorded.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { isMillraceError } from '../../client/errors.ts'
import type { Reader } from '../../client/reader.ts'
import type { Store } from '../../client/store.ts'
import type { Stream } from '../../client/stream.ts'
import type { SimNode, World } from '../sim/world.ts'
import { connect, CrashingServer } from './crashing-server.ts'

const CONSUMERS = 3
const SEGMENTS = 5
const KEYS = 20

interface Order {
  readonly key: string
  readonly number: number
}

interface Delivery {
  readonly name: string
  readonly atMs: number
}

interface Play {
  readonly world: World
  readonly until: number
  readonly dies: boolean
  readonly crashing: boolean
  /** In the order of time. */
  readonly deliveries: Delivery[]
  /** When readers went without saying where they were. */
  readonly lossesMs: number[]
}

/** Resolves with the number of events. */
export async function groups(world: World): Promise<number> {
  const { random } = world
  world.network.weather.breakChance = random.pick([0, 0, 0.002])
  const server = new CrashingServer(world)
  await server.start()
  const play: Play = {
    world,
    until: 20_000 + random.integer(20_000),
    dies: random.chance(0.6),
    crashing: random.chance(0.7),
    deliveries: [],
    lossesMs: [],
  }
  const store = connect(world.node('writer').host)
  const written: Order[] = []
  const writing = write(world, play.until, ordersOf(store), written)
  const consuming = Array.from({ length: CONSUMERS }, (_, index) => consume(play, `reader-${index}`))
  while (world.nowMs < play.until) {
    await world.sleep(random.exponential(6000))
    if (play.crashing && world.nowMs < play.until) await server.crash()
  }
  await writing
  await Promise.all(consuming)
  world.network.weather.breakChance = 0
  await drain(play, ordersOf(store))
  check(play, written)
  deepStrictEqual(await ordersOf(store).group('billing').lag(), { bytes: 0, readers: [] })
  await store.close()
  await server.stop()
  return written.length
}

function ordersOf(store: Store): Stream<Order> {
  return store.stream<Order>('shop/orders', {
    key: ({ key }) => key,
    create: { scaling: { segments: SEGMENTS } },
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
    await world.sleep(world.random.integer(300))
  }
}

/** A machine that reads as one reader, whose name outlives its processes. */
async function consume(play: Play, id: string): Promise<void> {
  const { world } = play
  const node = world.node(id)
  while (world.nowMs < play.until) {
    const store = connect(node.running ? node.host : node.restart())
    const reader = ordersOf(store).group('billing').reader({ id })
    const life = { over: false }
    const reading = read(play, reader, life)
    await world.sleep(world.random.exponential(8000))
    if (play.dies && world.random.chance(0.5) && world.nowMs < play.until) {
      play.lossesMs.push(world.nowMs)
      life.over = true
      node.crash()
    } else await leave(play, { node, store, reader, reading })
    await world.sleep(world.random.exponential(1000))
  }
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

async function read(
  { world, deliveries }: Play,
  reader: Reader<Order>,
  life: { readonly over: boolean } = { over: false },
): Promise<void> {
  for await (const event of reader) {
    // A dead program does nothing, though what it had at hand is still there.
    if (life.over) return
    deliveries.push({ name: nameOf(event.value), atMs: world.nowMs })
    // Closing comes at any moment; what is in hand then counts as done.
    event.ack()
    // Some take time, in which their reader looks after the group by itself.
    if (world.random.chance(0.2)) await world.sleep(world.random.exponential(200))
  }
}

/** Under each name there has been: whoever died without anybody following it still has its segments. */
async function drain(play: Play, orders: Stream<Order>): Promise<void> {
  for (let index = 0; index < CONSUMERS; index++)
    await read(play, orders.group('billing').reader({ until: 'tail', id: `reader-${index}` }))
}

/** Recorded is every 5 s. A server without power takes connections with it that seem to be there for up to 5 s each time. */
const UNRECORDED_MS_MAX = 6000
const UNRECORDED_MS_MAX_CRASHING = 30_000

function check({ crashing, deliveries, lossesMs }: Play, written: readonly Order[]): void {
  const first = new Map<string, number>()
  const unrecordedMsMax = crashing ? UNRECORDED_MS_MAX_CRASHING : UNRECORDED_MS_MAX
  for (const { name, atMs } of deliveries) {
    const before = first.get(name)
    if (before === undefined) first.set(name, atMs)
    else if (lossesMs.length > 0)
      ok(
        lossesMs.some((lossMs) => before <= lossMs && lossMs - before < unrecordedMsMax),
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
