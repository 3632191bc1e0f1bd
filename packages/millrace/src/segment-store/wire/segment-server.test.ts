import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Host } from '../../base/host.ts'
import { memoryNetwork } from '../../base/memory-network.ts'
import { nodeHost } from '../../base/node-host.ts'
import { encodeMessage } from '../../protocol/wire/codec.ts'
import { LONG_MIN, type Message } from '../../protocol/wire/commands.ts'
import { requestIdOf } from '../../protocol/wire/request-id.ts'
import type { MemoryLog } from '../../testing/memory-log.ts'
import { memoryStore } from '../../testing/memory-store.ts'
import { WireClient } from '../../testing/wire-client.ts'
import type { SegmentStore } from '../segment-store.ts'
import { startSegmentServer } from './segment-server.ts'

const address = { host: 'store.millrace', port: 1 }
const segment = 'shop/orders/0.#epoch.0'
const delegationToken = ''
const writerId = 'writer-1-1-1-1-1'
let requests = 0
const requestId = (): string => requestIdOf(++requests)

interface Setting {
  readonly host: Host
  readonly store: SegmentStore
  readonly log: MemoryLog
  readonly broken: string[]
  connect(): Promise<WireClient>
}

async function serve(
  t: TestContext,
  options: { log?: MemoryLog; memoryBytesMax?: number } = {},
): Promise<Setting> {
  const real = nodeHost()
  const host = { ...real, network: memoryNetwork(real.clock) }
  const { store, log } = memoryStore(host, options)
  const broken: string[] = []
  const onBroken = (_: string, reason: Error): void => void broken.push(reason.message)
  const server = await startSegmentServer({ host, store, addresses: [address], onBroken })
  t.after(() => server.close())
  return { host, store, log, broken, connect: () => WireClient.connect(host.network, address) }
}

async function createSegment(client: WireClient, name = segment): Promise<void> {
  const request = { requestId: requestId(), segment: name, targetRate: 0, scaleType: 0, delegationToken }
  await client.call({ kind: 'create-segment', ...request, rolloverBytes: 0 }, 'segment-created')
}

async function setUp(
  client: WireClient,
  name = segment,
  writer = writerId,
): Promise<Message<'append-setup'>> {
  const request = { requestId: requestId(), writerId: writer, segment: name, delegationToken }
  return client.call({ kind: 'setup-append', ...request }, 'append-setup')
}

function blockEnd(
  data: string,
  lastEventNumber: number,
  fields: Partial<Message<'append-block-end'>> = {},
): Message<'append-block-end'> {
  return {
    kind: 'append-block-end',
    writerId,
    sizeOfWholeEvents: 0,
    data: Buffer.from(data),
    eventCount: 1,
    lastEventNumber,
    requestId: requestIdOf(7),
    ...fields,
  }
}

function readRequest(offset: number, fields: Partial<Message<'read-segment'>> = {}): Message<'read-segment'> {
  const request = { segment, offset, suggestedLength: 1000, delegationToken, requestId: requestId() }
  return { kind: 'read-segment', ...request, ...fields }
}

async function read(client: WireClient, offset = 0, name = segment): Promise<string> {
  const reply = await client.call(readRequest(offset, { segment: name }), 'segment-read')
  return reply.data.toString()
}

async function info(client: WireClient, name = segment): Promise<Message<'stream-segment-info'>> {
  const request = { requestId: requestId(), segment: name, delegationToken }
  return client.call({ kind: 'get-stream-segment-info', ...request }, 'stream-segment-info')
}

function simple(kind: 'seal-segment' | 'delete-segment', name = segment): Message<typeof kind> {
  return { kind, requestId: requestId(), segment: name, delegationToken }
}

function truncate(truncationOffset: number): Message<'truncate-segment'> {
  return { kind: 'truncate-segment', requestId: requestId(), segment, truncationOffset, delegationToken }
}

/** What has come is dealt with, and what that brings too. */
async function turns(host: Host): Promise<void> {
  for (let i = 0; i < 8; i++) await new Promise<void>((resolve) => host.clock.defer(resolve))
}

