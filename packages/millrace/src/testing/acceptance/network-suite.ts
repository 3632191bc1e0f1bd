import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Connection, type Host, type Listener, NetworkError } from '../../base/host.ts'
import { deferred } from '../deferred.ts'
import type { HostRunner } from './host-runner.ts'

/** What every Network does while nothing breaks by itself. */
export function networkSuite(name: string, run: HostRunner): void {
  const withPair = (scenario: (pair: Pair) => Promise<void>): Promise<void> =>
    run(async (host, { hostName }) => {
      const accepted = deferred<Connection>()
      const listener = await host.network.listen({ host: hostName, port: 0 }, accepted.resolve)
      const near = await host.network.connect(listener.address)
      const far = await accepted.promise
      await scenario({ host, listener, near, far })
      near.destroy()
      far.destroy()
      await listener.close()
    })

  void describe(`${name}: network`, () => {
    test('bytes cross both ways in order, however they were cut', () =>
      withPair(async ({ near, far }) => {
        const nearSide = watch(near)
        const farSide = watch(far)
        for (let i = 0; i < 1000; i++) near.write(Buffer.from(`${i},`))
        far.write(new Uint8Array([104, 105]))
        const expected = Array.from({ length: 1000 }, (_, index) => `${index},`).join('')
        strictEqual((await farSide.received(expected.length)).toString(), expected)
        strictEqual((await nearSide.received(2)).toString(), 'hi')
        deepStrictEqual(near.remote.port, far.local.port)
      }))

    test('nothing is delivered before start, and nothing of it is lost', () =>
      withPair(async ({ host, near, far }) => {
        const nearSide = watch(near)
        near.write(bytes('early'))
        await turns(host, 5)
        const farSide = watch(far)
        strictEqual((await farSide.received(5)).toString(), 'early')
        far.write(bytes('late'))
        strictEqual((await nearSide.received(4)).toString(), 'late')
      }))

    test('a buffer may be used again after its release, which comes once; chunks do not change', () =>
      withPair(async ({ near, far }) => {
        const farSide = watch(far)
        watch(near)
        const buffer = Buffer.alloc(100_000)
        for (let round = 1; round <= 5; round++) {
          buffer.fill(round)
          let releases = 0
          await new Promise<void>((resolve) => {
            near.write(buffer, () => {
              releases++
              resolve()
            })
          })
          strictEqual(releases, 1)
          buffer.fill(99)
        }
        const all = await farSide.received(500_000)
        for (let round = 1; round <= 5; round++)
          ok(all.subarray((round - 1) * 100_000, round * 100_000).every((byte) => byte === round))
      }))

    test('large buffers and small ones keep their order', () =>
      withPair(async ({ near, far }) => {
        const farSide = watch(far)
        watch(near)
        const parts = [3, 200_000, 1, 2048, 2049, 70_000, 5, 0, 9].map((length, index) =>
          Buffer.alloc(length, index + 1),
        )
        for (const part of parts) near.write(part)
        const expected = Buffer.concat(parts)
        ok((await farSide.received(expected.length)).equals(expected))
      }))

    test('a paused reader is felt by the writer, and resuming lets everything through', () =>
      withPair(async ({ near, far }) => {
        const drained = deferred<void>()
        watch(near, { drain: drained.resolve })
        const farSide = watch(far)
        far.pause()
        const chunk = Buffer.alloc(256 * 1024)
        let written = 0
        while (near.write(chunk)) written += chunk.length
        written += chunk.length
        ok(written > 1024 * 1024 && written < 3 * 1024 * 1024, `${written} bytes before back-pressure`)
        ok(near.unsentBytes > 1024 * 1024)
        far.resume()
        await drained.promise
        strictEqual(near.unsentBytes, 0)
        strictEqual((await farSide.received(written)).length, written)
      }))

    test('end delivers what was written, then closes both sides without an error', () =>
      withPair(async ({ near, far }) => {
        const nearSide = watch(near)
        const farSide = watch(far)
        const last = Buffer.alloc(300_000, 7)
        near.write(last)
        near.write(bytes('bye'))
        near.end()
        near.write(bytes('not any more'))
        strictEqual(await farSide.closed, undefined)
        strictEqual(await nearSide.closed, undefined)
        const all = await farSide.received(300_003)
        strictEqual(all.length, 300_003)
        strictEqual(all.subarray(300_000).toString(), 'bye')
      }))

    test('destroy gives its reason to its own side, closes the other, and releases every buffer once', () =>
      withPair(async ({ near, far }) => {
        const nearSide = watch(near)
        const farSide = watch(far)
        far.pause()
        let releases = 0
        for (let i = 0; i < 40; i++) near.write(Buffer.alloc(200_000), () => releases++)
        const reason = new Error('enough')
        near.destroy(reason)
        near.destroy(new Error('twice'))
        strictEqual(await nearSide.closed, reason)
        strictEqual(releases, 40)
        await new Promise<void>((resolve) => {
          near.write(bytes('too late'), resolve)
        })
        far.resume()
        await farSide.closed
      }))

    test('a side that was closed before it started hears of it when it starts', () =>
      withPair(async ({ near, far }) => {
        const nearSide = watch(near)
        near.end()
        const farSide = watch(far)
        await nearSide.closed
        await farSide.closed
        far.destroy()
      }))

    test('two listeners on one port: the second is refused by name', () =>
      withPair(async ({ host, listener }) => {
        await rejects(
          host.network.listen(listener.address, () => undefined),
          (error) =>
            error instanceof NetworkError &&
            error.code === 'in-use' &&
            error.message.includes(`${listener.address.port}`),
        )
      }))

    test('a closed listener refuses, keeps its connections, and leaves its port free', () =>
      withPair(async ({ host, listener, near, far }) => {
        await listener.close()
        await rejects(
          host.network.connect(listener.address),
          (error) => error instanceof NetworkError && error.code === 'refused',
        )
        watch(near)
        const farSide = watch(far)
        near.write(bytes('still here'))
        strictEqual((await farSide.received(10)).toString(), 'still here')
        const again = await host.network.listen(listener.address, (connection) => connection.destroy())
        strictEqual(again.address.port, listener.address.port)
        await again.close()
      }))

    test('an aborted connect rejects with the reason', () =>
      withPair(async ({ host, listener }) => {
        const reason = new Error('no time')
        await rejects(host.network.connect(listener.address, { signal: AbortSignal.abort(reason) }), reason)
        const controller = new AbortController()
        const connecting = host.network.connect(listener.address, { signal: controller.signal })
        controller.abort(reason)
        await rejects(connecting, reason)
      }))
  })
}

