import { deepStrictEqual, ok, rejects, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { segmentIdOf } from '../protocol/names.ts'
import { parseStreamCut } from '../protocol/stream-cut.ts'
import { embeddedStore } from '../testing/embedded-store.ts'
import { simulate } from '../testing/sim/simulate.ts'
import type { World } from '../testing/sim/world.ts'
import { showCut } from './cuts.ts'
import { type ErrorCode, isMillraceError } from './errors.ts'
import type { Event } from './events.ts'
import type { Store } from './store.ts'

interface Order {
  readonly id: number
  readonly customer: string
}

const byCustomer = { key: (order: Order): string => order.customer }

/** A test with a store of its own, in a world of its own. */
function withStore(scenario: (store: Store, world: World) => Promise<void>): () => Promise<void> {
  return async () => {
    await simulate(1, async (world) => {
      const embedded = await embeddedStore(world.node('a').host)
      await scenario(embedded.store, world)
      await embedded.close()
    })
  }
}

function failsWith(code: ErrorCode, message?: RegExp) {
  return (error: unknown): boolean =>
    isMillraceError(error) && error.code === code && (message?.test(error.message) ?? true)
}

async function collect<T>(events: AsyncIterable<Event<T>>): Promise<T[]> {
  const values: T[] = []
  for await (const { value } of events) values.push(value)
  return values
}

function order(id: number, customer = `customer ${id % 7}`): Order {
  return { id, customer }
}

test(
  'the first program: a store, a stream that nobody made, events in and out',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    strictEqual(orders.name, 'shop/orders')
    await orders.write(order(1, 'ada'))
    await orders.writeAll([order(2, 'bob'), order(3, 'ada')])
    const seen: [string | undefined, number, string][] = []
    for await (const { key, value, pointer } of orders.read({ until: 'tail' }))
      seen.push([key, value.id, pointer])
    deepStrictEqual(seen, [
      ['ada', 1, 'shop/orders/0.#epoch.0:0-33'],
      ['bob', 2, 'shop/orders/0.#epoch.0:33-33'],
      ['ada', 3, 'shop/orders/0.#epoch.0:66-33'],
    ])
  }),
)

test(
  'a name without a scope is one of the scope default',
  withStore(async (store) => {
    strictEqual(store.stream('logs', { key: null }).name, 'default/logs')
    // @ts-expect-error Leaving `key` out does not compile.
    store.stream('logs', {})
    for (const name of ['', 'a/b/c', '/x', 'x/', '_RGx', 'scope/_x', 'a b', 'x'.repeat(300)])
      throws(() => store.stream(name, { key: null }), failsWith('invalid-argument'))
  }),
)

test(
  'each event of several segments once, those of a key in order',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', { ...byCustomer, create: { scaling: { segments: 4 } } })
    const written = Array.from({ length: 500 }, (_, id) => order(id))
    await orders.writeAll(written)
    const read = await collect(orders.read({ until: 'tail' }))
    strictEqual(read.length, 500)
    for (let customer = 0; customer < 7; customer++) {
      const ids = read.filter((one) => one.customer === `customer ${customer}`).map(({ id }) => id)
      deepStrictEqual(
        ids,
        written.filter((one) => one.customer === `customer ${customer}`).map(({ id }) => id),
      )
    }
  }),
)

test(
  'a reader without an end waits for what comes, until its signal or its loop ends it',
  withStore(async (store, world) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    const reader = orders.read()
    const seen: number[] = []
    const reading = (async () => {
      for await (const { value } of reader) {
        seen.push(value.id)
        if (seen.length === 3) break
      }
    })()
    for (let id = 0; id < 5; id++) {
      await orders.write(order(id))
      await world.sleep(10)
    }
    await reading
    deepStrictEqual(seen, [0, 1, 2])
    // The loop has closed it.
    deepStrictEqual(await collect(reader), [])

    const reason = new Error('enough')
    const controller = new AbortController()
    const waiting = collect(orders.read({ from: 'tail', signal: controller.signal }))
    await world.sleep(10)
    controller.abort(reason)
    await rejects(waiting, reason)
    await rejects(collect(orders.read({ signal: controller.signal })), reason)
  }),
)

