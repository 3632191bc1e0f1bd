import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '../../base/host.ts'
import { GatedDisk } from '../../testing/gated-disk.ts'
import { durable, failsWith, LOG_DIRECTORY, LogStore, putDurably } from '../../testing/log-store.ts'
import { simulate } from '../../testing/sim/simulate.ts'
import type { World } from '../../testing/sim/world.ts'
import { LogError } from './durable-log.ts'

test('frames of many containers that come in one turn share one write and one sync', async () => {
  await simulate(1, async (world) => {
    const { host } = world.node('a')
    const store = new LogStore(4)
    await store.open(host)
    await Promise.all(store.containers.map((container) => putDurably(container)))
    strictEqual(store.log.stats.syncs, 1)
    strictEqual(store.log.stats.frames, 4)
    strictEqual(store.log.stats.frameBytes, 4 * 4096)
  })
})

test('what comes while the slots are busy is the next batch', async () => {
  await simulate(2, async (world) => {
    const { gate, host } = gated(world)
    const store = new LogStore(1)
    await store.open(host)
    const container = store.container(0)
    gate.hold(isLog)
    for (let turn = 0; turn < 10; turn++) {
      container.put({ lengths: [10] })
      container.log.wake()
      await world.sleep(1)
    }
    strictEqual(gate.waiting.length, 2, 'Two slots, two writes')
    gate.releaseAll()
    await durable(container, container.put({}))
    deepStrictEqual(container.through, 11)
    ok(store.log.stats.syncs <= 4, `${store.log.stats.syncs} syncs`)
  })
})

test('frames are settled in log order, whichever slot is faster', async () => {
  await simulate(3, async (world) => {
    const { gate, host } = gated(world)
    const store = new LogStore(2)
    await store.open(host)
    const settled: string[] = []
    for (const container of store.containers)
      container.onDurable = (number) => settled.push(`${container.id}:${number}`)
    gate.hold(isLog)
    store.container(0).put({ lengths: [10] })
    store.container(0).log.wake()
    await world.sleep(1)
    store.container(1).put({ lengths: [20] })
    store.container(1).log.wake()
    await world.sleep(1)
    gate.release(1)
    await world.sleep(100)
    deepStrictEqual(settled, [])
    await failsWith(store.container(1).log.read({ place: 1, extent: 1, offset: 0 }), 'not-found')
    gate.releaseAll()
    await world.sleep(100)
    deepStrictEqual(settled, ['0:1', '1:1'])
    for (const container of store.containers) await container.verify()
  })
})

test('no container starves when another always has more', async () => {
  await simulate(4, async (world) => {
    const store = new LogStore(2)
    await store.open(world.node('a').host)
    const [greedy, modest] = [store.container(0), store.container(1)]
    for (let nth = 0; nth < 200; nth++) greedy.put({ filler: 20_000 })
    greedy.log.wake()
    await putDurably(modest)
    ok(greedy.through < 120, `${greedy.through} of the other were before it`)
  })
})

test('blocks are read from the file that is written, from older ones, and after a start', async () => {
  await simulate(5, async (world) => {
    const node = world.node('a')
    const store = new LogStore(2)
    await store.open(node.host)
    for (let nth = 0; nth < 60; nth++)
      for (const container of store.containers) await putDurably(container, { lengths: [1, 4000, 300] })
    ok(store.log.stats.files > 4)
    for (const container of store.containers) await container.verify()
    await store.log.close()
    await store.open(node.host)
    for (const container of store.containers) {
      strictEqual(container.through, 60)
      await container.verify()
    }
    deepStrictEqual(store.damage, [])
  })
})

test('what was never written, or is no longer pinned, is not found', async () => {
  await simulate(6, async (world) => {
    const store = new LogStore(2)
    await store.open(world.node('a').host)
    const container = store.container(0)
    await putDurably(container, { lengths: [100] })
    await putDurably(store.container(1), { lengths: [100] })
    const { log } = container
    await failsWith(log.read({ place: 1, extent: 1, offset: 100 }), 'not-found')
    await failsWith(log.read({ place: 1, extent: 2, offset: 0 }), 'not-found')
    await failsWith(log.read({ place: 9, extent: 1, offset: 0 }), 'not-found')
    log.unpin(1)
    await failsWith(log.read({ place: 1, extent: 1, offset: 0 }), 'not-found')
    await store.container(1).verify()
  })
})

