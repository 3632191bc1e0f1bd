import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { memoryNetwork } from '../../base/memory-network.ts'
import { nodeHost } from '../../base/node-host.ts'
import { LONG_MIN, type Long, type Message } from '../../protocol/wire/commands.ts'
import { requestIdOf } from '../../protocol/wire/request-id.ts'
import { memoryStore } from '../../testing/memory-store.ts'
import { WireClient } from '../../testing/wire-client.ts'
import { startSegmentServer } from './segment-server.ts'

const address = { host: 'store.millrace', port: 1 }
const segment = 'rust-group_kvtable/0'
const ABSENT = -1
let requests = 0
const head = (): { requestId: string; segment: string; delegationToken: string } => ({
  requestId: requestIdOf(++requests),
  segment,
  delegationToken: '',
})

async function openTable(t: TestContext): Promise<WireClient> {
  const real = nodeHost()
  const host = { ...real, network: memoryNetwork(real.clock) }
  const { store } = memoryStore(host)
  const server = await startSegmentServer({ host, store, addresses: [address] })
  t.after(() => server.close())
  const client = await WireClient.connect(host.network, address)
  await client.call(
    { kind: 'create-table-segment', ...head(), sortedDeprecated: false, keyLength: 0, rolloverBytes: 0 },
    'segment-created',
  )
  return client
}

function update(
  entries: readonly (readonly [key: string, value: string, version?: Long | undefined])[],
  tableSegmentOffset = -1,
): Message<'update-table-entries'> {
  return {
    kind: 'update-table-entries',
    ...head(),
    entries: entries.map(([key, value, version = LONG_MIN]) => ({
      key: Buffer.from(key),
      value: Buffer.from(value),
      version,
    })),
    tableSegmentOffset,
  }
}

function remove(
  keys: readonly (readonly [key: string, version?: Long | undefined])[],
  offset = -1,
): Message<'remove-table-keys'> {
  return {
    kind: 'remove-table-keys',
    ...head(),
    keys: keys.map(([key, version = LONG_MIN]) => ({ key: Buffer.from(key), version })),
    tableSegmentOffset: offset,
  }
}

async function put(
  client: WireClient,
  ...entries: (readonly [string, string, (Long | undefined)?])[]
): Promise<readonly Long[]> {
  return (await client.call(update(entries), 'table-entries-updated')).updatedVersions
}

async function get(client: WireClient, ...keys: string[]): Promise<(readonly [string, string, Long])[]> {
  const wanted = keys.map((key) => ({ key: Buffer.from(key), version: LONG_MIN }))
  const { entries } = await client.call({ kind: 'read-table', ...head(), keys: wanted }, 'table-read')
  return entries.map(({ key, value, version }) => [key.toString(), value.toString(), version])
}

const noBounds = { fromKey: Buffer.alloc(0), toKey: Buffer.alloc(0) }

test('trap 49: entries come in the order of the keys asked for, absent ones with version -1, and versions grow', async (t) => {
  const client = await openTable(t)
  const [a, b] = await put(client, ['a', '1'], ['b', '2'])
  deepStrictEqual(await get(client, 'b', 'missing', 'a'), [
    ['b', '2', b],
    ['missing', '', ABSENT],
    ['a', '1', a],
  ])
  const [again] = await put(client, ['a', '3'])
  strictEqual(Number(again) > Number(b), true)
})

test('trap 49: a batch of which one condition fails changes nothing', async (t) => {
  const client = await openTable(t)
  const [version] = await put(client, ['a', '1', ABSENT])
  await client.call(
    update([
      ['new', 'x'],
      ['a', '2', ABSENT],
    ]),
    'table-key-bad-version',
  )
  await client.call(
    update([
      ['new', 'x'],
      ['a', '2', Number(version) + 1],
    ]),
    'table-key-bad-version',
  )
  await client.call(
    update([
      ['new', 'x'],
      ['missing', '2', version ?? 0],
    ]),
    'table-key-does-not-exist',
  )
  deepStrictEqual(await get(client, 'a', 'new'), [
    ['a', '1', version],
    ['new', '', ABSENT],
  ])
  await put(client, ['a', '2', version])
})

test('keys are removed if their version fits, all or none', async (t) => {
  const client = await openTable(t)
  const [a, b] = await put(client, ['a', '1'], ['b', '2'])
  await client.call(
    remove([
      ['a', a],
      ['b', a],
    ]),
    'table-key-bad-version',
  )
  await client.call(
    remove([
      ['a', a],
      ['c', 5],
    ]),
    'table-key-does-not-exist',
  )
  await client.call(remove([['a', a], ['b', b], ['c']]), 'table-keys-removed')
  deepStrictEqual(await get(client, 'a', 'b'), [
    ['a', '', ABSENT],
    ['b', '', ABSENT],
  ])
})

test('trap 51: a condition on the length of the table fails as a truncated segment', async (t) => {
  const client = await openTable(t)
  await put(client, ['a', '1'])
  const info = await client.call({ kind: 'get-table-segment-info', ...head() }, 'table-segment-info')
  strictEqual((await client.call(update([['b', '2']], 0), 'segment-is-truncated')).startOffset, info.length)
  strictEqual(
    (await client.call(remove([['a']], info.length + 1), 'segment-is-truncated')).startOffset,
    info.length,
  )
  await client.call(update([['b', '2']], info.length), 'table-entries-updated')
})