test(
  'a reader that is closed ends the loop that waits on it',
  withStore(async (store, world) => {
    const reader = store.stream<Order>('shop/orders', byCustomer).read()
    const reading = collect(reader)
    await world.sleep(10)
    await reader.close()
    deepStrictEqual(await reading, [])
  }),
)

test(
  'many events at a time, in the same order',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    await orders.writeAll(Array.from({ length: 1000 }, (_, id) => order(id)))
    const ids: number[] = []
    let batches = 0
    for await (const events of orders.read({ until: 'tail' }).batches()) {
      batches++
      ids.push(...events.map(({ value }) => value.id))
    }
    deepStrictEqual(
      ids,
      Array.from({ length: 1000 }, (_, id) => id),
    )
    ok(batches < 50, `${batches} batches`)
  }),
)

test(
  'cuts are places to read from and to',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', { ...byCustomer, create: { scaling: { segments: 3 } } })
    await orders.writeAll(Array.from({ length: 50 }, (_, id) => order(id)))
    const middle = await orders.cut('tail')
    await orders.writeAll(Array.from({ length: 50 }, (_, id) => order(id + 50)))
    const before = await collect(orders.read({ until: middle }))
    const behind = await collect(orders.read({ from: middle, until: 'tail' }))
    ok(before.length === 50 && before.every(({ id }) => id < 50))
    ok(behind.length === 50 && behind.every(({ id }) => id >= 50))
    deepStrictEqual(await collect(orders.read({ from: 'tail', until: 'tail' })), [])
    deepStrictEqual(
      await collect(orders.read({ from: await orders.cut('head'), until: await orders.cut('head') })),
      [],
    )
    await rejects(
      collect(store.stream('shop/other', { key: null }).read({ from: middle })),
      failsWith('invalid-argument', /one of shop\/orders, not of shop\/other/),
    )
    await rejects(collect(orders.read({ from: 'no cut' })), failsWith('invalid-argument'))
  }),
)

test(
  'truncated events are gone, and a reader that comes too late goes on behind them',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    const head = await orders.cut('head').catch(() => undefined)
    strictEqual(head, undefined)
    await orders.write(order(1))
    const start = await orders.cut('head')
    const cut = await orders.cut('tail')
    await orders.write(order(2))
    await orders.truncate(cut)
    strictEqual(await orders.cut('head'), cut)
    deepStrictEqual(
      (await collect(orders.read({ until: 'tail' }))).map(({ id }) => id),
      [2],
    )
    deepStrictEqual(
      (await collect(orders.read({ from: start, until: 'tail' }))).map(({ id }) => id),
      [2],
    )
    await rejects(orders.truncate(start), failsWith('invalid-argument', /before its head/))
  }),
)

test(
  'a sealed stream can be read to its end, and takes nothing more',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', { ...byCustomer, create: { scaling: { segments: 2 } } })
    await orders.writeAll([order(1), order(2)])
    await orders.seal()
    await orders.seal()
    await rejects(orders.write(order(3)), failsWith('stream-sealed', /shop\/orders is sealed/))
    strictEqual((await collect(orders.read())).length, 2)
    strictEqual((await collect(orders.read({ until: 'tail' }))).length, 2)
    const { sealed, topology, tail } = await orders.info()
    strictEqual(sealed, true)
    deepStrictEqual(topology.segments, [])
    strictEqual((await collect(orders.read({ until: tail }))).length, 2)
    await orders.delete()
    await rejects(orders.delete(), failsWith('stream-not-found'))
    await rejects(orders.info(), failsWith('stream-not-found'))
  }),
)

test(
  'a stream that was deleted is made again by the next write',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    await orders.write(order(1))
    await orders.delete()
    await orders.write(order(2))
    deepStrictEqual(
      (await collect(orders.read({ until: 'tail' }))).map(({ id }) => id),
      [2],
    )
  }),
)

