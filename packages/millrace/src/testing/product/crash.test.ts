import { notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { type Simulation, simulate } from '../sim/simulate.ts'
import { crashes } from './crashes.ts'

function play(seed: string | number): Promise<Simulation<number>> {
  return simulate(seed, crashes, { command: 'npm run sim -- crashes' })
}

test('through kills and power cuts no acknowledged event is lost, doubled or out of order', async () => {
  let written = 0
  for (let seed = 0; seed < 25; seed++) written += (await play(seed)).value
  ok(written > 5000, `${written} events in all`)
})

test('one seed is one history of the whole product', async () => {
  const first = await play('replay')
  const again = await play('replay')
  strictEqual(again.traceHash, first.traceHash)
  notStrictEqual((await play('another')).traceHash, first.traceHash)
  ok(first.events > 1000)
})
