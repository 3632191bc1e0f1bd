import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { ControllerError } from '../protocol/controller/service.ts'
import { routingKeyHash } from '../protocol/hash.ts'
import { type ClientScene, failsWith, order, playClient, withClient } from '../testing/client-scene.ts'
import { simulate } from '../testing/sim/simulate.ts'
import { isMillraceError } from './errors.ts'

const UNKNOWN_ID = '00000000-0000-0007-0000-00000000ffff'

test(
  'events of a transaction are read when it is committed, and not before',
  withClient(async ({ orders, stored }) => {
    await orders.write(order(1))
    const transaction = await orders.transaction()
    await transaction.write(order(2))
    await transaction.writeAll([order(3), order(4, 'bob'), order(5)])
    deepStrictEqual(stored('ada'), [1])
    await orders.write(order(6))
    strictEqual(await orders.transactionStatus(transaction.id), 'open')
    await transaction.commit()
    strictEqual(await orders.transactionStatus(transaction.id), 'committed')
    deepStrictEqual(stored('ada'), [1, 6, 2, 3, 5])
    deepStrictEqual(stored('bob'), [4])
    // It can be asked again how that went.
    await transaction.commit()
    await rejects(transaction.write(order(7)), failsWith('txn-committed'))
    await rejects(transaction.abort(), failsWith('txn-committed'))
  }),
)

test(
  'the first transaction makes the stream, as the first write does',
  withClient(async ({ store }) => {
    const made = store.stream<number>('shop/made', { key: null })
    const transaction = await made.transaction()
    await transaction.write(1)
    await transaction.commit()
    const strict = store.stream<number>('shop/strict', { key: null, create: false })
    await rejects(strict.transaction(), failsWith('stream-not-found'))
    await made.seal()
    await rejects(made.transaction(), failsWith('stream-sealed'))
    await rejects(made.transaction({ leaseMs: 0.5 }), failsWith('invalid-argument', /leaseMs/))
  }),
)

test(
  'keys go where those of the stream go, and what has none goes by the id of the transaction',
  withClient(async ({ store, controller, segments }) => {
    const numbers = store.stream<number>('shop/numbers', { key: null, create: { scaling: { segments: 4 } } })
    const transaction = await numbers.transaction()
    for (let number = 0; number < 8; number++)
      await transaction.write(number, number % 2 === 0 ? {} : { key: `${number}` })
    await transaction.commit()
    const at = (hash: number): string => `shop/numbers/${Math.floor(hash * 4)}.#epoch.0`
    for (const number of [1, 3, 5, 7])
      ok(segments.segment(at(routingKeyHash(`${number}`))).events.includes(`${number}`))
    const keyless = segments.segment(at(routingKeyHash(transaction.id))).events
    deepStrictEqual(
      keyless.filter((event) => Number(event) % 2 === 0),
      ['0', '2', '4', '6'],
    )
    strictEqual(controller.transactions.get(transaction.id).state, 'committed')
  }),
)

test(
  'trap 31: where the segments of a transaction are is asked of their parents, and once',
  withClient(async ({ orders, controller }) => {
    const asked: unknown[] = []
    controller.before = (rpc, request) => {
      if (rpc === 'getURI') asked.push((request as { segmentId: bigint }).segmentId)
    }
    for (let id = 0; id < 3; id++) {
      await using transaction = await orders.transaction()
      await transaction.write(order(id))
      await transaction.commit()
    }
    deepStrictEqual(asked, [0n])
  }),
)

test(
  'what is left of a block that throws is aborted, and so is what nobody commits',
  withClient(async ({ orders, controller, store }) => {
    const { transactions } = controller
    const ids: string[] = []
    await rejects(async () => {
      await using transaction = await orders.transaction()
      ids.push(transaction.id)
      await transaction.write(order(1))
      throw new Error('thought better of it')
    }, /thought better of it/)
    {
      await using transaction = await orders.transaction()
      ids.push(transaction.id)
    }
    for (const id of ids) strictEqual(transactions.get(id).state, 'aborted')
    const aborted = await orders.transaction()
    const writing = aborted.write(order(2))
    await Promise.all([aborted.abort(), rejects(writing, failsWith('txn-aborted'))])
    await aborted.abort()
    await rejects(aborted.commit(), failsWith('txn-aborted'))
    await rejects(aborted.write(order(3)), failsWith('txn-aborted'))
    strictEqual(store.stats().open, 0)
    strictEqual(store.stats().pendingBytes, 0)
  }),
)

