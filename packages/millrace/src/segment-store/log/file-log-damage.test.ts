import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import type { Host } from '../../base/host.ts'
import { GatedDisk } from '../../testing/gated-disk.ts'
import { failsWith, LOG_DIRECTORY, LOG_STORE_ID, LogStore, putDurably } from '../../testing/log-store.ts'
import { simulate } from '../../testing/sim/simulate.ts'
import type { SimNode, World } from '../../testing/sim/world.ts'
import { LogError } from './durable-log.ts'
import { FrameScanner } from './frame-scanner.ts'
import { blocksPosition, type FrameHeader, HEADER_BYTES } from './frame.ts'
import { logName } from './log-names.ts'

const FIRST = `${LOG_DIRECTORY}/${logName(1)}`

/** Three containers with two frames each, all in the first file, and the node at rest. */
async function prepared(world: World): Promise<{ node: SimNode; store: LogStore; frames: FrameHeader[] }> {
  const node = world.node('a')
  const store = new LogStore(3)
  await store.open(node.host)
  for (let nth = 0; nth < 2; nth++)
    for (const container of store.containers) await putDurably(container, { lengths: [700, 800], filler: 50 })
  await world.sleep(1000)
  const frames = await framesOf(node.host, 1)
  node.crash({ power: true })
  return { node, store, frames }
}

const HEADER_PARTS: readonly [what: string, position: (frame: FrameHeader) => number][] = [
  ['header', (frame) => frame.position + 70],
  ['magic of the header', (frame) => frame.position],
  ['table of blocks', (frame) => frame.position + HEADER_BYTES + 9],
  ['metadata', (frame) => blocksPosition(frame) - 1],
]

for (const [what, positionIn] of HEADER_PARTS) {
  test(`a flipped bit in the ${what} of an acknowledged frame shuts its container and no other`, async () => {
    for (const nth of [0, 1, 2, 3, 4, 5]) {
      await simulate(nth, async (world) => {
        const { node, store, frames } = await prepared(world)
        const frame = frames[nth]!
        node.disk.flipBit(FIRST, positionIn(frame), 3)
        await store.open(node.restart())
        deepStrictEqual(store.damaged, [frame.container])
        const damage = store.container(frame.container).damage
        deepStrictEqual([damage?.code, damage?.path, damage?.position], ['damaged', FIRST, frame.position])
        match(damage?.message ?? '', new RegExp(`container ${frame.container} `))
        throws(() => store.log.openContainer(frame.container, store.container(frame.container)), {
          code: 'damaged',
        })
        for (const container of store.containers) {
          if (container.damage !== undefined) continue
          strictEqual(container.through, 2)
          await container.verify()
          await putDurably(container)
        }
        // It is the same at the next start, and nothing was thrown away.
        await store.log.close()
        await store.open(node.host)
        deepStrictEqual(store.damaged, [frame.container])
        node.disk.flipBit(FIRST, positionIn(frame), 3)
        await store.log.close()
        await store.open(node.host)
        deepStrictEqual(store.damaged, [])
        for (const container of store.containers) await container.verify()
      })
    }
  })
}

test('a flipped bit in a block is found by whoever reads it, and named', async () => {
  await simulate(1, async (world) => {
    const { node, store, frames } = await prepared(world)
    const frame = frames[4]!
    const position = blocksPosition(frame) + 700
    node.disk.flipBit(FIRST, position + 33, 0)
    await store.open(node.restart())
    deepStrictEqual(store.damaged, [])
    const container = store.container(1)
    const error = await failsWith(container.verifyExtent(2), 'damaged')
    deepStrictEqual([error.path, error.position], [FIRST, position])
    match(error.message, /container 1, extent 2, offset 7\d\d|container 1, extent 2, offset 1100/)
    strictEqual((await container.log.read({ place: 1, extent: 2, offset: 0 })).bytes.length, 700)
    await container.verifyExtent(1)
    await store.container(0).verify()
  })
})

