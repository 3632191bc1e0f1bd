/**
 * A program's first event: `node bench/open-once.ts MODULE DIRECTORY` opens a store, writes a value, reads it, and says how
 * long that took. Loading the module is not counted; what the module loads later is.
 */
import type * as Millrace from 'millrace'

const [module, directory] = process.argv.slice(2)
if (module === undefined || directory === undefined) throw new Error('MODULE and DIRECTORY are needed')
const { open } = (await import(module)) as typeof Millrace

const began = performance.now()
const store = await open(directory)
const stream = store.stream<{ n: number }>('bench/first', { key: null })
await stream.write({ n: 1 })
let read = 0
for await (const { value } of stream.read()) {
  read = value.n
  break
}
const tookMs = performance.now() - began
if (read !== 1) throw new Error('What was read is not what was written')
await store.close()
process.stdout.write(`${JSON.stringify({ event: 'read', tookMs })}\n`)
