/**
 * Streams that split and merge while everything goes on, in one simulated world: programs that write, plainly and in transactions,
 * and die; a group of readers and one outside of it; scales and truncations at any moment; a server that is killed, loses power
 * and has syncs that fail, over a network that breaks. One seed decides all of it, and `checkHistory` judges what came of it.
 * When the faults are over everything must come to its end in good time.
 */
import { rejects } from 'node:assert/strict'
import type { Host } from '../../base/host.ts'
import { type ErrorCode, isMillraceError } from '../../client/errors.ts'
import type { Event } from '../../client/events.ts'
import type { Store } from '../../client/store.ts'
import type { Stream } from '../../client/stream.ts'
import type { KeyRange, Topology } from '../../client/topology.ts'
import type { Transaction } from '../../client/transaction.ts'
import { parseEventPointer } from '../../protocol/event-pointer.ts'
import type { SimNode, World } from '../sim/world.ts'
import { checkHistory } from './check-history.ts'
import { connect, CrashingServer, type Planted } from './crashing-server.ts'
import { History, type Place, type Sent, type Txn } from './history.ts'

interface Order {
  readonly id: number
  readonly key: string
  /** Makes the log move on from file to file. */
  readonly note: string
}

/** Programs commit, abort or leave their transactions within this time, mostly. */
const LEASE_MS = 10_000
const SEGMENTS_MAX = 6
/** Borders of segments lie at multiples of a part of this size. */
const PARTS = 64
/** What takes longer once the faults are over does not come to an end. */
const PATIENCE_MS = 180_000

/** Resolves with the number of events. Rejects if anything is wrong with what came of it. */
export async function elastic(world: World): Promise<number> {
  const { log } = await playElastic(world)
  return log.length
}

/** Resolves with what happened, if nothing is wrong with it. */
export async function playElastic(world: World, planted: Planted = {}): Promise<History> {
  const play = new Play(world, planted)
  await play.run()
  const problems = checkHistory(play.history)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return play.history
}

interface Plan {
  readonly untilMs: number
  readonly segments: number
  readonly writers: number
  readonly keys: number
  readonly readers: number
  readonly outsider: boolean
  readonly transactions: number
  readonly scaleEveryMs: number
  readonly truncateEveryMs: number
  readonly crashEveryMs: number
  readonly killEveryMs: number
  readonly partEveryMs: number
  readonly noteBytesMax: number
}

function draw({ random }: World): Plan {
  return {
    untilMs: 1500 + random.integer(3500),
    segments: random.between(1, 3),
    writers: random.between(1, 3),
    keys: random.pick([1, 2, 5]),
    readers: random.pick([0, 0, 1, 2]),
    outsider: random.chance(0.4),
    transactions: random.pick([0, 0.2, 0.5]),
    scaleEveryMs: random.pick([150, 400, 1000]),
    truncateEveryMs: random.pick([700, 2000, 100_000]),
    crashEveryMs: random.pick([500, 900, 2000, 100_000]),
    killEveryMs: random.pick([800, 2500, 100_000]),
    partEveryMs: random.pick([1500, 100_000]),
    noteBytesMax: random.pick([20, 200, 4000]),
  }
}

/** A process of a client, which may be gone at any moment. */
interface Program {
  readonly name: string
  readonly store: Store
  readonly host: Host
  readonly orders: Stream<Order>
  /** Resolves when it has been killed. */
  readonly killed: Promise<void>
  /** A dead program does nothing, though it may have had things at hand. */
  readonly alive: () => boolean
}

class Play {
  readonly history = new History()
  readonly #world: World
  readonly #planted: Planted
  readonly #plan: Plan
  readonly #server: CrashingServer
  readonly #admin: Program
  /** How to kill those programs that may be. */
  readonly #mortal = new Map<string, () => void>()
  readonly #failed: Promise<never>
  #fail: (error: unknown) => void = () => undefined
  #lives = 0