test('trap 52: a table that must be empty to go stays while it is not', async (t) => {
  const client = await openTable(t)
  await put(client, ['a', '1'])
  const drop = (mustBeEmpty: boolean): Message<'delete-table-segment'> => ({
    kind: 'delete-table-segment',
    ...head(),
    mustBeEmpty,
  })
  await client.call(drop(true), 'table-segment-not-empty')
  await client.call(remove([['a']]), 'table-keys-removed')
  await client.call(drop(true), 'segment-deleted')
  await client.call(drop(false), 'no-such-segment')
})

test('keys and entries are listed by pages, and the last page says so by being empty or short', async (t) => {
  const client = await openTable(t)
  for (let i = 0; i < 25; i++) await put(client, [`key-${i}`, `value-${i}`])
  const seen: string[] = []
  let continuationToken = Buffer.alloc(0)
  for (;;) {
    const page = await client.call(
      { kind: 'read-table-keys', ...head(), suggestedCount: 10, args: { continuationToken, ...noBounds } },
      'table-keys-read',
    )
    if (page.keys.length === 0) break
    seen.push(...page.keys.map(({ key }) => key.toString()))
    continuationToken = Buffer.from(page.continuationToken)
  }
  deepStrictEqual(
    seen,
    Array.from({ length: 25 }, (_, i) => `key-${i}`),
  )
  const all = await client.call(
    {
      kind: 'read-table-entries',
      ...head(),
      suggestedCount: 100,
      args: { continuationToken: Buffer.alloc(0), ...noBounds },
    },
    'table-entries-read',
  )
  strictEqual(all.entries.length, 25)
})

test('what changed since a position comes in order, and the position moves to the end', async (t) => {
  const client = await openTable(t)
  await put(client, ['a', '1'], ['b', '1'])
  const delta = async (fromPosition: number): Promise<Message<'table-entries-delta-read'>> =>
    client.call(
      { kind: 'read-table-entries-delta', ...head(), fromPosition, suggestedCount: 10 },
      'table-entries-delta-read',
    )
  const first = await delta(0)
  deepStrictEqual([first.entries.length, first.reachedEnd, first.shouldClear], [2, true, false])
  await put(client, ['a', '2'])
  const second = await delta(first.lastPosition)
  deepStrictEqual(
    second.entries.map(({ key, value }) => [key.toString(), value.toString()]),
    [['a', '2']],
  )
  strictEqual((await delta(second.lastPosition)).entries.length, 0)
})

test('limits are named, and fixed-length keys are refused by name', async (t) => {
  const client = await openTable(t)
  match((await client.call(update([['', 'x']]), 'error-message')).message, /a byte at least/)
  match(
    (await client.call(update([['k'.repeat(8193), 'x']]), 'error-message')).message,
    /8193 bytes, at most 8192/,
  )
  const value = 'v'.repeat(1024 * 1024 - 8191)
  match((await client.call(update([['k', value]]), 'error-message')).message, /at most 1040384/)
  await client.call(update([['k'.repeat(8192), value.slice(1)]]), 'table-entries-updated')
  const sorted = {
    kind: 'create-table-segment',
    ...head(),
    sortedDeprecated: false,
    keyLength: 8,
    rolloverBytes: 0,
  } as const
  match((await client.call(sorted, 'operation-unsupported')).operationName, /fixed length/)
  const plain = { kind: 'get-table-segment-info', ...head(), segment: 'no/such/0' } as const
  await client.call(plain, 'no-such-segment')
})

test('trap 53: a client makes the table of its group itself, once, whatever the segment is called', async (t) => {
  const client = await openTable(t)
  const again = {
    kind: 'create-table-segment',
    ...head(),
    sortedDeprecated: false,
    keyLength: 0,
    rolloverBytes: 0,
  } as const
  await client.call(again, 'segment-already-exists')
  const info = await client.call({ kind: 'get-table-segment-info', ...head() }, 'table-segment-info')
  deepStrictEqual([info.segment, info.length, info.entryCount, info.keyLength], [segment, 0, 0, 0])
})

test('observed 18: the length of a segment counts what is accepted, and is told when that is durable', async (t) => {
  const client = await openTable(t)
  client.send(update([['a', '1']]), { kind: 'get-table-segment-info', ...head() })
  await client.receive('table-entries-updated')
  strictEqual((await client.receive('table-segment-info')).entryCount, 1)
})

test('a table is no stream: it takes no appends and gives no bytes', async (t) => {
  const client = await openTable(t)
  const writerId = 'writer-1-1-1-1-1'
  await client.call({ kind: 'setup-append', ...head(), writerId }, 'append-setup')
  client.send({
    kind: 'append-block-end',
    writerId,
    sizeOfWholeEvents: 0,
    data: Buffer.from('x'),
    eventCount: 1,
    lastEventNumber: 1,
    requestId: requestIdOf(5),
  })
  match((await client.receive('error-message')).message, /table/)
  const read = {
    kind: 'read-segment',
    segment,
    offset: 0,
    suggestedLength: 10,
    delegationToken: '',
    requestId: requestIdOf(6),
  } as const
  match((await client.call(read, 'error-message')).message, /table/)
})
