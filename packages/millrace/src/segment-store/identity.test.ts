import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '../base/host.ts'
import { simulate } from '../testing/sim/simulate.ts'
import type { World } from '../testing/sim/world.ts'
import { openIdentity, type StoreIdentity } from './identity.ts'
import { LogError } from './log/durable-log.ts'

const directory = 'store'

async function open(host: Host, containers?: number): Promise<StoreIdentity> {
  await host.disk.makeDirectory(directory)
  return openIdentity(host, { directory, containers })
}

async function inWorld(scenario: (world: World) => Promise<void>): Promise<void> {
  await simulate('identity', scenario)
}

test('a store keeps its id and its number of containers, whatever is asked for later', () =>
  inWorld(async (world) => {
    const node = world.node('a')
    const first = await open(node.host, 5)
    strictEqual(first.containers, 5)
    node.crash({ power: true })
    deepStrictEqual(await open(node.restart(), 7), first)
  }))

test('a crash while it is made leaves an empty directory or a store', async () => {
  for (let seed = 0; seed < 60; seed++) {
    await simulate(`identity ${seed}`, async (world) => {
      const node = world.node('a')
      await node.host.disk.makeDirectory(directory)
      void open(node.host).catch(() => undefined)
      await world.sleep(world.random.ratio() * 4)
      node.crash({ power: true })
      const made = await open(node.restart())
      node.crash()
      deepStrictEqual(await open(node.restart()), made)
    })
  }
})

test('a damaged or newer identity is named and left as it is', () =>
  inWorld(async (world) => {
    const node = world.node('a')
    await open(node.host)
    const path = `${directory}/store`
    for (const [position, code, words] of [
      [0, 'damaged', 'does not begin with MILLRACE'],
      [11, 'unknown-version', 'nothing was changed'],
      [20, 'damaged', 'checksum'],
      [31, 'damaged', 'checksum'],
    ] as const) {
      node.disk.flipBit(path, position, 1)
      node.disk.dropCache()
      await rejects(open(node.host), (error) => {
        ok(error instanceof LogError)
        strictEqual(error.code, code)
        ok(error.message.includes(path) && error.message.includes(words), error.message)
        return true
      })
      node.disk.flipBit(path, position, 1)
      node.disk.dropCache()
    }
    strictEqual((await open(node.host)).containers, 16)
  }))

test('a log without the identity it belongs to is not taken for a new store', () =>
  inWorld(async (world) => {
    const { host } = world.node('a')
    await host.disk.makeDirectory(`${directory}/log`)
    await rejects(open(host), { code: 'damaged' })
    deepStrictEqual(await host.disk.list(directory), ['log'])
  }))
