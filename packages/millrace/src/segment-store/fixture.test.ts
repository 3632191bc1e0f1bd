import { deepStrictEqual, ok } from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeHost } from '../base/node-host.ts'
import { describeStore, openFixture } from '../testing/fixture-store.ts'

const FIXTURES = join(import.meta.dirname, '../testing/fixtures')

test('a directory that any version has written opens, holds what it held, and goes on', async (t) => {
  const versions = readdirSync(FIXTURES)
  ok(versions.length > 0)
  for (const version of versions) {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-fixture-'))
    t.after(() => rmSync(directory, { recursive: true }))
    cpSync(join(FIXTURES, version, 'store'), directory, { recursive: true })
    const expected: unknown = JSON.parse(readFileSync(join(FIXTURES, version, 'expected.json'), 'utf8'))
    const store = await openFixture(nodeHost(), directory)
    deepStrictEqual(JSON.parse(JSON.stringify(await describeStore(store))), expected)
    const name = 'shop/new/0.#epoch.0'
    const outcome = store.containerOf(name).submit({ kind: 'create', name, type: 'stream', attributes: [] })
    ok('operation' in outcome)
    await store.close()
    const again = await openFixture(nodeHost(), directory)
    ok(again.containerOf(name).find(name) !== undefined)
    const { [name]: _, ...rest } = JSON.parse(JSON.stringify(await describeStore(again))) as Record<
      string,
      unknown
    >
    deepStrictEqual(rest, expected)
    await again.close()
  }
})
