/** Scales and transactions where both languages write and read one stream. */
import assert from 'node:assert/strict'
import type { Case } from './cases.ts'
import { eventually, type Order, read, scene, SCOPE, STREAM } from './mixed.ts'
import type { NumberedEvent } from './numbered.ts'
import { JavaPeer } from './peer.ts'

export const mixedElasticCases: readonly Case[] = [
  { name: 'mixed: TypeScript scales under writers and readers in Java and TypeScript', run: scaled },
  { name: 'mixed: transactions of both languages on one stream', run: transactions },
  { name: 'mixed: each language ends what the other began', run: handedOver },
]

const EVENTS = 6000
const WRITE_MS = 9000
const KEYS = 30

async function scaled(): Promise<void> {
  await scene(async ({ uri, orders, group, java, ledger }) => {
    const peer = new JavaPeer(uri)
    try {
      await java.ask('create', '500')
      await java.ask('open', 'java-1')
      await java.ask('open', 'java-2')
      const reading = read(group.reader({ id: 'ts-1' }), 'ts-1', ledger)
      let isWritten = false
      const writing = peer.command('write', SCOPE, STREAM, 1, KEYS, EVENTS, 60, WRITE_MS).finally(() => {
        isWritten = true
      })
      const counts: number[] = []
      for (const to of [12, 20, 9, 16, 8, 24, 10, 8]) {
        if (isWritten) break
        const { segments } = await orders.scale(to)
        counts.push(segments.length)
        await new Promise((resolve) => setTimeout(resolve, 700))
      }
      assert.equal((await writing).length, EVENTS)
      assert(counts.length >= 4, `there were scales to ${counts.join(', ')} segments while Java wrote`)
      // Each generation of segments takes Java's readers a checkpoint.
      await ledger.until(EVENTS)
      assert.deepEqual(ledger.repeated, [], 'no event comes twice')
      await reading.close()
      await java.ask('close', 'java-1')
      await java.ask('close', 'java-2')
    } finally {
      await peer.close()
    }
  })
}

/** The events of a transaction of ours, as Java's `add` writes them. */
function ordersOf(from: number, to: number, keys: number): Order[] {
  return Array.from({ length: to - from }, (_, index) => from + index).flatMap((sequence) =>
    Array.from({ length: keys }, (__, key) => ({ key, sequence })),
  )
}

function expectSequences(events: readonly NumberedEvent[], keys: number, count: number): void {
  assert.equal(events.length, keys * count)
  for (let key = 0; key < keys; key++) {
    const sequences = events.filter((event) => event.key === key).map(({ sequence }) => sequence)
    assert.deepEqual(
      sequences,
      [...sequences.keys()],
      `the events of key ${key} are in the order of the commits`,
    )
  }
}

/** Transactions in turn of ours and Java's, all of them open at once, over a scale. */
async function transactions(): Promise<void> {
  await scene(async ({ uri, orders }) => {
    const peer = new JavaPeer(uri)
    try {
      const ids: string[] = []
      const ours: Awaited<ReturnType<typeof orders.transaction>>[] = []
      for (let turn = 0; turn < 3; turn++) {
        ours.push(await orders.transaction())
        ids.push(await begin(peer))
      }
      for (let turn = 0; turn < 3; turn++) {
        await ours[turn]!.writeAll(ordersOf(turn * 10, turn * 10 + 5, KEYS))
        await peer.command('add', ids[turn]!, 1, KEYS, 5, turn * 10 + 5)
      }
      await orders.scale(11)
      assert.deepEqual(await peer.events('batch', SCOPE, STREAM), [], 'nothing is there before the commits')
      for (let turn = 0; turn < 3; turn++) {
        await ours[turn]!.commit()
        await peer.command('commit', ids[turn]!)
      }
      await untilCommitted(peer, ids.at(-1)!)
      expectSequences(await peer.events('batch', SCOPE, STREAM), KEYS, 30)
      for (const id of ids) assert.equal(await orders.transactionStatus(id), 'committed')
    } finally {
      await peer.close()
    }
  })
}

async function handedOver(): Promise<void> {
  await scene(async ({ uri, orders }) => {
    const peer = new JavaPeer(uri)
    try {
      const theirs = await begin(peer)
      await peer.command('add', theirs, 1, KEYS, 5, 0)
      const taken = await orders.openTransaction(theirs)
      await taken.writeAll(ordersOf(5, 10, KEYS))
      await taken.commit()
      assert.deepEqual(await peer.command('status', theirs), ['status COMMITTED'])

      const ours = await orders.transaction()
      await ours.writeAll(ordersOf(10, 15, KEYS))
      await ours.flush()
      assert.deepEqual(await peer.command('find', SCOPE, STREAM, ours.id), ['status OPEN'])
      await peer.command('add', ours.id, 1, KEYS, 5, 15)
      await peer.command('commit', ours.id)
      await untilCommitted(peer, ours.id)
      // It has been committed, so this only says so.
      await ours.commit()

      const dropped = await begin(peer)
      await peer.command('add', dropped, 1, KEYS, 1, 20)
      await (await orders.openTransaction(dropped)).abort()
      await assert.rejects(peer.command('commit', dropped), /TxnFailedException/)
      expectSequences(await peer.events('batch', SCOPE, STREAM), KEYS, 20)
    } finally {
      await peer.close()
    }
  })
}

async function begin(peer: JavaPeer): Promise<string> {
  const [line = ''] = await peer.command('begin', SCOPE, STREAM)
  return line.split(' ')[1]!
}

async function untilCommitted(peer: JavaPeer, id: string): Promise<void> {
  await eventually('the transaction is committed', async () => {
    const [line] = await peer.command('status', id)
    return line === 'status COMMITTED'
  })
}
