import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { deferred } from '../testing/deferred.ts'
import { Directory, type ListedName } from './directory.ts'

/** A table whose pages of names can be held up. */
function openTable(options: { namesMax?: number } = {}): {
  directory: Directory
  names: Map<string, readonly string[]>
  gate: { promise: Promise<void> }
  scans: { count: number }
} {
  const names = new Map<string, readonly string[]>()
  const gate = { promise: Promise.resolve() }
  const scans = { count: 0 }
  async function* scan(): AsyncGenerator<ListedName[]> {
    scans.count++
    const found = [...names].map(([name, tags]) => ({ name, tags }))
    for (let at = 0; at < found.length; at += 10) {
      await gate.promise
      yield found.slice(at, at + 10)
    }
  }
  return { directory: new Directory({ scan }, { namesMax: options.namesMax ?? 100_000 }), names, gate, scans }
}

test('names come sorted by their code units, from memory after the first time', async () => {
  const { directory, names, scans } = openTable()
  for (const name of ['b', 'a', 'B', '_x', 'a-', '0']) names.set(name, [])
  deepStrictEqual(await directory.page('t', { after: '' }), ['0', 'B', '_x', 'a', 'a-', 'b'])
  deepStrictEqual(await directory.page('t', { after: 'a' }), ['a-', 'b'])
  deepStrictEqual(await directory.page('t', { after: 'a0' }), ['b'])
  deepStrictEqual(await directory.page('t', { after: 'b' }), [])
  strictEqual(scans.count, 1)
})

test('what is written while the table is read is in the listing, and what is removed is not', async () => {
  const { directory, names, gate } = openTable()
  names.set('stays', []).set('goes', []).set('changes', ['old'])
  const hold = deferred<void>()
  gate.promise = hold.promise
  const page = directory.page('t', { after: '' })
  const tagged = directory.page('t', { after: '', tag: 'new' })
  directory.note('t', 'goes', undefined)
  directory.note('t', 'comes', [])
  directory.note('t', 'changes', ['new'])
  hold.resolve()
  deepStrictEqual(await page, ['changes', 'comes', 'stays'])
  deepStrictEqual(await tagged, ['changes'])
})

test('after a write in doubt the table is read again', async () => {
  const { directory, names, scans } = openTable()
  names.set('a', [])
  await directory.page('t', { after: '' })
  names.set('b', [])
  directory.forget('t')
  deepStrictEqual(await directory.page('t', { after: '' }), ['a', 'b'])
  strictEqual(scans.count, 2)
})

test('a table with too many names to hold is read through for each page, with the same pages', async () => {
  const all = Array.from({ length: 5500 }, (_, i) => `n${(i * 7919) % 5500}`)
  const small = openTable({ namesMax: 100 })
  const large = openTable()
  for (const name of all) {
    small.names.set(name, name.endsWith('7') ? ['seven'] : [])
    large.names.set(name, name.endsWith('7') ? ['seven'] : [])
  }
  for (const tag of [undefined, 'seven'])
    for (let after = ''; ; ) {
      const page = await small.directory.page('t', { after, tag })
      deepStrictEqual(page, await large.directory.page('t', { after, tag }))
      const last = page.at(-1)
      if (last === undefined) break
      after = last
    }
  strictEqual(large.scans.count, 1)
})

test('of many tables only those listed last are held', async () => {
  const { directory, names, scans } = openTable({ namesMax: 10 })
  for (let i = 0; i < 4; i++) names.set(`n${i}`, [])
  for (const table of ['a', 'b', 'c', 'c', 'b', 'a']) await directory.page(table, { after: '' })
  strictEqual(scans.count, 4)
})

test('a failed reading is reported and begun again by the next', async () => {
  let attempts = 0
  async function* scan(): AsyncGenerator<ListedName[]> {
    yield [{ name: 'a', tags: [] }]
    if (++attempts === 1) throw new Error('no answer')
  }
  const directory = new Directory({ scan }, { namesMax: 10 })
  await rejects(directory.page('t', { after: '' }), /no answer/)
  deepStrictEqual(await directory.page('t', { after: '' }), ['a'])
})