test('the first failed sync ends the log for good: nothing later is acknowledged, tried again or lost', async () => {
  for (let seed = 0; seed < 10; seed++) {
    await simulate(seed, async (world) => {
      const node = world.node('a')
      const store = new LogStore(3)
      await store.open(node.host)
      for (const container of store.containers) await putDurably(container)
      const end = node.disk.inject({ action: 'sync', path: isLog, times: 1 })
      for (const container of store.containers) {
        for (let nth = 0; nth < 5; nth++) container.put({ lengths: [2000] })
        container.log.wake()
      }
      await world.sleep(200)
      end()
      strictEqual(store.log.failure?.code, 'io')
      for (const container of store.containers) {
        strictEqual(container.failures.length + container.through, 6, 'Each frame is settled once')
        strictEqual(container.take(), undefined)
        const failed = durable(container, container.put({}))
        ok(isLog((await failsWith(failed, 'io')).path ?? ''))
      }
      const { syncs } = store.log.stats
      await world.sleep(2000)
      strictEqual(store.log.stats.syncs, syncs)
      await failsWith(store.container(0).log.beginCheckpoint().save([]), 'io')
      for (const container of store.containers) await container.verify()
      await store.log.close()
      node.crash({ power: true })
      await store.open(node.restart())
      for (const container of store.containers) await container.verify()
    })
  }
})

test('closing waits for what was taken and refuses the rest', async () => {
  await simulate(7, async (world) => {
    const { gate, host } = gated(world)
    const store = new LogStore(1)
    await store.open(host)
    const container = store.container(0)
    gate.hold(isLog)
    container.put({ lengths: [10] })
    container.log.wake()
    await world.sleep(1)
    container.put({ lengths: [10] })
    const closing = store.log.close()
    strictEqual(container.failures[0]?.code, 'closed')
    gate.releaseAll()
    await closing
    await store.log.close()
    strictEqual(container.through, 1)
    await failsWith(durable(container, container.put({})), 'closed')
    await failsWith(container.log.read({ place: 1, extent: 1, offset: 0 }), 'closed')
    await failsWith(container.log.beginCheckpoint().save([]), 'closed')
    throws(() => store.log.openContainer(5, container), { code: 'closed' })
    strictEqual(store.log.failure, undefined)
  })
})

test('a checkpoint bounds what a start reads; a container that logs nothing moves on for free', async () => {
  await simulate(8, async (world) => {
    const node = world.node('a')
    const store = new LogStore(3)
    await store.open(node.host)
    const [busy, idle, behind] = [store.container(0), store.container(1), store.container(2)]
    for (const container of store.containers) await putDurably(container)
    await idle.checkpoint()
    for (let nth = 0; nth < 50; nth++) await putDurably(busy, { filler: 3000 })
    await busy.checkpoint()
    await putDurably(busy)
    await store.log.close()
    await store.open(node.host)
    deepStrictEqual([busy.replayed, idle.replayed, behind.replayed], [1, 0, 1])
    deepStrictEqual([busy.through, idle.through, behind.through], [52, 1, 1])
    await behind.checkpoint()
    await store.log.close()
    const read: number[] = []
    await store.open(node.host, { onProgress: ({ totalBytes }) => read.push(totalBytes) })
    deepStrictEqual([busy.replayed, idle.replayed, behind.replayed], [1, 0, 0])
    ok(
      read.every((total) => total < 300_000),
      'Only the last files are read',
    )
    for (const container of store.containers) await container.verify()
  })
})

test('a second beginning gives the first checkpoint up, and the log asks for one when it moves on', async () => {
  await simulate(9, async (world) => {
    const store = new LogStore(2)
    await store.open(world.node('a').host)
    const container = store.container(0)
    let asked = 0
    container.onCheckpointDue = () => asked++
    store.container(1).onCheckpointDue = () => {
      throw new Error('It has logged nothing')
    }
    const first = container.log.beginCheckpoint()
    const second = container.log.beginCheckpoint()
    await failsAssertion(() => first.save([]))
    await second.save([Buffer.from('{"through":0,"extents":[]}')])
    await failsAssertion(() => second.save([]))
    while (asked === 0) await putDurably(container, { filler: 3000 })
    ok(container.through > 5)
  })
})

test('files that nobody needs are used again, so their number is bounded', async () => {
  await simulate(10, async (world) => {
    const node = world.node('a')
    const store = new LogStore(2)
    await store.open(node.host)
    for (const container of store.containers) container.onCheckpointDue = () => void container.checkpoint()
    let most = 0
    for (let nth = 0; nth < 600; nth++) {
      for (const container of store.containers)
        await putDurably(container, { lengths: [3000], drop: container.extents.slice(0, -3) })
      most = Math.max(most, store.log.stats.fileBytes)
    }
    ok(most <= 9 * 128 * 1024, `${most} bytes at most`)
    const names = await node.host.disk.list(LOG_DIRECTORY)
    ok(names.length < 16, names.join())
    const last = names.findLast((name) => /^log-\d+$/.test(name))
    ok(Number(last?.slice(4)) > 30, `The last file is ${last}`)
    node.crash({ power: true })
    await store.open(node.restart())
    for (const container of store.containers) await container.verify()
  })
})