test('trap 1: hello is answered with versions 16 and 5, and nothing may come before it', async (t) => {
  const { host, broken } = await serve(t)
  const client = new WireClient(await host.network.connect(address))
  client.send({ kind: 'hello', highVersion: 15, lowVersion: 15 })
  deepStrictEqual(await client.receive('hello'), { kind: 'hello', highVersion: 16, lowVersion: 5 })
  const rude = new WireClient(await host.network.connect(address))
  rude.send({ kind: 'keep-alive' })
  await rude.closed
  match(broken.join(), /begins with hello/)
  const future = new WireClient(await host.network.connect(address))
  future.send({ kind: 'hello', highVersion: 30, lowVersion: 17 })
  await future.receive('hello')
  await future.closed
})

test('an event is acknowledged when it is durable, not before, and only then read', async (t) => {
  const { host, log, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  strictEqual((await setUp(client)).lastEventNumber, LONG_MIN)
  log.automatic = false
  client.send(blockEnd('event', 1), readRequest(0))
  await turns(host)
  deepStrictEqual(client.pending, [])
  log.settle()
  deepStrictEqual(await client.receive('data-appended'), {
    kind: 'data-appended',
    writerId,
    eventNumber: 1,
    previousEventNumber: LONG_MIN,
    requestId: requestIdOf(7),
    segmentWriteOffset: 5,
  })
  strictEqual((await client.receive('segment-read')).data.toString(), 'event')
})

test('trap 5, 6: a block gives its whole events, then the parts of the split one, and no padding', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  const header = (kind: number, length: number): Buffer => {
    const bytes = Buffer.alloc(8)
    bytes.writeInt32BE(kind)
    bytes.writeInt32BE(length, 4)
    return bytes
  }
  const split = Buffer.concat([Buffer.from('whole'), header(-2, 3), Buffer.from('abc')])
  client.send(
    { kind: 'append-block', writerId, data: split },
    blockEnd('def', 2, { sizeOfWholeEvents: 5, eventCount: 2 }),
  )
  await client.receive('data-appended')
  const padded = Buffer.concat([Buffer.from('more'), header(-1, 4), Buffer.alloc(4)])
  client.send({ kind: 'append-block', writerId, data: padded }, blockEnd('', 3, { sizeOfWholeEvents: 4 }))
  await client.receive('data-appended')
  strictEqual(await read(client), 'wholeabcdefmore')
})

test('a block that does not fit its end costs the connection, and nothing of it is stored', async (t) => {
  const { connect, broken } = await serve(t)
  const good = await connect()
  await createSegment(good)
  for (const [data, end] of [
    ['abc', blockEnd('', 1, { sizeOfWholeEvents: 4 })],
    ['abc', blockEnd('', 1, { sizeOfWholeEvents: 1 })],
    ['abc', blockEnd('', 1, { sizeOfWholeEvents: -1 })],
    ['abc', blockEnd('tail', 1, { sizeOfWholeEvents: 3 })],
    ['abc\0\0\0\x01\0\0\0\0', blockEnd('', 1, { sizeOfWholeEvents: 3 })],
  ] as const) {
    const client = await connect()
    await setUp(client)
    client.send({ kind: 'append-block', writerId, data: Buffer.from(data) }, end)
    await client.closed
  }
  strictEqual(broken.length, 5)
  strictEqual((await info(good)).writeOffset, 0)
})

test('trap 7, 13: bare ends are taken, and acknowledgements of one sync become one', async (t) => {
  const { host, log, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  log.automatic = false
  client.send(blockEnd('a', 1), blockEnd('b', 2), blockEnd('c', 5, { eventCount: 3 }))
  await turns(host)
  log.settle()
  const ack = await client.receive('data-appended')
  deepStrictEqual([ack.previousEventNumber, ack.eventNumber, ack.segmentWriteOffset], [LONG_MIN, 5, 3])
  log.automatic = true
  client.send(blockEnd('d', 6))
  const next = await client.receive('data-appended')
  deepStrictEqual([next.previousEventNumber, next.eventNumber], [5, 6])
})

test('trap 8: a second set-up of a writer for another segment replaces the first', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await createSegment(client, 'shop/orders/1.#epoch.0')
  await setUp(client)
  await setUp(client, 'shop/orders/1.#epoch.0')
  client.send(blockEnd('x', 1))
  await client.receive('data-appended')
  strictEqual(await read(client, 0, 'shop/orders/1.#epoch.0'), 'x')
  strictEqual((await info(client)).writeOffset, 0)
})

