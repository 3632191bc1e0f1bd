/**
 * The writers behind `stream.write`, shared by all handles of a stream: a store remembers every writer that a segment ever
 * had, so that one for each handle would cost it something for ever.
 */
import type { StreamWriter } from './stream-writer.ts'

/** So many may be idle; beyond, those used longest ago are given up. */
const WRITERS_MAX = 1000

export class WriterPool {
  /** The one used longest ago first. */
  readonly #writers = new Map<string, StreamWriter>()

  /** The writer of this name, or a new one. */
  get(name: string, make: () => StreamWriter): StreamWriter {
    let writer = this.#writers.get(name)
    if (writer === undefined) {
      if (this.#writers.size >= WRITERS_MAX) this.#dropIdle()
      writer = make()
    } else this.#writers.delete(name)
    this.#writers.set(name, writer)
    return writer
  }

  #dropIdle(): void {
    for (const [name, writer] of this.#writers) {
      if (writer.bytes > 0) continue
      writer.close()
      this.#writers.delete(name)
      return
    }
  }
}
