import { equal, match, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { EventChecker, EventSource, intendedMsOf, keyOf } from './events.ts'

const EVENT_BYTES = 100

function sent(count: number, writer = 0): Buffer[] {
  const source = new EventSource({ eventBytes: EVENT_BYTES, writer })
  return Array.from({ length: count }, (_, index) => Buffer.from(source.next(index * 10)))
}

function seeing(events: readonly Buffer[]): EventChecker {
  const checker = new EventChecker(EVENT_BYTES)
  for (const event of events) checker.see(event)
  return checker
}

test('an event carries its key and its time, and half of its body is random', () => {
  const events = sent(2500)
  equal(events[0]?.length, EVENT_BYTES)
  equal(keyOf(events[2100]!), 'key-100')
  equal(intendedMsOf(events[2100]!), 21_000)
  ok(new Set(events[7]!.subarray(24, 62)).size > 20)
  ok(events[7]!.subarray(62).every((byte) => byte === 0x61))
})

test('what comes as it was sent is right, whatever the order among keys and writers', () => {
  const [one, other] = [sent(3000, 0), sent(2000, 1)]
  const even = one.filter((_event, index) => index % 2 === 0)
  const odd = one.filter((_event, index) => index % 2 === 1)
  const checker = seeing([...odd, ...other, ...even])
  equal(checker.seen, 5000)
  equal(checker.finish([3000, 2000]), undefined)
})

test('events that were sent and never acknowledged may be there', () => {
  equal(seeing(sent(3000)).finish([2900]), undefined)
})

test('a lost event shows, in the middle and at the end', () => {
  const events = sent(3000)
  match(
    seeing(events.toSpliced(500, 1)).finish([3000]) ?? '',
    /event 1500 of writer 0 came where 500 belongs/,
  )
  match(
    seeing(events.slice(0, -1)).finish([3000]) ?? '',
    /event 2999 of writer 0 was acknowledged and is not there/,
  )
  match(seeing([]).finish([0, 5]) ?? '', /event 0 of writer 1 was acknowledged and is not there/)
})

test('an event that comes twice, out of order or with other bytes shows', () => {
  const events = sent(3000)
  match(seeing([...events, events[5]!]).problem ?? '', /event 5 of writer 0 came where 3005 belongs/)
  match(seeing([events[1005]!, events[5]!]).problem ?? '', /event 1005 of writer 0 came where 5 belongs/)
  const wrong = Buffer.from(events[3]!)
  wrong[60]! ^= 1
  match(seeing([events[2]!, wrong]).problem ?? '', /event 3 of writer 0 has other bytes/)
  match(seeing([events[2]!.subarray(1)]).problem ?? '', /99 bytes/)
})
