/** Readers in Java and in TypeScript in one group: they share its segments, take over from each other, and end up agreed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { connect, type Group, type Reader, type Store, type Stream } from 'millrace'
import type { Case } from './cases.ts'
import { Child, within } from './child.ts'
import { startJava } from './java.ts'
import { ServerProcess, withDirectory } from './server.ts'

export const mixedCases: readonly Case[] = [
  { name: 'mixed: a group made in Java, shared by readers that come and go', run: () => shared('java') },
  {
    name: 'mixed: a group made in TypeScript, shared by readers that come and go',
    run: () => shared('typescript'),
  },
  { name: 'mixed: what TypeScript readers record by themselves does not disturb Java', run: recorded },
  { name: 'mixed: Java goes on where a killed TypeScript reader had recorded', run: killed },
  {
    name: 'mixed: a killed TypeScript reader is noticed by another one, and Java gets its share',
    run: silent,
  },
  { name: 'mixed: checkpoints and resets, made in either language, reach all readers', run: checkpoints },
  { name: 'mixed: a Java reader that is gone blocks nothing but its segments', run: abandoned },
]

export const SCOPE = 'mixed'
export const STREAM = 'orders'
const GROUP = 'billing'
const SEGMENTS = 8
const KEYS = 50
const PATIENCE_MS = 90_000

export interface Order {
  readonly key: number
  readonly sequence: number
}

/** As `Numbered` in Java: writer, key and sequence, big-endian. */
const codec = {
  encode({ key, sequence }: Order): Uint8Array {
    const bytes = Buffer.alloc(16)
    bytes.writeInt32BE(1, 0)
    bytes.writeInt32BE(key, 4)
    bytes.writeBigInt64BE(BigInt(sequence), 8)
    return bytes
  },
  decode(bytes: Uint8Array): Order {
    const event = Buffer.from(bytes)
    return { key: event.readInt32BE(4), sequence: Number(event.readBigInt64BE(8)) }
  },
}

export function openOrders(store: Store): Stream<Order> {
  const create = { scaling: { segments: SEGMENTS } }
  return store.stream<Order>(`${SCOPE}/${STREAM}`, { key: ({ key }) => `key-${key}`, codec, create })
}

export interface Scene {
  readonly uri: string
  readonly store: Store
  readonly orders: Stream<Order>
  readonly group: Group<Order>
  readonly java: GroupPeer
  readonly ledger: Ledger
}

export async function scene(play: (scene: Scene) => Promise<void>): Promise<void> {
  await withDirectory(async (data) => {
    const server = new ServerProcess({ data })
    const uri = await server.ready
    const store = await connect(uri)
    const ledger = new Ledger()
    const java = new GroupPeer(uri, ledger)
    try {
      const orders = openOrders(store)
      await orders.create()
      await play({ uri, store, orders, group: orders.group(GROUP), java, ledger })
      await store.close()
      await java.close()
      await server.stop()
    } finally {
      await server.child.kill()
      await java.close()
    }
  })
}

/** Events by name, and how often they came. */
export class Ledger {
  readonly counts: Map<string, number> = new Map()
  readonly #last = new Map<string, number>()
  #onEvent: () => void = () => undefined

  /** One reader sees the events of a key in order, unless it starts over. */
  add(reader: string, { key, sequence }: Order): void {
    const name = `${key}/${sequence}`
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    const last = this.#last.get(`${reader} ${key}`) ?? -1
    assert(sequence > last, `${reader} got event ${sequence} of key ${key} after ${last}`)
    this.#last.set(`${reader} ${key}`, sequence)
    this.#onEvent()
  }

  startOver(): void {
    this.#last.clear()
  }

  /** Until so many different events have come. */
  async until(count: number): Promise<void> {
    const all = new Promise<void>((resolve) => {
      this.#onEvent = () => {
        if (this.counts.size >= count) resolve()
      }
    })
    this.#onEvent()
    await within(PATIENCE_MS, `${count} events have come, not ${this.counts.size}`, all)
  }

  get repeated(): string[] {
    return [...this.counts].filter(([, count]) => count > 1).map(([name]) => name)
  }
}

export class GroupPeer {
  readonly #child: Child
  readonly #answers: { resolve: (answer: string) => void; reject: (error: Error) => void }[] = []