test('trap 9: event numbers go up, and an append has an event at least', async (t) => {
  const { connect, broken } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  client.send(blockEnd('x', 5))
  await client.receive('data-appended')
  client.send(blockEnd('y', 5))
  strictEqual((await client.receive('invalid-event-number')).eventNumber, 5)
  await client.closed
  const other = await connect()
  await setUp(other)
  other.send(blockEnd('z', 6, { eventCount: 0 }))
  await other.closed
  strictEqual(broken.length, 2)
  strictEqual(await read(await connect()), 'x')
})

test('trap 10: an append without bytes is acknowledged and moves the writer on', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  client.send(blockEnd('', 3))
  strictEqual((await client.receive('data-appended')).eventNumber, 3)
  strictEqual((await setUp(client)).lastEventNumber, 3)
})

test('trap 11, 12: a writer finds its last number again, on any connection and after a restart', async (t) => {
  const { log, connect } = await serve(t)
  const first = await connect()
  await createSegment(first)
  await setUp(first)
  first.send(blockEnd('x', 41))
  await first.receive('data-appended')
  strictEqual((await setUp(await connect())).lastEventNumber, 41)
  const restarted = await serve(t, { log })
  const after = await restarted.connect()
  strictEqual((await setUp(after)).lastEventNumber, 41)
  strictEqual((await setUp(after, segment, 'writer-2-2-2-2-2')).lastEventNumber, LONG_MIN)
})

test('a set-up elsewhere waits for the earlier appends of that writer and shuts the older connection out', async (t) => {
  const { host, log, connect } = await serve(t)
  const old = await connect()
  await createSegment(old)
  await setUp(old)
  log.automatic = false
  old.send(blockEnd('a', 1))
  await turns(host)
  const young = await connect()
  young.send({ kind: 'setup-append', requestId: requestId(), writerId, segment, delegationToken })
  await turns(host)
  deepStrictEqual(young.pending, [])
  old.send(blockEnd('late', 2))
  await turns(host)
  log.automatic = true
  log.settle()
  strictEqual((await young.receive('append-setup')).lastEventNumber, 1)
  young.send(blockEnd('b', 2))
  await young.receive('data-appended')
  strictEqual(await read(young), 'ab')
})

test('trap 14: a failed append is answered behind earlier ones, and later ones are dropped until a new set-up', async (t) => {
  const { host, log, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  log.automatic = false
  client.send(blockEnd('a', 1), simple('seal-segment'), blockEnd('b', 2), blockEnd('c', 3))
  await turns(host)
  deepStrictEqual(client.pending, [])
  log.settle()
  strictEqual((await client.receive('segment-sealed')).segment, segment)
  strictEqual((await client.receive('data-appended')).eventNumber, 1)
  strictEqual((await client.receive('segment-is-sealed')).offset, 2)
  log.automatic = true
  // trap 18: setting up on a sealed segment succeeds.
  strictEqual((await setUp(client)).lastEventNumber, 1)
  client.send(blockEnd('b', 2))
  strictEqual((await client.receive('segment-is-sealed')).offset, 2)
  strictEqual((await info(client)).writeOffset, 1)
})

test('trap 15, 16, 44: a condition is checked after the number, leaves no trace when it fails, and data is stored as it is', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  const event = Buffer.from('\0\0\0\0\0\0\0\x02hi', 'latin1')
  const conditional = { kind: 'conditional-append', writerId, event, requestId: requestIdOf(9) } as const
  client.send({ ...conditional, eventNumber: 1, expectedOffset: 5 })
  strictEqual((await client.receive('conditional-check-failed')).eventNumber, 1)
  strictEqual((await setUp(client)).lastEventNumber, LONG_MIN)
  client.send({ ...conditional, eventNumber: 1, expectedOffset: 0 })
  strictEqual((await client.receive('data-appended')).segmentWriteOffset, 10)
  const raw = {
    kind: 'conditional-block-end',
    writerId,
    data: Buffer.from('raw'),
    requestId: requestIdOf(9),
  } as const
  client.send({ ...raw, eventNumber: 2, expectedOffset: 10 })
  await client.receive('data-appended')
  strictEqual(await read(client), `${event.toString()}raw`)
  client.send({ ...raw, eventNumber: 2, expectedOffset: 10 })
  await client.receive('invalid-event-number')
  await client.closed
})