test('a frame may be far larger than a file, and may have thousands of blocks', async () => {
  await simulate(11, async (world) => {
    const node = world.node('a')
    const store = new LogStore(2)
    await store.open(node.host)
    const container = store.container(0)
    await putDurably(container)
    await putDurably(container, { lengths: Array.from({ length: 272 }, () => 65_536) })
    await putDurably(container, { lengths: Array.from({ length: 20_000 }, (_, nth) => 1 + (nth % 9)) })
    await putDurably(container, { filler: 1_000_000 })
    await putDurably(store.container(1))
    await container.verifyExtent(2)
    const read = await container.log.read({ place: container.placeOf(3), extent: 3, offset: 50_000 })
    ok(read.offset <= 50_000 && read.offset + read.bytes.length > 50_000)
    node.crash({ power: true })
    await store.open(node.restart())
    deepStrictEqual([container.through, store.container(1).through], [4, 1])
    await container.verifyExtent(2)
  })
})

test('on a full volume frames wait, those without bytes pass, and all goes on when there is room again', async () => {
  await simulate(12, async (world) => {
    const node = world.node('a')
    const store = new LogStore(2)
    await store.open(node.host)
    const [writer, deleter] = [store.container(0), store.container(1)]
    await putDurably(writer, { lengths: [100] })
    await world.sleep(50)
    node.disk.capacityBytes = node.disk.usedBytes
    ok(store.log.admission(0) !== 'full')
    while (store.log.admission(0) !== 'full') {
      await Promise.race([putDurably(writer, { lengths: [3000] }), world.sleep(100)])
      ok(writer.through < 100, 'The log becomes full')
    }
    let number = 0
    let waiting = Promise.resolve()
    while (writer.through === number || number === 0) {
      number = writer.put({ lengths: [3000] })
      waiting = durable(writer, number)
      await Promise.race([waiting, world.sleep(100)])
    }
    strictEqual(store.log.admission(0), 'full')
    await putDurably(deleter, {})
    await world.sleep(2000)
    ok(writer.through < number, 'There is no room for it')
    strictEqual(store.log.failure, undefined)
    node.disk.capacityBytes += 1_000_000
    await waiting
    strictEqual(store.log.admission(0), 'open')
    await writer.verify()
    node.crash({ power: true })
    await store.open(node.restart())
    await writer.verify()
  })
})

test('a log on a full volume opens again, and closes while frames wait for room', async () => {
  await simulate(13, async (world) => {
    const node = world.node('a')
    const store = new LogStore(1)
    await store.open(node.host)
    const container = store.container(0)
    await putDurably(container, { lengths: [100] })
    await world.sleep(50)
    node.crash()
    node.disk.capacityBytes = node.disk.usedBytes
    await store.open(node.restart())
    await putDurably(container, { lengths: [100] })
    await world.sleep(50)
    container.put({ lengths: Array.from({ length: 30 }, () => 6000) })
    container.log.wake()
    await world.sleep(1000)
    await store.log.close()
    strictEqual(container.failures.at(-1)?.code, 'closed')
    strictEqual(container.through, 2)
  })
})

test('a checkpoint that finds no room fails alone, and one that fails otherwise ends the log', async () => {
  await simulate(14, async (world) => {
    const node = world.node('a')
    const store = new LogStore(1)
    await store.open(node.host)
    const container = store.container(0)
    await putDurably(container)
    await world.sleep(50)
    node.disk.capacityBytes = node.disk.usedBytes
    await failsWith(container.checkpoint(), 'full')
    node.disk.capacityBytes = Number.POSITIVE_INFINITY
    await putDurably(container)
    await container.checkpoint()
    node.disk.inject({ action: 'sync', path: (path) => path.includes('checkpoint'), times: 1 })
    await failsWith(container.checkpoint(), 'io')
    strictEqual(store.log.failure?.code, 'io')
  })
})

test('a frame that the log cannot take is a mistake of the program and ends the log, not the process', async () => {
  await simulate(15, async (world) => {
    const store = new LogStore(1)
    await store.open(world.node('a').host)
    store.container(0).put({ lengths: [65_537] })
    store.container(0).log.wake()
    await world.sleep(1)
    strictEqual(store.log.failure?.code, 'io')
    ok(store.log.failure instanceof LogError)
    strictEqual(store.log.failure.message.includes('65537 bytes'), true)
  })
})

test('an idle log writes one mark and then nothing', async () => {
  await simulate(16, async (world) => {
    const store = new LogStore(1)
    await store.open(world.node('a').host)
    await putDurably(store.container(0))
    await world.sleep(1000)
    strictEqual(store.log.stats.syncs, 2)
    await world.sleep(60_000)
    strictEqual(store.log.stats.syncs, 2)
  })
})

function gated(world: World): { gate: GatedDisk; host: Host } {
  const { host } = world.node('a')
  const gate = new GatedDisk(host.disk)
  return { gate, host: { ...host, disk: gate.disk } }
}

function isLog(path: string): boolean {
  return /\/log-\d+$/.test(path)
}

async function failsAssertion(body: () => Promise<void>): Promise<void> {
  let name = 'nothing'
  try {
    await body()
  } catch (error) {
    ;({ name } = error as Error)
  }
  strictEqual(name, 'AssertionError')
}
