import { rejects, strictEqual } from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fails } from '../testing/acceptance/disk-suite.ts'
import { AssertionError } from './assert.ts'
import { DiskError } from './host.ts'
import { nodeDisk } from './node-disk.ts'

// A device that is always full is the one real failure every Linux offers to a test.
const FULL_DEVICE = '/dev/full'

if (existsSync(FULL_DEVICE)) {
  test('a full disk is named as such, and a plain write may be tried again', async () => {
    const file = await nodeDisk.open(FULL_DEVICE, 'write')
    const piece = Buffer.alloc(10)
    await fails(file.write([piece], 0), 'full')
    await fails(file.write([piece, piece], 0), 'full')
    await file.close()
  })

  test('a durable write that fails poisons the file: nothing after it is tried', async () => {
    const file = await nodeDisk.open(FULL_DEVICE, 'write')
    const piece = Buffer.alloc(10)
    const both = [file.writeDurable([piece], 0), file.writeDurable([piece], 10)]
    const results = await Promise.allSettled(both)
    strictEqual(
      results
        .map((result) => (result.status === 'rejected' ? (result.reason as DiskError).code : 'done'))
        .join(),
      'full,io',
    )
    for (const later of [
      () => file.sync(),
      () => file.read(piece, 0),
      () => file.write([piece], 0),
      () => file.size(),
    ])
      await rejects(
        later(),
        (error) =>
          error instanceof DiskError && error.code === 'io' && (error.cause as DiskError).code === 'full',
      )
    await file.close()
  })
}

test('closing waits for the calls that run, and a call after it is a mistake of the program', async (t) => {
  const path = join(await makeDirectory(t), 'a')
  const file = await nodeDisk.open(path, 'create')
  const writing = file.writeDurable([Buffer.alloc(1_000_000)], 0)
  await file.close()
  await file.close()
  await writing
  await rejects(file.size(), AssertionError)
})

test('what is no directory cannot be listed or locked', async (t) => {
  const path = join(await makeDirectory(t), 'a')
  await writeFile(path, '')
  await fails(nodeDisk.list(path), 'io')
  await fails(nodeDisk.syncDirectory(path), 'io')
  await fails(nodeDisk.lock(path, 'nobody'), 'io')
  await fails(nodeDisk.makeDirectory(path), 'exists')
})

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-disk-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}