test('observed 8: every piece of a large event is answered by itself', async (t) => {
  const { host, log, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  log.automatic = false
  const piece = {
    kind: 'conditional-block-end',
    writerId,
    data: Buffer.from('ab'),
    requestId: requestIdOf(9),
  } as const
  client.send(
    { ...piece, eventNumber: 0, expectedOffset: 0 },
    { ...piece, eventNumber: 1, expectedOffset: 2 },
    blockEnd('x', 2),
    { ...piece, eventNumber: 3, expectedOffset: 5 },
  )
  await turns(host)
  log.settle()
  const acks = []
  for (let i = 0; i < 4; i++) acks.push(await client.receive('data-appended'))
  deepStrictEqual(
    acks.map(({ previousEventNumber, eventNumber }) => [previousEventNumber, eventNumber]),
    [
      [LONG_MIN, 0],
      [0, 1],
      [1, 2],
      [2, 3],
    ],
  )
})

test('trap 17: a large event is built apart, merged whole, and gone with its connection if it is not', async (t) => {
  const { host, store, log, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  client.send(blockEnd('before', 1))
  await client.receive('data-appended')
  const begin = {
    kind: 'create-transient-segment',
    requestId: requestId(),
    writerId,
    parentSegment: segment,
    delegationToken,
  } as const
  const { segment: transient } = await client.call(begin, 'segment-created')
  match(transient, /#transient\.[0-9a-f]{32}\.[0-9a-f]{32}$/)
  strictEqual((await setUp(client, transient)).lastEventNumber, LONG_MIN)
  const piece = { kind: 'conditional-block-end', writerId, requestId: requestIdOf(9) } as const
  client.send({ ...piece, data: Buffer.from('lar'), eventNumber: 0, expectedOffset: 0 })
  client.send({ ...piece, data: Buffer.from('ge'), eventNumber: 1, expectedOffset: 3 })
  await client.receive('data-appended')
  await client.receive('data-appended')
  const merge = {
    kind: 'merge-segments',
    requestId: requestId(),
    target: segment,
    source: transient,
    delegationToken,
    attributeUpdates: [],
  } as const
  strictEqual((await client.call(merge, 'segments-merged')).newTargetWriteOffset, 11)
  strictEqual(await read(client), 'beforelarge')
  strictEqual((await client.call(merge, 'no-such-segment')).segment, transient)
  const { segment: orphan } = await client.call({ ...begin, requestId: requestId() }, 'segment-created')
  const name = store.containerOf(orphan).find(orphan)?.name
  strictEqual(name, orphan)
  client.connection.end()
  await client.closed
  await turns(host)
  strictEqual(store.containerOf(orphan).find(orphan), undefined)
  const again = await serve(t, { log })
  strictEqual(await read(await again.connect()), 'beforelarge')
})

test('trap 20, 54: a segment that is not there is said to be missing, with what was asked for', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  client.send({ kind: 'setup-append', requestId: requestId(), writerId, segment, delegationToken })
  strictEqual((await client.receive('no-such-segment')).offset, -1)
  strictEqual((await client.call(readRequest(17), 'no-such-segment')).offset, 17)
  await createSegment(client)
  await client.call(simple('delete-segment'), 'segment-deleted')
  await client.call(
    { kind: 'get-stream-segment-info', requestId: requestId(), segment, delegationToken },
    'no-such-segment',
  )
  await client.call(simple('delete-segment'), 'no-such-segment')
})

test('trap 21, 24: a read echoes segment and offset, and the end is told with the last bytes', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  client.send(blockEnd('abcdef', 1))
  await client.receive('data-appended')
  const short = await client.call(readRequest(1, { suggestedLength: 2 }), 'segment-read')
  deepStrictEqual(
    [short.segment, short.offset, short.data.toString(), short.atTail, short.endOfSegment],
    [segment, 1, 'bc', false, false],
  )
  const tail = await client.call(readRequest(3), 'segment-read')
  deepStrictEqual([tail.data.toString(), tail.atTail, tail.endOfSegment], ['def', true, false])
  await client.call(simple('seal-segment'), 'segment-sealed')
  const end = await client.call(readRequest(3), 'segment-read')
  deepStrictEqual([end.data.toString(), end.endOfSegment], ['def', true])
  const behind = await client.call(readRequest(6), 'segment-read')
  deepStrictEqual([behind.data.length, behind.endOfSegment, behind.offset], [0, true, 6])
})

test('trap 22: a read at the tail waits for bytes, a seal or a truncation, for as long as it takes', async (t) => {
  const { host, connect } = await serve(t)
  const writer = await connect()
  const reader = await connect()
  await createSegment(writer)
  await setUp(writer)
  reader.send(readRequest(0))
  await turns(host)
  deepStrictEqual(reader.pending, [])
  writer.send(blockEnd('new', 1))
  strictEqual((await reader.receive('segment-read')).data.toString(), 'new')
  reader.send(readRequest(3))
  await turns(host)
  await writer.receive('data-appended')
  await writer.call(simple('seal-segment'), 'segment-sealed')
  const end = await reader.receive('segment-read')
  deepStrictEqual([end.data.length, end.endOfSegment, end.offset], [0, true, 3])
})

test('a reader at the tail of a segment that is deleted is told so', async (t) => {
  const { host, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  client.send(readRequest(0))
  await turns(host)
  client.send(simple('delete-segment'))
  const kinds = []
  for (let i = 0; i < 2; i++) {
    while (client.pending.length === 0) await turns(host)
    kinds.push((await client.receive(client.pending[0]!.kind)).kind)
  }
  deepStrictEqual(kinds.toSorted(), ['no-such-segment', 'segment-deleted'])
})

test('trap 23: a read behind the end of a sealed segment is an error, not an endless wait', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await client.call(simple('seal-segment'), 'segment-sealed')
  strictEqual((await client.call(readRequest(1), 'error-message')).errorCode, 0)
})

test('trap 25, 26: truncation moves the start, and what is out of its reach says where the segment starts', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  client.send(blockEnd('abcdef', 1))
  await client.receive('data-appended')
  await client.call(truncate(4), 'segment-truncated')
  await client.call(truncate(4), 'segment-truncated')
  const back = await client.call(truncate(2), 'segment-is-truncated')
  strictEqual(back.startOffset, 4)
  strictEqual((await client.call(truncate(7), 'segment-is-truncated')).startOffset, 4)
  const early = await client.call(readRequest(1), 'segment-is-truncated')
  deepStrictEqual([early.startOffset, early.offset], [4, 1])
  strictEqual(await read(client, 4), 'ef')
  await client.call(simple('seal-segment'), 'segment-sealed')
  await client.call(simple('seal-segment'), 'segment-is-sealed')
  await client.call(truncate(6), 'segment-truncated')
  strictEqual((await info(client)).startOffset, 6)
})

