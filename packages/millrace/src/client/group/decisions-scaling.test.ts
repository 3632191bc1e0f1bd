/**
 * Random walks of readers in TypeScript and in Java over one group's state, while their stream scales. The state refuses what
 * nobody could apply, and the model what must not be read yet, or not again.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { GroupState } from '../../protocol/reader-group/group-state.ts'
import type { GroupUpdate } from '../../protocol/reader-group/group-updates.ts'
import { completionOf, groupOf, JavaPlayer, offsetsOf, Player } from '../../testing/group-player.ts'
import { ScalingModel } from '../../testing/scaling-model.ts'
import { takeOut } from './life-signs.ts'
import { markedReader } from './reader-id.ts'

class Game {
  readonly model: ScalingModel
  readonly state: GroupState
  readonly updates: GroupUpdate[] = []
  readonly #players = new Map<number, Player | JavaPlayer>()
  readonly #javaOnly: boolean
  readonly #oursOnly: boolean
  #lives = 0
  nowMs = 0

  constructor(segments: number, kind: 'ours' | 'java' | 'mixed') {
    this.model = new ScalingModel(segments)
    this.state = groupOf(this.model.open)
    this.#oursOnly = kind === 'ours'
    this.#javaOnly = kind === 'java'
  }

  get players(): readonly (Player | JavaPlayer)[] {
    return [...this.#players.values()]
  }

  player(who: number): Player | JavaPlayer {
    const known = this.#players.get(who)
    if (known !== undefined) return known
    const options = { onUpdate: (update: GroupUpdate): number => this.updates.push(update) }
    const name = `reader-${who}-${++this.#lives}`
    const ours = this.#oursOnly || (!this.#javaOnly && who % 2 === 0)
    const player = ours ? new Player(markedReader(name), options) : new JavaPlayer(name, options)
    this.#players.set(who, player)
    return player
  }

  play(player: Player | JavaPlayer): void {
    if (player instanceof Player) player.play(this.state, this.nowMs)
    else player.play(this.state, this.nowMs, (segment) => this.model.following(segment))
  }

  read(player: Player | JavaPlayer, bytes: number): void {
    if (player instanceof Player) {
      for (const holding of player.holdings.values()) {
        if (holding.end !== undefined) continue
        const { to, ended } = this.model.read(holding.segment, holding.position, bytes)
        holding.ack(to)
        if (ended) holding.end = { kind: 'ended', following: this.model.following(holding.segment) }
      }
      return
    }
    for (const [segment, position] of player.positions) {
      if (position < 0) continue
      const { to, ended } = this.model.read(segment, position, bytes)
      player.positions.set(segment, ended ? -1 : to)
    }
  }

  end(who: number, how: 'leave' | 'die'): void {
    const player = this.#players.get(who)
    if (player === undefined || !this.state.isReaderOnline(player.reader)) return
    this.#players.delete(who)
    if (how === 'leave') return player.leave(this.state)
    this.model.mayRepeat = true
    this.state.apply(takeOut(player.reader))
  }

  checkpoint(): void {
    const checkpoint = `at-${this.nowMs}`
    this.state.apply({ kind: 'create-checkpoint', checkpoint })
    this.state.apply({ kind: 'clear-checkpoints-before', checkpoint })
  }

  /** Everybody goes on until there is nothing left to do. */
  finish(): void {
    for (let round = 0; round < 600; round++) {
      this.nowMs += 500
      if (round % 6 === 0 && !this.state.checkpoints.ongoing) this.checkpoint()
      for (const player of this.players) {
        this.play(player)
        this.read(player, 40)
      }
      if (round > 100 && this.model.allRead && this.state.segmentCount === this.model.open.length) break
    }
  }
}

const who = fc.nat(5)
const afterMs = fc.nat(2000)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('play' as const), who, afterMs }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      who,
      bytes: fc.integer({ min: 1, max: 120 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('scale' as const),
      from: fc.nat(20),
      count: fc.integer({ min: 1, max: 4 }),
      into: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die' as const), who }) },
)

function walk(kind: 'ours' | 'java' | 'mixed', options: { deaths: boolean; runs: number }): void {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 90 }), (segments, steps) => {
      const game = new Game(segments, kind)
      for (const one of steps) {
        switch (one.kind) {
          case 'play':
            game.nowMs += one.afterMs
            game.play(game.player(one.who))
            break
          case 'read':
            game.read(game.player(one.who), one.bytes)
            break
          case 'scale':
            game.model.scale(one)
            break
          case 'checkpoint':
            game.checkpoint()
            break
          case 'leave':
            game.end(one.who, 'leave')
            break
          case 'die':
            game.end(one.who, options.deaths ? 'die' : 'leave')
            break
        }
      }
      for (const each of [0, 1]) game.play(game.player(each))
      game.finish()
      strictEqual(game.model.allRead, true)
      strictEqual(game.state.future.size, 0)
      const owned = game.players.flatMap(({ reader }) => [...(game.state.segmentsOf(reader)?.keys() ?? [])])
      deepStrictEqual(owned.toSorted(), game.model.open.toSorted())
    }),
    { numRuns: options.runs, seed: 11 },
  )
}

test('trap 34: whatever readers come and go while a stream scales, successors wait for all before them, and nothing is read twice', () =>
  walk('ours', { deaths: false, runs: 120 }))

test('the same with readers that die: they repeat at most what was not recorded', () =>
  walk('ours', { deaths: true, runs: 80 }))

test("the same beside Java's readers, which complete segments after a checkpoint", () =>
  walk('mixed', { deaths: true, runs: 120 }))

test("Java's readers alone play by the same rules: the model of them holds", () =>
  walk('java', { deaths: true, runs: 40 }))

test('a finished segment is completed at once; while a checkpoint waits for the reader, only when it has reported', () => {
  const game = new Game(1, 'ours')
  const anna = game.player(0)
  game.play(anna)
  game.model.scale({ from: 0, count: 1, into: 2 })
  game.read(anna, 100)
  game.checkpoint()
  // Nothing has been written for it yet: the report comes before the completion, so the checkpoint has the end of the segment.
  game.updates.length = 0
  game.play(anna)
  deepStrictEqual(
    game.updates.map(({ kind }) => kind).filter((kind) => /checkpoint|complete/.test(kind)),
    ['report-checkpoint', 'complete-segment'],
  )
  const [first = '', low = '', high = ''] = game.model.names
  deepStrictEqual(offsetsOf(game.state.checkpoints.last), { [first]: 100 })
  deepStrictEqual(offsetsOf(game.state.segmentsOf(anna.reader)), { [low]: 0, [high]: 0 })
})

test("what a reader in Java completes is taken by ours once all before it is, also where Java's was first", () => {
  const game = new Game(2, 'mixed')
  const ours = game.player(0)
  game.play(ours)
  const java = game.player(1)
  game.play(java)
  for (; game.state.segmentsOf(java.reader)?.size !== 1; game.nowMs += 500) {
    game.play(ours)
    game.play(java)
  }
  game.model.scale({ from: 0, count: 2, into: 1 })
  const merged = game.model.open[0]!
  const [segment = ''] = game.state.segmentsOf(java.reader)?.keys() ?? []
  game.state.apply(completionOf(java.reader, segment, game.model.following(segment)))
  if (java instanceof JavaPlayer) java.positions.clear()
  game.model.read(segment, 0, 100)
  game.play(ours)
  strictEqual(game.state.future.get(merged)?.size, 1)
  game.read(ours, 100)
  game.play(ours)
  ok(game.state.segmentsOf(ours.reader)?.has(merged))
})
