import { ok } from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../sim/simulate.ts'
import { playElastic } from './elastic.ts'
import { type BugName, PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts'

/** A seed that finds it, as the code is now. When the code changes another one does, not far from it. */
const SEEDS: Readonly<Record<BugName, number>> = {
  'ack before sync': 1,
  'dropped dedup record': 1,
  'successor readable early': 1,
  'commit merged twice': 1,
  'epoch reused after a crash': 16,
  'acks out of order': 17,
  'page cache trusted after a restart': 1,
}

/** How many seeds may pass before a bug is noticed. */
const PATIENCE = 2000

for (const [name, bug] of Object.entries<PlantedBug>(PLANTED_BUGS))
  test(`a store with this bug is found out: ${name}`, async () => {
    const first = SEEDS[name as BugName]
    for (let seed = first; seed < first + PATIENCE; seed++) if (await isFoundBy(seed, bug)) return
    ok(false, `${PATIENCE} seeds did not notice it`)
  })

/** Something is wrong with the bug, and nothing without it. */
async function isFoundBy(seed: number, bug: PlantedBug): Promise<boolean> {
  const takeOut = bug.replace?.()
  let found = false
  try {
    await simulate(seed, (world) => playElastic(world, bug.planted))
  } catch {
    found = true
  } finally {
    takeOut?.()
  }
  if (found) await simulate(seed, (world) => playElastic(world))
  return found
}
