import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DiskError, type DiskErrorCode, type File } from '../../base/host.ts'
import type { HostRunner } from './host-runner.ts'

/** What every Disk does while nothing fails. */
export function diskSuite(name: string, run: HostRunner): void {
  void describe(`${name}: disk`, () => {
    test('bytes written are read back, over pieces, gaps and ends', () =>
      run(async ({ disk }, { directory }) => {
        const file = await disk.open(`${directory}/a`, 'create')
        await file.write([bytes('abc'), Buffer.alloc(0), bytes('def')], 0)
        strictEqual(await text(file, 1, 3), 'bcd')
        strictEqual(await text(file, 4, 10), 'ef')
        strictEqual(await text(file, 100, 4), '')
        await file.write([bytes('X')], 3)
        await file.writeDurable([bytes('end')], 8)
        strictEqual(await file.size(), 11)
        strictEqual(await text(file, 0, 20), 'abcXef\0\0end')
        await file.sync()
        await file.truncate(2)
        strictEqual(await text(file, 0, 20), 'ab')
        await file.truncate(4)
        strictEqual(await text(file, 0, 20), 'ab\0\0')
        await file.close()
      }))

    test('thousands of pieces are one write', () =>
      run(async ({ disk }, { directory }) => {
        const file = await disk.open(`${directory}/a`, 'create')
        const pieces = Array.from({ length: 3000 }, (_, index) => Buffer.from(`${index % 10}`))
        await file.write(pieces, 0)
        await file.writeDurable(pieces, 3000)
        strictEqual(await text(file, 0, 6000), '0123456789'.repeat(600))
        await file.close()
      }))

    test('writes that overlap in time all arrive', () =>
      run(async ({ disk }, { directory }) => {
        const file = await disk.open(`${directory}/a`, 'create')
        const parts = Array.from({ length: 20 }, (_, index) => Buffer.alloc(5000, index + 65))
        await Promise.all(
          parts.map((part, index) =>
            index % 2 === 0 ? file.writeDurable([part], index * 5000) : file.write([part], index * 5000),
          ),
        )
        strictEqual(await text(file, 0, 100_000), Buffer.concat(parts).toString())
        await file.close()
      }))

    test('two descriptions of one file see the same bytes', () =>
      run(async ({ disk }, { directory }) => {
        const one = await disk.open(`${directory}/a`, 'create')
        const two = await disk.open(`${directory}/a`, 'write')
        const reader = await disk.open(`${directory}/a`, 'read')
        await one.write([bytes('one')], 0)
        await two.write([bytes('two')], 3)
        strictEqual(await text(reader, 0, 6), 'onetwo')
        await one.close()
        await two.writeDurable([bytes('!')], 6)
        strictEqual(await text(reader, 0, 10), 'onetwo!')
        await two.close()
        await reader.close()
      }))

    test('modes: create wants a new name, read and write an old one', () =>
      run(async ({ disk }, { directory }) => {
        await fails(disk.open(`${directory}/a`, 'read'), 'not-found')
        await fails(disk.open(`${directory}/a`, 'write'), 'not-found')
        await (await disk.open(`${directory}/a`, 'create')).close()
        await fails(disk.open(`${directory}/a`, 'create'), 'exists')
        await fails(disk.open(`${directory}/none/a`, 'create'), 'not-found')
      }))

    test('names: list is sorted, rename replaces, remove removes', () =>
      run(async ({ disk }, { directory }) => {
        for (const name of ['b', 'c', 'a']) {
          const file = await disk.open(`${directory}/${name}`, 'create')
          await file.writeDurable([Buffer.from(name)], 0)
          await file.close()
        }
        deepStrictEqual(await disk.list(directory), ['a', 'b', 'c'])
        await disk.rename(`${directory}/a`, `${directory}/c`)
        await disk.remove(`${directory}/b`)
        await disk.syncDirectory(directory)
        deepStrictEqual(await disk.list(directory), ['c'])
        const file = await disk.open(`${directory}/c`, 'read')
        strictEqual(await text(file, 0, 5), 'a')
        await file.close()
        await fails(disk.remove(`${directory}/b`), 'not-found')
        await fails(disk.rename(`${directory}/b`, `${directory}/d`), 'not-found')
        await fails(disk.list(`${directory}/none`), 'not-found')
        await fails(disk.syncDirectory(`${directory}/none`), 'not-found')
      }))

    test('a file that was renamed or removed stays open under its holder', () =>
      run(async ({ disk }, { directory }) => {
        const file = await disk.open(`${directory}/a`, 'create')
        await disk.rename(`${directory}/a`, `${directory}/b`)
        const other = await disk.open(`${directory}/a`, 'create')
        await file.writeDurable([bytes('moved')], 0)
        strictEqual(await other.size(), 0)
        await disk.remove(`${directory}/b`)
        strictEqual(await text(file, 0, 9), 'moved')
        await file.close()
        await other.close()
      }))

    test('directories are made with their parents, and made again without complaint', () =>
      run(async ({ disk }, { directory }) => {
        await disk.makeDirectory(`${directory}/x/y/z`)
        await disk.makeDirectory(`${directory}/x/y`)
        deepStrictEqual(await disk.list(directory), ['x'])
        deepStrictEqual(await disk.list(`${directory}/x/y`), ['z'])
        await (await disk.open(`${directory}/x/y/z/a`, 'create')).close()
      }))

    test('a lock has one holder, whose text others are told, until it is released', () =>
      run(async ({ disk }, { directory }) => {
        const lock = await disk.lock(directory, 'the first holder')
        const second = disk.lock(directory, 'the second')
        await rejects(second, (error) => {
          return (
            error instanceof DiskError && error.code === 'locked' && /the first holder/.test(error.message)
          )
        })
        await lock.release()
        await lock.release()
        await (await disk.lock(directory, 'the third')).release()
        await fails(disk.lock(`${directory}/none`, 'nobody'), 'not-found')
      }))

    test('of many that want a lock at once exactly one gets it', () =>
      run(async ({ disk }, { directory }) => {
        const tries = await Promise.allSettled(
          Array.from({ length: 5 }, (_, index) => disk.lock(directory, `holder ${index}`)),
        )
        const taken = tries.filter((one) => one.status === 'fulfilled')
        strictEqual(taken.length, 1)
        await taken[0]?.value.release()
      }))
  })
}

export async function text(file: File, position: number, length: number): Promise<string> {
  const target = Buffer.alloc(length)
  return target.toString('latin1', 0, await file.read(target, position))
}

export function fails(action: Promise<unknown>, code: DiskErrorCode): Promise<void> {
  return rejects(action, (error) => error instanceof DiskError && error.code === code)
}

function bytes(content: string): Buffer {
  return Buffer.from(content)
}
