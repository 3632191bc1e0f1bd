import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../base/host.ts'
import { type Sender, UnfinishedFrames } from './unfinished-frames.ts'

const KIB = 1024

class FakeSender implements Sender {
  crowded = false
  failure: string | undefined

  setCrowded(crowded: boolean): void {
    this.crowded = crowded
  }

  fail(error: Error): void {
    this.failure = error.message
  }
}

function setUp(): { frames: UnfinishedFrames; senders: FakeSender[]; elapse(): void } {
  let due: (() => void) | undefined
  const clock: Clock = {
    now: () => 0,
    monotonicMs: () => 0,
    defer: () => undefined,
    setTimer: (_delay, callback) => {
      due = callback
      return {
        cancel: () => {
          due = undefined
        },
      }
    },
  }
  const frames = new UnfinishedFrames({ clock, bytesMax: 1000 * KIB })
  return { frames, senders: Array.from({ length: 4 }, () => new FakeSender()), elapse: () => due?.() }
}

function crowded(senders: readonly FakeSender[]): boolean[] {
  return senders.map((sender) => sender.crowded)
}

test('as long as there is room everybody goes on', () => {
  const { frames, senders } = setUp()
  for (const sender of senders) frames.note(sender, 250 * KIB)
  strictEqual(frames.bytes, 1000 * KIB)
  deepStrictEqual(crowded(senders), [false, false, false, false])
  frames.note(senders[0]!, 10 * KIB)
  strictEqual(frames.bytes, 750 * KIB)
})

test('beyond the limit the one that is furthest goes on, and the others when it has finished', () => {
  const { frames, senders } = setUp()
  const [a, b, c] = senders as [FakeSender, FakeSender, FakeSender, FakeSender]
  frames.note(a, 300 * KIB)
  frames.note(b, 500 * KIB)
  frames.note(c, 300 * KIB)
  deepStrictEqual(crowded(senders), [true, false, true, false])
  frames.note(b, 600 * KIB)
  frames.note(b, 0)
  deepStrictEqual(crowded(senders), [false, false, false, false])
})

test('one that does not finish while others wait is cut, and the next one leads', () => {
  const { frames, senders, elapse } = setUp()
  const [a, b, c] = senders as [FakeSender, FakeSender, FakeSender, FakeSender]
  frames.note(a, 600 * KIB)
  frames.note(b, 500 * KIB)
  frames.note(c, 700 * KIB)
  deepStrictEqual(crowded(senders), [false, true, true, false])
  elapse()
  strictEqual(typeof a.failure, 'string')
  frames.note(a, 0)
  deepStrictEqual(crowded(senders), [false, true, false, false])
  elapse()
  strictEqual(typeof c.failure, 'string')
  frames.note(c, 0)
  deepStrictEqual(crowded(senders), [false, false, false, false])
  strictEqual(b.failure, undefined)
})
