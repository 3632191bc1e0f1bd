/**
 * A store as a directory that is kept: what this version has written, every later one must open. `npm run fixture` makes a new
 * one when a format gets a new version; the old ones stay.
 */
import type { Host } from '../base/host.ts'
import type { Container } from '../segment-store/container.ts'
import { openSegmentStore } from '../segment-store/open-store.ts'
import type { SegmentStore } from '../segment-store/segment-store.ts'
import { LONG_MIN } from '../protocol/wire/commands.ts'

const LOG = { fileBytesFirst: 64 * 1024, fileBytesMax: 64 * 1024 }
const WRITER = 'writer-1-1-1-1-1'

export function openFixture(host: Host, directory: string): Promise<SegmentStore> {
  return openSegmentStore({ host, directory, containers: 3, log: LOG })
}

/** Everything that a store can hold: all kinds of segments and operations, several files of the log, checkpoints, indexes. */
export async function writeFixture(host: Host, directory: string): Promise<void> {
  let store = await openFixture(host, directory)
  for (const name of ['open', 'sealed', 'truncated', 'merged', 'gone', 'source', 'late'])
    create(store, segment(name), 'stream')
  create(store, 'shop/table', 'table')
  for (let round = 0; round < 25; round++) {
    for (const name of ['open', 'sealed', 'truncated', 'merged', 'gone', 'source']) append(store, name, round)
    put(store, round)
    await durable(store)
  }
  submit(store, segment('sealed'), { kind: 'seal', name: segment('sealed') })
  submit(store, segment('truncated'), { kind: 'truncate', name: segment('truncated'), offset: 5000 })
  submit(store, segment('merged'), {
    kind: 'merge',
    target: segment('merged'),
    source: segment('source'),
    updates: [],
  })
  submit(store, segment('gone'), {
    kind: 'delete',
    name: segment('gone'),
    type: 'stream',
    mustBeEmpty: false,
  })
  append(store, 'merged', 25)
  await durable(store)
  await store.close()
  // What follows stands in a log of a second epoch, behind no checkpoint.
  store = await openFixture(host, directory)
  append(store, 'late', 26)
  append(store, 'open', 26)
  create(store, `${segment('late')}#transient.${'1'.repeat(32)}.${'2'.repeat(32)}`, 'transient')
  await durable(store)
  await store.close()
}

/** What is in a store, in a form that can be compared and kept as JSON. */
export async function describeStore(store: SegmentStore): Promise<Record<string, unknown>> {
  const segments: Record<string, unknown> = {}
  for (const container of store.containers) {
    for (const { name, ...state } of container.describe()) {
      const found = container.find(name)!
      const bytes = found.table === undefined ? await readAll(container, name) : Buffer.alloc(0)
      const entries = [...(found.table?.from(0) ?? [])].map(({ key, value, version }) => [
        key.toString(),
        value.toString(),
        version,
      ])
      segments[name] = { ...state, bytes: bytes.toString('latin1'), entries }
    }
  }
  return Object.fromEntries(Object.entries(segments).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** What is merged lives in the container of its target. */
function segment(name: string): string {
  return name === 'source' ? `${segment('merged')}#transaction.${'3'.repeat(32)}` : `shop/${name}/0.#epoch.0`
}

function create(store: SegmentStore, name: string, type: 'stream' | 'table' | 'transient'): void {
  submit(store, name, { kind: 'create', name, type, attributes: [] })
}

function submit(store: SegmentStore, name: string, request: Parameters<Container['submit']>[0]): void {
  const outcome = store.containerOf(name).submit(request)
  if ('rejection' in outcome) throw new Error(`${request.kind} of ${name}: ${outcome.rejection.code}`)
}

function append(store: SegmentStore, name: string, round: number): void {
  const container = store.containerOf(segment(name))
  const data = Buffer.from(`${name} ${round} ${'.'.repeat(500)}\n`)
  const rejection = container.append({
    segment: container.find(segment(name))!,
    writerId: WRITER,
    eventNumber: round + 1,
    eventCount: 1,
    expectedOffset: -1,
    data: [data],
    length: data.length,
  })
  if (rejection !== undefined) throw new Error(`append to ${name}: ${rejection.code}`)
}

function put(store: SegmentStore, round: number): void {
  const entries = [
    { key: Buffer.from(`key-${round % 7}`), value: Buffer.from(`value ${round}`), version: LONG_MIN },
  ]
  submit(store, 'shop/table', { kind: 'table-put', name: 'shop/table', entries, tableOffset: -1 })
}

async function durable(store: SegmentStore): Promise<void> {
  for (const container of store.containers)
    await new Promise<void>((resolve, reject) =>
      container.whenDurable({ settle: (failure) => (failure === undefined ? resolve() : reject(failure)) }),
    )
}

async function readAll(container: Container, name: string): Promise<Buffer> {
  const found = container.find(name)!
  const pieces: Buffer[] = []
  let offset = found.startOffset
  while (offset < found.durableLength) {
    const answer = await container.read({
      segment: found,
      offset,
      room: () => 1_000_000,
      roomGrown: async () => undefined,
    })
    if (answer.kind !== 'bytes') throw new Error(`${name} at ${offset}: ${answer.rejection.code}`)
    for (const slice of answer.slices) pieces.push(Buffer.from(slice))
    offset += answer.length
    answer.release()
  }
  return Buffer.concat(pieces)
}