  constructor(uri: string, ledger: Ledger) {
    this.#child = startJava('GroupPeer', [uri, SCOPE, GROUP, STREAM], {
      onLine: (line) => {
        const [word, ...rest] = line.split(' ')
        if (word === 'event') {
          const [reader = '', , key, sequence] = rest
          ledger.add(reader, { key: Number(key), sequence: Number(sequence) })
        } else if (word === 'ok') this.#answers.shift()?.resolve(rest.join(' '))
        else if (word === 'failed') this.#answers.shift()?.reject(this.#child.failure(line))
      },
    })
    void this.#child.ended.then(() => {
      for (const { reject } of this.#answers.splice(0)) reject(this.#child.failure('ended'))
    })
  }

  ask(...words: readonly string[]): Promise<string> {
    const answer = new Promise<string>((resolve, reject) => {
      this.#answers.push({ resolve, reject })
    })
    this.#child.tell(words.join(' '))
    return within(PATIENCE_MS, `Java answers to ${words.join(' ')}`, answer)
  }

  async close(): Promise<void> {
    this.#child.endInput()
    await this.#child.stop()
  }
}

export interface Reading {
  readonly over: Promise<void>
  close(): Promise<void>
}

export function read(reader: Reader<Order>, name: string, ledger: Ledger): Reading {
  const over = (async () => {
    for await (const { value } of reader) ledger.add(name, value)
  })()
  over.catch(() => undefined)
  return {
    over,
    async close() {
      await reader.close()
      await over
    },
  }
}

/** Event by event at some speed; `written` grows. */
export async function write(orders: Stream<Order>, from: number, count: number, pauseMs = 20): Promise<void> {
  for (let at = from; at < from + count; at += KEYS) {
    const sequence = at / KEYS
    await orders.writeAll(Array.from({ length: KEYS }, (_, key) => ({ key, sequence })))
    await pause(pauseMs)
  }
}

export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs)
  })
}

export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const started = performance.now()
  while (!(await holds())) {
    assert(performance.now() - started < PATIENCE_MS, what)
    await pause(500)
  }
}

async function shared(maker: 'java' | 'typescript'): Promise<void> {
  await scene(async ({ orders, group, java, ledger }) => {
    if (maker === 'java') await java.ask('create', '2000')
    const first = read(group.reader({ id: 'ts-1' }), 'ts-1', ledger)
    await write(orders, 0, 1000)
    await java.ask('open', 'java-1')
    await eventually('both readers have a share', async () => /java-1=[1-7]/.test(await java.ask('shares')))
    await write(orders, 1000, 5000)
    const second = read(group.reader({ id: 'ts-2' }), 'ts-2', ledger)
    await java.ask('open', 'java-2')
    await eventually('four readers have a share', async () => {
      const shares = await java.ask('shares')
      return [...shares.matchAll(/=(\d)/g)].filter((match) => Number(match[1]) > 0).length === 4
    })
    await write(orders, 6000, 5000)
    await java.ask('close', 'java-1')
    await first.close()
    await write(orders, 11_000, 3000)
    await second.close()
    await write(orders, 14_000, 1000)
    await ledger.until(15_000)
    await java.ask('close', 'java-2')
    assert.deepEqual(ledger.repeated, [], 'no event comes twice')
    assert.equal(await java.ask('readers'), '')
    assert.deepEqual(await group.lag(), { bytes: 0, readers: [] })
  })
}

/** Without checkpoints, which would record the positions, too. */
async function recorded(): Promise<void> {
  await scene(async ({ orders, group, java, ledger }) => {
    await java.ask('create', '600000')
    const reading = read(group.reader({ id: 'ts-1' }), 'ts-1', ledger)
    await pause(500)
    await java.ask('open', 'java-1')
    await eventually('both readers have a share', async () => /java-1=[1-7]/.test(await java.ask('shares')))
    await write(orders, 0, 20_000, 30)
    await ledger.until(20_000)
    await pause(6000)
    const shares = await java.ask('shares')
    // Java's reader has recorded nothing yet, ours all that it has read.
    const { bytes } = await group.lag()
    assert(bytes < 20_000 * 24, `${bytes} of ${20_000 * 24} bytes are not recorded`)
    await write(orders, 20_000, 1000)
    await ledger.until(21_000)
    assert.equal(await java.ask('shares'), shares)
    await java.ask('close', 'java-1')
    await reading.close()
    assert.deepEqual(ledger.repeated, [], 'no event comes twice')
    assert.deepEqual(await group.lag(), { bytes: 0, readers: [] })
  })
}

