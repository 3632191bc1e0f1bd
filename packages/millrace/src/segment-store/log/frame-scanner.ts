/**
 * Finds the frames of a log file, one after the other. Where a frame should be and is none it looks at every further page, so that
 * it finds what stands behind a destroyed header; leftovers and zeros are passed over the same way. Only headers and
 * what is asked for are read, in windows.
 */
import type { File } from '../../base/host.ts'
import {
  bodyBytes,
  endOf,
  type FrameBody,
  type FrameHeader,
  HEADER_BYTES,
  PAGE_BYTES,
  readBody,
  readHeader,
} from './frame.ts'
import { FIRST_FRAME_POSITION } from './log-file.ts'

const WINDOW_BYTES = 256 * 1024

export interface ScannedFile {
  readonly file: File
  readonly storeId: Buffer
  readonly generation: number
  readonly bytes: number
}

export class FrameScanner {
  readonly #of: ScannedFile
  readonly #window: Buffer
  #windowStart = 0
  #windowBytes = 0
  #position: number
  /** Whether there were pages without a frame before the one that `next` gave last. */
  hasSkipped = false

  constructor(of: ScannedFile, position: number = FIRST_FRAME_POSITION) {
    this.#of = of
    this.#position = position
    this.#window = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, Math.max(of.bytes, PAGE_BYTES)))
  }

  /** Where the next frame should be. */
  get position(): number {
    return this.#position
  }

  /** The next header that belongs here, marks included; undefined at the end of the file. */
  async next(): Promise<FrameHeader | undefined> {
    const { storeId, generation, bytes: fileBytes } = this.#of
    this.hasSkipped = false
    for (let position = this.#position; position + HEADER_BYTES <= fileBytes; position += PAGE_BYTES) {
      if (!this.#holds(position, HEADER_BYTES)) await this.#load(position)
      const source = this.#slice(position, HEADER_BYTES)
      const header = readHeader(source, { storeId, generation, position, fileBytes })
      if (header !== undefined) {
        this.#position = endOf(header)
        return header
      }
      this.hasSkipped = true
    }
    return undefined
  }

  /** The rest of a frame without its blocks' bytes, in memory of its own; undefined if it is not what was written. */
  async body(header: FrameHeader): Promise<FrameBody | undefined> {
    const start = header.position + HEADER_BYTES
    const length = bodyBytes(header)
    const body = Buffer.allocUnsafeSlow(length)
    if (!this.#holds(start, length) && length <= this.#window.length) await this.#load(header.position)
    if (this.#holds(start, length)) this.#slice(start, length).copy(body)
    else if ((await this.#of.file.read(body, start)) < length) return undefined
    return readBody(header, body)
  }

  #holds(position: number, length: number): boolean {
    return position >= this.#windowStart && position + length <= this.#windowStart + this.#windowBytes
  }

  #slice(position: number, length: number): Buffer {
    const start = position - this.#windowStart
    return this.#window.subarray(start, Math.min(start + length, this.#windowBytes))
  }

  async #load(position: number): Promise<void> {
    this.#windowStart = position
    this.#windowBytes = 0
    this.#windowBytes = await this.#of.file.read(this.#window, position)
  }
}
