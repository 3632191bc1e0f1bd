/**
 * Brings the events of one transaction to its segments. Those are made with the transaction, one beside each segment that the
 * stream has then, and nothing takes over from them: one that is gone says that the transaction has ended (trap 20).
 */
import { assert } from '../base/assert.ts'
import { transactionSegmentName } from '../protocol/names.ts'
import { asMillraceError, storeClosed } from './errors.ts'
import type { EventQueue } from './event-queue.ts'
import { QueueingSink } from './event-sink.ts'
import { type Route, routeOf } from './routes.ts'
import { SegmentWriter, type SegmentWriterParts } from './segment-writer.ts'
import type { Segment } from './stream-metadata.ts'

export interface TransactionWriterOptions {
  /** `scope/stream` */
  readonly stream: string
  /** The transaction's id as sixteen characters. */
  readonly transaction: string
  /** The stream's own segments, of the epoch of the transaction. */
  readonly segments: readonly Segment[]
  /** More bytes than this that are not durable, and producers are asked to wait. */
  readonly bytesMax: number
  /** A segment is gone. What was for it fails when the writer is closed. */
  onGone(): void
  onClosed(): void
}

interface SegmentRoute extends Route {
  readonly segment: string
  /** Made with the first event. */
  writer: SegmentWriter | undefined
}

export class TransactionWriter extends QueueingSink {
  readonly #parts: SegmentWriterParts
  readonly #options: TransactionWriterOptions
  readonly #routes: readonly SegmentRoute[]

  constructor(parts: SegmentWriterParts, options: TransactionWriterOptions) {
    super(options.bytesMax)
    const { segments, transaction } = options
    this.#parts = parts
    this.#options = options
    this.#routes = segments
      .map(({ name, high }) => ({
        high,
        segment: transactionSegmentName(name, transaction),
        writer: undefined,
      }))
      .toSorted((one, two) => one.high - two.high)
  }

  /** What is not durable fails with this error. */
  close(error: Error = storeClosed()): void {
    if (!this.end()) return
    for (const { writer } of this.#routes) {
      writer?.close()
      if (writer !== undefined) this.free(writer.queue.fail(error))
    }
    this.#options.onClosed()
  }

  protected override queueFor(hash: number): EventQueue {
    const route = routeOf(this.#routes, hash)
    assert(route !== undefined, 'A transaction has segments')
    route.writer ??= this.#newWriter(route.segment)
    route.writer.wake()
    return route.writer.queue
  }

  #newWriter(segment: string): SegmentWriter {
    const { stream, onGone } = this.#options
    return new SegmentWriter(this.#parts, segment, {
      onDurable: (bytes) => this.free(bytes),
      onEnded: onGone,
      onFailed: ({ queue }, error) => {
        const shown = this.#parts.pool.closing.aborted ? storeClosed(error) : asMillraceError(error, stream)
        this.free(queue.fail(shown as Error))
      },
    })
  }
}