test('a block that lies where another should is not taken for it', async () => {
  await simulate(2, async (world) => {
    const { node, store, frames } = await prepared(world)
    // The second extent's blocks of one container over those of the first.
    const from = blocksPosition(frames[3]!)
    node.disk.misdirect(FIRST, { from, to: blocksPosition(frames[0]!), length: 1500 })
    await store.open(node.restart())
    await failsWith(store.container(0).verifyExtent(1), 'damaged')
    await store.container(0).verifyExtent(2)
  })
})

test('a whole frame in the place of another is damage, not that other frame', async () => {
  await simulate(3, async (world) => {
    const { node, store, frames } = await prepared(world)
    node.disk.misdirect(FIRST, { from: frames[3]!.position, to: frames[1]!.position, length: 4096 })
    await store.open(node.restart())
    deepStrictEqual(store.damaged, [1])
  })
})

test('when several headers in a row are destroyed, the chains of the others tell whose they were', async () => {
  await simulate(4, async (world) => {
    const { node, store, frames } = await prepared(world)
    for (const frame of frames.slice(1, 3)) node.disk.flipBit(FIRST, frame.position + 8, 1)
    await store.open(node.restart())
    deepStrictEqual(store.damaged, [1, 2])
    await store.container(0).verify()
  })
})

test('when nobody can tell whose frames are lost, all that might have lost one are shut', async () => {
  await simulate(5, async (world) => {
    const { node, store, frames } = await prepared(world)
    for (const frame of frames.slice(3, 6)) node.disk.flipBit(FIRST, frame.position + 8, 1)
    await store.open(node.restart())
    deepStrictEqual(store.damaged, [0, 1, 2])
    throws(() => store.log.openContainer(17, store.container(0)), { code: 'damaged' }, 'It may not be new')
  })
})

test('a log file that is gone is damage of those that had frames in it', async () => {
  await simulate(6, async (world) => {
    const node = world.node('a')
    const store = new LogStore(3)
    await store.open(node.host)
    await putDurably(store.container(0))
    await putDurably(store.container(1), { filler: 20_000 })
    await putDurably(store.container(1), { filler: 20_000 })
    while (store.log.stats.files < 4) await putDurably(store.container(1), { filler: 20_000 })
    for (const container of store.containers) await putDurably(container)
    await world.sleep(1000)
    await store.log.close()
    node.crash()
    const host = node.restart()
    await host.disk.remove(`${LOG_DIRECTORY}/${logName(2)}`)
    await store.open(host)
    deepStrictEqual(store.damaged, [1])
    await store.container(0).verify()
    await store.container(2).verify()
  })
})

test('frames that nothing says to be durable are cut from the first that is damaged, the others as well', async () => {
  await simulate(7, async (world) => {
    const { host } = world.node('a')
    const gate = new GatedDisk(host.disk)
    const node = world.node('a')
    const store = new LogStore(2)
    await store.open({ ...host, disk: gate.disk })
    for (const container of store.containers) await putDurably(container)
    // Two writes under way, of which the second alone reaches the disk.
    gate.hold((path) => path === FIRST)
    for (const container of store.containers) {
      container.put({ lengths: [5000] })
      container.log.wake()
      await world.sleep(1)
    }
    gate.release(1)
    await world.sleep(20)
    node.crash({ power: true })
    await store.open(node.restart())
    deepStrictEqual(
      store.containers.map((container) => container.through),
      [1, 1],
    )
    deepStrictEqual(store.damaged, [])
    for (const container of store.containers) {
      await putDurably(container, { lengths: [600] })
      await container.verify()
    }
    node.crash({ power: true })
    await store.open(node.restart())
    for (const container of store.containers) {
      strictEqual(container.through, 2)
      await container.verify()
    }
  })
})

