import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { nodeHost } from '../base/node-host.ts'
import { type EmbeddedStore, embeddedStore } from '../testing/embedded-store.ts'
import { connect } from './connect.ts'
import { type ErrorCode, isMillraceError } from './errors.ts'

let embedded: EmbeddedStore
let directory: string
let uri: string

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-connect-'))
  embedded = await embeddedStore(nodeHost(), { data: join(directory, 'data'), listen: true })
  uri = `tcp://127.0.0.1:${embedded.server.controllerAddress?.port}`
})

after(async () => {
  await embedded.close()
  await rm(directory, { recursive: true })
})

function failsWith(code: ErrorCode, message: RegExp) {
  return (error: unknown): boolean =>
    isMillraceError(error) && error.code === code && message.test(error.message)
}

/** Runs a program as a process of its own, with `millrace` and the server's `uri` in its scope. */
function run(program: string): Promise<{ status: number; output: string; seconds: number }> {
  const index = new URL('../index.ts', import.meta.url).href
  const source = `import * as millrace from ${JSON.stringify(index)}\nconst uri = '${uri}'\n${program}`
  const started = performance.now()
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--input-type=module', '-e', source],
      { timeout: 20_000 },
      (_, stdout, stderr) =>
        resolve({
          status: child.exitCode ?? -1,
          output: `${stdout}${stderr}`,
          seconds: (performance.now() - started) / 1000,
        }),
    )
  })
}

test('a store behind a controller, over gRPC and TCP', async () => {
  await using store = await connect(uri)
  const numbers = store.stream<number>('demo/numbers', { key: (n) => String(n % 3) })
  await numbers.writeAll(Array.from({ length: 1000 }, (_, n) => n))
  const read: number[] = []
  for await (const { value } of numbers.read({ until: 'tail' })) read.push(value)
  deepStrictEqual(
    read,
    Array.from({ length: 1000 }, (_, n) => n),
  )
  // The store in the server's process sees the same.
  strictEqual((await embedded.store.stream('demo/numbers', { key: null }).info()).name, 'demo/numbers')
})

test('nobody there, and what is no address, are said at once', async () => {
  await rejects(
    connect('tcp://127.0.0.1:1'),
    failsWith('unavailable', /No controller answers at tcp:\/\/127/),
  )
  await rejects(connect('localhost:9090'), failsWith('invalid-argument', /write tcp:\/\/host:port/))
  const reason = new Error('no time')
  await rejects(connect(uri, { signal: AbortSignal.abort(reason) }), reason)
})

test('a controller that answers with a failure is one that answers', async () => {
  const server = createServer()
  server.on('stream', (stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '2' },
      { endStream: true },
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const store = await connect(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await store.close()
  server.close()
})

test('an idle store does not keep the process alive', async () => {
  const { status, output, seconds } = await run(`
    const store = await millrace.connect(uri)
    const stream = store.stream('demo/idle', { key: null })
    await stream.write(1)
    const reader = stream.read()
    for await (const { value } of reader) { console.log('read', value); break }
    console.log(store.stats().connections > 0)
  `)
  strictEqual(output, 'read 1\ntrue\n')
  strictEqual(status, 0)
  ok(seconds < 10, `${seconds} s`)
})

test('a reader that waits keeps the process alive', async () => {
  const running = run(`
    const store = await millrace.connect(uri)
    const stream = store.stream('demo/waiting', { key: null })
    for await (const { value } of stream.read()) { console.log('read', value); break }
  `)
  const stream = embedded.store.stream('demo/waiting', { key: null })
  // It has begun to read when it has made the stream; a little later it waits.
  while (!(await exists('demo/waiting'))) await new Promise((resolve) => setTimeout(resolve, 20))
  await new Promise((resolve) => setTimeout(resolve, 300))
  await stream.write('at last')
  const { status, output } = await running
  strictEqual(output, 'read at last\n')
  strictEqual(status, 0)
})

async function exists(name: string): Promise<boolean> {
  for await (const info of embedded.store.streams({ scope: 'demo' })) if (info.name === name) return true
  return false
}

test('timers and clocks that a program replaces after loading do not stop a store', async () => {
  const { status, output } = await run(`
    globalThis.setTimeout = globalThis.setImmediate = globalThis.setInterval = () => { throw new Error('fake') }
    Date.now = () => 0
    performance.now = () => 0
    const store = await millrace.open('${join(directory, 'fake-timers')}')
    await store.stream('demo/fake-timers', { key: null }).write(1)
    console.log('written')
    await store.close()
  `)
  match(output, /^written\n$/)
  strictEqual(status, 0)
})

test('what happens is published for those who listen, and nothing is printed', async () => {
  const { status, output } = await run(`
    import { subscribe } from 'node:diagnostics_channel'
    const seen = []
    subscribe('millrace', (event) => seen.push(event.kind))
    const store = await millrace.connect(uri)
    const stream = store.stream('demo/mixed', { key: null, codec: { encode: (v) => Buffer.from(v), decode: String } })
    await stream.writeAll(['1', 'x', '2'])
    const numbers = store.stream('demo/mixed', { key: null })
    for await (const { value } of numbers.read({ until: 'tail', onDecodeError: 'skip' })) {}
    console.log(seen.join())
  `)
  strictEqual(output, 'event-skipped\n')
  strictEqual(status, 0)
})

test('loading the package loads our own files and what Node has, and nothing else', () => {
  const seen = new Set<string>()
  const foreign: string[] = []
  const visit = (file: URL): void => {
    if (seen.has(file.href)) return
    seen.add(file.href)
    const text = readFileSync(file, 'utf8')
    for (const [statement, specifier = ''] of text.matchAll(
      /^(?:import|export) [^;]*?from ['"]([^'"]+)['"]$/gm,
    )) {
      if (/^(?:import|export) type /.test(statement)) continue
      if (specifier.startsWith('.')) visit(new URL(specifier, file))
      else if (!specifier.startsWith('node:')) foreign.push(`${file.pathname} loads ${specifier}`)
    }
  }
  visit(new URL('../index.ts', import.meta.url))
  deepStrictEqual(foreign, [])
  ok(seen.size > 50)
})
