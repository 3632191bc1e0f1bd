/** Segments that are read side by side, as one source of chunks: whichever has one is next, so none waits behind another. */
import type { Chunk, SegmentReaderParts } from './segment-reader.ts'
import { SegmentReader } from './segment-reader.ts'

/** What all reads under way may bring together, roughly. */
const READ_BYTES_TOTAL = 8 * 1024 * 1024
const READ_BYTES_MIN = 64 * 1024
const READ_BYTES_MAX = 1024 * 1024

export interface SegmentChunk {
  readonly id: bigint
  readonly segment: string
  readonly chunk: Chunk
}

export class SegmentReaders {
  readonly #parts: SegmentReaderParts
  readonly #onReady: () => void
  readonly #readers = new Map<bigint, SegmentReader>()
  /** Those with a chunk to take, each once, in the order in which they got it. */
  readonly #ready = new Set<bigint>()

  /** `onReady` is called when there may be a chunk to take. */
  constructor(parts: SegmentReaderParts, onReady: () => void) {
    this.#parts = parts
    this.#onReady = onReady
  }

  get size(): number {
    return this.#readers.size
  }

  add(id: bigint, from: { segment: string; offset: number; endOffset?: number | undefined }): void {
    const reader = new SegmentReader(this.#parts, {
      ...from,
      readBytes: () => this.#readBytes(),
      onReady: () => {
        if (this.#readers.get(id) !== reader) return
        this.#ready.add(id)
        this.#onReady()
      },
    })
    this.#readers.set(id, reader)
    reader.start()
  }

  remove(id: bigint): void {
    this.#readers.get(id)?.close()
    this.#readers.delete(id)
    this.#ready.delete(id)
  }

  take(): SegmentChunk | undefined {
    for (const id of this.#ready) {
      this.#ready.delete(id)
      const reader = this.#readers.get(id)
      const chunk = reader?.take()
      if (reader === undefined || chunk === undefined) continue
      if (reader.ready) this.#ready.add(id)
      return { id, segment: reader.segment, chunk }
    }
    return undefined
  }

  close(): void {
    for (const id of this.#readers.keys()) this.remove(id)
  }

  #readBytes(): number {
    const share = Math.floor(READ_BYTES_TOTAL / this.#readers.size)
    return Math.min(Math.max(share, READ_BYTES_MIN), READ_BYTES_MAX)
  }
}
