import { ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Host } from '../base/host.ts'
import { simulate } from '../testing/sim/simulate.ts'
import type { SegmentStore } from './segment-store.ts'
import { openSegmentStore } from './open-store.ts'

const LOG = { fileBytesFirst: 64 * 1024, fileBytesMax: 64 * 1024 }
const LOUD = 'shop/loud/0.#epoch.0'
const QUIET = 'shop/quiet/0.#epoch.0'

function open(host: Host): Promise<SegmentStore> {
  return openSegmentStore({ host, directory: 'data', containers: 3, log: LOG })
}

async function append(store: SegmentStore, name: string, number: number, data: Buffer): Promise<void> {
  const container = store.containerOf(name)
  const rejection = container.append({
    segment: container.find(name)!,
    writerId: 'writer-1-1-1-1-1',
    eventNumber: number,
    eventCount: 1,
    expectedOffset: -1,
    data: [data],
    length: data.length,
  })
  strictEqual(rejection, undefined)
  await new Promise<void>((resolve, reject) =>
    container.whenDurable({ settle: (failure) => (failure === undefined ? resolve() : reject(failure)) }),
  )
}

async function readAll(store: SegmentStore, name: string): Promise<string> {
  const container = store.containerOf(name)
  const segment = container.find(name)!
  let text = ''
  while (text.length < segment.durableLength) {
    const offset = text.length
    const room = (): number => 1_000_000
    const answer = await container.read({ segment, offset, room, roomGrown: async () => undefined })
    ok(answer.kind === 'bytes')
    for (const slice of answer.slices) text += slice.toString('latin1')
    answer.release()
  }
  return text
}

test('a quiet stream does not keep the files of a loud one that is truncated, and loses nothing', async () => {
  for (let seed = 0; seed < 12; seed++) {
    await simulate(`compaction ${seed}`, async (world) => {
      const node = world.node('server')
      let store = await open(node.host)
      for (const name of [LOUD, QUIET])
        store.containerOf(name).submit({ kind: 'create', name, type: 'stream', attributes: [] })
      let expected = ''
      let loud = 0
      for (let number = 1; number <= 150; number++) {
        const quiet = `quiet ${number}\n`
        await append(store, QUIET, number, Buffer.from(quiet))
        expected += quiet
        await append(store, LOUD, number, Buffer.alloc(8000, number))
        loud += 8000
        store.containerOf(LOUD).submit({ kind: 'truncate', name: LOUD, offset: loud })
        if (world.random.chance(0.03)) {
          node.crash({ power: world.random.chance(0.5) })
          store = await open(node.restart())
        }
      }
      await world.sleep(1000)
      const { files } = store.stats().log
      ok(files < 35, `seed ${seed}: ${files} files of the log are there, of about 60 that were written`)
      strictEqual(await readAll(store, QUIET), expected)
      node.crash({ power: true })
      store = await open(node.restart())
      strictEqual(await readAll(store, QUIET), expected)
      await store.close()
    })
  }
})
