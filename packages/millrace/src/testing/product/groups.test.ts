import { ok } from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../sim/simulate.ts'
import { groups } from './groups.ts'

test('readers of a group that come, go and die: every event arrives, in order, and none twice without a death', async () => {
  let read = 0
  for (let seed = 0; seed < 12; seed++)
    read += (await simulate(seed, groups, { command: 'npm run sim -- groups' })).value
  ok(read > 2000, `${read} events in all`)
})
