import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { GroupState } from '../../protocol/reader-group/group-state.ts'
import type { GroupUpdate } from '../../protocol/reader-group/group-updates.ts'
import { groupOf as stateOf, Player, segmentOf } from '../../testing/group-player.ts'
import { dueMs } from './decisions.ts'
import { LifeSigns } from './life-signs.ts'
import { markedReader } from './reader-id.ts'
import type { ReadingBounds } from './reading-bounds.ts'

const counts = (state: GroupState): number[] =>
  state.readers.map((reader) => state.segmentsOf(reader)?.size ?? 0).toSorted((one, other) => one - other)

test('who comes first takes all, those who come later get their share within seconds', () => {
  const state = stateOf(9)
  const anna = new Player('anna')
  deepStrictEqual(anna.play(state, 0).kinds.slice(0, 2), ['add-reader', 'acquire-segment'])
  strictEqual(anna.holdings.size, 9)
  const bert = new Player('bert')
  const cleo = new Player('cleo')
  for (let nowMs = 100; nowMs < 20_000; nowMs += 100)
    for (const player of [anna, bert, cleo]) player.play(state, nowMs)
  deepStrictEqual(counts(state), [3, 3, 3])
})

test('what was acknowledged is recorded within 5 s, in one update that leaves the segment where it is', () => {
  const state = stateOf(2)
  const anna = new Player('anna')
  anna.play(state, 0)
  const [first] = anna.holdings.values()
  first?.ack(100)
  deepStrictEqual(anna.play(state, 1000).kinds, [])
  deepStrictEqual(anna.play(state, 4500).kinds, [
    'release-segment',
    'acquire-segment',
    'update-distance-to-tail',
  ])
  strictEqual(state.segmentsOf('anna')?.get(first!.segment), 100)
  strictEqual(state.lastReadPositions('shop/orders').get(first!.segment), 100)
  deepStrictEqual(anna.play(state, 10_000).kinds, [])
})

test('while a checkpoint waits for a reader it does nothing but report', () => {
  const state = stateOf(4)
  const anna = new Player('anna')
  anna.play(state, 0)
  state.apply({ kind: 'add-reader', reader: 'bert' })
  state.apply({ kind: 'create-checkpoint', checkpoint: 'x' })
  for (const holding of anna.holdings.values()) holding.ack(7)
  // The report comes first; what was acknowledged stands in it, so there is nothing to record.
  const { kinds } = anna.play(state, 5000)
  strictEqual(kinds[0], 'report-checkpoint')
  deepStrictEqual([...(state.segmentsOf('anna')?.values() ?? [])], [7, 7, 7, 7])
  state.apply({ kind: 'report-checkpoint', checkpoint: 'x', reader: 'bert', positions: new Map() })
  strictEqual(state.checkpoints.last?.size, 4)
})

test('a silent checkpoint leaves the recorded positions as they are, so they are recorded afterwards', () => {
  const state = stateOf(1)
  const anna = new Player('anna')
  anna.play(state, 0)
  state.apply({ kind: 'create-checkpoint', checkpoint: 'x_SILENT_' })
  for (const holding of anna.holdings.values()) holding.ack(7)
  anna.play(state, 5000)
  strictEqual(state.segmentsOf('anna')?.get(segmentOf(0)), 7)
})

test('the segment whose events are in hand is not given away', () => {
  const state = stateOf(2)
  const anna = new Player('anna')
  anna.play(state, 0)
  const held = [...anna.holdings.values()].at(-1)
  anna.delivering = held
  state.apply({ kind: 'add-reader', reader: 'bert' })
  for (let nowMs = 0; nowMs < 3000; nowMs += 500) anna.play(state, nowMs)
  deepStrictEqual([...anna.holdings.values()], [held])
})

test('a reader that was taken out learns it, and one whose id another took', () => {
  const state = stateOf(2)
  const anna = new Player('anna')
  anna.play(state, 0)
  state.apply({ kind: 'remove-reader', reader: 'anna', owned: new Map() })
  strictEqual(anna.play(state, 100).last.kind, 'removed')
  state.apply({ kind: 'add-reader', reader: 'anna' })
  strictEqual(anna.play(state, 200).last.kind, 'replaced')
  const next = new Player('anna')
  deepStrictEqual(next.play(state, 300).kinds.slice(0, 2), ['remove-reader', 'add-reader'])
  anna.joins = 3
  strictEqual(anna.play(state, 400).last.kind, 'replaced')
})