/** In a process of its own, so that it can be killed. */
function startReader(uri: string, id: string, ledger: Ledger): Child {
  return new Child({
    name: 'the reader',
    command: process.execPath,
    args: [join(import.meta.dirname, 'group-reader.ts'), uri, id],
    onLine: (line) => {
      const [key, sequence] = line.split(' ')
      ledger.add(id, { key: Number(key), sequence: Number(sequence) })
    },
  })
}

async function killed(): Promise<void> {
  await scene(async ({ uri, orders, group, java, ledger }) => {
    await java.ask('create', '2000')
    const child = startReader(uri, 'ts-1', ledger)
    const rounds = 100
    for (let round = 0; round < rounds; round++) await write(orders, round * KEYS, KEYS, 200)
    await ledger.until(rounds * KEYS)
    await child.kill()
    assert.deepEqual((await group.lag()).readers, ['ts-1'])
    // As Java knows it: ours carry a mark.
    await java.ask('offline', await java.ask('readers'))
    await java.ask('open', 'java-1')
    await write(orders, rounds * KEYS, 1000)
    await ledger.until(rounds * KEYS + 1000)
    await java.ask('close', 'java-1')
    // Five seconds of a round each 0.2 s, and what the machine was late.
    assert(ledger.repeated.length <= 40 * KEYS, `${ledger.repeated.length} events come twice`)
    assert(ledger.repeated.every((name) => Number(name.split('/')[1]) >= rounds - 40))
  })
}

/** Nobody says that it is gone. */
async function silent(): Promise<void> {
  await scene(async ({ uri, orders, group, java, ledger }) => {
    await java.ask('create', '1000')
    const child = startReader(uri, 'ts-1', ledger)
    const reading = read(group.reader({ id: 'ts-2' }), 'ts-2', ledger)
    await java.ask('open', 'java-1')
    await eventually('the three have a share each', async () => {
      const shares = await java.ask('shares')
      return [...shares.matchAll(/=(\d)/g)].filter((match) => Number(match[1]) > 0).length === 3
    })
    await write(orders, 0, 1000)
    await ledger.until(1000)
    await child.kill()
    await write(orders, 1000, 1000)
    await ledger.until(2000)
    await reading.close()
    await java.ask('close', 'java-1')
    assert.deepEqual(await group.lag(), { bytes: 0, readers: [] })
  })
}

async function checkpoints(): Promise<void> {
  await scene(async ({ orders, group, java, ledger }) => {
    await java.ask('create', '2000')
    await write(orders, 0, 1000)
    const reading = read(group.reader({ id: 'ts-1' }), 'ts-1', ledger)
    await java.ask('open', 'java-1')
    await ledger.until(1000)
    await eventually('both readers have a share', async () => /java-1=[1-7]/.test(await java.ask('shares')))
    const atThousand = await group.checkpoint({ name: 'at 1000'.replace(' ', '-') })
    await write(orders, 1000, 1000)
    await ledger.until(2000)
    const cutAtTwoThousand = await java.ask('checkpoint', 'at-2000')
    assert.deepEqual(ledger.repeated, [])
    assert.equal((await java.ask('unread')) === '0', true)

    ledger.startOver()
    await group.reset(atThousand)
    await eventually('what follows the checkpoint comes again', async () => ledger.repeated.length === 1000)
    await write(orders, 2000, 1000)
    await ledger.until(3000)
    ledger.startOver()
    await java.ask('reset', cutAtTwoThousand)
    await eventually('what follows the cut comes again', async () => ledger.repeated.length === 2000)
    const events = [...ledger.counts]
    for (const [name, count] of events) {
      const sequence = Number(name.split('/')[1])
      assert.equal(count, sequence < 1000 / KEYS ? 1 : 2, name)
    }
    await reading.close()
    await java.ask('close', 'java-1')
    assert.deepEqual(await group.lag(), { bytes: 0, readers: [] })
  })
}

async function abandoned(): Promise<void> {
  await scene(async ({ orders, group, java, ledger }) => {
    const reading = read(group.reader({ id: 'ts-1' }), 'ts-1', ledger)
    await java.ask('open', 'java-1')
    await eventually('both readers have a share', async () => /java-1=[1-7]/.test(await java.ask('shares')))
    await write(orders, 0, 2000)
    await ledger.until(2000)
    await java.ask('abandon', 'java-1')
    await write(orders, 2000, 1000)
    await pause(3000)
    assert(ledger.counts.size < 3000, 'its segments wait')
    await java.ask('offline', 'java-1')
    await ledger.until(3000)
    await reading.close()
    assert.deepEqual(await group.lag(), { bytes: 0, readers: [] })
  })
}
