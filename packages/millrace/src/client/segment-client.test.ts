import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Address, Host } from '../base/host.ts'
import { memoryNetwork } from '../base/memory-network.ts'
import { nodeHost } from '../base/node-host.ts'
import { NetworkError } from '../base/host.ts'
import type { AnyMessage } from '../protocol/wire/commands.ts'
import { FakeStore } from '../testing/fake-store.ts'
import { simulate } from '../testing/sim/simulate.ts'
import { type SegmentCalls, SegmentError } from './segment-calls.ts'
import { createSegmentCalls } from './segment-client.ts'
import { StoreConnection } from './store-connection.ts'

const S = 'scope/stream/0.#epoch.0'
const ADDRESS: Address = { host: 'store.millrace', port: 12_345 }
const WRITER = 'w'.repeat(16)

interface Bench {
  readonly host: Host
  readonly store: FakeStore
  readonly calls: SegmentCalls & { close(): Promise<void> }
  readonly located: string[]
}

async function bench(options: { locate?: (segment: string) => Promise<Address> } = {}): Promise<Bench> {
  const real = nodeHost()
  const host = { ...real, network: memoryNetwork(real.clock) }
  const store = new FakeStore()
  await store.listen(host.network, ADDRESS)
  const located: string[] = []
  const calls = createSegmentCalls({
    host,
    locate: async (segment) => {
      located.push(segment)
      return options.locate === undefined ? ADDRESS : options.locate(segment)
    },
  })
  return { host, store, calls, located }
}

function failsWith(code: SegmentError['code'], message?: RegExp) {
  return (error: unknown): boolean =>
    error instanceof SegmentError && error.code === code && (message?.test(error.message) ?? true)
}

