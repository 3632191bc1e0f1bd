/** Where encoded events go: the segments of a stream, or those of one of its transactions. */
import { assert } from '../base/assert.ts'
import type { Completion } from './completion.ts'
import type { EventQueue } from './event-queue.ts'
import { WriteBudget } from './write-budget.ts'

export interface EventSink {
  /** Of events that are not durable yet. */
  readonly bytes: number
  readonly closed: boolean
  /** Undefined while there is room; else resolves when there is again. Never rejects. */
  readonly room: Promise<void> | undefined
  /** `hash` is the key's; the completion hears of the event when it is durable or has failed. */
  pushText(text: string, hash: number, completion: Completion): void
  pushBytes(event: Uint8Array, hash: number, completion: Completion): void
  /** Fails what is not durable. */
  close(): void
}

/** Puts events into the queues of segments, up to a number of bytes that are not durable. */
export abstract class QueueingSink implements EventSink {
  readonly #budget: WriteBudget
  #closed = false

  /** More bytes than this that are not durable, and producers are asked to wait. */
  constructor(bytesMax: number) {
    this.#budget = new WriteBudget(bytesMax)
  }

  get bytes(): number {
    return this.#budget.bytes
  }

  get closed(): boolean {
    return this.#closed
  }

  get room(): Promise<void> | undefined {
    return this.#budget.room
  }

  pushText(text: string, hash: number, completion: Completion): void {
    this.#budget.take(this.queueOf(hash).pushText(text, hash, completion))
  }

  pushBytes(event: Uint8Array, hash: number, completion: Completion): void {
    this.#budget.take(this.queueOf(hash).pushBytes(event, hash, completion))
  }

  abstract close(): void

  protected queueOf(hash: number): EventQueue {
    assert(!this.#closed, 'Nothing is pushed into a closed writer')
    return this.queueFor(hash)
  }

  /** Of the segment that has the key; whoever sends its events is told that some are coming. */
  protected abstract queueFor(hash: number): EventQueue

  /** Events have become durable, or have failed. */
  protected free(bytes: number): void {
    this.#budget.free(bytes)
  }

  /** Whether it was open until now. */
  protected end(): boolean {
    const wasOpen = !this.#closed
    this.#closed = true
    return wasOpen
  }
}
