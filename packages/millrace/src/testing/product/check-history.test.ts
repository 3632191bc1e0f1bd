import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { checkHistory } from './check-history.ts'
import { History, type Sent, type TopologySeen, type Txn } from './history.ts'

const SEGMENT = 'shop/orders/0.#epoch.0'
const OTHER = 'shop/orders/1.#epoch.1'

/** Some plain events of one key, acknowledged and in the log in their order. */
function written(count: number): { history: History; sent: Sent[] } {
  const history = new History()
  const sent: Sent[] = []
  for (let index = 0; index < count; index++) sent.push(write(history))
  return { history, sent }
}

function write(history: History, session = 'writer'): Sent {
  const sent = history.send('ada', session)
  history.acknowledge([sent])
  put(history, sent)
  return sent
}

function put(history: History, { id, key }: Sent, segment: string = SEGMENT): void {
  history.log.push({ id, key, segment, offset: history.log.length * 10 })
}

/** A transaction of one event for each segment. */
function begun(history: History, segments: readonly string[]): { transaction: Txn; events: Sent[] } {
  const transaction = history.begin(`txn-${history.transactions.length}`)
  const events = segments.map((segment) => history.send(segment, 'writer', transaction))
  history.acknowledge(events)
  return { transaction, events }
}

function commit(history: History, transaction: Txn): void {
  transaction.commitAskedAt = history.now()
  transaction.committedAt = history.now()
  transaction.status = 'committed'
}

function deliver(
  history: History,
  { id }: Sent,
  session: string,
  to: 'deliveries' | 'sights' = 'deliveries',
): void {
  const place = history.log.find((one) => one.id === id)!
  history[to].push({ ...place, at: history.now(), session })
}

function finds(history: History, problem: RegExp): void {
  const lines = checkHistory(history)
  strictEqual(lines.length > 0, true, 'nothing was found')
  match(lines.join('\n'), problem)
}

test('nothing is wrong where nothing is', () => {
  const { history, sent } = written(3)
  const { transaction, events } = begun(history, [SEGMENT, OTHER])
  commit(history, transaction)
  put(history, events[0]!)
  put(history, events[1]!, OTHER)
  const { transaction: dropped } = begun(history, [SEGMENT])
  dropped.status = 'aborted'
  // Nobody was told of this one, so it may be there or not.
  history.send('ada', 'writer')
  history.grouped = true
  for (const event of [...sent, ...events]) deliver(history, event, 'reader')
  for (const event of [...sent, ...events]) deliver(history, event, 'outsider', 'sights')
  deepStrictEqual(checkHistory(history), [])
})

test('an acknowledged event that is not there is lost', () => {
  const { history } = written(3)
  history.log.splice(1, 1)
  finds(history, /^lost: event 1 of key ada/)
})

test('an event that is there twice is a duplicate', () => {
  const { history, sent } = written(3)
  put(history, sent[0]!)
  finds(history, /duplicate: event 0/)
})

test('an event whose writer had not heard of it when it was truncated away may come again, any other may not', () => {
  const { history, sent } = written(2)
  history.truncations.push({ at: history.now(), logLength: 2 })
  put(history, sent[1]!, OTHER)
  finds(history, /duplicate: event 1/)
  sent[1]!.acknowledgedAt = history.now()
  deepStrictEqual(checkHistory(history), [])
})

test('an event that nobody sent, or under another key, was never sent', () => {
  const { history } = written(1)
  history.log.push({ id: 7, key: 'ada', segment: SEGMENT, offset: 100 })
  finds(history, /never sent: event 7/)
  const other = written(1).history
  other.log[0] = { ...other.log[0]!, key: 'bob' }
  finds(other, /never sent: event 0 of key bob/)
})

test('events of one session and key out of the order of their sending are reordered', () => {
  const history = new History()
  const sent = [history.send('ada', 'writer'), history.send('ada', 'writer')]
  history.acknowledge(sent)
  for (const event of sent.toReversed()) put(history, event)
  finds(history, /reordered: event 0 .* behind event 1/)
})

test('an event before one that had been acknowledged when it was sent is reordered, whoever sent them', () => {
  const history = new History()
  const first = history.send('ada', 'one')
  history.acknowledge([first])
  const second = history.send('ada', 'two')
  put(history, second)
  put(history, first)
  finds(history, /reordered: event 1 .* is before what had been written when it was sent/)
})

test('a transaction committed before an event was sent lies before it', () => {
  const history = new History()
  const transaction = history.begin('txn')
  const inside = history.send('ada', 'writer', transaction)
  history.acknowledge([inside])
  commit(history, transaction)
  write(history)
  put(history, inside)
  finds(history, /reordered: event 1/)
})

test('of a committed transaction everything is there, of an aborted one nothing', () => {
  const history = new History()
  const { transaction, events } = begun(history, [SEGMENT, OTHER])
  commit(history, transaction)
  put(history, events[0]!)
  finds(history, /committed but missing: event 1/)
  transaction.status = 'aborted'
  transaction.committedAt = undefined
  finds(history, /aborted but read: event 0/)
})

