/** Lines of an input as bytes. A line ends with `\n`, which is no part of it; a carriage return is. */
import { EVENT_BYTES_MAX } from '../client/event-queue.ts'
import { CommandError, Exit } from './exit.ts'

const NEWLINE = 10

export class LineSplitter {
  #chunk: Buffer = Buffer.alloc(0)
  #position = 0
  /** The begin of a line whose end has not come yet. */
  #begun: Buffer[] = []
  #begunBytes = 0
  #lines = 0

  /** The number of the line that was taken last, from 1. */
  get number(): number {
    return this.#lines
  }

  /** Only when `next` has given all of the last one. */
  push(chunk: Buffer): void {
    this.#chunk = chunk
    this.#position = 0
  }

  /** The next whole line, which may lie in the chunk itself; undefined if another chunk is needed. */
  next(): Buffer | undefined {
    const end = this.#chunk.indexOf(NEWLINE, this.#position)
    const piece = this.#chunk.subarray(this.#position, end < 0 ? undefined : end)
    this.#check(piece.length)
    if (end < 0) {
      if (piece.length > 0) this.#begun.push(piece)
      this.#begunBytes += piece.length
      this.#position = this.#chunk.length
      return undefined
    }
    this.#position = end + 1
    this.#lines++
    return this.#begunBytes === 0 ? piece : this.#finish(piece)
  }

  /** What stands behind the last newline; undefined if nothing does. */
  rest(): Buffer | undefined {
    if (this.#begunBytes === 0) return undefined
    this.#lines++
    return this.#finish(Buffer.alloc(0))
  }

  #finish(piece: Buffer): Buffer {
    const line = Buffer.concat([...this.#begun, piece], this.#begunBytes + piece.length)
    this.#begun = []
    this.#begunBytes = 0
    return line
  }

  #check(moreBytes: number): void {
    if (this.#begunBytes + moreBytes <= EVENT_BYTES_MAX) return
    throw new CommandError(
      Exit.failed,
      `Line ${this.#lines + 1} has more than ${EVENT_BYTES_MAX} bytes, the most that an event can have`,
    )
  }
}
