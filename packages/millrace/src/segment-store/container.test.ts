import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { nodeHost } from '../base/node-host.ts'
import { LONG_MIN, type Long } from '../protocol/wire/commands.ts'
import { MemoryLog } from '../testing/memory-log.ts'
import { SimRandom } from '../testing/sim/sim-random.ts'
import { UpdateType } from './attributes.ts'
import { BlockCache } from './block-cache.ts'
import { Container, type Waiting } from './container.ts'
import type { Rejection, Request } from './container-state.ts'

const CONTAINER = 3

function openContainer(log: MemoryLog, cacheBytes = 256 * 1024): Container {
  const cache = new BlockCache({ bytesMax: cacheBytes })
  const container = new Container({
    id: CONTAINER,
    clock: nodeHost().clock,
    cache,
    inFlight: { bytes: 0 },
  })
  log.recover(CONTAINER, container.recovery())
  container.open(log.openContainer(CONTAINER, container))
  return container
}

function manualLog(): MemoryLog {
  const log = new MemoryLog()
  log.automatic = false
  return log
}

function append(
  container: Container,
  name: string,
  bytes: Buffer,
  eventNumber: number,
): Rejection | undefined {
  return container.append({
    segment: container.find(name)!,
    writerId: 'writer-1-1-1-1-1',
    eventNumber,
    eventCount: 1,
    expectedOffset: -1,
    data: [bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)],
    length: bytes.length,
  })
}

async function readAll(container: Container, name: string, from: number): Promise<Buffer> {
  const segment = container.find(name)!
  const pieces: Buffer[] = []
  let offset = from
  while (offset < segment.durableLength) {
    const answer = await container.read({
      segment,
      offset,
      room: () => 100_000,
      roomGrown: async () => undefined,
    })
    ok(answer.kind === 'bytes')
    for (const slice of answer.slices) pieces.push(Buffer.from(slice))
    offset += answer.length
    answer.release()
  }
  return Buffer.concat(pieces)
}

function create(container: Container, name: string, type: 'stream' | 'table' | 'transient' = 'stream'): void {
  ok('operation' in container.submit({ kind: 'create', name, type, attributes: [] }))
}

test('answers leave in the order of their requests, each when all before it is durable', () => {
  const log = manualLog()
  const container = openContainer(log)
  const heard: string[] = []
  const waiting = (name: string): Waiting => ({
    settle: (failure) => heard.push(`${name} ${failure?.code ?? 'ok'}`),
  })
  container.whenDurable(waiting('nothing to wait for'))
  create(container, 'a')
  container.whenDurable(waiting('create'))
  append(container, 'a', Buffer.from('x'), 1)
  container.whenDurable(waiting('append'))
  append(container, 'a', Buffer.from('y'), 1)
  container.whenDurable(waiting('rejection'))
  deepStrictEqual(heard, ['nothing to wait for ok'])
  log.settle()
  deepStrictEqual(heard.slice(1), ['create ok', 'append ok', 'rejection ok'])
  append(container, 'a', Buffer.from('z'), 2)
  container.whenDurable(waiting('too late'))
  log.fail()
  container.whenDurable(waiting('afterwards'))
  deepStrictEqual(heard.slice(4), ['too late io', 'afterwards io'])
})

test('what a crash leaves is what was durable, however the operations fell into frames and checkpoints', async () => {
  for (let seed = 0; seed < 150; seed++) await randomLife(seed)
})

test('a frame that was cut out of the middle is missed, and the container stays shut', () => {
  const log = manualLog()
  const container = openContainer(log)
  for (const name of ['a', 'b', 'c']) {
    create(container, name)
    log.settle()
  }
  log.frames.splice(1, 1)
  const failure = openContainer(log).failure
  strictEqual(failure?.code, 'damaged')
  ok(failure.message.includes('Operation 3 follows 1'), failure.message)
})

test('bytes that are no operations name the container, and other containers do not mind', () => {
  const log = manualLog()
  const container = openContainer(log)
  create(container, 'a')
  log.settle()
  log.frames[0]!.metadata.writeUInt8(77, 13)
  strictEqual(openContainer(log).failure?.code, 'damaged')
})

test('large appends are cut into frames, and each frame has at least one operation', async () => {
  const log = manualLog()
  const container = openContainer(log, 64 * 1024 * 1024)
  create(container, 'a')
  for (let number = 1; number <= 4; number++) append(container, 'a', Buffer.alloc(3_000_000, number), number)
  log.settle()
  strictEqual(log.frames.length, 4)
  const bytes = await readAll(container, 'a', 0)
  strictEqual(bytes.length, 12_000_000)
  for (let number = 1; number <= 4; number++) strictEqual(bytes[number * 3_000_000 - 1], number)
})

interface ModelSegment {
  bytes: Buffer
  start: number
  sealed: boolean
  readonly attributes: Map<string, Long>
  readonly table: Map<string, string> | undefined
}

/** Random operations, syncs, checkpoints and crashes, beside a model that is as simple as can be. */
async function randomLife(seed: number): Promise<void> {
  const random = new SimRandom(`container ${seed}`)
  const log = manualLog()
  let container = openContainer(log)
  let model = new Map<string, ModelSegment>()
  let durable = copy(model)
  let eventNumber = 0
  for (let step = 0; step < 120; step++) {
    const action = random.integer(100)
    if (action < 80) {
      eventNumber++
      change(random, container, model, eventNumber)
    } else if (action < 90) {
      log.place += random.integer(2)
      log.settle()
      durable = copy(model)
    } else if (action < 95) {
      log.checkpoint()
      log.settle()
      // The state is taken down at the first sync and saved at the next.
      log.settle()
      durable = copy(model)
    } else {
      container = openContainer(log)
      model = copy(durable)
      await compare(container, model, seed)
    }
  }
  log.settle()
  await compare(container, model, seed)
  await compare(openContainer(log), model, seed)
}

