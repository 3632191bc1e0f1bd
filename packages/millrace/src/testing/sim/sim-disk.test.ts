import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Disk, File } from '../../base/host.ts'
import { fails } from '../acceptance/disk-suite.ts'
import { simulate } from './simulate.ts'
import type { SimNode, World } from './world.ts'

const PAGE = 4096

test('what was synced survives every power cut; what was not is kept, lost or torn, page by page', async () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 60; seed++) {
    await onNode(seed, async ({ node, disk }) => {
      const file = await create(disk, 'log')
      await file.writeDurable([Buffer.alloc(2 * PAGE, 'A')], 0)
      await file.write([Buffer.alloc(PAGE, 'B')], PAGE)
      const bytes = await afterPowerCut(node, 'log')
      strictEqual(bytes.length, 2 * PAGE)
      ok(bytes.subarray(0, PAGE).every((byte) => byte === 65))
      const kinds = new Set(bytes.subarray(PAGE))
      ok([...kinds].every((byte) => byte === 65 || byte === 66))
      seen.add(kinds.size === 2 ? 'torn' : kinds.has(66) ? 'kept' : 'lost')
      for (let sector = PAGE; sector < 2 * PAGE; sector += 512)
        strictEqual(new Set(bytes.subarray(sector, sector + 512)).size, 1, 'a sector is whole')
    })
  }
  deepStrictEqual([...seen].toSorted(compareText), ['kept', 'lost', 'torn'])
})

test('later writes may survive where earlier ones are lost', async () => {
  let reordered = 0
  for (let seed = 0; seed < 60; seed++) {
    await onNode(seed, async ({ node, disk }) => {
      const file = await create(disk, 'log')
      await file.writeDurable([Buffer.alloc(2 * PAGE)], 0)
      await file.write([Buffer.alloc(PAGE, 'A')], 0)
      await file.write([Buffer.alloc(PAGE, 'B')], PAGE)
      const bytes = await afterPowerCut(node, 'log')
      if (bytes[0] !== 65 && bytes[PAGE] === 66) reordered++
    })
  }
  ok(reordered > 2, `${reordered} of 60`)
})

test('a killed process leaves its writes in the page cache, from where a power cut may still take them', async () => {
  let lost = 0
  for (let seed = 0; seed < 30; seed++) {
    await onNode(seed, async ({ node, disk }) => {
      const file = await create(disk, 'log')
      await file.write([Buffer.alloc(100, 'A')], 0)
      node.crash()
      const again = await node.restart().disk.open('log', 'read')
      strictEqual((await readAll(again)).toString(), 'A'.repeat(100))
      const bytes = await afterPowerCut(node, 'log')
      if (!bytes.equals(Buffer.alloc(100, 'A'))) lost++
    })
  }
  ok(lost > 5, `${lost} of 30`)
})

test('a write that was under way when the process died is there, missing or half there', async () => {
  const lengths = new Set<number>()
  for (let seed = 0; seed < 60; seed++) {
    await onNode(seed, async ({ node, disk }) => {
      const file = await create(disk, 'log')
      void file.write([Buffer.alloc(2048, 'A')], 0)
      node.crash()
      lengths.add((await readAll(await node.restart().disk.open('log', 'read'))).length)
    })
  }
  ok(lengths.has(0) && lengths.size > 3, [...lengths].join())
})

test('a durable write takes only its own range along', async () => {
  let lost = 0
  for (let seed = 0; seed < 30; seed++) {
    await onNode(seed, async ({ node, disk }) => {
      const file = await create(disk, 'log')
      await file.write([Buffer.alloc(PAGE, 'A')], 0)
      await file.writeDurable([Buffer.alloc(PAGE, 'B')], PAGE)
      const bytes = await afterPowerCut(node, 'log')
      ok(bytes.subarray(PAGE).every((byte) => byte === 66))
      if (bytes[0] !== 65) lost++
    })
  }
  ok(lost > 5, `${lost} of 30`)
})

test('a sync covers what was written before it, not what came while it ran', async () => {
  let lost = 0
  for (let seed = 0; seed < 40; seed++) {
    await onNode(seed, async ({ world, node, disk }) => {
      node.disk.delays = { readMs: 0.01, writeMs: 0.01, syncMs: 100 }
      const file = await create(disk, 'log')
      await file.write([Buffer.alloc(PAGE, 'A')], 0)
      const syncing = file.sync()
      await world.sleep(1)
      await file.write([Buffer.alloc(PAGE, 'B')], 0)
      await syncing
      const bytes = await afterPowerCut(node, 'log')
      ok(bytes.length === PAGE && bytes.every((byte) => byte === 65 || byte === 66))
      if (bytes.includes(65)) lost++
    })
  }
  ok(lost > 5, `${lost} of 40`)
})

test('the fsync trap: after a failed sync the next one succeeds, the cache shows the new bytes, and they are gone', async () => {
  await onNode(1, async ({ node, disk }) => {
    const file = await create(disk, 'log')
    await file.writeDurable([Buffer.from([1])], 0)
    const other = await disk.open('log', 'read')
    node.disk.inject({ action: 'sync', times: 1 })
    await file.write([Buffer.from([2])], 0)
    await fails(file.sync(), 'io')
    await file.sync()
    await file.sync()
    deepStrictEqual(await readAll(file), Buffer.from([2]))
    // Each description is told once, also one that wrote nothing.
    await fails(other.sync(), 'io')
    await other.sync()
    // One that was opened after somebody had been told hears nothing of it.
    await (await disk.open('log', 'read')).sync()
    node.disk.dropCache()
    deepStrictEqual(await readAll(file), Buffer.from([1]))
  })
})

