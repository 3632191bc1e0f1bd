import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../base/host.ts'
import { LiveTime } from './live-time.ts'
import { nextTurn } from './turns.ts'
import { World } from './world.ts'

function live(): { time: LiveTime; world: World; clock: Clock; heard: string[] } {
  const world = new World('live')
  const time = new LiveTime(world.timeline)
  return { time, world, clock: world.node('a').host.clock, heard: [] }
}

test('what is due runs by itself, and time stands still meanwhile', async () => {
  const { world, clock, heard } = live()
  const done = new Promise<void>((resolve) => {
    clock.defer(() => {
      heard.push('first')
      clock.defer(() => {
        heard.push('second')
        resolve()
      })
    })
  })
  await done
  deepStrictEqual(heard, ['first', 'second'])
  strictEqual(world.nowMs, 0)
})

test('time passes by itself over a pause that somebody waits for, and over nothing else', async () => {
  const { time, world, clock, heard } = live()
  clock.setTimer(30, () => heard.push('nobody waits for this'), { weak: true })
  clock.setTimer(5000, () => heard.push('this takes long'))
  await new Promise<void>((resolve) => void clock.setTimer(50, resolve))
  strictEqual(world.nowMs, 50)
  deepStrictEqual(heard, ['nobody waits for this'])
  await turns(10)
  strictEqual(world.nowMs, 50)
  await time.advance(4950)
  deepStrictEqual(heard, ['nobody waits for this', 'this takes long'])
})

test('timers fire in their order, and what they begin is done before later ones fire', async () => {
  const { time, clock, heard } = live()
  clock.setTimer(20, () => heard.push('late'), { weak: true })
  clock.setTimer(10, () => clock.defer(() => void Promise.resolve().then(() => heard.push('early'))), {
    weak: true,
  })
  await time.advance(20)
  deepStrictEqual(heard, ['early', 'late'])
})

test('one advance begins where the one before ends', async () => {
  const { time, world } = live()
  const ends: number[] = []
  await Promise.all([
    time.advance(100).then(() => ends.push(world.nowMs)),
    time.advance(50).then(() => ends.push(world.nowMs)),
  ])
  deepStrictEqual(ends, [100, 150])
})

test('a timer that was cancelled, or whose process is gone, does not make time pass', async () => {
  const { world, clock } = live()
  clock.setTimer(10, () => undefined).cancel()
  clock.setTimer(20, () => undefined)
  world.node('a').crash()
  await turns(10)
  strictEqual(world.nowMs, 0)
})

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => nextTurn(resolve))
}