test(
  'a stream that must exist is not made, neither by writing nor by reading',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', { ...byCustomer, create: false })
    await rejects(orders.write(order(1)), failsWith('stream-not-found', /no stream shop\/orders/))
    await rejects(collect(orders.read()), failsWith('stream-not-found'))
    await rejects(
      orders
        .writer()
        .flush()
        .then(() => orders.seal()),
      failsWith('stream-not-found'),
    )
    strictEqual(await orders.create(), true)
    strictEqual(await orders.create(), false)
    await orders.write(order(1))
  }),
)

test(
  'what a stream is like: policy, size, segments',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    const policy = {
      scaling: { segments: 2 },
      retention: { ageMs: 3_600_000 },
      tags: ['money', 'eu'],
    }
    await orders.create(policy)
    await orders.write(order(1, 'ada'))
    const info = await orders.info()
    strictEqual(info.name, 'shop/orders')
    strictEqual(info.bytes, 33)
    deepStrictEqual(info.policy, { ...policy, tags: info.policy.tags })
    deepStrictEqual(info.policy.tags?.toSorted(), ['eu', 'money'])
    deepStrictEqual(info.topology, {
      epoch: 0,
      segments: [
        { id: '0.#epoch.0', range: { low: 0, high: 0.5 }, predecessors: [] },
        { id: '1.#epoch.0', range: { low: 0.5, high: 1 }, predecessors: [] },
      ],
    })
    await orders.update({ retention: { bytes: 1000, bytesMax: 5000 } })
    const updated = (await orders.info()).policy
    deepStrictEqual(updated.retention, { bytes: 1000, bytesMax: 5000 })
    strictEqual(updated.tags?.length, 2)
    await rejects(
      orders.update({ scaling: { bytesPerSecond: 1000 } }),
      failsWith('invalid-argument', /kilobytes/),
    )
    await orders.update({ scaling: { segments: 3 } })
    const { topology } = await orders.info()
    deepStrictEqual(
      topology.segments.map(({ range }) => range.high),
      [1 / 3, 2 / 3, 1],
    )
  }),
)

test(
  'streams are listed by scope and tag, those of the system left out',
  withStore(async (store) => {
    for (const [name, tags] of [
      ['a/one', ['x']],
      ['a/two', []],
      ['b/three', ['x']],
    ] as const)
      await store.stream(name, { key: null }).create({ tags })
    const names = async (options?: { scope?: string; tag?: string }): Promise<string[]> => {
      const found: string[] = []
      for await (const { name } of store.streams(options)) found.push(name)
      return found.toSorted()
    }
    deepStrictEqual(await names(), ['a/one', 'a/two', 'b/three'])
    deepStrictEqual(await names({ scope: 'a' }), ['a/one', 'a/two'])
    deepStrictEqual(await names({ scope: 'a', tag: 'x' }), ['a/one'])
    deepStrictEqual(await names({ scope: 'nowhere' }), [])
  }),
)

test(
  'keys: a stream has them or its writes do, and a key is a string',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    await rejects(
      orders.write(order(1), { key: 'other' }),
      failsWith('invalid-argument', /keys of their own/),
    )
    await rejects(
      orders.write({ id: 1 } as unknown as Order),
      failsWith('invalid-argument', /A key is a string, not undefined/),
    )
    const free = store.stream<number>('shop/free', { key: null, create: { scaling: { segments: 4 } } })
    for (let i = 0; i < 40; i++) await free.write(i, i % 2 === 0 ? { key: 'even' } : {})
    const even: number[] = []
    for await (const { key, value } of free.read({ until: 'tail' })) {
      strictEqual(key, undefined)
      if (value % 2 === 0) even.push(value)
    }
    deepStrictEqual(
      even,
      Array.from({ length: 20 }, (_, i) => 2 * i),
    )
  }),
)

test(
  'values: what JSON cannot say, what a codec does, what is too large',
  withStore(async (store) => {
    const any = store.stream<unknown>('shop/any', { key: null })
    await rejects(any.write(undefined), failsWith('encode', /undefined/))
    await rejects(any.write(1n), failsWith('encode'))
    await rejects(any.write('x'.repeat(9 * 1024 * 1024)), failsWith('event-too-large', /at most 8388608/))
    await any.write('ü'.repeat(4 * 1024 * 1024 - 1))
    const bytes = store.stream<Uint8Array>('shop/bytes', {
      key: null,
      codec: { encode: (value) => value, decode: (value) => value },
    })
    const raw = Uint8Array.from({ length: 300 }, (_, i) => i)
    await bytes.write(raw)
    await bytes.write(new Uint8Array())
    const read = await collect(bytes.read({ until: 'tail' }))
    deepStrictEqual(
      read.map((value) => [...value]),
      [[...raw], []],
    )
  }),
)

