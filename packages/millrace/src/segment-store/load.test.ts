import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/host.ts'
import { MemoryLog } from '../testing/memory-log.ts'
import { SimRandom } from '../testing/sim/sim-random.ts'
import { CREATION_TIME } from './attributes.ts'
import { BlockCache } from './block-cache.ts'
import { Container } from './container.ts'
import { type SegmentLoad, SegmentLoads } from './load.ts'

const ORDERS = 'shop/orders/0.#epoch.0'
const WALL_MS = 1_700_000_000_000

class Scene {
  nowMs = 5000
  readonly clock: Clock = {
    now: () => WALL_MS + this.nowMs,
    monotonicMs: () => this.nowMs,
    setTimer: () => {
      throw new Error('Measuring sets no timers')
    },
    defer: () => {
      throw new Error('Measuring defers nothing')
    },
  }
  readonly log = new MemoryLog()
  readonly loads: SegmentLoads
  readonly container: Container
  #eventNumber = 0

  constructor(options: { segmentsMax?: number; log?: MemoryLog } = {}) {
    this.log = options.log ?? this.log
    this.log.automatic = false
    this.loads = new SegmentLoads(this.clock, options)
    this.container = new Container({
      id: 0,
      clock: this.clock,
      cache: new BlockCache({ bytesMax: 1024 * 1024 }),
      inFlight: { bytes: 0 },
      loads: this.loads,
    })
    this.log.recover(0, this.container.recovery())
    this.container.open(this.log.openContainer(0, this.container))
  }

  create(name: string, type: 'stream' | 'table' | 'transient' = 'stream'): void {
    const attributes = [{ id: CREATION_TIME, value: this.clock.now() }]
    ok('operation' in this.container.submit({ kind: 'create', name, type, attributes }))
  }

  append(name: string, events = 1, bytes = events * 100): void {
    const segment = this.container.find(name)!
    const rejection = this.container.append({
      segment,
      writerId: 'writer-1-1-1-1-1',
      eventNumber: (this.#eventNumber += events),
      eventCount: events,
      expectedOffset: -1,
      data: [Buffer.alloc(bytes)],
      length: bytes,
    })
    strictEqual(rejection, undefined)
  }

  merge(target: string, source: string): void {
    ok('operation' in this.container.submit({ kind: 'merge', target, source, updates: [] }))
  }

  loadOf(name: string): SegmentLoad | undefined {
    return this.loads.loads().find(({ segment }) => segment === name)
  }

  /** Batches of ten a second, looked at once a second. */
  async run(seconds: number, name: string, eventsPerSecond: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      for (let batch = 0; batch < 10; batch++) {
        this.nowMs += 100
        if (eventsPerSecond > 0) this.append(name, eventsPerSecond / 10)
      }
      this.loads.loads()
      this.log.settle()
    }
  }
}

function about(actual: number | undefined, expected: number, tolerance = 0.02): void {
  ok(
    actual !== undefined && Math.abs(actual - expected) <= tolerance * expected,
    `${actual}, not about ${expected}`,
  )
}

test('appends show as events and bytes a second, from the first one on', async () => {
  const scene = new Scene()
  scene.create(ORDERS)
  deepStrictEqual(scene.loads.loads(), [])
  await scene.run(60, ORDERS, 1000)
  const load = scene.loadOf(ORDERS)
  about(load?.eventsPerSecond.over2s, 1000)
  about(load?.eventsPerSecond.over10s, 1000)
  about(load?.eventsPerSecond.over60s, 1000 * (1 - Math.exp(-1)))
  about(load?.bytesPerSecond.over10s, 100_000)
  about(load?.ageMs, 60_000)
  strictEqual(load?.quietMs, 0)
})

test('a refused append is no load', () => {
  const scene = new Scene()
  scene.create(ORDERS)
  ok('operation' in scene.container.submit({ kind: 'seal', name: ORDERS }))
  const segment = scene.container.find(ORDERS)!
  const writerId = 'writer-1-1-1-1-1'
  const append = { segment, writerId, eventNumber: 1, eventCount: 1, expectedOffset: -1 }
  strictEqual(scene.container.append({ ...append, data: [], length: 0 })?.code, 'sealed')
  scene.nowMs += 1000
  deepStrictEqual(scene.loads.loads(), [])
})

