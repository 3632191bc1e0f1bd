import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { resolve } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { CommandProcess, inDirectory, millrace, serveProcess } from '../testing/command-line.ts'

test('a server says on one line where it is and how long it took, and SIGTERM ends it with 0', () =>
  inDirectory(async (data) => {
    const { server, ready } = await serveProcess(data)
    await using _ = server
    strictEqual(ready.event, 'ready')
    match(ready.controller, /^tcp:\/\/127\.0\.0\.1:\d+$/)
    match(ready.segmentStore, /^tcp:\/\/127\.0\.0\.1:\d+$/)
    strictEqual(ready.data, resolve(data))
    ok(ready.readyMs > 0 && Number.isInteger(ready.readyMs))
    strictEqual(await server.end('SIGTERM'), 0)
    strictEqual(server.stdout, `${JSON.stringify(ready)}\n`)
  }))

test('for people it says the same in words, and one command to try', () =>
  inDirectory(async (data) => {
    const ports = ['--controller-port', '0', '--segment-store-port', '0', '--http-port', '0']
    await using server = new CommandProcess(['serve', '--data', data, ...ports])
    while (!server.stdout.includes('Ctrl-C')) await server.line()
    match(server.stdout, /^Millrace is ready after \d+ ms\.\n +Pravega clients +tcp:\/\//)
    ok(server.stdout.includes(resolve(data)))
    match(server.stdout, /Try: seq 1 1000 \| npx millrace write demo\/orders --key-field 1 --server tcp:\/\//)
    strictEqual(await server.end('SIGINT'), 0)
  }))

test('a directory has one server at a time: the second one names the first and fails', () =>
  inDirectory(async (data) => {
    const { server } = await serveProcess(data)
    await using _ = server
    await using second = new CommandProcess(['serve', '--data', data, '--controller-port', '0'])
    strictEqual(await second.end(), 1)
    match(second.stderr, new RegExp(`is in use by millrace serve \\(process ${server.child.pid} on `))
    strictEqual(second.stdout, '')
  }))

test('a port that is taken is named with the option that chooses another', () =>
  inDirectory(async (data) => {
    const busy = createServer().listen(0, '127.0.0.1')
    await once(busy, 'listening')
    const { port } = busy.address() as AddressInfo
    try {
      for (const flag of ['--controller-port', '--segment-store-port', '--http-port']) {
        const ports = { '--controller-port': '0', '--segment-store-port': '0', [flag]: `${port}` }
        const { status, stdout, stderr } = await millrace([
          'serve',
          '--data',
          data,
          ...Object.entries(ports).flat(),
        ])
        deepStrictEqual([flag, status, stdout], [flag, 1, ''])
        match(stderr, new RegExp(`${port}\\b.*choose another port with ${flag} N, or 0 for any free`))
      }
    } finally {
      busy.close()
    }
  }))

test('after kill -9 the next server starts at once, and everything acknowledged is there', () =>
  inDirectory(async (data) => {
    const first = await serveProcess(data)
    const input = numbers(2000)
    const server = ['--server', first.ready.controller]
    strictEqual((await millrace(['write', 'demo/killed', ...server], { input })).status, 0)
    strictEqual(await first.server.end('SIGKILL'), 'SIGKILL')
    const second = await serveProcess(data)
    await using _ = second.server
    const { stdout } = await millrace(['read', 'demo/killed', '--server', second.ready.controller])
    strictEqual(stdout, input)
  }))

test('SIGTERM under load ends with 0, and the writer goes on with the next server: nothing lost, nothing twice', () =>
  inDirectory(async (data) => {
    const first = await serveProcess(data)
    const lines = numbers(40_000)
    const server = ['--server', first.ready.controller]
    let ended: Promise<number | string> | undefined
    let second: Awaited<ReturnType<typeof serveProcess>> | undefined
    /** The server is told to go when the first events are durable and while more come; its successor comes after it. */
    async function* underLoad(): AsyncGenerator<Buffer> {
      for (let position = 0; position < lines.length; position += 10_000) {
        yield Buffer.from(lines.slice(position, position + 10_000))
        if (position === 50_000) {
          const peek = ['read', 'demo/load', '--max', '1', ...server]
          while ((await millrace(peek)).stdout !== '1\n') await new Promise(setImmediate)
          ended = first.server.end('SIGTERM')
        }
        if (position !== 100_000) continue
        strictEqual(await ended, 0)
        second = await serveProcess(data, portsOf(first.ready))
      }
    }
    try {
      const written = await millrace(['write', 'demo/load', ...server], { input: Readable.from(underLoad()) })
      strictEqual(written.status, 0)
      match(
        written.stderr,
        /^The connection to 127\.0\.0\.1:\d+ broke; going on when the server is back\n40,000 events written/,
      )
      strictEqual((await millrace(['read', 'demo/load', ...server])).stdout, lines)
    } finally {
      await first.server.end('SIGKILL')
      await second?.server.end('SIGKILL')
    }
  }))

test('a reader as a process: a pipe that closes and a SIGINT end it well', () =>
  inDirectory(async (data) => {
    const { server, ready } = await serveProcess(data)
    await using _ = server
    const env = { MILLRACE_SERVER: ready.controller }
    await using writer = new CommandProcess(['write', 'demo/pipe'], env)
    writer.child.stdin?.end(numbers(100_000))
    strictEqual(await writer.end(), 0)

    await using cut = new CommandProcess(['read', 'demo/pipe', '--follow'], env)
    strictEqual(await cut.line(), '1')
    cut.child.stdout?.destroy()
    deepStrictEqual([await cut.end(), cut.stderr], [0, ''])

    await using stopped = new CommandProcess(['read', 'demo/pipe', '--follow', '--from', 'tail'], env)
    let seen = ''
    void stopped.line().then((line) => (seen = line))
    // It may begin at the tail any time now: it is written to until it has.
    do {
      await millrace(['write', 'demo/pipe', '--server', ready.controller], { input: 'x\n' })
    } while (seen === '')
    strictEqual(seen, 'x')
    deepStrictEqual([await stopped.end('SIGINT'), stopped.stderr], [0, ''])
  }))

function numbers(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index + 1}\n`).join('')
}

function portsOf({ controller, segmentStore }: { controller: string; segmentStore: string }): string[] {
  const port = (uri: string): string => uri.slice(uri.lastIndexOf(':') + 1)
  return ['--controller-port', port(controller), '--segment-store-port', port(segmentStore)]
}