test('trap 27: a request that fails is answered under its own id', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  const request = simple('seal-segment')
  strictEqual((await client.call(request, 'no-such-segment')).requestId, request.requestId)
  await createSegment(client)
  const create = {
    kind: 'create-segment',
    requestId: requestId(),
    segment,
    targetRate: 0,
    scaleType: 0,
    delegationToken,
    rolloverBytes: 0,
  } as const
  strictEqual((await client.call(create, 'segment-already-exists')).requestId, create.requestId)
})

test('trap 28: keep-alive comes back', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  deepStrictEqual(await client.call({ kind: 'keep-alive' }, 'keep-alive'), { kind: 'keep-alive' })
})

test('trap 55: attributes are Long.MIN when not set, and change only from what is expected', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  const attributeId = 'attribute-1-2-3-'
  const get = { kind: 'get-segment-attribute', segment, attributeId, delegationToken } as const
  const update = { kind: 'update-segment-attribute', segment, attributeId, delegationToken } as const
  const value = async (): Promise<unknown> =>
    (await client.call({ ...get, requestId: requestId() }, 'segment-attribute')).value
  const set = async (newValue: number | bigint, expectedValue: number | bigint): Promise<boolean> => {
    const request = { ...update, requestId: requestId(), newValue, expectedValue }
    return (await client.call(request, 'segment-attribute-updated')).success
  }
  strictEqual(await value(), LONG_MIN)
  strictEqual(await set(5, LONG_MIN), true)
  strictEqual(await set(6, LONG_MIN), false)
  strictEqual(await set(2n ** 62n, 5), true)
  strictEqual(await value(), 2n ** 62n)
  strictEqual(await set(LONG_MIN, 2n ** 62n), true)
  strictEqual(await value(), LONG_MIN)
})