test('only segments of users streams are measured, under their own names', () => {
  const scene = new Scene()
  const transaction = `${ORDERS}#transaction.${'1'.repeat(32)}`
  const others = [
    transaction,
    `${ORDERS}#transient.${'2'.repeat(32)}.${'3'.repeat(32)}`,
    `${transaction}#transient.${'2'.repeat(32)}.${'3'.repeat(32)}`,
    '_system/_requeststream/0.#epoch.0',
    'shop/_RGreaders/0.#epoch.0',
    'shop/_MARKorders/0.#epoch.0',
    'something else',
  ]
  for (const name of [ORDERS, 'shop/old/3', ...others]) {
    scene.create(name)
    scene.append(name)
  }
  scene.nowMs += 1000
  deepStrictEqual(
    scene.loads.loads().map(({ segment }) => segment),
    [ORDERS, 'shop/old/3'],
  )
})

test('what was measured is gone after a restart, and replaying the log is no load', async () => {
  const scene = new Scene()
  scene.create(ORDERS)
  await scene.run(5, ORDERS, 1000)
  const transaction = `${ORDERS}#transaction.${'1'.repeat(32)}`
  scene.create(transaction)
  scene.append(transaction)
  scene.merge(ORDERS, transaction)
  scene.log.settle()
  const after = new Scene({ log: scene.log })
  ok(after.container.find(ORDERS)!.length > 500_000)
  after.nowMs += 1000
  deepStrictEqual(after.loads.loads(), [])
})

test('a transaction counts from its merge on, at the rate and for the time that it took', async () => {
  const scene = new Scene()
  scene.create(ORDERS)
  const transaction = `${ORDERS}#transaction.${'1'.repeat(32)}`
  scene.create(transaction)
  await scene.run(20, transaction, 1000)
  strictEqual(scene.loadOf(ORDERS), undefined)
  scene.merge(ORDERS, transaction)
  await scene.run(2, ORDERS, 0)
  about(scene.loadOf(ORDERS)?.eventsPerSecond.over2s, 1000 * (1 - Math.exp(-1)))
  await scene.run(17, ORDERS, 0)
  about(scene.loadOf(ORDERS)?.eventsPerSecond.over2s, 1000)
  about(scene.loadOf(ORDERS)?.bytesPerSecond.over2s, 100_000)
  strictEqual(scene.loadOf(ORDERS)?.quietMs, 0)
  await scene.run(10, ORDERS, 0)
  ok(scene.loadOf(ORDERS)!.eventsPerSecond.over2s < 20)
  about(scene.loadOf(ORDERS)?.quietMs, 9000)
})

test('transactions that overlap add up to the rate at which they are written', async () => {
  const scene = new Scene()
  scene.create(ORDERS)
  // Ten are open at any time, each for 10 s, and each writes 100 events a second.
  const names = Array.from({ length: 60 }, (_, i) => `${ORDERS}#transaction.${String(i).padStart(32, '0')}`)
  for (let second = 0; second < 60; second++) {
    scene.create(names[second]!)
    const open = names.slice(Math.max(0, second - 9), second + 1)
    for (let batch = 0; batch < 10; batch++) {
      scene.nowMs += 100
      for (const name of open) scene.append(name, 10)
    }
    const oldest = names[second - 9]
    if (oldest !== undefined) scene.merge(ORDERS, oldest)
    scene.loads.loads()
    scene.log.settle()
  }
  about(scene.loadOf(ORDERS)?.eventsPerSecond.over10s, 1000, 0.05)
})

test('a transaction of a moment counts at once, and the parts of a large event as one', () => {
  const scene = new Scene()
  scene.create(ORDERS)
  const large = `${ORDERS}#transient.${'2'.repeat(32)}.${'3'.repeat(32)}`
  scene.create(large, 'transient')
  for (let part = 0; part < 9; part++) scene.append(large, 1, 100_000)
  scene.nowMs += 500
  scene.merge(ORDERS, large)
  scene.nowMs += 1000
  const load = scene.loadOf(ORDERS)
  about(load?.eventsPerSecond.over2s, 1 - Math.exp(-1 / 2))
  about(load?.bytesPerSecond.over2s, 900_000 * (1 - Math.exp(-1 / 2)))
})

