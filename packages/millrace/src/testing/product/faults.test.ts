import { ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from '../../client/errors.ts'
import { createStore, type Store } from '../../client/store.ts'
import type { Stream } from '../../client/stream.ts'
import { type Server, startServer } from '../../server/server.ts'
import { simulate } from '../sim/simulate.ts'
import type { SimNode, World } from '../sim/world.ts'

const SMALL_FILES = { fileBytesFirst: 64 * 1024, fileBytesMax: 64 * 1024 }
/** Nothing of it is checkpointed here. */
const LARGE_FILES = { fileBytesFirst: 1024 * 1024, fileBytesMax: 1024 * 1024 }

async function openOn(
  node: SimNode,
  log: { fileBytesFirst: number; fileBytesMax: number } = SMALL_FILES,
): Promise<{ server: Server; store: Store }> {
  const { host } = node
  const server = await startServer({ host, data: 'data', containers: 4, log })
  return { server, store: createStore({ host: server.host, controller: server.connectController() }) }
}

function streamOf(store: Store, name: string): Stream<string> {
  return store.stream<string>(`shop/${name}`, { key: null })
}

async function readAll(stream: Stream<string>): Promise<string[]> {
  const values: string[] = []
  for await (const { value } of stream.read({ until: 'tail' })) values.push(value)
  return values
}

function inWorld(seeds: number, scenario: (world: World) => Promise<void>): () => Promise<void> {
  return async () => {
    for (let seed = 0; seed < seeds; seed++) await simulate(`faults ${seed}`, scenario)
  }
}

test(
  'on a full disk a write is told so, reads go on, and writes succeed when there is room, without a restart',
  inWorld(10, async (world) => {
    const node = world.node('server')
    const { server, store } = await openOn(node)
    const stream = streamOf(store, 'orders')
    const written: string[] = []
    await stream.write('first')
    node.disk.capacityBytes = node.disk.usedBytes + 150_000
    const full = await (async () => {
      for (let i = 0; ; i++) {
        const value = `${i} ${'x'.repeat(5000)}`
        try {
          await stream.write(value)
          written.push(value)
        } catch (error) {
          return error
        }
      }
    })()
    ok(isMillraceError(full) && full.code === 'disk-full', String(full))
    ok(server.store.full)
    ok((await readAll(stream)).length > written.length)
    node.disk.capacityBytes = Number.POSITIVE_INFINITY
    await world.sleep(2000)
    ok(!server.store.full)
    await stream.write('last')
    const read = await readAll(stream)
    strictEqual(read.at(-1), 'last')
    for (const value of written) ok(read.includes(value))
    await store.close()
    await server.close()
  }),
)

test(
  'event bytes that went bad are named and not served, and nobody else is stopped',
  inWorld(10, async (world) => {
    const node = world.node('server')
    const first = await openOn(node)
    for (const name of ['good', 'bad']) await streamOf(first.store, name).write(`${name} event`)
    await first.store.close()
    await first.server.close()
    node.crash()
    const path = await damage(node, 'bad event')
    const { server, store } = await openOn(node)
    await rejects(readAll(streamOf(store, 'bad')), (error) => {
      ok(isMillraceError(error))
      strictEqual(error.code, 'data-loss')
      ok(error.message.includes(path), error.message)
      return true
    })
    strictEqual((await readAll(streamOf(store, 'good'))).join(), 'good event')
    await streamOf(store, 'bad').write('another')
    await store.close()
    await server.close()
  }),
)

test(
  'a container whose operations went bad stays shut and says why; the others work',
  inWorld(10, async (world) => {
    const node = world.node('server')
    const first = await openOn(node, LARGE_FILES)
    const names = Array.from({ length: 12 }, (_, index) => `stream-${index}`)
    for (const name of names) await streamOf(first.store, name).write(name)
    // Some time later the log says that all of this is durable.
    await world.sleep(1000)
    node.crash({ power: true })
    // A name stands in the operation that made the segment.
    const path = await damage(node, 'shop/stream-7/0.#epoch.0')
    const { server, store } = await openOn(node, LARGE_FILES)
    const shut = server.store.containers.filter(({ failure }) => failure !== undefined)
    ok(shut.length >= 1 && shut.length < 4, `${shut.length} containers are shut`)
    ok(shut[0]?.failure?.message.includes(path), shut[0]?.failure?.message)
    let served = 0
    for (const segment of names.map((name) => `shop/${name}/0.#epoch.0`)) {
      const container = server.store.containerOf(segment)
      if (container.failure === undefined) served += container.find(segment) === undefined ? 0 : 1
    }
    ok(served > 0, `${served} segments of other containers are served`)
    await store.close()
    await server.close()
  }),
)

/** Flips a bit of a text in the log and returns the file. */
async function damage(node: SimNode, text: string): Promise<string> {
  if (!node.running) node.restart()
  const { disk } = node.host
  for (const name of await disk.list('data/log')) {
    const path = `data/log/${name}`
    if (!/log-\d+$/.test(name)) continue
    const file = await disk.open(path, 'read')
    const bytes = Buffer.alloc(await file.size())
    await file.read(bytes, 0)
    await file.close()
    const at = bytes.indexOf(text)
    if (at < 0) continue
    node.disk.flipBit(path, at, 3)
    node.disk.dropCache()
    return path
  }
  throw new Error(`'${text}' is nowhere in the log`)
}