test('a merge may depend on attributes, and a merged segment is read from wherever its bytes are', async (t) => {
  const { store, log, connect } = await serve(t)
  const client = await connect()
  const source = `${segment}#transaction.${'0'.repeat(31)}1`
  await createSegment(client)
  await createSegment(client, source)
  strictEqual(store.containerOf(source), store.containerOf(segment))
  await setUp(client, source)
  client.send(blockEnd('inner', 1))
  await client.receive('data-appended')
  await setUp(client)
  client.send(blockEnd('outer', 1))
  await client.receive('data-appended')
  const attributeUpdates = [{ attributeId: 'attribute-1-2-3-', updateType: 4, newValue: 1, oldValue: 0 }]
  const merge = { kind: 'merge-segments', target: segment, source, delegationToken } as const
  const refused = await client.call(
    { ...merge, requestId: requestId(), attributeUpdates },
    'segment-attribute-updated',
  )
  strictEqual(refused.success, false)
  await client.call({ ...merge, requestId: requestId(), attributeUpdates: [] }, 'segments-merged')
  client.send(blockEnd('after', 2))
  await client.receive('data-appended')
  strictEqual(await read(client), 'outerinnerafter')
  strictEqual(await read(client, 7), 'nerafter')
  log.checkpoint()
  const again = await serve(t, { log })
  strictEqual(await read(await again.connect()), 'outerinnerafter')
})

test('frames that are none, commands of servers and unknown ones cost the connection or are refused by name', async (t) => {
  const { host, connect, broken } = await serve(t)
  const raw = await connect()
  raw.connection.write(Buffer.from('7fffffff00000000', 'hex'))
  await raw.closed
  match(broken[0] ?? '', /No command/)
  const large = await connect()
  large.connection.write(Buffer.from('0000000301000000', 'hex'))
  await large.closed
  const server = await connect()
  server.send({ kind: 'append-setup', requestId: requestId(), segment, writerId, lastEventNumber: 1 })
  strictEqual((await server.receive('operation-unsupported')).operationName, 'append-setup')
  const foreign = await connect()
  foreign.send(blockEnd('x', 1))
  await foreign.closed
  match(broken.at(-1) ?? '', /not set up/)
  const half = await connect()
  await createSegment(half)
  await setUp(half)
  half.send({ kind: 'append-block', writerId, data: Buffer.from('abc') }, { kind: 'keep-alive' })
  await half.closed
  match(broken.at(-1) ?? '', /behind an append block/)
  await turns(host)
  strictEqual((await info(await connect())).writeOffset, 0)
})