test('what was said of a transaction holds, and every one ends', () => {
  const history = new History()
  const { transaction } = begun(history, [])
  commit(history, transaction)
  transaction.status = 'aborted'
  finds(history, /commit forgotten/)
  const other = new History()
  const late = begun(other, []).transaction
  late.abortedAt = other.now()
  late.status = 'committed'
  finds(other, /abort forgotten/)
  late.status = 'committing'
  finds(other, /unfinished: transaction txn-0 is committing/)
})

test('a transaction that lies in pieces in one segment is torn', () => {
  const { history } = written(1)
  const { transaction, events } = begun(history, [SEGMENT, SEGMENT])
  commit(history, transaction)
  put(history, events[0]!)
  write(history, 'another')
  put(history, events[1]!)
  finds(history, /torn: transaction txn-0/)
})

test('an event has one place, and a place one event', () => {
  const { history, sent } = written(2)
  history.sights.push({ ...history.log[1]!, offset: 500, at: history.now(), session: 'outsider' })
  finds(history, /offsets disagree: event 1 is at/)
  const other = written(2).history
  other.sights.push({ ...other.log[0]!, id: sent[1]!.id, at: other.now(), session: 'outsider' })
  finds(other, /offsets disagree: events 1 and 0 are both at/)
})

test('what was read is there in the end, and was not read before it might be', () => {
  const { history, sent } = written(2)
  deliver(history, sent[1]!, 'outsider', 'sights')
  history.log.pop()
  finds(history, /read but gone: event 1/)
  const other = new History()
  const { transaction, events } = begun(other, [SEGMENT])
  put(other, events[0]!)
  deliver(other, events[0]!, 'outsider', 'sights')
  commit(other, transaction)
  finds(other, /read too early: event 0/)
})

test('who reads alone reads in order and nothing twice', () => {
  const { history, sent } = written(2)
  for (const event of sent.toReversed()) deliver(history, event, 'outsider', 'sights')
  finds(history, /read out of order: event 0 of key ada after 1 by outsider/)
  const other = written(1)
  for (let times = 0; times < 2; times++) deliver(other.history, other.sent[0]!, 'outsider', 'sights')
  finds(other.history, /read twice: event 0/)
})

test('a group gets everything, in order, and again only what was given to a reader that went without a word', () => {
  const { history, sent } = written(2)
  history.grouped = true
  deliver(history, sent[0]!, 'one')
  finds(history, /not delivered: event 1/)
  deliver(history, sent[0]!, 'two')
  deliver(history, sent[1]!, 'two')
  finds(history, /two owners: event 0 .* was given to one and to two/)
  const recovered = written(1)
  recovered.history.grouped = true
  deliver(recovered.history, recovered.sent[0]!, 'one')
  recovered.history.losses.push({ at: recovered.history.now(), session: 'one' })
  deliver(recovered.history, recovered.sent[0]!, 'two')
  deepStrictEqual(checkHistory(recovered.history), [])
  deliver(recovered.history, recovered.sent[0]!, 'three')
  finds(recovered.history, /two owners/)
})

test('a group that reads a successor before its predecessor is finished reads out of order', () => {
  const { history, sent } = written(2)
  history.grouped = true
  for (const event of sent.toReversed()) deliver(history, event, 'one')
  finds(history, /read out of order/)
})

test('what lies before a checkpoint had been read when it was complete', () => {
  const { history, sent } = written(2)
  history.grouped = true
  deliver(history, sent[0]!, 'one')
  history.checkpoints.push({ at: history.now(), logLength: 2 })
  deliver(history, sent[1]!, 'one')
  finds(history, /cut disagrees: event 1/)
})

test('nothing gets into a sealed stream', () => {
  const { history } = written(1)
  history.sealedAt = history.now()
  write(history)
  finds(history, /written after the end: event 1/)
})

test('the ranges of every epoch are the whole, and no epoch is left out', () => {
  const { history } = written(1)
  const topology = (epoch: number, borders: readonly number[]): TopologySeen => ({
    epoch,
    segments: borders.slice(1).map((high, index) => ({
      id: `${index}.#epoch.${epoch}`,
      range: { low: borders[index]!, high },
      predecessors: [],
    })),
  })
  history.topologies.push([topology(0, [0, 1]), topology(1, [0, 0.5, 1])])
  deepStrictEqual(checkHistory(history), [])
  history.topologies[0]!.push(topology(3, [0, 1]))
  finds(history, /epochs: 3 was seen after 1/)
  history.topologies[0] = [topology(0, [0, 0.5])]
  finds(history, /ranges: epoch 0 ends at 0.5/)
  history.topologies[0] = [topology(0, [0.25, 1])]
  finds(history, /ranges: epoch 0 has a gap/)
})