test(
  'trap 48: commit resolves when the events can be read, not when that was promised',
  withClient(async ({ orders, controller, world, stored }) => {
    const { transactions } = controller
    transactions.held = true
    const transaction = await orders.transaction()
    await transaction.write(order(1))
    let committed = false
    const committing = transaction.commit().then(() => {
      committed = true
    })
    await world.sleep(500)
    strictEqual(committed, false)
    strictEqual(await orders.transactionStatus(transaction.id), 'committing')
    await rejects(transaction.write(order(2)), failsWith('txn-committed'))
    transactions.finish(transaction.id)
    const doneMs = world.nowMs
    await committing
    ok(world.nowMs - doneMs < 150)
    deepStrictEqual(stored('ada'), [1])
    // Looked at often at first, and less often later.
    const looks = controller.calls.filter((rpc) => rpc === 'checkTransactionState').length
    ok(looks > 8 && looks < 20, `${looks} looks`)
  }),
)

test(
  'trap 46: a transaction ends where it began, though the stream has scaled meanwhile',
  withClient(async ({ orders, stored }) => {
    await orders.create()
    const transaction = await orders.transaction()
    await transaction.write(order(1))
    await orders.scale(3)
    await transaction.write(order(2))
    await orders.write(order(3))
    await transaction.commit()
    await orders.write(order(4))
    deepStrictEqual(stored('ada'), [3, 1, 2, 4])
    strictEqual((await orders.info()).topology.epoch, 3)
  }),
)

test(
  'a transaction that was aborted by its lease: writing, flushing and committing say so',
  withClient(async ({ orders, controller, world }) => {
    const { transactions } = controller
    const transaction = await orders.transaction()
    await transaction.write(order(1))
    transactions.abort(transaction.id)
    // Trap 20: the segment is gone, and that is not taken for the end of a stream's segment.
    await rejects(transaction.write(order(2)), failsWith('txn-aborted', new RegExp(transaction.id)))
    await rejects(transaction.write(order(3)), failsWith('txn-aborted'))
    await rejects(transaction.flush(), failsWith('txn-aborted'))
    await rejects(transaction.commit(), failsWith('txn-aborted'))
    ok(!controller.calls.includes('getSegmentsImmediatelyFollowing'))
    await transaction[Symbol.asyncDispose]()

    const untouched = await orders.transaction()
    transactions.abort(untouched.id)
    await rejects(untouched.commit(), (error) => {
      ok(isMillraceError(error))
      deepStrictEqual([error.code, error.transaction], ['txn-aborted', untouched.id])
      return true
    })
    const pinged = await orders.transaction({ leaseMs: 3000 })
    transactions.abort(pinged.id)
    await world.sleep(1100)
    await rejects(pinged.write(order(4)), failsWith('txn-aborted'))
    // Its own stream going away ends it, too.
    const sealed = await orders.transaction()
    await orders.seal()
    await rejects(sealed.commit(), failsWith('txn-aborted'))
  }),
)

test(
  'events that did not get in are missing: what is left is not committed',
  withClient(async ({ orders, controller, segments }) => {
    await using transaction = await orders.transaction()
    await transaction.write(order(1))
    segments.intercept = (message, peer) => {
      if (message.kind !== 'append-block-end') return false
      const { requestId } = message
      const failure = { segment: '', serverStackTrace: '', errorCode: -1, message: 'disk-full: no room' }
      peer.send({ kind: 'error-message', requestId, ...failure })
      return true
    }
    await rejects(transaction.write(order(2)), failsWith('disk-full'))
    segments.intercept = undefined
    await rejects(transaction.flush(), failsWith('disk-full'))
    await rejects(transaction.commit(), failsWith('disk-full'))
    strictEqual(controller.transactions.get(transaction.id).state, 'open')
  }),
)