test('a transaction of a day counts at its mean rate, but not for another day', async () => {
  const scene = new Scene()
  scene.create(ORDERS)
  const transaction = `${ORDERS}#transaction.${'1'.repeat(32)}`
  scene.create(transaction)
  for (let i = 0; i < 24; i++) scene.append(transaction, 3600, 36_000)
  scene.nowMs += 24 * 3600_000
  scene.merge(ORDERS, transaction)
  await scene.run(500, ORDERS, 0)
  about(scene.loadOf(ORDERS)?.eventsPerSecond.over60s, 1)
  await scene.run(120, ORDERS, 0)
  ok(scene.loadOf(ORDERS)!.eventsPerSecond.over2s < 0.001)
})

test('segments that are sealed, gone or quiet are forgotten', async () => {
  const scene = new Scene()
  const names = ['sealed', 'gone', 'quiet', 'busy'].map((stream) => `shop/${stream}/0.#epoch.0`)
  for (const name of names) {
    scene.create(name)
    scene.append(name)
  }
  scene.nowMs += 1000
  strictEqual(scene.loads.loads().length, 4)
  ok('operation' in scene.container.submit({ kind: 'seal', name: names[0]! }))
  const type = 'stream'
  ok('operation' in scene.container.submit({ kind: 'delete', name: names[1]!, type, mustBeEmpty: false }))
  scene.nowMs += 1000
  deepStrictEqual(
    scene.loads.loads().map(({ segment }) => segment),
    names.slice(2),
  )
  await scene.run(310, names[3]!, 10)
  deepStrictEqual(
    scene.loads.loads().map(({ segment }) => segment),
    names.slice(3),
  )
})

test('with more segments than can be measured the busier ones are', () => {
  const scene = new Scene({ segmentsMax: 10 })
  const random = new SimRandom('who comes first')
  const names = Array.from({ length: 30 }, (_, i) => `shop/orders/${i}.#epoch.0`)
  const busy = new Set(names.filter((_, i) => i % 6 === 0))
  for (const name of names) scene.create(name)
  for (let second = 0; second < 300; second++) {
    const order = names.map((name) => ({ name, at: random.ratio() })).toSorted((a, b) => a.at - b.at)
    for (const { name } of order) {
      scene.nowMs += 30
      scene.append(name, busy.has(name) ? 100 : 1, busy.has(name) ? 500 : 10)
    }
    ok(scene.loads.loads().length <= 10)
  }
  for (const name of busy) about(scene.loadOf(name)?.eventsPerSecond.over10s, 110, 0.2)
})

test('transactions without number leave nothing behind, even if nobody looks', () => {
  const scene = new Scene()
  for (let i = 0; i < 4500; i++) {
    const name = `${ORDERS}#transaction.${String(i).padStart(32, '0')}`
    scene.create(name)
    scene.append(name)
  }
  scene.log.settle()
  scene.create(ORDERS)
  scene.append(ORDERS)
  scene.nowMs += 1000
  strictEqual(scene.loads.loads().length, 1)
})

test('who sleeps is woken once by the next append, and the silence before it does not thin it out', () => {
  const scene = new Scene()
  scene.create(ORDERS)
  scene.create('shop/_RGreaders/0.#epoch.0')
  scene.append(ORDERS)
  scene.nowMs += 1000
  scene.loads.loads()
  let woken = 0
  scene.loads.onceAppended(() => woken++)
  scene.nowMs += 60_000
  scene.append('shop/_RGreaders/0.#epoch.0')
  strictEqual(woken, 0)
  scene.append(ORDERS, 500)
  scene.append(ORDERS, 500)
  strictEqual(woken, 1)
  scene.nowMs += 1000
  about(scene.loadOf(ORDERS)?.eventsPerSecond.over2s, 1000 * (1 - Math.exp(-1 / 2)))
})

test('a merge wakes, too', () => {
  const scene = new Scene()
  scene.create(ORDERS)
  const transaction = `${ORDERS}#transaction.${'1'.repeat(32)}`
  scene.create(transaction)
  let woken = 0
  scene.loads.onceAppended(() => woken++)
  scene.append(transaction)
  strictEqual(woken, 0)
  scene.merge(ORDERS, transaction)
  strictEqual(woken, 1)
})
