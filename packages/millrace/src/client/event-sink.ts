/** Where encoded events go: the segments of a stream, or those of one of its transactions. */
import type { Completion } from './completion.ts'

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