interface Pair {
  readonly host: Host
  readonly listener: Listener
  readonly near: Connection
  readonly far: Connection
}

interface Side {
  /** The bytes so far, once there are at least so many. */
  received(bytes: number): Promise<Buffer>
  readonly closed: Promise<Error | undefined>
}

function watch(connection: Connection, options?: { drain: () => void }): Side {
  const chunks: { chunk: Buffer; copy: Buffer }[] = []
  const closed = deferred<Error | undefined>()
  let count = 0
  let isClosed = false
  let waiting: { bytes: number; resolve: () => void } | undefined
  connection.start({
    data(chunk) {
      ok(!isClosed, 'no data after closed')
      chunks.push({ chunk, copy: Buffer.from(chunk) })
      count += chunk.length
      if (waiting !== undefined && count >= waiting.bytes) waiting.resolve()
    },
    drain: () => options?.drain(),
    closed(error) {
      ok(!isClosed, 'closed comes once')
      isClosed = true
      closed.resolve(error)
    },
  })
  return {
    closed: closed.promise,
    async received(wanted) {
      if (count < wanted) {
        await new Promise<void>((resolve) => {
          waiting = { bytes: wanted, resolve }
        })
      }
      for (const { chunk, copy } of chunks) ok(chunk.equals(copy), 'a chunk did not change')
      return Buffer.concat(chunks.map(({ chunk }) => chunk))
    },
  }
}

async function turns(host: Host, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise<void>((resolve) => {
      host.clock.defer(resolve)
    })
  }
}

function bytes(content: string): Buffer {
  return Buffer.from(content)
}