test(
  'an event that cannot be decoded is thrown with its pointer, or passed over',
  withStore(async (store) => {
    const text = store.stream<string>('shop/mixed', {
      key: null,
      codec: { encode: (value) => Buffer.from(value), decode: (value) => Buffer.from(value).toString() },
    })
    await text.writeAll(['1', 'two', '3'])
    const numbers = store.stream<number>('shop/mixed', { key: null })
    const seen: number[] = []
    await rejects(
      (async () => {
        for await (const { value } of numbers.read({ until: 'tail' })) seen.push(value)
      })(),
      (error) =>
        failsWith('decode', /at shop\/mixed\/0\.#epoch\.0:9-11/)(error) &&
        isMillraceError(error) &&
        error.pointer === 'shop/mixed/0.#epoch.0:9-11',
    )
    deepStrictEqual(seen, [1])
    deepStrictEqual(await collect(numbers.read({ until: 'tail', onDecodeError: 'skip' })), [1, 3])
  }),
)

test(
  'an aborted write rejects at once, and harms no other',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    const reason = new Error('changed my mind')
    const controller = new AbortController()
    const write = orders.write(order(1), { signal: controller.signal })
    controller.abort(reason)
    await rejects(write, reason)
    await rejects(orders.write(order(2), { signal: controller.signal }), reason)
    await orders.write(order(3))
    deepStrictEqual(
      (await collect(orders.read({ until: 'tail' }))).map(({ id }) => id),
      [1, 3],
    )
  }),
)

test(
  'writes that nobody waits for stay in order',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    const again = store.stream<Order>('shop/orders', byCustomer)
    const writes = Array.from({ length: 100 }, (_, id) =>
      (id % 2 === 0 ? orders : again).write(order(id, 'ada')),
    )
    await Promise.all(writes)
    deepStrictEqual(
      (await collect(orders.read({ until: 'tail' }))).map(({ id }) => id),
      writes.map((_, id) => id),
    )
  }),
)

test(
  'a writer says when it is full, and its flush is durability',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    await using writer = orders.writer({ bytesMax: 1000 })
    let waits = 0
    for (let id = 0; id < 200; id++) {
      const room = writer.push(order(id))
      if (room !== undefined) {
        waits++
        await room
      }
    }
    await writer.flush()
    ok(waits > 2 && waits < 20, `${waits} waits`)
    strictEqual((await collect(orders.read({ until: 'tail' }))).length, 200)
    throws(() => orders.writer({ bytesMax: 0 }), failsWith('invalid-argument'))
  }),
)

test(
  'once an event of a writer has failed, whatever follows rejects, and nothing is unhandled',
  withStore(async (store, world) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    const writer = orders.writer()
    throws(() => writer.push({ id: 1n, customer: 'x' } as unknown as Order), failsWith('encode'))
    strictEqual(writer.push(order(1)), undefined)
    await writer.flush()
    await orders.seal()
    void writer.push(order(2))
    await world.sleep(100)
    const pushed = writer.push(order(3))
    ok(pushed !== undefined)
    await rejects(pushed, failsWith('stream-sealed'))
    void writer.push(order(4))
    await rejects(writer.flush(), failsWith('stream-sealed'))
    await rejects(writer.flush(), failsWith('stream-sealed'))
    await writer.close()
    await rejects(writer.flush(), failsWith('closed'))

    const untold = orders.writer()
    void untold.push(order(5))
    await rejects(untold.close(), failsWith('stream-sealed'))
  }),
)