test(
  'a value that cannot be written spoils nothing',
  withClient(async ({ orders, stored }) => {
    await using transaction = await orders.transaction()
    await rejects(transaction.write({ id: 1n, customer: 'ada' } as never), failsWith('encode'))
    await rejects(transaction.write(order(1), { key: 'x' }), failsWith('invalid-argument'))
    await rejects(transaction.writeAll([order(2), { id: 1n, customer: 'ada' } as never]), failsWith('encode'))
    await transaction.commit()
    deepStrictEqual(stored('ada'), [2])
  }),
)

test(
  'writing waits for room, and a flush for what is under way',
  withClient(async ({ orders, controller }) => {
    const transaction = await orders.transaction()
    const long = 'x'.repeat(1024 * 1024)
    const all = Array.from({ length: 20 }, (_, id) => ({ ...order(id), long }))
    const writing = transaction.writeAll(all)
    await transaction.flush()
    await writing
    strictEqual(controller.transactions.events(transaction.id).length, 20)
    await transaction.abort()
  }),
)

test('each event once, though connections break while it is written and the answers of the controller are lost', async () => {
  for (let seed = 0; seed < 10; seed++) {
    await simulate(seed, (world) =>
      playClient(world, async ({ orders, stored, controller }) => {
        await orders.create()
        world.network.weather.breakChance = 0.05
        world.network.weather.refuseChance = 0.1
        const { service } = controller
        const expected: number[] = []
        for (let id = 0; id < 200; ) {
          const transaction = await orders.transaction()
          const writes: Promise<void>[] = []
          for (let count = world.random.integer(20); count >= 0; count--, id++) {
            writes.push(transaction.write(order(id)))
            expected.push(id)
          }
          await Promise.all(writes)
          if (world.random.chance(0.5)) loseAnswers(controller, service, 'commitTransaction')
          await transaction.commit()
        }
        deepStrictEqual(stored('ada'), expected)
      }),
    )
  }
})

/** The next answers of a call do not arrive, though it is carried out. */
function loseAnswers(
  controller: ClientScene['controller'],
  service: ClientScene['controller']['service'],
  lost: 'commitTransaction',
): void {
  let left = 3
  controller.before = async (rpc, request) => {
    if (rpc !== lost || left-- <= 0) return
    const hook = controller.before
    controller.before = undefined
    await service[lost](request as never)
    controller.before = hook
    throw new ControllerError('unavailable', 'The connection to the controller broke')
  }
}

test(
  'when nobody says what became of a commit, the outcome is unknown, and can be asked for by the id',
  withClient(async ({ orders, controller, world, other }) => {
    const { transactions } = controller
    const transaction = await orders.transaction({ leaseMs: 3000 })
    await transaction.write(order(1))
    controller.before = (rpc) => {
      if (rpc === 'commitTransaction') throw new ControllerError('internal', 'It hurts')
    }
    await rejects(transaction.commit(), (error) => {
      ok(isMillraceError(error))
      deepStrictEqual(
        [error.code, error.transaction, error.retryable],
        ['unknown-outcome', transaction.id, false],
      )
      return true
    })
    controller.before = undefined
    // It is not aborted behind the back of whoever asks, here a handle made of the id.
    await transaction[Symbol.asyncDispose]()
    strictEqual(await orders.transactionStatus(transaction.id), 'open')
    const again = await other('again').openTransaction(transaction.id)
    await again.commit()
    strictEqual(transactions.get(transaction.id).state, 'committed')

    // What was refused is known, however.
    const refused = await orders.transaction()
    controller.before = (rpc) => {
      if (rpc === 'commitTransaction') throw new ControllerError('permission-denied', 'No')
    }
    await rejects(refused.commit(), failsWith('unauthorized'))
    controller.before = undefined
    await refused.commit()

    // Once it was recorded, only the end itself tells.
    const recorded = await orders.transaction()
    controller.before = (rpc) => {
      if (rpc === 'checkTransactionState') throw new ControllerError('permission-denied', 'No')
    }
    await rejects(recorded.commit(), failsWith('unknown-outcome'))
    controller.before = undefined
    strictEqual(await orders.transactionStatus(recorded.id), 'committed')

    // Nor does a record tell that is there no more.
    const forgotten = await orders.transaction()
    transactions.all.delete(forgotten.id)
    await rejects(forgotten.commit(), failsWith('unknown-outcome'))
    await world.sleep(10)
  }),
)

