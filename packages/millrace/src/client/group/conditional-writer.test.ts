import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { AnyMessage } from '../../protocol/wire/commands.ts'
import { type FakePeer, FakeStore } from '../../testing/fake-store.ts'
import { simulate } from '../../testing/sim/simulate.ts'
import type { World } from '../../testing/sim/world.ts'
import { Locations } from '../locations.ts'
import { StorePool } from '../store-pool.ts'
import { ConditionalWriter } from './conditional-writer.ts'

const S = 'scope/stream/0.#epoch.0'

interface Bench {
  readonly store: FakeStore
  readonly pool: StorePool
  readonly located: number
  writer(): ConditionalWriter
}

/** A test that plays in a world of its own. */
function inWorld(scenario: (bench: Bench, world: World) => Promise<void>): () => Promise<void> {
  return async () => {
    await simulate(1, async (world) => {
      const store = new FakeStore()
      const { address } = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
      store.create(S)
      const { host } = world.node('client')
      const pool = new StorePool(host)
      let located = 0
      const locations = new Locations(async () => {
        located++
        return address
      })
      await scenario(
        {
          store,
          pool,
          get located() {
            return located
          },
          writer: () => new ConditionalWriter({ host, locations, pool }, S),
        },
        world,
      )
      pool.close()
    })
  }
}

function event(text: string): Buffer {
  const header = Buffer.alloc(8)
  header.writeInt32BE(text.length, 4)
  return Buffer.concat([header, Buffer.from(text)])
}

/** Does something once, to the first message of this kind. True from the callback: the store does not see it. */
function once(
  store: FakeStore,
  kind: AnyMessage['kind'],
  then: (message: AnyMessage, peer: FakePeer) => boolean,
): void {
  store.intercept = (message, peer) => {
    if (message.kind !== kind) return false
    store.intercept = undefined
    return then(message, peer)
  }
}

test(
  'an append is stored where its author thinks the segment ends, and nowhere else',
  inWorld(async ({ store, writer }) => {
    const one = writer()
    const other = writer()
    strictEqual(await one.append({ event: event('a'), expectedOffset: 0 }), true)
    strictEqual(await other.append({ event: event('b'), expectedOffset: 0 }), false)
    strictEqual(await other.append({ event: event('b'), expectedOffset: 9 }), true)
    strictEqual(await one.append({ event: event('c'), expectedOffset: 9 }), false)
    deepStrictEqual(store.segment(S).events, ['a', 'b'])
  }),
)

test(
  'trap 44: a break after the event was stored is a success, and the event is there once',
  inWorld(async ({ store, writer }) => {
    const one = writer()
    once(store, 'conditional-append', (message, peer) => {
      peer.handle(message)
      peer.connection.destroy()
      return true
    })
    strictEqual(await one.append({ event: event('a'), expectedOffset: 0 }), true)
    strictEqual(await one.append({ event: event('b'), expectedOffset: 9 }), true)
    deepStrictEqual(store.segment(S).events, ['a', 'b'])
  }),
)

test(
  'trap 15: a break after the condition failed is not taken for a success',
  inWorld(async ({ store, writer }) => {
    const one = writer()
    strictEqual(await one.append({ event: event('a'), expectedOffset: 0 }), true)
    strictEqual(await writer().append({ event: event('b'), expectedOffset: 9 }), true)
    once(store, 'conditional-append', (message, peer) => {
      peer.handle(message)
      peer.connection.destroy()
      return true
    })
    strictEqual(await one.append({ event: event('c'), expectedOffset: 9 }), false)
    deepStrictEqual(store.segment(S).events, ['a', 'b'])
  }),
)

test(
  'a break before the event arrived sends it again, at the set-up, too',
  inWorld(async ({ store, writer }) => {
    for (const kind of ['setup-append', 'conditional-append'] as const) {
      once(store, kind, (_, peer) => {
        peer.connection.destroy()
        return true
      })
      const expectedOffset = store.segment(S).data.length
      strictEqual(await writer().append({ event: event('x'), expectedOffset }), true)
    }
    deepStrictEqual(store.segment(S).events, ['x', 'x'])
  }),
)

test(
  'trap 29: a segment that has moved is looked for anew',
  inWorld(async (bench) => {
    const { store, writer } = bench
    const one = writer()
    for (const kind of ['setup-append', 'conditional-append'] as const) {
      once(store, kind, (message, peer) => {
        const { requestId } = message as AnyMessage & { requestId: string }
        peer.send({ kind: 'wrong-host', requestId, segment: S, correctHost: '', serverStackTrace: '' })
        return true
      })
      const before = bench.located
      const expectedOffset = store.segment(S).data.length
      strictEqual(await one.append({ event: event('x'), expectedOffset }), true)
      if (before > 0) ok(bench.located > before)
    }
    deepStrictEqual(store.segment(S).events, ['x', 'x'])
  }),
)

test(
  'a segment that is gone or sealed refuses for good, a store that is closed for ever',
  inWorld(async ({ store, pool, writer }) => {
    store.segments.delete(S)
    await rejects(writer().append({ event: event('a'), expectedOffset: 0 }), { code: 'no-such-segment' })
    store.create(S)
    const one = writer()
    once(store, 'conditional-append', ({ ...message }, peer) => {
      const { requestId } = message as AnyMessage & { requestId: string }
      peer.send({ kind: 'segment-is-sealed', requestId, segment: S, serverStackTrace: '', offset: 1 })
      return true
    })
    await rejects(one.append({ event: event('a'), expectedOffset: 0 }), { code: 'sealed' })
    strictEqual(await one.append({ event: event('a'), expectedOffset: 0 }), true)
    pool.close()
    await rejects(one.append({ event: event('b'), expectedOffset: 9 }), { code: 'closed' })
  }),
)
