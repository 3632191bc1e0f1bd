/**
 * Records that pass through states with work to do. A change is decided on the record, written, and then its work is carried
 * out and written off; all of it in the queue of the record's key, and every step by compare-and-set. A process that dies
 * between two steps leaves a record that says what is left to do; whoever meets it next, reader or writer, does that first.
 */
import { ControllerError } from '../protocol/controller/service.ts'
import type { KeyedQueue } from './keyed-queue.ts'
import { CONFLICTS_MAX } from './limits.ts'
import type { Place, Records, StoredRecord } from './records.ts'

export interface WorkflowRules<T, P extends Place> {
  isUnderWay(record: T): boolean
  /** Whether readers may have the record as it is though there is work under way. */
  isTrueMeanwhile?(record: T): boolean
  /** Does what the record asks for and gives the record after it, undefined for none. Doing it again changes nothing. */
  carryOut(place: P, record: T): Promise<T | undefined>
  /** A write has succeeded. */
  written?(place: P, record: T | undefined): void
  /** A write has failed in a way that leaves open whether it was done. */
  inDoubt?(place: P): void
}

/** What is decided: an answer at once, or a next record and the answer for what has become of it. */
export type Decision<T, R> =
  | { readonly answer: R }
  | { readonly next: T; readonly answerFor: (after: T | undefined) => R }

/** What it needs of records. */
export type RecordStore<T> = Pick<Records<T>, 'held' | 'get' | 'put' | 'remove'>

export class Workflow<T, P extends Place> {
  readonly #records: RecordStore<T>
  readonly #queue: KeyedQueue
  readonly #rules: WorkflowRules<T, P>
  /** The work that this process is doing now. */
  readonly #working = new Map<string, Promise<StoredRecord<T> | undefined>>()

  constructor(dependencies: { records: RecordStore<T>; queue: KeyedQueue }, rules: WorkflowRules<T, P>) {
    this.#records = dependencies.records
    this.#queue = dependencies.queue
    this.#rules = rules
  }

  /** The record with no work under way that it waits for; such work is done if nobody does it. */
  async read(place: P): Promise<T | undefined> {
    const key = queueKey(place)
    for (;;) {
      const stored = this.#records.held(place) ?? (await this.#records.get(place))
      if (stored === undefined || !this.#rules.isUnderWay(stored.record)) return stored?.record
      if (this.#rules.isTrueMeanwhile?.(stored.record) === true) return stored.record
      const working = this.#working.get(key)
      if (working === undefined)
        return this.#queue.run(key, async () => (await this.#finishWork(place))?.record)
      // Behind the work, not behind all that waits for its turn.
      await working
    }
  }

  /** The record as it is, in whatever state. */
  async peek(place: P): Promise<T | undefined> {
    return (await this.#records.get(place))?.record
  }

  /**
   * Decides on the record, which has no work under way, and carries that out. `finished` is the record whose work was found
   * half done and was done first. A decision whose write meets another one is taken again.
   */
  change<R>(
    place: P,
    decide: (record: T | undefined, finished: T | undefined) => Decision<T, R> | Promise<Decision<T, R>>,
  ): Promise<R> {
    return this.#queue.run(queueKey(place), async () => {
      const found = await this.#records.get(place)
      const finished = found !== undefined && this.#rules.isUnderWay(found.record) ? found.record : undefined
      for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
        const stored = await this.#finishWork(place)
        const decision = await decide(stored?.record, finished)
        if (!('next' in decision)) return decision.answer
        if (!(await this.#write(place, decision.next, stored))) continue
        if (!this.#rules.isUnderWay(decision.next)) return decision.answerFor(decision.next)
        return decision.answerFor((await this.#finishWork(place))?.record)
      }
      throw busy(place)
    })
  }

  #finishWork(place: P): Promise<StoredRecord<T> | undefined> {
    const key = queueKey(place)
    const work = this.#settle(place)
    const over = (): void => {
      this.#working.delete(key)
    }
    this.#working.set(key, work)
    work.then(over, over)
    return work
  }

  /** Does the work that is under way, until there is none. */
  async #settle(place: P): Promise<StoredRecord<T> | undefined> {
    for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
      const stored = await this.#records.get(place)
      if (stored === undefined || !this.#rules.isUnderWay(stored.record)) return stored
      await this.#write(place, await this.#rules.carryOut(place, stored.record), stored)
    }
    throw busy(place)
  }

  /** False if the entry is not the expected one any more. */
  async #write(place: P, next: T | undefined, expected: StoredRecord<T> | undefined): Promise<boolean> {
    try {
      let isWritten = true
      if (next !== undefined) isWritten = (await this.#records.put(place, next, expected)) !== undefined
      else if (expected !== undefined) isWritten = await this.#records.remove(place, expected)
      if (isWritten) this.#rules.written?.(place, next)
      else this.#rules.inDoubt?.(place)
      return isWritten
    } catch (error) {
      this.#rules.inDoubt?.(place)
      throw error
    }
  }
}

function queueKey(place: Place): string {
  return `${place.table}\0${place.key}`
}

function busy(place: Place): ControllerError {
  return new ControllerError(
    'aborted',
    `'${place.key}' was changed from elsewhere ${CONFLICTS_MAX} times while this call tried to`,
  )
}
