/**
 * How far the work has come, kept in a stream of the store. Whatever was being done when a worker died is either in it or not,
 * and the order of its entries decides between two workers, be one of them a dead one's last words that arrive late.
 *
 * Each entry is written, and then the stream is read up to it. An entry counts if the worker who wrote it is the last one
 * that has begun before it; whoever finds an entry of its own that does not count has been replaced, and stops.
 */
import { randomUUID } from 'node:crypto'
import type { Checkpoint, Event, Store, Stream } from 'millrace'

/** Where to read on. */
export type Place = 'head' | Checkpoint

/** A transaction with all results of what lies between the place before it and `to`. It is to be committed, whatever comes. */
export interface Prepared {
  readonly transaction: string
  readonly to: Checkpoint
}

interface Signed {
  readonly by: string
  /** Where in the stream it stands, or before where it stands if others have written meanwhile. The first is 1. */
  readonly number: number
}

type Entry = Signed &
  (
    | { readonly kind: 'begun' }
    | ({ readonly kind: 'prepared' } & Prepared)
    /** Everything before the place is done, nothing behind it, and no transaction is left to be ended. */
    | { readonly kind: 'settled'; readonly place: Place }
  )

export class Progress {
  readonly #stream: Stream<Entry>
  readonly #entries: AsyncIterator<Event<Entry>>
  readonly #worker: string = randomUUID()
  /** How many entries there have been, with those that were dropped. */
  #count = 0
  #owner: string | undefined
  #place: Place = 'head'
  #prepared: Prepared | undefined

  /** Takes over from whoever has worked before, and reads how far that was. */
  static async begin(store: Store, name: string): Promise<Progress> {
    const progress = new Progress(
      store.stream<Entry>(name, { key: () => 'progress', create: { scaling: { segments: 1 } } }),
    )
    await progress.#append({ kind: 'begun' })
    return progress
  }

  private constructor(stream: Stream<Entry>) {
    this.#stream = stream
    this.#entries = stream.read()[Symbol.asyncIterator]()
  }

  get place(): Place {
    return this.#place
  }

  /** What was to be committed when it was heard of last. */
  get prepared(): Prepared | undefined {
    return this.#prepared
  }

  async prepare(prepared: Prepared): Promise<void> {
    await this.#append({ kind: 'prepared', ...prepared })
  }

  async settle(place: Place): Promise<void> {
    await this.#append({ kind: 'settled', place })
  }

  /** Drops what nobody needs any more. To be called when everything is settled. */
  async compact(): Promise<void> {
    const before = await this.#stream.cut('tail')
    const { isNext } = await this.#append({ kind: 'settled', place: this.#place })
    // It counts, and so says all that those before it do; and it stands right behind the cut.
    if (isNext) await this.#stream.truncate(before)
  }

  /** No more entries are read. */
  async close(): Promise<void> {
    await this.#entries.return?.()
  }

  /** `isNext`: nobody else has written since this worker has read last. */
  async #append(what: DistributiveOmit<Entry, keyof Signed>): Promise<{ readonly isNext: boolean }> {
    const number = this.#count + 1
    await this.#stream.write({ by: this.#worker, number, ...what })
    for (;;) {
      const next = await this.#entries.next()
      if (next.done === true) throw new Error('The progress is not read any more')
      const entry = next.value.value
      this.#take(entry)
      // Entries of this worker are written one after the other, so the first that comes is the one.
      if (entry.by === this.#worker) break
    }
    if (this.#owner !== this.#worker) throw new Error('Another worker has begun: this one stops')
    return { isNext: this.#count === number }
  }

  #take(entry: Entry): void {
    // What is missing was dropped, and then this is the entry that says all: only who owns the work drops anything.
    const isMissing = entry.number > this.#count + 1
    this.#count = Math.max(this.#count + 1, entry.number)
    if (isMissing || entry.kind === 'begun') this.#owner = entry.by
    if (entry.by !== this.#owner) return
    if (entry.kind === 'prepared') this.#prepared = { transaction: entry.transaction, to: entry.to }
    if (entry.kind !== 'settled') return
    this.#place = entry.place
    this.#prepared = undefined
  }
}

/** Of each alternative by itself. */
type DistributiveOmit<U, K extends PropertyKey> = U extends unknown ? Omit<U, K> : never