test('names are lost, kept or exchanged by a power cut until their directory is synced', async () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 80; seed++) {
    await onNode(seed, async ({ node, disk }) => {
      const old = await create(disk, 'manifest')
      await old.writeDurable([Buffer.from([1])], 0)
      await disk.syncDirectory('')
      const next = await disk.open('manifest.new', 'create')
      await next.writeDurable([Buffer.from([2])], 0)
      await disk.rename('manifest.new', 'manifest')
      await (await disk.open('other', 'create')).sync()
      const again = await restartAfterPowerCut(node)
      const bytes = await readAll(await again.open('manifest', 'read'))
      ok(bytes[0] === 1 || bytes[0] === 2, 'a rename replaces, it never loses both')
      seen.add(`${(await again.list('')).join()}=${bytes[0]}`)
    })
  }
  ok(seen.has('manifest=1') && seen.has('manifest=2') && seen.has('manifest,other=2'), [...seen].join(' '))
})

test('names that were synced survive', async () => {
  for (let seed = 0; seed < 20; seed++) {
    await onNode(seed, async ({ node, disk }) => {
      await disk.makeDirectory('deep/down')
      await (await disk.open('deep/down/a', 'create')).close()
      await (await disk.open('deep/down/b', 'create')).close()
      await disk.remove('deep/down/b')
      await disk.syncDirectory('deep/down')
      const again = await restartAfterPowerCut(node)
      deepStrictEqual(await again.list('deep/down'), ['a'])
    })
  }
})

test('a truncated file that grows again has zeros where the old bytes were, also after a power cut', async () => {
  for (let seed = 0; seed < 20; seed++) {
    await onNode(seed, async ({ node, disk }) => {
      const file = await create(disk, 'log')
      await file.writeDurable([Buffer.alloc(3 * PAGE, 'A')], 0)
      await file.truncate(10)
      await file.write([Buffer.from([66])], 2 * PAGE)
      await file.sync()
      const bytes = await afterPowerCut(node, 'log')
      strictEqual(bytes.length, 2 * PAGE + 1)
      ok(bytes.subarray(10, 2 * PAGE).every((byte) => byte === 0))
    })
  }
})

test('a full disk takes what fits and says so, and goes on when there is room', async () => {
  await onNode(1, async ({ node, disk }) => {
    node.disk.capacityBytes = 1000
    const file = await create(disk, 'log')
    await fails(file.write([Buffer.alloc(600), Buffer.alloc(600)], 0), 'full')
    strictEqual(await file.size(), 1000)
    await file.write([Buffer.alloc(500)], 0)
    node.disk.capacityBytes = 2000
    await file.writeDurable([Buffer.alloc(600), Buffer.alloc(600)], 0)
    strictEqual(await file.size(), 1200)
  })
})

test('faults hit what they are aimed at, as often as asked', async () => {
  await onNode(1, async ({ node, disk }) => {
    const file = await create(disk, 'log')
    const stop = node.disk.inject({ action: 'read', path: (path) => path === 'log', times: 2 })
    await fails(readAll(file), 'io')
    await fails(readAll(file), 'io')
    await readAll(file)
    stop()
    node.disk.inject({ action: 'open', path: (path) => path === 'elsewhere', code: 'read-only' })
    await fails(disk.open('elsewhere', 'create'), 'read-only')
    await (await disk.open('here', 'create')).close()
  })
})

test('damage shows where a page is clean', async () => {
  await onNode(1, async ({ node, disk }) => {
    const file = await create(disk, 'log')
    await file.writeDurable([Buffer.alloc(2 * PAGE)], 0)
    await file.write([Buffer.alloc(1, 1)], PAGE)
    node.disk.flipBit('log', 3, 1)
    node.disk.flipBit('log', PAGE, 7)
    const bytes = await readAll(file)
    strictEqual(bytes[3], 2)
    strictEqual(bytes[PAGE], 1)
    node.disk.misdirect('log', { from: 0, to: 100, length: 10 })
    strictEqual((await readAll(file))[103], 2)
  })
})

interface Place {
  readonly world: World
  readonly node: SimNode
  readonly disk: Disk
}

async function onNode(seed: number, scenario: (place: Place) => Promise<void>): Promise<void> {
  await simulate(seed, async (world) => {
    const node = world.node('a')
    await scenario({ world, node, disk: node.host.disk })
  })
}

async function create(disk: Disk, path: string): Promise<File> {
  const file = await disk.open(path, 'create')
  await disk.syncDirectory('')
  return file
}

async function afterPowerCut(node: SimNode, path: string): Promise<Buffer> {
  const disk = await restartAfterPowerCut(node)
  return readAll(await disk.open(path, 'read'))
}

async function restartAfterPowerCut(node: SimNode): Promise<Disk> {
  node.crash({ power: true })
  return node.restart().disk
}

async function readAll(file: File): Promise<Buffer> {
  const target = Buffer.alloc((await file.size()) + 10)
  return target.subarray(0, await file.read(target, 0))
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : 1
}