test('frames may be cut anywhere', async (t) => {
  const { connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  for (const byte of encodeMessage(blockEnd('bytewise', 1))) client.connection.write(Buffer.from([byte]))
  await client.receive('data-appended')
  strictEqual(await read(client), 'bytewise')
})

test('a failed sync acknowledges nothing, answers nothing, and ends the connections', async (t) => {
  const { host, log, connect, broken } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  log.automatic = false
  client.send(blockEnd('x', 1), readRequest(0))
  await turns(host)
  log.fail()
  await client.closed
  deepStrictEqual(client.pending, [])
  ok(broken.some((reason) => reason.includes('The sync failed')))
  const next = await connect()
  next.send({ kind: 'setup-append', requestId: requestId(), writerId, segment, delegationToken })
  await next.closed
})

test('a writer set up on a sealed segment hears so after a pause, and others do not wait for that', async (t) => {
  const { host, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await client.call(simple('seal-segment'), 'segment-sealed')
  await setUp(client)
  client.send(blockEnd('late', 1))
  await turns(host)
  deepStrictEqual(client.pending, [])
  await createSegment(client, 'shop/orders/1.#epoch.0')
  strictEqual((await client.receive('segment-is-sealed')).segment, segment)
})

test('writers of segments that are gone are forgotten after a while, and late appends are answered before', async (t) => {
  const { connect, broken } = await serve(t)
  const client = await connect()
  const writerOf = (index: number): string => `writer-${index}`.padEnd(16, '-')
  const useUp = async (from: number, to: number): Promise<void> => {
    for (let index = from; index < to; index++) {
      await createSegment(client)
      await setUp(client, segment, writerOf(index))
      const request = { requestId: requestId(), segment, delegationToken }
      await client.call({ kind: 'delete-segment', ...request }, 'segment-deleted')
    }
  }
  await useUp(0, 1000)
  client.send(blockEnd('late', 1, { writerId: writerOf(0) }))
  strictEqual((await client.receive('no-such-segment')).segment, segment)
  await useUp(1000, 3200)
  strictEqual(broken.length, 0)
  client.send(blockEnd('very late', 1, { writerId: writerOf(1) }))
  await client.closed
  ok(broken.some((reason) => reason.includes('not set up on this connection')))
})

test('on a full disk appends are refused with a word for it, and everything else goes on', async (t) => {
  const { log, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  client.send(blockEnd('x', 1))
  await client.receive('data-appended')
  log.full = true
  client.send(blockEnd('y', 2))
  match((await client.receive('error-message')).message, /^disk-full: /)
  strictEqual(await read(client), 'x')
  await client.call(truncate(1), 'segment-truncated')
  log.full = false
  strictEqual((await setUp(client)).lastEventNumber, 1)
  client.send(blockEnd('y', 2))
  await client.receive('data-appended')
})

test('who does not read its replies is not read from, and holds little memory', async (t) => {
  const { host, store, connect } = await serve(t)
  const writer = await connect()
  await createSegment(writer)
  await setUp(writer)
  const data = Buffer.alloc(1024 * 1024, 'x')
  for (let i = 1; i <= 6; i++) {
    writer.send({ ...blockEnd('', i), data })
    await writer.receive('data-appended')
  }
  const stalled = await connect()
  stalled.connection.pause()
  for (let i = 0; i < 100; i++) stalled.send(readRequest(0, { suggestedLength: 2 ** 21 }))
  await turns(host)
  ok(store.stats().replyBytes <= 4 * 1024 * 1024, `${store.stats().replyBytes} bytes of replies wait`)
  strictEqual((await read(writer)).length, 1000)
  stalled.connection.resume()
  for (let i = 0; i < 100; i++) ok((await stalled.receive('segment-read')).data.length > 0)
  await turns(host)
  strictEqual(store.stats().replyBytes, 0)
})

test('bytes that left memory are read back from the log', async (t) => {
  const { store, log, connect } = await serve(t)
  const client = await connect()
  await createSegment(client)
  await setUp(client)
  const size = 256 * 1024
  for (let i = 1; i <= 60; i++) {
    log.place = Math.ceil(i / 10)
    client.send({ ...blockEnd('', i), data: Buffer.alloc(size, i) })
    await client.receive('data-appended')
  }
  ok(store.stats().cacheBytes <= store.stats().cacheBytesMax)
  let offset = 0
  while (offset < 60 * size) {
    const { data } = await client.call(readRequest(offset, { suggestedLength: 1_000_000 }), 'segment-read')
    ok(data.length > 0)
    for (const [at, byte] of [data[0], data.at(-1)].entries())
      strictEqual(byte, 1 + Math.floor((at === 0 ? offset : offset + data.length - 1) / size))
    offset += data.length
  }
  await client.call(truncate(25 * size), 'segment-truncated')
  deepStrictEqual(
    log.unpinned.map(({ place }) => place),
    [1, 2],
  )
})
