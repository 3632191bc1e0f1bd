/** Readers that die without a word, that seem to, and that never do. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { type GroupScene, groupScene, idsOf, numbered, type Order, run } from '../../testing/group-scene.ts'
import { groupState } from '../../testing/group-state.ts'
import type { Diagnostic } from '../diagnostics.ts'
import type { Event } from '../events.ts'
import { markedReader } from './reader-id.ts'

function scene(segments: number, scenario: (scene: GroupScene) => Promise<void>): () => Promise<void> {
  return () => groupScene(segments, scenario)
}

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((one, other) => one - other)
const range = (from: number, to: number): number[] => numbered(from, to).map(({ id }) => id)

function silentOnes(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.flatMap((one) => (one.kind === 'reader-silent' ? [`${one.group} ${one.reader}`] : []))
}

test(
  'the segments of a reader that was killed go to the others after 30 s, from where it had recorded',
  scene(4, async ({ world, client, ordersOf, diagnostics }) => {
    const victim = client('victim')
    const orders = ordersOf(client('one').store)
    await orders.write({ id: -1, customer: 'x' })
    const dying = run(ordersOf(victim.store).group('billing').reader({ id: 'victim' }))
    const one = run(orders.group('billing').reader({ id: 'one' }))
    const two = run(ordersOf(client('two').store).group('billing').reader({ id: 'two' }))
    await world.sleep(20_000)
    await orders.writeAll(numbered(0, 60))
    await world.sleep(6000)
    ok(dying.seen.length > 0 && one.seen.length > 0 && two.seen.length > 0)
    victim.node.crash()
    const killedMs = world.nowMs
    await orders.writeAll(numbered(60, 120))
    await world.sleep(24_000)
    ok(one.seen.length + two.seen.length + dying.seen.length < 121, 'nobody has taken its segments')
    while (one.seen.length + two.seen.length + dying.seen.length < 121) await world.sleep(500)
    const tookMs = world.nowMs - killedMs
    ok(tookMs < 40_000, `after ${tookMs} ms`)
    deepStrictEqual(sorted([...dying.seen, ...one.seen, ...two.seen]), sorted([-1, ...range(0, 120)]))
    deepStrictEqual(silentOnes(diagnostics), ['shop/billing victim'])
    await one.stop()
    await two.stop()
    deepStrictEqual(await orders.group('billing').lag(), { bytes: 0, readers: [] })
  }),
)

test(
  'a program that was killed and is started again finds what it had, also under another id and up to the tail only',
  scene(2, async ({ world, client, ordersOf }) => {
    const first = client('one')
    const orders = ordersOf(first.store)
    await orders.writeAll(numbered(0, 10))
    const events = orders.group('billing').reader()[Symbol.asyncIterator]() as AsyncIterator<Event<Order>>
    for (let count = 0; count < 4; count++) await events.next()
    first.node.crash()
    const again = ordersOf(client('two').store)
    const startMs = world.nowMs
    deepStrictEqual(sorted(await idsOf(again.group('billing').reader({ until: 'tail' }))), range(0, 10))
    ok(world.nowMs - startMs < 36_000, `after ${world.nowMs - startMs} ms`)
    deepStrictEqual(await again.group('billing').lag(), { bytes: 0, readers: [] })
  }),
)

test(
  'who reads up to the tail does not wait long for a reader that lives',
  scene(1, async ({ world, client, ordersOf, diagnostics }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 10))
    const events = orders.group('billing').reader()[Symbol.asyncIterator]() as AsyncIterator<Event<Order>>
    for (let count = 0; count < 4; count++) await events.next()
    await world.sleep(60_000)
    const other = ordersOf(client('two').store).group('billing')
    const startMs = world.nowMs
    deepStrictEqual(await idsOf(other.reader({ until: 'tail' })), [])
    ok(world.nowMs - startMs < 6000, `after ${world.nowMs - startMs} ms`)
    // Readers of one handle know of each other.
    const sameMs = world.nowMs
    deepStrictEqual(
      await Promise.all([idsOf(other.reader({ until: 'tail' })), idsOf(other.reader({ until: 'tail' }))]),
      [[], []],
    )
    ok(world.nowMs - sameMs < 6000)
    deepStrictEqual(silentOnes(diagnostics), [])
    strictEqual((await events.next()).value?.value.id, 4)
  }),
)

test(
  'a reader whose program is busy with one event for minutes, or has forgotten it, lives',
  scene(2, async ({ world, client, ordersOf, diagnostics }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 20))
    const slow = orders.group('billing').reader()
    const events = slow[Symbol.asyncIterator]() as AsyncIterator<Event<Order>>
    const first = await events.next()
    const other = run(ordersOf(client('two').store).group('billing').reader())
    await world.sleep(300_000)
    deepStrictEqual(silentOnes(diagnostics), [])
    const seen = [first.value?.value.id ?? -1, ...other.seen]
    while (seen.length < 20) seen.push((await events.next()).value?.value.id ?? -1)
    deepStrictEqual(sorted(seen), range(0, 20))
    await other.stop()
    await slow.close()
  }),
)

test(
  'signs of life cost an update each five seconds in a group of several, and nothing in a group of one',
  scene(2, async ({ world, client, ordersOf, embedded }) => {
    const one = ordersOf(client('one').store)
    await one.writeAll(numbered(0, 4))
    const first = run(one.group('billing').reader({ id: 'one' }))
    await world.sleep(10_000)
    const state = await groupState(embedded(), 'shop/billing')
    let updates = 0
    state.onChange(() => updates++)
    await world.sleep(15_000)
    await state.fetch()
    strictEqual(updates, 0)
    // An automatic checkpoint comes every 30 s.
    await world.sleep(7000)
    const second = run(ordersOf(client('two').store).group('billing').reader({ id: 'two' }))
    await world.sleep(10_000)
    await state.fetch()
    deepStrictEqual(state.state.readers, [markedReader('one'), markedReader('two')])
    deepStrictEqual((await one.group('billing').lag()).readers, ['one', 'two'])
    updates = 0
    await world.sleep(15_000)
    await state.fetch()
    ok(updates >= 5 && updates <= 8, `${updates} updates`)
    await first.stop()
    await second.stop()
  }),
)

test(
  'a process that stood still for a minute notices: it delivers nothing of what others have gone on with, and joins again',
  scene(2, async ({ world, client, ordersOf, diagnostics }) => {
    const sleeper = client('sleeper')
    const orders = ordersOf(client('one').store)
    await orders.write({ id: -1, customer: 'x' })
    const sleeping = run(ordersOf(sleeper.store).group('billing').reader({ id: 'sleeper' }))
    const awake = run(orders.group('billing').reader({ id: 'awake' }))
    await world.sleep(20_000)
    await orders.writeAll(numbered(0, 40))
    await world.sleep(6000)
    ok(sleeping.seen.length > 0 && awake.seen.length > 0)
    const seenBefore = sleeping.seen.length
    sleeper.node.pause()
    await orders.writeAll(numbered(40, 80))
    await world.sleep(60_000)
    strictEqual(new Set([...sleeping.seen, ...awake.seen]).size, 81)
    sleeper.node.resume()
    await world.sleep(100)
    strictEqual(sleeping.seen.length, seenBefore)
    await world.sleep(20_000)
    await orders.writeAll(numbered(80, 120))
    await world.sleep(1000)
    ok(sleeping.seen.length > seenBefore, 'it has got a share again')
    deepStrictEqual(sorted([...sleeping.seen, ...awake.seen]), sorted([-1, ...range(0, 120)]))
    deepStrictEqual(silentOnes(diagnostics), ['shop/billing sleeper'])
    await sleeping.stop()
    await awake.stop()
  }),
)

test(
  'what a process that stood still had read ahead is not delivered when others may have it',
  scene(4, async ({ world, client, ordersOf }) => {
    const sleeper = client('sleeper')
    const orders = ordersOf(client('one').store)
    await orders.write({ id: -1, customer: 'x' })
    const reader = ordersOf(sleeper.store).group('billing').reader()
    const batches = reader.batches()[Symbol.asyncIterator]()
    await batches.next()
    const awake = run(orders.group('billing').reader())
    await world.sleep(20_000)
    const waiting = batches.next()
    await orders.writeAll(numbered(0, 60))
    const inHand = ((await waiting).value ?? []).length
    await world.sleep(10)
    sleeper.node.pause()
    await world.sleep(60_000)
    // All of it has been read, what the sleeper had in hand included.
    strictEqual(awake.seen.filter((id) => id >= 0).length, 60)
    sleeper.node.resume()
    let delivered = false
    const next = batches.next().then((batch) => {
      delivered = true
      return batch
    })
    await world.sleep(15_000)
    ok(inHand > 0 && !delivered)
    await orders.writeAll(numbered(60, 120))
    const events: readonly Event<Order>[] = (await next).value ?? []
    ok(events.every(({ value }) => value.id >= 60))
    await awake.stop()
    await reader.close()
  }),
)

test(
  'who stood still itself, or had no server for a minute, takes nobody for dead',
  scene(2, async ({ world, client, ordersOf, server, diagnostics }) => {
    const one = client('one')
    const orders = ordersOf(one.store)
    await orders.writeAll(numbered(0, 4))
    const first = run(orders.group('billing').reader({ id: 'one' }))
    const second = run(ordersOf(client('two').store).group('billing').reader({ id: 'two' }))
    await world.sleep(15_000)
    one.node.pause()
    await world.sleep(20_000)
    one.node.resume()
    await world.sleep(10_000)
    server.crash()
    await world.sleep(60_000)
    await server.start()
    await world.sleep(30_000)
    deepStrictEqual(silentOnes(diagnostics), [])
    await orders.writeAll(numbered(4, 40))
    await world.sleep(1000)
    deepStrictEqual(sorted([...first.seen, ...second.seen]), range(0, 40))
    ok(first.seen.length > 0 && second.seen.length > 0)
    await first.stop()
    await second.stop()
  }),
)

test(
  "Java's readers, which read when their programs do, are never taken out",
  scene(2, async ({ world, client, ordersOf, embedded, diagnostics }) => {
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 4))
    const reading = run(orders.group('billing').reader())
    await world.sleep(100)
    const state = await groupState(embedded(), 'shop/billing')
    await state.update(() => ({ updates: [{ kind: 'add-reader', reader: 'java' }], result: undefined }))
    await world.sleep(15_000)
    await state.fetch()
    await state.update(({ unassigned }) => {
      const [segment = ''] = unassigned.keys()
      return { updates: [{ kind: 'acquire-segment', reader: 'java', segment }], result: undefined }
    })
    await world.sleep(120_000)
    await state.fetch()
    strictEqual(state.state.segmentsOf('java')?.size, 1)
    deepStrictEqual(silentOnes(diagnostics), [])
    await reading.stop()
  }),
)

test(
  'a checkpoint that waits for a dead reader is complete when that is known, also when nobody reads any more',
  scene(2, async ({ world, client, ordersOf, diagnostics }) => {
    const victim = client('victim')
    const orders = ordersOf(client('one').store)
    await orders.writeAll(numbered(0, 10))
    run(ordersOf(victim.store).group('billing').reader({ id: 'victim' }))
    await world.sleep(60_000)
    victim.node.crash()
    const startMs = world.nowMs
    const { cuts } = await orders.group('billing').checkpoint()
    const tookMs = world.nowMs - startMs
    ok(tookMs > 25_000 && tookMs < 35_000, `after ${tookMs} ms`)
    strictEqual(cuts['shop/orders'], await orders.cut('tail'))
    deepStrictEqual(silentOnes(diagnostics), ['shop/billing victim'])
    deepStrictEqual((await orders.group('billing').lag()).readers, [])
  }),
)
