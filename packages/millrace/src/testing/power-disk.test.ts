import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Disk } from '../base/host.ts'
import { nodeDisk } from '../base/node-disk.ts'
import { nodeHost } from '../base/node-host.ts'
import { diskSuite, text } from './acceptance/disk-suite.ts'
import { powerDisk } from './power-disk.ts'

for (const seed of [1, 2, 3]) {
  diskSuite(`Power, seed ${seed}`, async (scenario) => {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-power-'))
    try {
      const host = { ...nodeHost(), disk: powerDisk(nodeDisk, { seed }) }
      await scenario(host, { directory, hostName: '' })
    } finally {
      await rm(directory, { recursive: true })
    }
  })
}

test('what is forgotten without a sync is bytes and names, what was synced is on the real disk', async (t) => {
  let names = 0
  let bytes = 0
  for (let seed = 0; seed < 20; seed++) {
    const directory = await makeDirectory(t)
    const disk = powerDisk(nodeDisk, { seed })
    const log = await disk.open(`${directory}/log`, 'create')
    await log.writeDurable([Buffer.alloc(4096, 'A')], 0)
    await disk.syncDirectory(directory)
    await log.write([Buffer.alloc(4096, 'B')], 2048)
    await log.writeDurable([Buffer.alloc(100, 'C')], 8192)
    await (await disk.open(`${directory}/late`, 'create')).close()
    deepStrictEqual(await disk.list(directory), ['late', 'log'])
    strictEqual(await text(log, 2048, 4096), 'B'.repeat(4096))
    await log.close()

    // Another life knows only what the real disk has.
    const after = powerDisk(nodeDisk, { seed })
    const left = await after.list(directory)
    ok(left.includes('log'))
    if (!left.includes('late')) names++
    const reread = await after.open(`${directory}/log`, 'read')
    strictEqual(await text(reread, 0, 2048), 'A'.repeat(2048))
    strictEqual(await text(reread, 8192, 200), 'C'.repeat(100))
    if (!(await text(reread, 2048, 4096)).includes('B')) bytes++
    await reread.close()
  }
  ok(names > 5 && names < 20, `${names} of 20 names lost`)
  ok(bytes > 10 && bytes < 20, `${bytes} of 20 writes lost`)
})

test('a sync that does nothing loses what it promised to keep', async (t) => {
  const directory = await makeDirectory(t)
  const disk = powerDisk(nodeDisk, { seed: 1, syncDoesNothing: true })
  const log = await disk.open(`${directory}/log`, 'create')
  await disk.syncDirectory(directory)
  const promised = Buffer.alloc(5, 'P')
  await log.writeDurable([promised], 0)
  await log.sync()
  strictEqual(await text(log, 0, 10), 'P'.repeat(5))
  await log.close()
  strictEqual(await realText(`${directory}/log`), '')
})

test('what is held is bounded: beyond that the oldest writes go to the real file', async (t) => {
  const directory = await makeDirectory(t)
  const disk = powerDisk(nodeDisk, { seed: 5, heldBytesMax: 10 })
  const log = await disk.open(`${directory}/log`, 'create')
  await disk.syncDirectory(directory)
  for (let i = 0; i < 5; i++) await log.write([Buffer.alloc(5, `${i}`)], i * 5)
  ok((await realText(`${directory}/log`)).startsWith('000001111122222'))
  strictEqual(await text(log, 0, 30), '0000011111222223333344444')
  await log.close()
})

test('names that are exchanged in a circle end where they should', async (t) => {
  const directory = await makeDirectory(t)
  for (let seed = 0; seed < 10; seed++) {
    const disk = powerDisk(nodeDisk, { seed })
    for (const name of ['a', 'b']) {
      const file = await disk.open(`${directory}/${name}`, 'create')
      await file.writeDurable([Buffer.from(name)], 0)
      await file.close()
    }
    await disk.syncDirectory(directory)
    await disk.rename(`${directory}/a`, `${directory}/c`)
    await disk.rename(`${directory}/b`, `${directory}/a`)
    await disk.rename(`${directory}/c`, `${directory}/b`)
    await disk.syncDirectory(directory)
    strictEqual(await realText(`${directory}/a`), 'b')
    strictEqual(await realText(`${directory}/b`), 'a')
    await disk.remove(`${directory}/a`)
    await disk.remove(`${directory}/b`)
    await disk.syncDirectory(directory)
    deepStrictEqual(await nodeDisk.list(directory), [])
  }
})

test('a process that is killed keeps every byte it was told is durable, and loses others', async (t) => {
  const directory = await makeDirectory(t)
  const module = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href)
  const program = `
    const { powerDisk } = await import(${module('power-disk.ts')})
    const { nodeDisk } = await import(${module('../base/node-disk.ts')})
    const disk = powerDisk(nodeDisk, { seed: 1 })
    const log = await disk.open(process.argv[1] + '/log', 'create')
    await disk.syncDirectory(process.argv[1])
    for (let i = 0; ; i++) {
      await log.writeDurable([Buffer.alloc(512, 'D')], i * 1024)
      await log.write([Buffer.alloc(512, 'U')], i * 1024 + 512)
      console.log(i)
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory])
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    if (output.split('\n').length > 100) child.kill('SIGKILL')
  })
  await once(child, 'close')
  const acknowledged = output.split('\n').length - 1
  const log = await realText(`${directory}/log`)
  let lost = 0
  for (let i = 0; i < acknowledged; i++) {
    strictEqual(log.slice(i * 1024, i * 1024 + 512), 'D'.repeat(512))
    if (log[i * 1024 + 512] !== 'U') lost++
  }
  ok(lost > acknowledged / 2, `${lost} of ${acknowledged}`)
})

async function realText(path: string, disk: Disk = nodeDisk): Promise<string> {
  const file = await disk.open(path, 'read')
  const content = await text(file, 0, await file.size())
  await file.close()
  return content
}

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-power-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}