test('a place noted behind frames that were cut does not hide the frames of the next epoch', async () => {
  await simulate(8, async (world) => {
    const node = world.node('a')
    const gate = new GatedDisk(node.host.disk)
    const store = new LogStore(2)
    await store.open({ ...node.host, disk: gate.disk })
    const [writer, idle] = [store.container(0), store.container(1)]
    for (const container of store.containers) await putDurably(container)
    await world.sleep(200)
    gate.hold((path) => path === FIRST)
    for (let nth = 0; nth < 2; nth++) {
      writer.put({ lengths: [5000] })
      writer.put({ lengths: [5000] })
      writer.log.wake()
      await world.sleep(1)
    }
    // The anchor puts the idle container behind four frames that will never be.
    await idle.checkpoint()
    node.crash({ power: true })
    await store.open(node.restart())
    deepStrictEqual([writer.through, idle.through], [1, 1])
    await putDurably(idle)
    node.crash({ power: true })
    await store.open(node.restart())
    deepStrictEqual([writer.through, idle.through], [1, 2])
    await idle.verify()
  })
})

test('what a checkpoint builds on is durable, also where no frame says so', async () => {
  await simulate(9, async (world) => {
    const node = world.node('a')
    const store = new LogStore(1)
    await store.open(node.host)
    const container = store.container(0)
    for (let nth = 0; nth < 3; nth++) await putDurably(container, { lengths: [500] })
    await container.checkpoint()
    node.crash({ power: true })
    node.disk.flipBit(FIRST, (await framesOf(node.restart(), 1)).at(-1)!.position + 20, 1)
    await store.open(node.host)
    strictEqual(container.through, 3)
    await container.verifyExtent(1)
    await failsWith(container.verifyExtent(3), 'damaged')
  })
})

test('a file whose only frame is destroyed is not taken for one that was never used', async () => {
  await simulate(17, async (world) => {
    const node = world.node('a')
    const store = new LogStore(1)
    await store.open(node.host)
    const container = store.container(0)
    let extent = 0
    do extent = await putDurably(container, { lengths: [3000] })
    while (container.placeOf(extent) === 1)
    await container.checkpoint()
    node.crash({ power: true })
    const path = `${LOG_DIRECTORY}/${logName(2)}`
    node.disk.flipBit(path, 4096 + 30, 0)
    await store.open(node.restart())
    strictEqual(container.through, extent)
    strictEqual((await failsWith(container.verifyExtent(extent), 'damaged')).path, path)
    await container.verifyExtent(extent - 1)
    await store.log.close()
    node.disk.flipBit(path, 4096 + 30, 0)
    await store.open(node.host)
    await container.verifyExtent(extent)
  })
})

test('frames of earlier uses of a file are not taken for new ones', async () => {
  await simulate(10, async (world) => {
    const node = world.node('a')
    const store = new LogStore(1)
    await store.open(node.host)
    const container = store.container(0)
    container.onCheckpointDue = () => void container.checkpoint()
    for (let nth = 0; nth < 150; nth++)
      await putDurably(container, { lengths: [2500], drop: container.extents.slice(0, -1) })
    const { host } = node
    const last = (await host.disk.list(LOG_DIRECTORY)).findLast((name) => /^log-\d+$/.test(name))
    const file = await host.disk.open(`${LOG_DIRECTORY}/${last}`, 'read')
    const bytes = Buffer.alloc(await file.size())
    await file.read(bytes, 0)
    await file.close()
    let leftovers = 0
    for (let position = 4096; position < bytes.length; position += 4096)
      if (bytes.toString('latin1', position, position + 4) === 'MrFr')
        leftovers += bytes.readUInt32BE(position + 36) === Number(last?.slice(4)) ? 0 : 1
    ok(leftovers > 2, 'The last file still holds old frames')
    node.crash({ power: true })
    await store.open(node.restart())
    strictEqual(container.through, 150)
    await container.verify()
  })
})