function change(
  random: SimRandom,
  container: Container,
  model: Map<string, ModelSegment>,
  number: number,
): void {
  const name = `s${random.integer(6)}`
  const other = `s${random.integer(6)}`
  const segment = model.get(name)
  const submit = (request: Request): boolean => 'operation' in container.submit(request)
  if (segment === undefined) {
    const type = name === 's5' ? 'table' : 'stream'
    ok(submit({ kind: 'create', name, type, attributes: [] }))
    model.set(name, {
      bytes: Buffer.alloc(0),
      start: 0,
      sealed: false,
      attributes: new Map(),
      table: type === 'table' ? new Map() : undefined,
    })
    return
  }
  switch (random.integer(8)) {
    case 0:
    case 1:
    case 2: {
      if (segment.table !== undefined) return changeTable(random, container, name, segment.table)
      const bytes = Buffer.alloc(random.integer(random.pick([10, 3000, 150_000])), number)
      const rejection = append(container, name, bytes, number)
      strictEqual(rejection === undefined, !segment.sealed)
      if (rejection === undefined) segment.bytes = Buffer.concat([segment.bytes, bytes])
      return
    }
    case 3: {
      if (segment.table !== undefined) return
      const offset = random.integer(segment.bytes.length + 2)
      const done = submit({ kind: 'truncate', name, offset })
      strictEqual(done, offset >= segment.start && offset <= segment.bytes.length)
      if (done) segment.start = offset
      return
    }
    case 4: {
      if (!random.chance(0.2)) return
      strictEqual(submit({ kind: 'seal', name }), !segment.sealed)
      segment.sealed = true
      return
    }
    case 5: {
      if (!random.chance(0.3)) return
      ok(
        submit({
          kind: 'delete',
          name,
          type: segment.table === undefined ? 'stream' : 'table',
          mustBeEmpty: false,
        }),
      )
      model.delete(name)
      return
    }
    case 6: {
      const source = model.get(other)
      const done = submit({ kind: 'merge', target: name, source: other, updates: [] })
      const possible =
        source !== undefined &&
        source !== segment &&
        source.table === undefined &&
        segment.table === undefined &&
        source.start === 0 &&
        !segment.sealed
      strictEqual(done, possible)
      if (!done || source === undefined) return
      segment.bytes = Buffer.concat([segment.bytes, source.bytes])
      model.delete(other)
      return
    }
    default: {
      const id = `attribute-${random.integer(3)}-1-2-`.padEnd(16, '.')
      const expected = random.chance(0.5) ? (segment.attributes.get(id) ?? LONG_MIN) : 1
      const update = { id, type: UpdateType.replaceIfEquals, value: number, expected }
      const done = submit({ kind: 'attribute', name, update })
      strictEqual(done, (segment.attributes.get(id) ?? LONG_MIN) === expected)
      if (done) segment.attributes.set(id, number)
    }
  }
}

function changeTable(
  random: SimRandom,
  container: Container,
  name: string,
  table: Map<string, string>,
): void {
  const key = `key-${random.integer(5)}`
  if (random.chance(0.7)) {
    const value = `value-${random.integer(1000)}`
    const entries = [{ key: Buffer.from(key), value: Buffer.from(value), version: LONG_MIN }]
    const sealed = container.find(name)!.sealed
    strictEqual(
      'operation' in container.submit({ kind: 'table-put', name, entries, tableOffset: -1 }),
      !sealed,
    )
    if (!sealed) table.set(key, value)
    return
  }
  const keys = [{ key: Buffer.from(key), version: LONG_MIN }]
  if ('operation' in container.submit({ kind: 'table-remove', name, keys, tableOffset: -1 }))
    table.delete(key)
}

async function compare(container: Container, model: Map<string, ModelSegment>, seed: number): Promise<void> {
  strictEqual(container.failure, undefined)
  strictEqual(container.segmentCount, model.size, `seed ${seed}`)
  for (const [name, expected] of model) {
    const segment = container.find(name)
    ok(segment !== undefined, `seed ${seed}: ${name} is missing`)
    strictEqual(segment.sealed, expected.sealed)
    for (const [id, value] of expected.attributes) strictEqual(segment.attributes.get(id), value)
    if (expected.table !== undefined) {
      const entries = [...segment.table!.from(0)].map(({ key, value }) => [key.toString(), value.toString()])
      deepStrictEqual(new Map(entries as [string, string][]), expected.table)
      continue
    }
    deepStrictEqual([segment.startOffset, segment.length], [expected.start, expected.bytes.length])
    const bytes = await readAll(container, name, expected.start)
    ok(bytes.equals(expected.bytes.subarray(expected.start)), `seed ${seed}: ${name} has other bytes`)
  }
}

function copy(model: Map<string, ModelSegment>): Map<string, ModelSegment> {
  return new Map(
    [...model].map(([name, segment]) => [
      name,
      {
        ...segment,
        attributes: new Map(segment.attributes),
        table: segment.table === undefined ? undefined : new Map(segment.table),
      },
    ]),
  )
}
