/** `npm run fixture -- NAME`: writes a store of the present formats into testing/fixtures/NAME, to be kept. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodeHost } from '../packages/millrace/src/base/node-host.ts'
import { describeStore, openFixture, writeFixture } from '../packages/millrace/src/testing/fixture-store.ts'

const name = process.argv[2]
const directory = join(import.meta.dirname, '../packages/millrace/src/testing/fixtures', name ?? '')
if (name === undefined || existsSync(directory)) {
  console.error(
    name === undefined ? 'Say what the fixture shall be called' : `${directory} exists and is kept`,
  )
  process.exitCode = 2
} else {
  const store = join(directory, 'store')
  mkdirSync(store, { recursive: true })
  await writeFixture(nodeHost(), store)
  const opened = await openFixture(nodeHost(), store)
  writeFileSync(
    join(directory, 'expected.json'),
    `${JSON.stringify(await describeStore(opened), undefined, 1)}\n`,
  )
  await opened.close()
  rmSync(join(store, 'lock'))
}