test('an index that is damaged or missing is made again; what it then lacks counts as damaged', async () => {
  for (const how of ['flipped', 'removed'] as const) {
    await simulate(11, async (world) => {
      const node = world.node('a')
      const store = new LogStore(2)
      await store.open(node.host)
      for (const container of store.containers) await putDurably(container, { lengths: [500, 500] })
      while (store.log.stats.files < 4) await putDurably(store.container(1), { filler: 9000 })
      for (const container of store.containers) await container.checkpoint()
      await world.sleep(1000)
      node.crash()
      const host = node.restart()
      const index = `${FIRST}.index`
      if (how === 'flipped') node.disk.flipBit(index, 70, 0)
      else await host.disk.remove(index)
      await store.open(host)
      for (const container of store.containers) await container.verify()
      deepStrictEqual(
        store.damage.map(({ code, path }) => [code, path]),
        [['damaged', index]],
      )
      const { log } = store.container(0)
      strictEqual((await failsWith(log.read({ place: 1, extent: 77, offset: 0 }), 'damaged')).path, FIRST)
      await store.log.close()
      await store.open(host)
      await store.container(0).verify()
      strictEqual(store.damage.length, 1, 'It is there again')
    })
  }
})

test('a damaged checkpoint shuts its container, one that is missing too', async () => {
  for (const how of ['header', 'state', 'removed', 'short'] as const) {
    await simulate(12, async (world) => {
      const node = world.node('a')
      const store = new LogStore(2)
      await store.open(node.host)
      for (const container of store.containers) {
        await putDurably(container)
        await container.checkpoint()
        await putDurably(container)
      }
      await store.log.close()
      node.crash()
      const host = node.restart()
      const path = `${LOG_DIRECTORY}/checkpoint-0-1`
      if (how === 'removed') await host.disk.remove(path)
      else if (how === 'short') await (await host.disk.open(path, 'write')).truncate(70)
      else node.disk.flipBit(path, how === 'header' ? 20 : 66, 5)
      await store.open(host)
      deepStrictEqual(store.damaged, [0])
      const { code, path: where } = store.container(0).damage!
      deepStrictEqual([code, where], ['damaged', path])
      strictEqual(store.container(1).through, 2)
      await store.container(1).verify()
      // Others go on and make checkpoints, and what is left of it stays.
      await putDurably(store.container(1))
      await store.container(1).checkpoint()
      await store.log.close()
      await store.open(host)
      deepStrictEqual(store.damaged, [0])
    })
  }
})

test('without its anchor a log is refused as a whole, and nothing is changed', async () => {
  for (const how of ['flipped', 'removed'] as const) {
    await simulate(13, async (world) => {
      const { node, store } = await prepared(world)
      const host = node.restart()
      const path = `${LOG_DIRECTORY}/anchor`
      if (how === 'flipped') node.disk.flipBit(path, 45, 0)
      else await host.disk.remove(path)
      const before = await contents(host)
      const error = await failsWith(store.open(host), 'damaged')
      strictEqual(error.path, path)
      deepStrictEqual(await contents(host), before)
    })
  }
})

test('the log of another store is refused', async () => {
  await simulate(14, async (world) => {
    const { node, store } = await prepared(world)
    const host = node.restart()
    const error = await failsWith(store.open(host, { storeId: Buffer.alloc(16, 1) }), 'damaged')
    match(error.message, /another store/)
  })
})

test('a damaged file header costs nothing, and is told', async () => {
  for (const position of [3, 45]) {
    await simulate(15, async (world) => {
      const { node, store } = await prepared(world)
      node.disk.flipBit(FIRST, position, 0)
      await store.open(node.restart())
      deepStrictEqual(
        store.damage.map(({ path }) => path),
        [FIRST],
      )
      for (const container of store.containers) {
        strictEqual(container.through, 2)
        await container.verify()
      }
    })
  }
})