test('a segment lives through all calls over one connection', async () => {
  const { store, calls, located } = await bench()
  strictEqual(await calls.createSegment(S), 'created')
  strictEqual(await calls.createSegment(S), 'exists')
  store.segment(S).append(Buffer.alloc(100))
  await calls.truncateSegment(S, 40)
  await calls.truncateSegment(S, 40)
  await calls.truncateSegment(S, 7)
  await rejects(calls.truncateSegment(S, 101), failsWith('truncated', /does not reach to 101/))
  await calls.sealSegment(S)
  await calls.sealSegment(S)
  deepStrictEqual(await calls.segmentState(S), {
    startOffset: 40,
    writeOffset: 100,
    sealed: true,
    lastModifiedMs: 0,
  })
  strictEqual(await calls.deleteSegment(S), 'deleted')
  strictEqual(await calls.deleteSegment(S), 'missing')
  await rejects(calls.segmentState(S), failsWith('no-such-segment', /0\.#epoch\.0/))
  strictEqual(store.connectionsTaken, 1)
  deepStrictEqual(located, [S])
  await calls.close()
})

test('attributes are compared and set; one that is not set is undefined', async () => {
  const { calls } = await bench()
  await calls.createSegment(S)
  strictEqual(await calls.attribute(S, WRITER), undefined)
  const update = { attributeId: WRITER, value: 7n, expected: undefined }
  strictEqual(await calls.updateAttribute(S, update), true)
  strictEqual(await calls.updateAttribute(S, update), false)
  strictEqual(await calls.attribute(S, WRITER), 7)
  strictEqual(await calls.updateAttribute(S, { ...update, value: 8, expected: 7 }), true)
  await calls.close()
})

test('tables: conditions, missing keys in their places, pages until there is no more', async () => {
  const { calls } = await bench()
  const key = (name: string): Buffer => Buffer.from(name)
  strictEqual(await calls.createTable('t'), 'created')
  strictEqual(await calls.createTable('t'), 'exists')
  const [first] = await calls.updateTable('t', [
    { key: key('a'), value: key('1'), condition: 'absent' },
    { key: key('b'), value: key('2'), condition: 'any' },
  ])
  ok(first !== undefined)
  await rejects(
    calls.updateTable('t', [{ key: key('a'), value: key('3'), condition: 'absent' }]),
    failsWith('bad-key-version'),
  )
  await rejects(
    calls.updateTable('t', [{ key: key('c'), value: key('3'), condition: 99 }]),
    failsWith('no-such-key'),
  )
  const read = await calls.readTable('t', [key('x'), key('a')])
  strictEqual(read[0], undefined)
  strictEqual(read[1]?.value.toString(), '1')
  strictEqual(read[1]?.version, first)
  const names: string[] = []
  let token: Buffer | undefined
  do {
    const page = await calls.listTable('t', { count: 1, continuationToken: token })
    names.push(...page.entries.map((entry) => entry.key.toString()))
    token = page.continuationToken
  } while (token !== undefined)
  deepStrictEqual(names, ['a', 'b'])
  await rejects(calls.deleteTable('t', { mustBeEmpty: true }), failsWith('not-empty'))
  await calls.removeFromTable('t', [
    { key: key('a'), condition: first },
    { key: key('b'), condition: 'any' },
  ])
  strictEqual(await calls.deleteTable('t', { mustBeEmpty: true }), 'deleted')
  strictEqual(await calls.deleteTable('t'), 'missing')
  await calls.close()
})

test('a call whose connection breaks is made again, and found again', async () => {
  const { store, calls, located } = await bench()
  await calls.createSegment(S)
  let breaks = 3
  store.intercept = (message, peer) => {
    if (message.kind !== 'get-stream-segment-info' || breaks-- <= 0) return false
    peer.connection.destroy()
    return true
  }
  strictEqual((await calls.segmentState(S)).writeOffset, 0)
  strictEqual(store.connectionsTaken, 4)
  deepStrictEqual(located, [S, S, S, S])
  await calls.close()
})

test('a conditional call whose answer is lost does not pretend to know, and is not made again', async () => {
  const { store, calls } = await bench()
  await calls.createSegment(S)
  let seen = 0
  store.intercept = (message, peer) => {
    if (message.kind !== 'update-segment-attribute') return false
    seen++
    peer.handle(message)
    peer.connection.destroy()
    return true
  }
  await rejects(
    calls.updateAttribute(S, { attributeId: WRITER, value: 1, expected: undefined }),
    failsWith('unknown-outcome', /carried out or not/),
  )
  strictEqual(seen, 1)
  await calls.close()
})

test('trap 29: wrong-host leads to a new location, and the call to the right store', async () => {
  const right: Address = { host: 'right.millrace', port: 1 }
  let asked = 0
  const { host, store, calls } = await bench({ locate: async () => (asked++ === 0 ? ADDRESS : right) })
  const other = new FakeStore()
  await other.listen(host.network, right)
  other.create(S).append(Buffer.alloc(9))
  store.intercept = (message, peer) => {
    if (message.kind !== 'get-stream-segment-info') return false
    const { requestId, segment } = message
    peer.send({ kind: 'wrong-host', requestId, segment, correctHost: '', serverStackTrace: '' })
    return true
  }
  strictEqual((await calls.segmentState(S)).writeOffset, 9)
  strictEqual(asked, 2)
  await calls.close()
})

test('what the store says went wrong arrives as a code', async () => {
  const { store, calls } = await bench()
  const answers: [Partial<AnyMessage> & { kind: 'error-message' }, SegmentError['code'], RegExp][] = [
    [{ kind: 'error-message', message: 'disk-full: no room left', errorCode: -1 }, 'disk-full', /: no room/],
    [{ kind: 'error-message', message: 'data-loss: block 7', errorCode: -1 }, 'data-loss', /: block 7$/],
    [{ kind: 'error-message', message: 'offset is negative', errorCode: 0 }, 'invalid', /negative/],
    [{ kind: 'error-message', message: 'it fell over', errorCode: -1 }, 'internal', /fell over/],
  ]
  for (const [answer, code, message] of answers) {
    store.intercept = (request, peer) => {
      if (request.kind !== 'seal-segment') return false
      const { requestId, segment } = request
      peer.send({ ...answer, requestId, segment } as AnyMessage)
      return true
    }
    await rejects(calls.sealSegment(S), failsWith(code, message))
  }
  store.intercept = (request, peer) => {
    if (request.kind !== 'seal-segment') return false
    peer.send({ kind: 'segment-created', requestId: request.requestId, segment: S })
    return true
  }
  await rejects(calls.sealSegment(S), failsWith('internal', /segment-created/))
  await calls.close()
})

test('a store of another protocol is named, and not asked again', async () => {
  const { store, calls } = await bench()
  store.versions = { lowVersion: 17, highVersion: 20 }
  await rejects(calls.segmentState(S), failsWith('unsupported', /versions 17 to 20.*5 to 16/))
  strictEqual(store.connectionsTaken, 1)
  await calls.close()
})

test('garbage from a store breaks the connection, and with it nothing else', async () => {
  const { store, calls } = await bench()
  store.create(S)
  let garbage = 1
  store.intercept = (message, peer) => {
    if (message.kind !== 'get-stream-segment-info' || garbage-- <= 0) return false
    peer.connection.write(Buffer.from('ffffffffffffffffffffffff', 'hex'))
    return true
  }
  strictEqual((await calls.segmentState(S)).writeOffset, 0)
  strictEqual(store.connectionsTaken, 2)
  await calls.close()
})

test('an aborted call rejects with the reason at once, whatever it was waiting for', async () => {
  const reason = new Error('no time')
  const { store, calls } = await bench()
  await rejects(calls.segmentState(S, { signal: AbortSignal.abort(reason) }), reason)
  for (const kind of ['hello', 'get-stream-segment-info'] as const) {
    const controller = new AbortController()
    store.intercept = (message) => {
      if (message.kind !== kind) return false
      controller.abort(reason)
      return true
    }
    await rejects(calls.segmentState(S, { signal: controller.signal }), reason)
    store.intercept = undefined
    store.breakConnections()
  }
  await calls.close()
})

test('closing rejects what waits, and what comes later', async () => {
  const { store, calls } = await bench()
  store.create(S)
  store.intercept = (message) => {
    if (message.kind === 'get-stream-segment-info') void calls.close()
    return message.kind === 'get-stream-segment-info'
  }
  await rejects(calls.segmentState(S), failsWith('closed'))
  await rejects(calls.segmentState(S), failsWith('closed'))
})

test('replies to calls that were given up hurt nobody', async () => {
  const { store, calls } = await bench()
  store.create(S)
  const controller = new AbortController()
  let late: (() => void) | undefined
  store.intercept = (message, peer) => {
    if (message.kind !== 'get-stream-segment-info' || late !== undefined) return false
    late = () => peer.handle(message)
    controller.abort(new Error('gone'))
    return true
  }
  await rejects(calls.segmentState(S, { signal: controller.signal }), /gone/)
  late?.()
  strictEqual((await calls.segmentState(S)).sealed, false)
  strictEqual(store.connectionsTaken, 1)
  await calls.close()
})

test('calls survive a world in which connections break, are refused and arrive in pieces', async () => {
  for (let seed = 0; seed < 20; seed++) {
    await simulate(seed, async (world) => {
      world.network.weather.breakChance = 0.02
      world.network.weather.refuseChance = 0.2
      const store = new FakeStore()
      const listener = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
      const { host } = world.node('client')
      const calls = createSegmentCalls({ host, locate: async () => listener.address })
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const segment = `scope/s/${index}.#epoch.0`
          await calls.createSegment(segment)
          store.segment(segment).append(Buffer.alloc(index + 1))
          await calls.truncateSegment(segment, index + 1)
          await calls.sealSegment(segment)
          const { startOffset, sealed } = await calls.segmentState(segment)
          deepStrictEqual({ startOffset, sealed }, { startOffset: index + 1, sealed: true })
        }),
      )
      await calls.close()
    })
  }
})

test('trap 28: a silent connection shows life, and a store that stays silent is given up', async () => {
  await simulate(1, async (world) => {
    const store = new FakeStore()
    const listener = await store.listen(world.node('store').host.network, { host: 'store', port: 1 })
    const { host } = world.node('client')
    const alive: number[] = []
    let answers = true
    store.intercept = (message) => {
      if (message.kind === 'keep-alive') alive.push(world.nowMs)
      return message.kind === 'read-segment' || (message.kind === 'keep-alive' && !answers)
    }
    const connection = await host.network.connect(listener.address)
    const client = new StoreConnection(host, listener.address, connection)
    await client.ready
    const reading = client.request({
      kind: 'read-segment',
      segment: S,
      offset: 0,
      suggestedLength: 1,
      delegationToken: '',
    })
    const lost = rejects(
      reading,
      (error) => error instanceof NetworkError && /silent for 60 s/.test(error.message),
    )
    await world.sleep(10 * 60_000)
    strictEqual(client.closed, false)
    ok(alive.length > 50, 'it showed life every ten seconds')
    answers = false
    await world.sleep(2 * 60_000)
    await lost
    strictEqual(client.closed, true)
  })
})
