/** What TransactionLoad.java does, with our client: transactions that go on while the server is killed under them. */
import { createWriteStream, type WriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { connect, isMillraceError, type Store, type Stream, type Transaction } from 'millrace'
import { type SizedEvent, sizedStream } from './numbered.ts'
import { seededRandom } from './random.ts'

/** As TransactionLoad.java says. */
type Fate = 'committed' | 'aborted' | 'unknown'

export interface TransactionLoadOptions {
  readonly uri: string
  readonly stream: string
  readonly log: string
  readonly seed: number
  readonly writers: readonly number[]
  readonly stopping: AbortSignal
}

const KEYS = 16
const EVENTS_MAX = 20
const EVENTS_MAX_RARELY = 300
const LEASE_MS = 10_000
const SETTLE_MS_MAX = 60_000
const PAUSE_MS = 200

/** Resolves when the last one has ended, and the list is complete. */
export async function writeTransactions(options: TransactionLoadOptions): Promise<void> {
  const log = createWriteStream(options.log)
  await Promise.all(options.writers.map((writer) => new TransactionWriter(options, log, writer).run()))
  await finished(log.end())
}

class TransactionWriter {
  readonly #options: TransactionLoadOptions
  readonly #log: WriteStream
  readonly #writer: number
  readonly #random: () => number
  readonly #next = Array.from({ length: KEYS }, () => 0)

  constructor(options: TransactionLoadOptions, log: WriteStream, writer: number) {
    this.#options = options
    this.#log = log
    this.#writer = writer
    this.#random = seededRandom(options.seed * 31 + writer)
  }

  async run(): Promise<void> {
    const { stopping } = this.#options
    while (!stopping.aborted) {
      // What a store that closes had open is not pinged any more.
      const opened = await this.#open()
      if (opened === undefined) continue
      const { store, stream } = opened
      try {
        while (!stopping.aborted && (await this.#one(stream))) await pause(this.#below(50))
      } catch (error) {
        console.log(`a transaction does not begin: ${(error as Error).message}`)
        await pause(PAUSE_MS)
      } finally {
        await store.close()
      }
    }
  }

  async #open(): Promise<{ store: Store; stream: Stream<SizedEvent> } | undefined> {
    try {
      const store = await connect(this.#options.uri)
      return { store, stream: sizedStream(store, this.#options.stream) }
    } catch {
      await pause(PAUSE_MS)
      return undefined
    }
  }

  /** False if it leaves the transaction, which takes a new store. */
  async #one(stream: Stream<SizedEvent>): Promise<boolean> {
    const transaction = await stream.transaction({ leaseMs: LEASE_MS })
    const events = this.#events()
    let fate: Fate = 'aborted'
    let goesOn = true
    try {
      await transaction.writeAll(events)
      await pause(this.#below(100))
      const choice = this.#random()
      if (choice < 0.75) fate = await commit(stream, transaction)
      else if (choice < 0.85) await transaction.abort()
      else {
        goesOn = false
        await transaction.flush()
        if (choice < 0.95) fate = await this.#commitElsewhere(transaction.id)
      }
    } catch {
      // Before anybody asked for a commit, so it stays what it is.
      goesOn = false
    }
    const ids = events.map(({ key, sequence }) => ` ${key} ${sequence}`).join('')
    this.#log.write(`${fate} ${this.#writer}${ids}\n`)
    return goesOn
  }

  #events(): SizedEvent[] {
    const count = 1 + this.#below(this.#below(20) === 0 ? EVENTS_MAX_RARELY : EVENTS_MAX)
    return Array.from({ length: count }, () => {
      const key = this.#below(KEYS)
      const sequence = this.#next[key]!++
      return { writer: this.#writer, key, sequence, bytes: this.#below(500) }
    })
  }

  async #commitElsewhere(id: string): Promise<Fate> {
    const store = await connect(this.#options.uri)
    try {
      const stream = sizedStream(store, this.#options.stream)
      return await commit(stream, await stream.openTransaction(id, { leaseMs: LEASE_MS }))
    } finally {
      await store.close()
    }
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound)
  }
}

async function commit(stream: Stream<SizedEvent>, transaction: Transaction<SizedEvent>): Promise<Fate> {
  const end = performance.now() + SETTLE_MS_MAX
  do {
    try {
      await transaction.commit()
      return 'committed'
    } catch (error) {
      if (isMillraceError(error) && error.code === 'txn-aborted') return 'aborted'
      const status = await stream.transactionStatus(transaction.id).catch(() => 'unknown' as const)
      if (status === 'committed') return 'committed'
      if (status === 'aborted' || status === 'aborting') return 'aborted'
    }
    await pause(PAUSE_MS)
  } while (performance.now() < end)
  return 'unknown'
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