  constructor(world: World, planted: Planted) {
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.#failed.catch(() => undefined)
    this.#world = world
    this.#planted = planted
    this.#plan = draw(world)
    const { weather } = world.network
    weather.breakChance = world.random.pick([0, 0, 0.002, 0.01])
    weather.refuseChance = world.random.pick([0, 0, 0.2])
    weather.latencyMs = world.random.pick([0.2, 0.2, 0.2, 5])
    weather.slowReaders = world.random.chance(0.2)
    const syncMs = world.random.pick([0.3, 0.3, 3])
    world.node('server').disk.delays = { readMs: 0.1, writeMs: 0.05, syncMs }
    this.#server = new CrashingServer(world, planted)
    this.#admin = this.#begin('admin')
    this.history.grouped = this.#plan.readers > 0
  }

  async run(): Promise<void> {
    const plan = this.#plan
    await this.#server.start()
    await this.#admin.orders.create({ scaling: { segments: 1 } })
    await this.#admin.orders.scale(plan.segments)
    const leaveWatch = new AbortController()
    const others = [this.#watch(leaveWatch.signal)]
    const leaveOutside = new AbortController()
    if (plan.outsider) others.push(this.#readOutside(leaveOutside.signal))
    const watching = this.#together(others)
    const writing = this.#together(
      Array.from({ length: plan.writers }, (_, index) => this.#write(`writer-${index}`)),
    )
    const reading = this.#together(
      Array.from({ length: plan.readers }, (_, index) => this.#consume(`reader-${index}`)),
    )
    const changing = this.#together([
      this.#every(plan.scaleEveryMs, () => this.#scale()),
      this.#every(plan.truncateEveryMs, () => this.#truncate()),
    ])
    const faults = this.#together([
      this.#every(plan.crashEveryMs, () => this.#server.crash()),
      this.#every(plan.killEveryMs, async () => this.#kill()),
      this.#every(plan.partEveryMs, () => this.#part()),
    ])
    await this.#within('the faults', faults)
    Object.assign(this.#world.network.weather, { breakChance: 0, refuseChance: 0, slowReaders: false })
    await this.#within('what the writers have begun', writing)
    await this.#within('a scale or truncation under way', changing)
    await this.#within('the readers to leave', reading)
    await this.#within('the transactions to end', this.#settleTransactions())
    if (this.#world.random.chance(0.5)) await this.#within('the stream to be sealed', this.#seal())
    await this.#within('the rest to be read', this.#readRest())
    if (this.history.grouped) await this.#within('the group to read the rest', this.#drain())
    leaveWatch.abort()
    leaveOutside.abort()
    await this.#within('those who watch to leave', watching)
    await this.#admin.store.close()
    await this.#server.stop()
  }

  get #over(): boolean {
    return this.#world.nowMs >= this.#plan.untilMs
  }

  async #every(meanMs: number, action: () => Promise<void>): Promise<void> {
    const { random } = this.#world
    for (;;) {
      const pauseMs = random.exponential(meanMs)
      if (this.#world.nowMs + pauseMs >= this.#plan.untilMs) break
      await this.#world.sleep(pauseMs)
      await action()
    }
    if (!this.#over) await this.#world.sleep(this.#plan.untilMs - this.#world.nowMs)
  }

  async #within<T>(what: string, promise: Promise<T>): Promise<T> {
    const late = this.#world.sleep(PATIENCE_MS).then(() => {
      throw new Error(`stuck: ${what} takes more than ${PATIENCE_MS / 1000} s without any fault`)
    })
    late.catch(() => undefined)
    return Promise.race([promise, late, this.#failed])
  }

  /** What any of them fails with is noticed at once, whatever is being waited for. */
  #together(all: readonly Promise<void>[]): Promise<unknown> {
    const done = Promise.all(all)
    done.catch((error: unknown) => this.#fail(error))
    return done
  }

  #begin(name: string): Program {
    const node = this.#world.node(name)
    const host = node.running ? node.host : node.restart()
    const store = connect(host, this.#planted)
    const orders = store.stream<Order>('shop/orders', { key: ({ key }) => key, create: false })
    return {
      name: `${name}/${++this.#lives}`,
      store,
      host,
      orders,
      killed: this.#mortality(node),
      alive: () => node.running && node.host === host,
    }
  }

  #mortality(node: SimNode): Promise<void> {
    return new Promise((resolve) => {
      this.#mortal.set(node.name, () => {
        node.crash({ power: this.#world.random.chance(0.3) })
        resolve()
      })
    })
  }

  #kill(): void {
    const names = [...this.#mortal.keys()].filter((name) => name !== 'admin')
    if (names.length === 0) return
    const name = this.#world.random.pick(names)
    this.#mortal.get(name)?.()
    this.#mortal.delete(name)
  }

  /** One client and the server do not hear each other for a while. */
  async #part(): Promise<void> {
    const { random, network, nodes } = this.#world
    const clients = nodes.map(({ name }) => name).filter((name) => name !== 'server')
    network.partition([random.pick(clients)], ['server'])
    await this.#world.sleep(random.exponential(500))
    network.heal()
  }

  /** One process after the other under one name. Answers for each whether it was killed. */
  async #live(name: string, body: (program: Program) => Promise<void>): Promise<boolean> {
    const program = this.#begin(name)
    const killed = await Promise.race([body(program).then(() => false), program.killed.then(() => true)])
    if (killed) return true
    this.#mortal.delete(name)
    await program.store.close()
    return false
  }

  async #write(name: string): Promise<void> {
    const left: Txn[] = []
    while (!this.#over) {
      await this.#live(name, (program) => this.#writeFor(program, name, left))
      await this.#world.sleep(this.#world.random.exponential(200))
    }
  }

  async #writeFor(program: Program, name: string, left: Txn[]): Promise<void> {
    const { random } = this.#world
    await this.#adopt(program, left)
    const untilMs = this.#world.nowMs + random.exponential(3000)
    const transactions: Promise<void>[] = []
    while (!this.#over && this.#world.nowMs < untilMs) {
      if (random.chance(this.#plan.transactions)) transactions.push(this.#transact(program, name, left))
      else if (random.chance(0.3)) await this.#burst(program, name)
      else await this.#writePlainly(program, name)
      if (transactions.length > 3) await Promise.all(transactions.splice(0))
      await pause(program.host, random.integer(60))
    }
    await Promise.all(transactions)
  }

  async #writePlainly(program: Program, name: string): Promise<void> {
    const { sent, values } = this.#prepare(program, name)
    await program.orders.writeAll(values)
    this.history.acknowledge(sent)
  }

  /** Several at once, so that more than one append of a writer is under way. */
  async #burst(program: Program, name: string): Promise<void> {
    const writes: Promise<void>[] = []
    for (let count = this.#world.random.between(2, 6); count > 0; count--) {
      writes.push(this.#writePlainly(program, name))
      await pause(program.host, this.#world.random.ratio())
    }
    await Promise.all(writes)
  }

  #prepare(program: Program, name: string, transaction?: Txn): { sent: Sent[]; values: Order[] } {
    const { random } = this.#world
    const sent: Sent[] = []
    for (let count = random.between(1, 4); count > 0; count--)
      sent.push(this.history.send(`${name}/${random.integer(this.#plan.keys)}`, program.name, transaction))
    const values = sent.map(({ id, key }) => ({
      id,
      key,
      note: 'x'.repeat(random.integer(this.#plan.noteBytesMax)),
    }))
    return { sent, values }
  }

  async #transact(program: Program, name: string, left: Txn[]): Promise<void> {
    const { random } = this.#world
    const transaction = await program.orders.transaction({ leaseMs: LEASE_MS })
    const known = this.history.begin(transaction.id)
    left.push(known)
    for (let rounds = random.integer(3); rounds >= 0; rounds--) {
      const { sent, values } = this.#prepare(program, name, known)
      await transaction.writeAll(values)
      this.history.acknowledge(sent)
      await pause(program.host, random.integer(150))
    }
    const fate = random.integer(10)
    if (fate < 6) await this.#commit(transaction, known)
    else if (fate < 9) {
      await transaction.abort()
      known.abortedAt ??= this.history.now()
    }
    // Otherwise its store closes over it, or its program dies, and somebody takes it up again or nobody.
    if (fate < 9) left.splice(left.indexOf(known), 1)
  }

  async #commit(transaction: Transaction<Order>, known: Txn): Promise<void> {
    known.commitAskedAt ??= this.history.now()
    const code = await codeOf(transaction.commit(), ['txn-aborted', 'unknown-outcome'])
    if (code === undefined) known.committedAt ??= this.history.now()
    if (code === 'txn-aborted') known.abortedAt ??= this.history.now()
  }

  /** What an earlier process of this name has begun and not ended. */
  async #adopt(program: Program, left: Txn[]): Promise<void> {
    for (const known of left.splice(0)) {
      if (this.#world.random.chance(0.3)) continue
      try {
        await this.#commit(await program.orders.openTransaction(known.id, { leaseMs: LEASE_MS }), known)
      } catch (error) {
        // Its lease was over.
        if (!isMillraceError(error) || error.code !== 'txn-aborted') throw error
      }
    }
  }

  async #consume(name: string): Promise<void> {
    const { random } = this.#world
    while (!this.#over) {
      let session = ''
      const killed = await this.#live(name, async (program) => {
        session = program.name
        const reader = program.orders.group('billing').reader({ id: name })
        const reading = this.#deliver(reader, program)
        // Whatever it throws is thrown where it is waited for.
        reading.catch(() => undefined)
        await pause(program.host, Math.min(random.exponential(4000), this.#plan.untilMs - this.#world.nowMs))
        const code = await codeOf(
          reader.close().then(() => reading),
          ['unavailable'],
        )
        if (code !== undefined) this.history.losses.push({ at: this.history.now(), session })
      })
      if (killed) this.history.losses.push({ at: this.history.now(), session })
      await this.#world.sleep(random.exponential(300))
    }
  }

  async #deliver(events: AsyncIterable<Event<Order>>, { name, host, alive }: Program): Promise<void> {
    const { random } = this.#world
    for await (const event of events) {
      if (!alive()) return
      this.history.deliveries.push({ ...placeOf(event), at: this.history.now(), session: name })
      event.ack()
      if (random.chance(0.05)) await pause(host, random.exponential(200))
    }
  }

  async #readOutside(signal: AbortSignal): Promise<void> {
    const { orders, store, name } = this.#begin('outsider')
    this.#mortal.delete('outsider')
    try {
      for await (const event of orders.read({ signal }))
        this.history.sights.push({ ...placeOf(event), at: this.history.now(), session: name })
    } catch (error) {
      if (!signal.aborted) throw error
    }
    await store.close()
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const seen: Topology[] = []
    this.history.topologies.push(seen)
    try {
      for await (const topology of this.#admin.orders.watch({ signal })) seen.push(topology)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async #scale(): Promise<void> {
    const { random } = this.#world
    const { topology } = await this.#admin.orders.info()
    const all = topology.segments
    const first = random.integer(all.length)
    const seal = all.slice(first, first + random.between(1, 3))
    const room = SEGMENTS_MAX - all.length + seal.length
    const into = cutUp(this.#world, seal, random.between(1, Math.max(Math.min(3, room), 1)))
    const scaling = this.#admin.orders.scale({ seal: seal.map(({ id }) => id), into })
    const again = random.chance(0.1) ? this.#admin.orders.scale(random.between(1, SEGMENTS_MAX)) : undefined
    await codeOf(scaling, ['segment-not-open'])
    if (again !== undefined) await codeOf(again, ['segment-not-open'])
  }

  async #truncate(): Promise<void> {
    const { orders } = this.#admin
    let cut: string | undefined
    let at: number | undefined
    if (this.history.grouped) {
      const patience = new AbortController()
      void this.#world.sleep(8000).then(() => patience.abort())
      try {
        const { cuts } = await orders.group('billing').checkpoint({ signal: patience.signal })
        cut = cuts['shop/orders']
        at = this.history.now()
      } catch (error) {
        // A reader that was killed and has not come back says nothing.
        const code = isMillraceError(error) ? error.code : undefined
        if (!patience.signal.aborted && code !== 'group-not-found') throw error
        return
      }
    } else cut = await orders.cut('tail')
    for await (const event of orders.read({ until: cut })) this.history.log.push(placeOf(event))
    if (at !== undefined) this.history.checkpoints.push({ at, logLength: this.history.log.length })
    if (cut === undefined) return
    this.history.truncations.push({ at: this.history.now(), logLength: this.history.log.length })
    await orders.truncate(cut)
  }

  async #settleTransactions(): Promise<void> {
    for (const transaction of this.history.transactions) {
      for (;;) {
        transaction.status = await this.#admin.orders.transactionStatus(transaction.id)
        if (!['open', 'committing', 'aborting'].includes(transaction.status)) break
        await this.#world.sleep(1000)
      }
    }
  }

  async #seal(): Promise<void> {
    const { orders } = this.#admin
    await orders.seal()
    this.history.sealedAt = this.history.now()
    const sent = this.history.send('late', 'admin')
    await rejects(orders.write({ id: sent.id, key: sent.key, note: '' }), { code: 'stream-sealed' })
  }

  async #readRest(): Promise<void> {
    for await (const event of this.#admin.orders.read(this.#toTheEnd())) this.history.log.push(placeOf(event))
  }

  /** A sealed stream ends by itself. */
  #toTheEnd(): { until?: 'tail' } {
    const sealed = this.history.sealedAt < Number.POSITIVE_INFINITY
    return sealed && this.#world.random.chance(0.5) ? {} : { until: 'tail' }
  }

  /** Under each name there has been: whoever died without anybody following it still has its segments. */
  async #drain(): Promise<void> {
    for (let index = 0; index < this.#plan.readers; index++) {
      const reader = this.#admin.orders
        .group('billing')
        .reader({ ...this.#toTheEnd(), id: `reader-${index}` })
      await this.#deliver(reader, this.#admin)
    }
  }
}

