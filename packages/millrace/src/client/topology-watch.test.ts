import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { failsWith, order, withClient } from '../testing/client-scene.ts'
import type { Topology } from './topology.ts'

/** As `epoch: id<predecessors, ...`. */
function show({ epoch, segments }: Topology): string {
  const shown = segments.map(({ id, predecessors }) => `${short(id)}<${predecessors.map(short).join('+')}`)
  return `${epoch}: ${shown.join(' ')}`
}

function short(id: string): string {
  return id.replace('.#epoch.', '/')
}

async function next(watch: AsyncIterator<Topology>): Promise<string | undefined> {
  const { value, done } = await watch.next()
  return done === true ? undefined : show(value as Topology)
}

function start(watch: AsyncIterable<Topology>): AsyncIterator<Topology> {
  return watch[Symbol.asyncIterator]()
}

test(
  'the segments as they are, and after each change, with who has taken over from whom',
  withClient(async ({ orders, other, world }) => {
    await orders.create()
    const watch = start(other('watcher').watch())
    strictEqual(await next(watch), '0: 0/0<')
    const waiting = next(watch)
    await world.sleep(5000)
    await orders.scale(2)
    strictEqual(await waiting, '1: 1/1<0/0 2/1<0/0')
    await orders.scale({
      seal: ['2.#epoch.1'],
      into: [
        { low: 0.5, high: 0.75 },
        { low: 0.75, high: 1 },
      ],
    })
    strictEqual(await next(watch), '2: 1/1<0/0 3/2<2/1 4/2<2/1')
    // Whoever begins now is told the same.
    strictEqual(await next(start(orders.watch())), '2: 1/1<0/0 3/2<2/1 4/2<2/1')
  }),
)

test(
  'of many changes between two looks none is left out',
  withClient(async ({ orders, world }) => {
    await orders.create()
    const watch = start(orders.watch())
    await next(watch)
    await orders.scale(2)
    await orders.scale(1)
    const transaction = await orders.transaction()
    await orders.scale(2)
    await transaction.write(order(1))
    // Two epochs at once: the one of the transaction again, and the one of now again.
    await transaction.commit()
    await world.sleep(10_000)
    const seen = [
      await next(watch),
      await next(watch),
      await next(watch),
      await next(watch),
      await next(watch),
    ]
    deepStrictEqual(seen, [
      '1: 1/1<0/0 2/1<0/0',
      '2: 3/2<1/1+2/1',
      '3: 4/3<3/2 5/3<3/2',
      '4: 6/4<4/3+5/3',
      '5: 7/5<6/4 8/5<6/4',
    ])
  }),
)

test(
  'between two steps nothing is asked for, and while one waits once a second',
  withClient(async ({ orders, controller, world }) => {
    await orders.create()
    const watch = start(orders.watch())
    controller.calls.length = 0
    await world.sleep(10_000)
    deepStrictEqual(controller.calls, [])
    await next(watch)
    controller.calls.length = 0
    const waiting = next(watch)
    await world.sleep(10_500)
    deepStrictEqual(
      controller.calls,
      Array.from({ length: 10 }, () => 'getCurrentSegments'),
    )
    await watch.return?.()
    strictEqual(await waiting, undefined)
  }),
)

test(
  'a sealed stream has no segments, and a deleted one no more changes',
  withClient(async ({ orders, world }) => {
    await orders.create()
    const watch = start(orders.watch())
    await next(watch)
    await orders.scale(2)
    await orders.seal()
    strictEqual(await next(watch), '1: 1/1<0/0 2/1<0/0')
    strictEqual(await next(watch), '1: ')
    strictEqual(await next(start(orders.watch())), '1: ')
    const waiting = next(watch)
    await world.sleep(3000)
    await orders.delete()
    strictEqual(await waiting, undefined)
    strictEqual(await next(watch), undefined)
    await rejects(next(start(orders.watch())), failsWith('stream-not-found'))
  }),
)

test(
  'a stream that was made again is another one',
  withClient(async ({ orders }) => {
    const remake = async (): Promise<void> => {
      await orders.seal()
      await orders.delete()
      await orders.create()
    }
    await orders.create()
    const watch = start(orders.watch())
    await next(watch)
    await remake()
    strictEqual(await next(watch), undefined)
    const later = start(orders.watch())
    await next(later)
    await remake()
    await orders.scale(3)
    strictEqual(await next(later), undefined)
  }),
)

test(
  'it ends with its loop, its signal or its store',
  withClient(async ({ orders, store, world }) => {
    await orders.create()
    for await (const { epoch } of orders.watch()) {
      strictEqual(epoch, 0)
      break
    }
    const reason = new Error('enough')
    const impatient = new AbortController()
    const watch = start(orders.watch({ signal: impatient.signal }))
    await next(watch)
    const waiting = next(watch)
    await world.sleep(1500)
    impatient.abort(reason)
    await rejects(waiting, reason)
    strictEqual(await next(watch), undefined)
    await rejects(next(start(orders.watch({ signal: impatient.signal }))), reason)
    const last = start(orders.watch())
    await next(last)
    const closing = next(last)
    await world.sleep(100)
    await Promise.all([store.close(), rejects(closing, failsWith('closed'))])
  }),
)
