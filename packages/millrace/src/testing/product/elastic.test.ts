import { notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../sim/simulate.ts'
import { playElastic } from './elastic.ts'
import type { History } from './history.ts'

const COMMAND = { command: 'npm run sim -- elastic' }
const SEEDS = 15

test('while everything scales, dies and comes back no event is lost, doubled or out of order, and no transaction torn', async () => {
  const histories: History[] = []
  for (let seed = 0; seed < SEEDS; seed++)
    histories.push((await simulate(seed, (world) => playElastic(world), COMMAND)).value)
  // What did not happen was not proved either.
  const count = (what: (history: History) => number): number =>
    histories.reduce((sum, history) => sum + what(history), 0)
  const ended = (status: string): number =>
    count(({ transactions }) => transactions.filter((one) => one.status === status).length)
  const seen = {
    events: count(({ log }) => log.length),
    epochs: count(({ topologies }) => topologies[0]?.at(-1)?.epoch ?? 0),
    committed: ended('committed'),
    aborted: ended('aborted'),
    truncations: count(({ truncations }) => truncations.length),
    checkpoints: count(({ checkpoints }) => checkpoints.length),
    deliveries: count(({ deliveries }) => deliveries.length),
    losses: count(({ losses }) => losses.length),
    sealed: count(({ sealedAt }) => (sealedAt < Number.POSITIVE_INFINITY ? 1 : 0)),
  }
  for (const [what, times] of Object.entries(seen)) ok(times >= SEEDS / 5, `${what}: ${times}`)
})

test('one seed is one history', async () => {
  const play = (seed: string): ReturnType<typeof simulate<History>> =>
    simulate(seed, (world) => playElastic(world), COMMAND)
  const first = await play('replay')
  strictEqual((await play('replay')).traceHash, first.traceHash)
  notStrictEqual((await play('another')).traceHash, first.traceHash)
})