function placeOf({ value, pointer }: Event<Order>): Place {
  const { segment, offset } = parseEventPointer(pointer)
  return { id: value.id, key: value.key, segment, offset }
}

/** The keys of some neighbours, cut into so many ranges or fewer. */
function cutUp({ random }: World, segments: Topology['segments'], count: number): KeyRange[] {
  const low = segments[0]!.range.low
  const high = segments.at(-1)!.range.high
  const borders = new Set([low, high])
  for (let cuts = count - 1; cuts > 0; cuts--) {
    const border = random.between(Math.ceil(low * PARTS), Math.floor(high * PARTS)) / PARTS
    if (border > low && border < high) borders.add(border)
  }
  const sorted = [...borders].toSorted((one, other) => one - other)
  return sorted.slice(1).map((border, index) => ({ low: sorted[index]!, high: border }))
}

/** Time in a process, which ends with it. */
function pause(host: Host, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    host.clock.setTimer(delayMs, resolve)
  })
}

/** The code it rejects with, if that is one of these; undefined if it resolves. */
async function codeOf(call: Promise<unknown>, codes: readonly ErrorCode[]): Promise<ErrorCode | undefined> {
  try {
    await call
    return undefined
  } catch (error) {
    if (isMillraceError(error) && codes.includes(error.code)) return error.code
    throw error
  }
}