test('a reader that ends at a cut takes only what lies before it, and leaves when it is done', () => {
  const state = stateOf(4)
  const bounds: ReadingBounds = {
    limitOf: () => 100,
    isBefore: (segment, offset) => segment < segmentOf(2) && offset < 100,
  }
  const anna = new Player('anna', { bounds })
  anna.play(state, 0)
  deepStrictEqual([...anna.holdings.keys()], [segmentOf(0), segmentOf(1)])
  for (const holding of anna.holdings.values()) {
    holding.ack(100)
    holding.end = { kind: 'at-cut' }
  }
  const { last, kinds } = anna.play(state, 100)
  strictEqual(last.kind, 'over')
  deepStrictEqual(kinds, ['remove-reader'])
  deepStrictEqual(state.unassigned.get(segmentOf(0)), 100)
  // Nothing before the cut: it does not even join.
  deepStrictEqual(new Player('bert', { bounds }).play(state, 200), { last: { kind: 'over' }, kinds: [] })
})

test('the end of a segment waits for what follows it, then its successors come in its place', () => {
  const state = stateOf(2)
  const anna = new Player('anna')
  anna.play(state, 0)
  const holding = anna.holdings.get(segmentOf(0))!
  holding.end = { kind: 'ended', following: undefined }
  deepStrictEqual(anna.play(state, 100).kinds, [])
  const range = { low: 0, high: 0.5 }
  const successors = [{ segment: 'shop/orders/2.#epoch.1', range, predecessors: [0n] }]
  holding.end = { kind: 'ended', following: { kind: 'successors', successors } }
  ok(anna.play(state, 200).kinds.includes('complete-segment'))
  deepStrictEqual([...anna.holdings.keys()].toSorted(), [segmentOf(1), 'shop/orders/2.#epoch.1'])
  deepStrictEqual(state.rangeOf('shop/orders/2.#epoch.1'), range)
})

test('whatever readers come and go: no update is illegal, no segment is lost, and in the end all have their shares', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('play' as const), who: fc.nat(5), afterMs: fc.nat(3000) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('ack' as const), who: fc.nat(5), afterMs: fc.nat(100) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('leave' as const, 'die' as const, 'checkpoint' as const),
        who: fc.nat(5),
        afterMs: fc.nat(100),
      }),
    },
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 80 }), (segments, steps) => {
      const state = stateOf(segments)
      const players = new Map<number, Player>()
      let nowMs = 0
      let lives = 0
      const playerOf = (who: number): Player => {
        const player = players.get(who) ?? new Player(`reader-${who}-${++lives}`)
        players.set(who, player)
        return player
      }
      for (const { kind, who, afterMs } of steps) {
        nowMs += afterMs
        const player = playerOf(who)
        if (kind === 'play') player.play(state, nowMs)
        else if (kind === 'ack') for (const holding of player.holdings.values()) holding.ack(nowMs)
        else if (kind === 'checkpoint')
          state.apply({ kind: 'create-checkpoint', checkpoint: `at-${nowMs}-${who}` })
        else if (player.joined !== undefined) {
          // One that died is taken out by somebody who does not know where it was.
          const { reader } = player
          if (kind === 'leave') player.leave(state)
          else state.apply({ kind: 'remove-reader', reader, owned: new Map() })
          players.delete(who)
        }
        strictEqual(state.segmentCount, segments)
      }
      for (let round = 0; round < 400; round++) {
        nowMs += 500
        for (const player of players.values()) player.play(state, nowMs)
      }
      strictEqual(state.segmentCount, segments)
      const shares = counts(state)
      if (shares.length === 0) return
      strictEqual(state.unassigned.size, 0)
      ok(shares.at(-1)! - shares[0]! <= 1, `shares ${shares.join(' ')}`)
    }),
    { numRuns: 150, seed: 7 },
  )
})

/** A group of two readers with these ids, and what the first one has seen of the other. */
function pair(
  one: string,
  other: string,
): { state: GroupState; life: LifeSigns; anna: Player; bert: Player } {
  const life = new LifeSigns()
  const state = stateOf(2)
  life.caughtUp(0, 0)
  const onUpdate = (update: GroupUpdate): void => life.applied(update, state, 0)
  const anna = new Player(one, { life, onUpdate })
  const bert = new Player(other, { onUpdate })
  life.enter(one)
  bert.play(state, 0)
  anna.play(state, 0)
  return { state, life, anna, bert }
}

