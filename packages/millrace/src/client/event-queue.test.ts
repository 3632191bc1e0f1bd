import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Completion } from './completion.ts'
import { EventQueue } from './event-queue.ts'
import { SlabPool } from './slab-pool.ts'

function eventsIn(data: Buffer): string[] {
  const events: string[] = []
  for (let at = 0; at < data.length; ) {
    strictEqual(data.readInt32BE(at), 0)
    const length = data.readInt32BE(at + 4)
    events.push(data.toString('utf8', at + 8, at + 8 + length))
    at += 8 + length
  }
  return events
}

test('what is pushed before a send leaves as one batch, numbered from 0', () => {
  const queue = new EventQueue(new SlabPool())
  const completion = new Completion()
  strictEqual(queue.pushText('a', 0.1, completion), 9)
  strictEqual(queue.pushText('äöü', 0.2, completion), 14)
  strictEqual(queue.pushBytes(Buffer.from('raw'), 0.3, completion), 11)
  deepStrictEqual(queue.peek(), { bytes: 34, growing: true })
  const batch = queue.send()
  deepStrictEqual(eventsIn(batch.data), ['a', 'äöü', 'raw'])
  strictEqual(batch.eventCount, 3)
  strictEqual(batch.lastEventNumber, 2)
  strictEqual(queue.peek(), undefined)
  queue.pushText('later', 0, completion)
  strictEqual(queue.send().lastEventNumber, 3)
})

test('an acknowledgement settles whoever waits for those events, and nobody else', async () => {
  const queue = new EventQueue(new SlabPool())
  const [one, two] = [new Completion(), new Completion()]
  queue.pushText('a', 0, one)
  queue.pushText('b', 0, two)
  queue.send()
  queue.pushText('c', 0, one)
  queue.send()
  strictEqual(queue.acknowledge(1), 18)
  await two.done()
  ok(!one.settled)
  queue.acknowledge(1)
  strictEqual(queue.acknowledge(2), 9)
  await one.done()
  strictEqual(queue.events, 0)
  strictEqual(queue.bytes, 0)
})

test('trap 11: after a rewind the rest is sent again, also when the store has half a batch', () => {
  const queue = new EventQueue(new SlabPool())
  const completion = new Completion()
  for (const text of ['a', 'bb', 'ccc']) queue.pushText(text, 0, completion)
  queue.send()
  queue.pushText('dddd', 0, completion)
  queue.send()
  queue.acknowledge(1)
  queue.rewind()
  const again = queue.send()
  deepStrictEqual(eventsIn(again.data), ['ccc'])
  strictEqual(again.eventCount, 1)
  strictEqual(again.lastEventNumber, 2)
  deepStrictEqual(eventsIn(queue.send().data), ['dddd'])
})

test('events move on in order, with their hashes and those who wait for them', async () => {
  const slabs = new SlabPool()
  const from = new EventQueue(slabs)
  const to = new EventQueue(slabs)
  const completion = new Completion()
  for (let i = 0; i < 1000; i++) from.pushText(`event ${i}`, i / 1000, completion)
  from.send()
  const hashes: number[] = []
  from.moveAll((event, hash, waiting) => {
    hashes.push(hash)
    to.pushBytes(event, hash, waiting)
  })
  strictEqual(from.events, 0)
  deepStrictEqual(
    hashes,
    Array.from({ length: 1000 }, (_, index) => index / 1000),
  )
  ok(!completion.settled)
  const moved: string[] = []
  while (to.peek() !== undefined) moved.push(...eventsIn(to.send().data))
  deepStrictEqual(
    moved,
    Array.from({ length: 1000 }, (_, index) => `event ${index}`),
  )
  to.acknowledge(999)
  await completion.done()
})

test('failing tells everybody, and leaves a queue that works', async () => {
  const queue = new EventQueue(new SlabPool())
  const [one, two, three] = [new Completion(), new Completion(), new Completion()]
  queue.pushText('a', 0, one)
  queue.pushText('b', 0, two)
  const waiting = rejects(one.done(), /no room/)
  strictEqual(queue.fail(new Error('no room')), 18)
  await waiting
  await rejects(two.done(), /no room/)
  queue.pushText('c', 0, three)
  strictEqual(queue.send().lastEventNumber, 2)
  queue.acknowledge(2)
  await three.done()
})

test('an event of 8 MiB has a batch of its own; many large ones do not share one', () => {
  const queue = new EventQueue(new SlabPool())
  const completion = new Completion()
  queue.pushText('small', 0, completion)
  queue.pushBytes(Buffer.alloc(8 * 1024 * 1024, 'x'), 0, completion)
  for (let i = 0; i < 10; i++) queue.pushText('y'.repeat(200_000), 0, completion)
  const sizes: number[] = []
  while (queue.peek() !== undefined) sizes.push(queue.send().data.length)
  strictEqual(sizes[1], 8 * 1024 * 1024 + 8)
  ok(sizes.every((size, index) => index === 1 || size <= 512 * 1024))
})

test('a slab is used again when nobody needs it, and not before', () => {
  const slabs = new SlabPool()
  const queue = new EventQueue(slabs)
  const completion = new Completion()
  queue.pushText('first', 0, completion)
  const { slab, data } = queue.send()
  slab.hold() // A connection sends from it.
  queue.acknowledge(0)
  queue.pushText('other', 0, completion)
  ok(queue.send().slab !== slab)
  deepStrictEqual(eventsIn(data), ['first'])
  slab.letGo()
  queue.acknowledge(1)
  queue.pushText('third', 0, completion)
  const third = queue.send().slab
  strictEqual(third.bytes.length, slab.bytes.length)
})

test('whatever is pushed, sent, acknowledged and sent again comes out once and in order', () => {
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ push: fc.string({ maxLength: 30 }), times: fc.integer({ min: 1, max: 300 }) }),
    },
    { weight: 3, arbitrary: fc.constant('send' as const) },
    { weight: 2, arbitrary: fc.record({ acknowledge: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    { weight: 1, arbitrary: fc.constant('rewind' as const) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new EventQueue(new SlabPool())
      const pushed: string[] = []
      const stored: string[] = []
      const completion = new Completion()
      const send = (): void => {
        const { data, eventCount, lastEventNumber } = queue.send()
        const events = eventsIn(data)
        strictEqual(events.length, eventCount)
        // The store keeps what it does not have.
        const first = lastEventNumber - eventCount + 1
        ok(first <= stored.length)
        stored.push(...events.slice(stored.length - first))
      }
      for (const one of steps) {
        if (one === 'send') {
          if (queue.peek() !== undefined) send()
        } else if (one === 'rewind') queue.rewind()
        else if ('push' in one) {
          for (let i = 0; i < one.times; i++) {
            queue.pushText(one.push, 0.5, completion)
            pushed.push(one.push)
          }
        } else {
          const number = Math.floor(one.acknowledge * stored.length) - 1
          if (number >= 0) queue.acknowledge(number)
        }
        strictEqual(queue.events === 0, queue.bytes === 0)
      }
      while (queue.peek() !== undefined) send()
      queue.acknowledge(pushed.length - 1)
      deepStrictEqual(stored, pushed)
      ok(completion.settled)
      strictEqual(queue.bytes, 0)
    }),
    { numRuns: 60, seed: 7 },
  )
})