test('a file of a later version is refused and left alone, whichever it is', async () => {
  await simulate(16, async (world) => {
    const node = world.node('a')
    const store = new LogStore(1)
    await store.open(node.host)
    while (store.log.stats.files < 4) await putDurably(store.container(0), { lengths: [9000] })
    await store.container(0).checkpoint()
    await world.sleep(1000)
    node.crash()
    const host = node.restart()
    for (const name of ['log-0000000001', 'log-0000000001.index', 'anchor', 'checkpoint-0-1']) {
      const path = `${LOG_DIRECTORY}/${name}`
      const file = await host.disk.open(path, 'write')
      const preface = Buffer.alloc(16)
      await file.read(preface, 0)
      await file.write([laterVersion(preface)], 0)
      const before = await contents(host)
      const error = await failsWith(store.open(host), 'unknown-version')
      strictEqual(error.path, path)
      deepStrictEqual(await contents(host), before)
      await file.write([preface], 0)
    }
    await store.open(host)
    await store.container(0).verify()
  })
})

test('whatever single bit flips in a log at rest: what is not named damaged is whole', async () => {
  const outcomes = new Map<string, number>()
  for (let seed = 0; seed < 120; seed++) {
    await simulate(seed, async (world) => {
      const node = world.node('a')
      const store = new LogStore(3)
      await store.open(node.host)
      for (let nth = 0; nth < 6; nth++)
        for (const container of store.containers)
          await putDurably(container, { lengths: [300, 2500], filler: 20 })
      await store.container(0).checkpoint()
      await putDurably(store.container(0))
      await world.sleep(300)
      node.crash({ power: true })
      const host = node.restart()
      const name = world.random.pick(await host.disk.list(LOG_DIRECTORY))
      const path = `${LOG_DIRECTORY}/${name}`
      const size = await (await host.disk.open(path, 'read')).size()
      node.disk.flipBit(path, world.random.integer(size), world.random.integer(8))
      const outcome = await outcomeOf(store, host)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    })
  }
  deepStrictEqual([...outcomes.keys()].toSorted(compareText), [
    'block damaged',
    'container shut',
    'log refused',
    'whole',
  ])
})

/** Opens and reads all; fails if anything is missing without being named. */
async function outcomeOf(store: LogStore, host: Host): Promise<string> {
  const refusal = await store.open(host).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (refusal !== undefined) {
    ok(refusal instanceof LogError && refusal.code === 'damaged' && refusal.path?.endsWith('/anchor'))
    return 'log refused'
  }
  ok(store.damaged.length <= 1, 'One bit shuts one container at most')
  let outcome = store.damaged.length === 0 ? 'whole' : 'container shut'
  for (const container of store.containers) {
    if (container.damage !== undefined) continue
    ok(container.through >= 6)
    for (const extent of container.extents) {
      await container.verifyExtent(extent).catch((error: unknown) => {
        ok(error instanceof LogError && error.code === 'damaged' && error.path !== undefined, String(error))
        outcome = 'block damaged'
      })
    }
    await putDurably(container)
  }
  return outcome
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : 1
}

async function framesOf(host: Host, generation: number): Promise<FrameHeader[]> {
  const file = await host.disk.open(`${LOG_DIRECTORY}/${logName(generation)}`, 'read')
  const scanner = new FrameScanner({ file, storeId: LOG_STORE_ID, generation, bytes: await file.size() })
  const frames: FrameHeader[] = []
  for (let header = await scanner.next(); header !== undefined; header = await scanner.next())
    if (header.kind === 'frame') frames.push(header)
  await file.close()
  return frames
}

function laterVersion(preface: Buffer): Buffer {
  const later = Buffer.from(preface)
  later.writeUInt32BE(2, 8)
  later.writeUInt32BE(crc32(later.subarray(0, 12)), 12)
  return later
}

async function contents(host: Host): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const name of await host.disk.list(LOG_DIRECTORY)) {
    const file = await host.disk.open(`${LOG_DIRECTORY}/${name}`, 'read')
    const bytes = Buffer.alloc(await file.size())
    await file.read(bytes, 0)
    found.set(name, `${bytes.length}:${crc32(bytes)}`)
    await file.close()
  }
  return found
}