/** Looks on for half a minute, in which nothing comes. */
function lookOn(life: LifeSigns): void {
  for (let nowMs = 0; nowMs <= 30_000; nowMs += 3000) life.caughtUp(nowMs, nowMs)
}

test('a reader that has nothing else to write shows life every five seconds, if another of ours is there to see it', () => {
  const signs = ({ state, anna }: { state: GroupState; anna: Player }): number => {
    let count = 0
    for (let nowMs = 100; nowMs < 20_100; nowMs += 250) {
      const { kinds } = anna.play(state, nowMs)
      if (kinds.length === 1 && kinds[0] === 'update-distance-to-tail') count++
    }
    return count
  }
  const two = pair(markedReader('anna'), markedReader('bert'))
  strictEqual(signs(two), 3)
  ok(dueMs(two.anna.timers, 20_100) <= 25_000)
  const alone = pair(markedReader('anna'), 'java')
  strictEqual(signs(alone), 0)
  // What is overdue though nobody asks for it does not keep the reader awake.
  ok(dueMs(alone.anna.timers, 20_100) > 20_100)
})

test('whatever a reader writes shows that it lives', () => {
  const { state, life, anna } = pair(markedReader('anna'), markedReader('bert'))
  for (let nowMs = 100; nowMs < 100_000; nowMs += 100) {
    life.caughtUp(nowMs, nowMs)
    const { kinds } = anna.play(state, nowMs)
    const shows = kinds.some((kind) => kind === 'update-distance-to-tail' || kind === 'report-checkpoint')
    ok(kinds.length === 0 || shows, kinds.join(' '))
  }
  deepStrictEqual(state.readers, [anna.reader])
})

test('who is silent is taken out, and what it had is taken', () => {
  const { state, life, anna, bert } = pair(markedReader('anna'), markedReader('bert'))
  strictEqual(state.segmentsOf(bert.reader)?.size, 2)
  bert.holdings.get(segmentOf(0))?.ack(70)
  lookOn(life)
  const { kinds } = anna.play(state, 30_000)
  deepStrictEqual(kinds.slice(0, 4), [
    'remove-reader',
    'update-distance-to-tail',
    'acquire-segment',
    'acquire-segment',
  ])
  strictEqual(anna.holdings.get(segmentOf(0))?.position, 0)
  // The dead one, if it comes to itself.
  strictEqual(bert.play(state, 31_000).last.kind, 'removed')
  const other = pair(markedReader('anna'), 'java')
  lookOn(other.life)
  deepStrictEqual(
    other.anna.play(other.state, 30_000).kinds.filter((kind) => kind === 'remove-reader'),
    [],
  )
})

test('a reader for whom a checkpoint waits reports first, and takes out the dead then, which completes the checkpoint', () => {
  const { state, life, anna } = pair(markedReader('anna'), markedReader('bert'))
  state.apply({ kind: 'create-checkpoint', checkpoint: 'x' })
  lookOn(life)
  const { kinds } = anna.play(state, 30_000)
  deepStrictEqual(kinds.slice(0, 2), ['report-checkpoint', 'remove-reader'])
  strictEqual(state.checkpoints.isComplete('x'), true)
  deepStrictEqual([...(state.checkpoints.last?.values() ?? [])], [0, 0])
})

test('who ends at a cut waits for a reader that may be dead, if that has something before the cut', () => {
  const state = stateOf(1)
  const life = new LifeSigns()
  const bert = new Player(markedReader('bert'))
  bert.play(state, 0)
  life.loaded(state, 0)
  const bounds: ReadingBounds = { limitOf: () => 100, isBefore: (_, offset) => offset < 100 }
  const anna = new Player(markedReader('anna'), { bounds, life })
  deepStrictEqual(anna.play(state, 0).kinds[0], 'add-reader')
  strictEqual(anna.play(state, 1000).last.kind, 'go-on')
  life.applied(
    { kind: 'update-distance-to-tail', reader: bert.reader, distanceMs: 1, lastRead: new Map() },
    state,
    2000,
  )
  strictEqual(anna.play(state, 2000).last.kind, 'over')
  // Nothing before the cut: then it does not matter.
  bert.holdings.get(segmentOf(0))?.ack(100)
  bert.play(state, 6000)
  strictEqual(new Player(markedReader('cleo'), { bounds, life }).play(state, 6000).last.kind, 'over')
  strictEqual(state.readers.length, 1)
})