test(
  'a cut made amid a merge divides a stream like any other: nothing twice, nothing left out',
  withStore(async (store) => {
    const orders = store.stream<number>('shop/merged', { key: (n) => `customer-${n % 50}` })
    await orders.create({ scaling: { segments: 2 } })
    const numbers = (from: number): number[] => Array.from({ length: 100 }, (_, index) => from + index)
    await orders.writeAll(numbers(0))
    const ends = parseStreamCut(await orders.cut('tail')).positions
    await orders.scale({
      seal: ['0.#epoch.0', '1.#epoch.0'],
      into: [
        { low: 0, high: 0.25 },
        { low: 0.25, high: 1 },
      ],
    })
    await orders.writeAll(numbers(100))
    const lowEnd = parseStreamCut(await orders.cut('tail')).positions.get(
      segmentIdOf({ number: 2, epoch: 1 }),
    )!
    // The first half of the keys is read to its end, and so is one of the two that follow it; the other one waits.
    const cut = showCut(
      { scope: 'shop', name: 'merged' },
      new Map([
        [0n, ends.get(0n)!],
        [1n, 0],
        [segmentIdOf({ number: 2, epoch: 1 }), lowEnd],
      ]),
    )
    const before = await collect(orders.read({ until: cut }))
    const behind = await collect(orders.read({ from: cut, until: 'tail' }))
    ok(before.length > 0 && behind.length > 0)
    deepStrictEqual(
      [...before, ...behind].toSorted((a, b) => a - b),
      [...numbers(0), ...numbers(100)],
    )
    await orders.truncate(cut)
    const rest = await collect(orders.read({ until: 'tail' }))
    deepStrictEqual(
      rest.toSorted((a, b) => a - b),
      behind.toSorted((a, b) => a - b),
    )
  }),
)

test(
  'a closed store has finished the writes under way, and rejects what comes later',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    const writes = [order(1), order(2)].map((one) => orders.write(one))
    const reading = rejects(collect(orders.read()), failsWith('closed'))
    const [closed] = await Promise.all([store.close().then(() => 'closed'), ...writes])
    strictEqual(closed, 'closed')
    await reading
    await rejects(orders.write(order(3)), failsWith('closed'))
    await rejects(orders.info(), failsWith('closed'))
    throws(() => store.stream('x', { key: null }), failsWith('closed'))
    await store.close()
  }),
)

test(
  'figures',
  withStore(async (store) => {
    const orders = store.stream<Order>('shop/orders', byCustomer)
    const write = orders.write(order(1))
    strictEqual(store.stats().pendingBytes > 0, true)
    await write
    const { pendingBytes, connections, open } = store.stats()
    deepStrictEqual({ pendingBytes, open }, { pendingBytes: 0, open: 0 })
    ok(connections >= 1)
  }),
)

test(
  'a stream scales while it is written, read and watched: every event once, those of a key in order',
  withStore(async (store, world) => {
    const orders = store.stream<Order>('shop/orders', { ...byCustomer, create: { scaling: { segments: 1 } } })
    await orders.create()
    const epochs: number[] = []
    const watching = (async () => {
      for await (const { epoch, segments } of orders.watch()) {
        epochs.push(epoch)
        if (segments.length === 3) break
      }
    })()
    const writing = (async () => {
      for (let id = 0; id < 600; id++) {
        await orders.write(order(id))
        if (id % 10 === 0) await world.sleep(5)
      }
    })()
    const seen: Order[] = []
    const reading = (async () => {
      for await (const { value } of orders.read()) if (seen.push(value) === 600) break
    })()
    for (const count of [4, 2, 5, 1]) strictEqual((await orders.scale(count)).segments.length, count)
    const last = await orders.scale(3)
    await Promise.all([writing, reading, watching])
    deepStrictEqual(epochs, [0, 1, 2, 3, 4, 5])
    deepStrictEqual(last, (await orders.info()).topology)
    ok(last.segments.every(({ predecessors }) => predecessors.length > 0))
    for (let customer = 0; customer < 7; customer++)
      deepStrictEqual(
        seen.filter((one) => one.customer === `customer ${customer}`).map(({ id }) => id),
        Array.from({ length: 600 }, (_, id) => id).filter((id) => id % 7 === customer),
      )
  }),
)