test(
  'the connection is cut at the commit and the store is closed: the outcome is unknown',
  withClient(async ({ store, orders, controller, world }) => {
    const transaction = await orders.transaction()
    await transaction.write(order(1))
    controller.before = (rpc) => {
      if (rpc === 'commitTransaction') throw new ControllerError('unavailable', 'cut')
    }
    const committing = transaction.commit()
    await world.sleep(5000)
    await Promise.all([
      rejects(committing, failsWith('unknown-outcome', new RegExp(transaction.id))),
      store.close(),
    ])
    await rejects(transaction.commit(), failsWith('closed'))
    strictEqual(controller.transactions.get(transaction.id).state, 'open')
  }),
)

test(
  'a signal ends the waiting for a commit, which may come all the same',
  withClient(async ({ orders, controller, world }) => {
    controller.transactions.held = true
    const transaction = await orders.transaction()
    await transaction.write(order(1))
    const impatient = new AbortController()
    const reason = new Error('enough')
    const committing = transaction.commit({ signal: impatient.signal })
    await world.sleep(100)
    impatient.abort(reason)
    await rejects(committing, reason)
    controller.transactions.finish(transaction.id)
    await transaction.commit()
    await rejects(transaction.write(order(2), { signal: impatient.signal }), reason)
    await rejects(orders.transaction({ signal: impatient.signal }), reason)
  }),
)

test(
  'trap 45: a transaction is given back by its id, with the segments of its own epoch',
  withClient(async ({ orders, other, controller, stored }) => {
    await orders.create()
    const first = await orders.transaction()
    await first.write(order(1))
    await orders.scale(4)
    const again = await other('restarted').openTransaction(first.id)
    strictEqual(again.id, first.id)
    await again.write(order(2))
    await again.commit()
    deepStrictEqual(stored('ada'), [1, 2])
    await rejects(first.write(order(3)), failsWith('txn-committed'))
    await rejects(first.commit(), failsWith('txn-committed'))
    strictEqual(controller.transactions.get(first.id).state, 'committed')
  }),
)

test(
  'what is given back of a transaction that has ended',
  withClient(async ({ orders, other, controller }) => {
    const { transactions } = controller
    const committed = await orders.transaction()
    await committed.commit()
    // After a crash behind the commit, whoever commits again learns that it is done.
    const again = await other('restarted').openTransaction(committed.id)
    await rejects(again.write(order(1)), failsWith('txn-committed'))
    await again.commit()
    await again[Symbol.asyncDispose]()
    {
      await using left = await orders.openTransaction(committed.id)
      strictEqual(left.id, committed.id)
    }
    strictEqual(transactions.get(committed.id).state, 'committed')

    const aborted = await orders.transaction()
    await aborted.abort()
    await rejects(orders.openTransaction(aborted.id), failsWith('txn-aborted'))
    await rejects(orders.openTransaction(UNKNOWN_ID), failsWith('txn-not-found'))
    await rejects(orders.openTransaction('seven'), failsWith('invalid-argument', /UUID/))
    strictEqual(await orders.transactionStatus(aborted.id), 'aborted')
    strictEqual(await orders.transactionStatus(UNKNOWN_ID), 'unknown')
    await rejects(orders.transactionStatus('seven'), failsWith('invalid-argument'))
  }),
)

test(
  'a store that closes leaves its open transactions to whoever opens them again, or to their lease',
  withClient(async ({ store, orders, other, controller, world }) => {
    const { transactions } = controller
    const transaction = await orders.transaction({ leaseMs: 3000 })
    await transaction.write(order(1))
    strictEqual(store.stats().open, 1)
    const writing = transaction.write(order(2))
    await Promise.all([store.close(), writing])
    const pings = transactions.get(transaction.id).leases.length
    await world.sleep(20_000)
    strictEqual(transactions.get(transaction.id).leases.length, pings)
    strictEqual(transactions.get(transaction.id).state, 'open')
    await rejects(transaction.write(order(3)), failsWith('closed'))
    await rejects(transaction.flush(), failsWith('closed'))
    await rejects(transaction.abort(), failsWith('closed'))
    await transaction[Symbol.asyncDispose]()
    const again = await other('again').openTransaction(transaction.id)
    await again.commit()
  }),
)
