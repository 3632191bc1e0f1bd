import { ok, strictEqual } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectSocket, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { nodeHost } from '../base/node-host.ts'
import { createStore, type Store } from '../client/store.ts'
import { encodeMessage } from '../protocol/wire/codec.ts'
import { type AnyMessage, COMMANDS } from '../protocol/wire/commands.ts'
import { requestIdOf } from '../protocol/wire/request-id.ts'
import { type Server, startServer } from './server.ts'

interface Setting {
  readonly server: Server
  readonly store: Store
  /** Why connections were cut. */
  readonly reasons: string[]
  open(): Promise<Socket>
}

async function serve(t: TestContext): Promise<Setting> {
  const data = await mkdtemp(join(tmpdir(), 'millrace-bad-input-'))
  const reasons: string[] = []
  const any = { host: '127.0.0.1', port: 0 }
  const server = await startServer({
    host: nodeHost(),
    data,
    memoryBytes: 32 * 1024 * 1024,
    listen: { controller: any, segmentStore: any, transport: 'local' },
    log: { fileBytesFirst: 1024 * 1024 },
    onEvent: (event) => {
      if (event.kind === 'connection-broken') reasons.push(event.reason.message)
    },
  })
  const store = createStore({ host: server.host, controller: server.connectController() })
  const sockets: Socket[] = []
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await store.close()
    await server.close()
    await rm(data, { recursive: true })
  })
  return {
    server,
    store,
    reasons,
    open: () =>
      new Promise((resolve, reject) => {
        const socket = connectSocket(server.segmentStoreAddress!.port, '127.0.0.1')
        sockets.push(socket)
        socket.on('error', reject)
        socket.on('connect', () => {
          socket.off('error', reject)
          socket.on('error', () => undefined)
          resolve(socket)
        })
      }),
  }
}

const hello = encodeMessage({ kind: 'hello', highVersion: 16, lowVersion: 5 })

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.resume()
    socket.once('close', () => resolve())
  })
}

/** An event goes in and comes out again. */
async function works({ store }: Setting): Promise<void> {
  const stream = store.stream<number>('shop/healthy', { key: null })
  await stream.write(7)
  let last: number | undefined
  for await (const { value } of stream.read({ until: 'tail' })) last = value
  strictEqual(last, 7)
}

test('whatever bytes come, only their own connection ends', async (t) => {
  const setting = await serve(t)
  await works(setting)
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 9, maxLength: 2000 }),
      fc.boolean(),
      async (bytes, polite) => {
        const socket = await setting.open()
        if (polite) socket.write(hello)
        socket.write(bytes)
        socket.end()
        await closed(socket)
      },
    ),
    { numRuns: 60, seed: 1 },
  )
  await works(setting)
})

test('valid commands with single bytes changed break nothing', async (t) => {
  const setting = await serve(t)
  const frames = Object.keys(COMMANDS).flatMap(exampleFrames)
  ok(frames.length > 30)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ frame: fc.nat(frames.length - 1), at: fc.nat(60), byte: fc.nat(255) }), {
        minLength: 1,
        maxLength: 6,
      }),
      async (changes) => {
        const socket = await setting.open()
        socket.write(hello)
        for (const { frame, at, byte } of changes) {
          const bytes = Buffer.from(frames[frame]!)
          bytes[at % bytes.length] = byte
          socket.write(bytes)
        }
        socket.end()
        await closed(socket)
      },
    ),
    { numRuns: 120, seed: 1 },
  )
  await works(setting)
})

test('frames beyond 16 MiB - 1, lengths that lie and commands before hello are said to be what they are', async (t) => {
  const setting = await serve(t)
  for (const [bytes, reason] of [
    [Buffer.concat([hello, Buffer.from('0000000301000000', 'hex')]), /16777216 bytes, at most 16777215/],
    [Buffer.concat([hello, Buffer.from('00000003ffffffff', 'hex')]), /negative length/],
    [Buffer.concat([hello, Buffer.from('0000000b7fffffff', 'hex')]), /at most/],
    [Buffer.concat([hello, Buffer.from('0000000b00000004ffffffff', 'hex')]), /get-stream-segment-info/],
    [Buffer.from('0000000b00000004ffffffff', 'hex'), /begins with hello/],
    [Buffer.concat([hello, Buffer.from('7fffffff00000000', 'hex')]), /No command/],
  ] as const) {
    const socket = await setting.open()
    setting.reasons.length = 0
    socket.write(bytes)
    await closed(socket)
    ok(reason.test(setting.reasons.join()), `${setting.reasons.join()} for ${String(reason)}`)
  }
  await works(setting)
})

test('trap 56: 500 peers that send large frames byte by byte and 1,000 that send nothing cost the others little', async (t) => {
  const setting = await serve(t)
  const idle = await Promise.all(Array.from({ length: 1000 }, () => setting.open()))
  for (const socket of idle) socket.write(hello)
  const slow = await Promise.all(Array.from({ length: 500 }, () => setting.open()))
  // An append block of 15 MiB, of which a little comes now and the rest never.
  const beginning = Buffer.concat([hello, Buffer.from('0000000400f00000', 'hex'), Buffer.alloc(1000)])
  for (const socket of slow) socket.write(beginning)
  while (setting.server.connections < 1500) await new Promise((resolve) => setImmediate(resolve))
  const before = process.memoryUsage.rss()
  for (let round = 0; round < 5; round++) {
    for (const socket of slow) socket.write(Buffer.from([round]))
    await works(setting)
  }
  const grown = process.memoryUsage.rss() - before
  ok(grown < 64 * 1024 * 1024, `${grown} bytes more for 1,500 peers`)
})

/** A frame of each command, with values that are as good as any. */
function exampleFrames(kind: string): Buffer[] {
  const { fields } = COMMANDS[kind as keyof typeof COMMANDS]
  const message: Record<string, unknown> = { kind }
  for (const [name, type] of fields as readonly (readonly [string, keyof typeof EXAMPLES, unknown?])[])
    message[name] = EXAMPLES[type]
  return [encodeMessage(message as unknown as AnyMessage)]
}

const EXAMPLES = {
  int8: 1,
  int32: 5,
  boolean: true,
  offset: 3,
  long: 9,
  id64: requestIdOf(77),
  uuid: 'writer-1-1-1-1-1',
  string: 'shop/orders/0.#epoch.0',
  bytes: Buffer.from('data'),
  rest: Buffer.from('rest'),
  event: Buffer.from('\0\0\0\0\0\0\0\x02hi', 'latin1'),
  keys: [{ key: Buffer.from('k'), version: 1 }],
  entries: [{ key: Buffer.from('k'), version: 1, value: Buffer.from('v') }],
  iteratorArgs: { continuationToken: Buffer.alloc(0), fromKey: Buffer.alloc(0), toKey: Buffer.alloc(0) },
  attributeUpdates: [{ attributeId: 'writer-1-1-1-1-1', updateType: 1, newValue: 1, oldValue: 0 }],
  strings: ['shop/orders/1.#epoch.0'],
  longs: [1, 2],
  merges: [{ source: 'shop/orders/1.#epoch.0', newTargetWriteOffset: 1 }],
  chunks: [],
}
