import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupState } from '../../protocol/reader-group/group-state.ts'
import type { GroupUpdate } from '../../protocol/reader-group/group-updates.ts'
import { groupOf, segmentOf } from '../../testing/group-player.ts'
import { LifeSigns, owesSigns } from './life-signs.ts'
import { markedReader, shownReader } from './reader-id.ts'

const ANNA = markedReader('anna')
const BERT = markedReader('bert')

/** Somebody who looks at a group every three seconds, and applies what there is then. */
class Watcher {
  readonly life = new LifeSigns()
  readonly state: GroupState = groupOf(3)
  nowMs = 1_000_000

  constructor() {
    this.life.loaded(this.state, this.nowMs)
    this.look()
  }

  look(...updates: readonly GroupUpdate[]): void {
    const startMs = this.nowMs
    for (const update of updates) {
      this.state.apply(update)
      this.life.applied(update, this.state, this.nowMs)
    }
    this.life.caughtUp(startMs, this.nowMs)
  }

  /** Looks on for so long. What is dead at the end, and after how many seconds it was seen to be. */
  wait(seconds: number, each: (second: number) => readonly GroupUpdate[] = () => []): [string, number][] {
    const died = new Map<string, number>()
    for (let second = 3; second <= seconds; second += 3) {
      this.nowMs += 3000
      this.look(...each(second))
      for (const reader of this.life.silent()) if (!died.has(reader)) died.set(reader, second)
    }
    return [...died]
  }
}

const add = (reader: string): GroupUpdate => ({ kind: 'add-reader', reader })

function lag(reader: string): GroupUpdate {
  return { kind: 'update-distance-to-tail', reader, distanceMs: 1, lastRead: new Map() }
}

test('a reader that shows no life for 30 s is dead, one that shows it in whatever way is not', () => {
  const watcher = new Watcher()
  watcher.look(add(ANNA), add(BERT))
  const signs = (second: number): readonly GroupUpdate[] => {
    if (second === 9) return [{ kind: 'acquire-segment', reader: BERT, segment: segmentOf(0) }]
    if (second === 18) return [{ kind: 'release-segment', reader: BERT, segment: segmentOf(0), offset: 9 }]
    return second % 27 === 0 ? [lag(BERT)] : []
  }
  deepStrictEqual(watcher.wait(120, signs), [[ANNA, 30]])
})

test("Java's readers are never dead, and neither are those of this process", () => {
  const watcher = new Watcher()
  watcher.look(add('java'), add(ANNA), add(BERT))
  const end = watcher.life.enter(ANNA)
  const endSecond = watcher.life.enter(ANNA)
  deepStrictEqual(watcher.wait(90), [[BERT, 30]])
  strictEqual(watcher.life.livesSince('java', watcher.nowMs), true)
  strictEqual(watcher.life.livesSince(ANNA, watcher.nowMs), true)
  end()
  end()
  strictEqual(watcher.life.livesSince(ANNA, watcher.nowMs), true)
  endSecond()
  deepStrictEqual(watcher.life.silent(), [ANNA, BERT])
})

test('one that was alone has its 30 s from when somebody begins to look', () => {
  const watcher = new Watcher()
  watcher.look(add(ANNA), add('java'))
  strictEqual(owesSigns(watcher.state, ANNA), false)
  watcher.wait(300)
  watcher.look(add(BERT))
  strictEqual(owesSigns(watcher.state, ANNA), true)
  deepStrictEqual(watcher.life.silent(), [])
  deepStrictEqual(
    watcher.wait(60, () => [lag(BERT)]),
    [[ANNA, 30]],
  )
  // A third one changes nothing for the dead.
  watcher.look(add(markedReader('cleo')))
  deepStrictEqual(watcher.life.silent(), [ANNA])
})

test('who waits for a checkpoint looks, too', () => {
  const watcher = new Watcher()
  watcher.look(add(ANNA))
  watcher.wait(300)
  watcher.look({ kind: 'create-checkpoint', checkpoint: 'x' })
  deepStrictEqual(watcher.life.silent(), [])
  deepStrictEqual(watcher.wait(36), [[ANNA, 30]])
})

test('who has not looked on all the time begins anew, and so does who has missed something', () => {
  const watcher = new Watcher()
  watcher.look(add(ANNA), add(BERT))
  watcher.wait(27)
  watcher.nowMs += 60_000
  watcher.look()
  deepStrictEqual(watcher.life.silent(), [])
  watcher.wait(27)
  watcher.life.missed(watcher.nowMs)
  deepStrictEqual(watcher.wait(27), [])
  deepStrictEqual(watcher.wait(3), [
    [ANNA, 3],
    [BERT, 3],
  ])
})

test('a whole state keeps what is known of those in it, and readers first seen in it have their time', () => {
  const watcher = new Watcher()
  watcher.look(add(ANNA), add(BERT))
  watcher.wait(15)
  watcher.look(watcher.state.compact())
  deepStrictEqual(watcher.wait(15), [
    [ANNA, 15],
    [BERT, 15],
  ])
  const other = new Watcher()
  other.look(watcher.state.compact())
  deepStrictEqual(other.life.livesSince(ANNA, other.nowMs - 1000), false)
  deepStrictEqual(other.wait(33), [
    [ANNA, 30],
    [BERT, 30],
  ])
  // One that starts over has nobody in it.
  other.look({ kind: 'remove-reader', reader: ANNA, owned: new Map() })
  deepStrictEqual(other.life.silent(), [BERT])
})

test('a late sign of one that has been taken out means nothing', () => {
  const watcher = new Watcher()
  watcher.look(add(ANNA), add(BERT))
  watcher.look({ kind: 'remove-reader', reader: ANNA, owned: new Map() }, lag(ANNA))
  strictEqual(watcher.life.livesSince(ANNA, 0), false)
  deepStrictEqual(watcher.wait(33), [[BERT, 30]])
})

test('the mark of an id is ours alone, and programs do not see it', () => {
  strictEqual(shownReader(ANNA), 'anna')
  strictEqual(shownReader('anna'), 'anna')
  strictEqual(/^[A-Za-z0-9.-]+$/.test(ANNA), false)
})
