import { ProtocolError } from '../protocol-error.ts'
import type { WireFrame } from './codec.ts'
import {
  type Command,
  type CommandKind,
  commandById,
  FRAME_HEADER_BYTES,
  PAYLOAD_BYTES_MAX,
} from './commands.ts'

/** Hello and keep-alive take eight bytes at most; some room is left for fields of newer peers. */
const TINY_PAYLOAD_BYTES_MAX = 64
/** Room for the three longest strings that a command may have, and then some. */
const PLAIN_PAYLOAD_BYTES_MAX = 256 * 1024

/** Chunks beyond this are kept as they came. */
const JOINED_BYTES_MAX = 16 * 1024

const TINY: readonly CommandKind[] = ['hello', 'keep-alive']
const BULK: readonly CommandKind[] = [
  'append-block',
  'append-block-end',
  'conditional-append',
  'conditional-block-end',
  'segment-read',
  'merge-segments-batch',
  'segments-batch-merged',
  'update-table-entries',
  'table-entries-updated',
  'remove-table-keys',
  'read-table',
  'table-read',
  'table-keys-read',
  'table-entries-read',
  'table-entries-delta-read',
  'storage-chunks-listed',
]

/** How long the payload of a command may be. */
export function payloadBytesMax(kind: CommandKind): number {
  if (BULK.includes(kind)) return PAYLOAD_BYTES_MAX
  return TINY.includes(kind) ? TINY_PAYLOAD_BYTES_MAX : PLAIN_PAYLOAD_BYTES_MAX
}

/**
 * Cuts the bytes of a connection into frames, wherever TCP has cut them. The owner pushes a chunk and then takes frames until
 * there are no more, so that at most one unfinished frame is kept, and that only after its header has been found good. A
 * payload that lies within one chunk is a view of it; one that spans several is copied once, when all of it has come.
 *
 * After an error the position in the stream is lost: the reader throws the same error for ever.
 */
export class FrameReader {
  readonly #chunks: Buffer[] = []
  /** Where in the first chunk the next byte is. */
  #position = 0
  #bufferedBytes = 0
  #helloExpected: boolean
  /** The header of the frame whose payload has not come completely. */
  #command: Command | undefined
  #payloadLength = 0
  #failure: ProtocolError | undefined

  /** With `beforeHello` the first frame must be a Hello. */
  constructor(options: { beforeHello?: boolean } = {}) {
    this.#helloExpected = options.beforeHello ?? false
  }

  /** Bytes that have come and are not part of a frame yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  push(chunk: Buffer): void {
    if (this.#failure !== undefined) throw this.#failure
    if (chunk.length === 0) return
    this.#bufferedBytes += chunk.length
    this.#chunks.push(chunk.length < JOINED_BYTES_MAX ? this.#joinSmaller(chunk) : chunk)
  }

  /**
   * A peer that sends a large frame byte by byte must not make us keep an object for each: a chunk takes in those before it
   * that are no larger, so every byte is copied a few times at most, and the list stays short for what it holds.
   */
  #joinSmaller(chunk: Buffer): Buffer {
    let joined = chunk
    for (;;) {
      const last = this.#chunks.at(-1)
      if (last === undefined || last.length > joined.length || joined.length >= JOINED_BYTES_MAX)
        return joined
      this.#chunks.pop()
      if (this.#chunks.length > 0) {
        joined = Buffer.concat([last, joined])
      } else {
        joined = Buffer.concat([last.subarray(this.#position), joined])
        this.#position = 0
      }
    }
  }

  /** Undefined while the next frame is not complete. Throws `ProtocolError`. */
  next(): WireFrame | undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#command === undefined) {
      if (this.#bufferedBytes < FRAME_HEADER_BYTES) return undefined
      this.#readHeader(this.#take(FRAME_HEADER_BYTES))
    }
    const command = this.#command
    if (command === undefined || this.#bufferedBytes < this.#payloadLength) return undefined
    this.#command = undefined
    return { kind: command.kind, payload: this.#take(this.#payloadLength) }
  }

  #readHeader(header: Buffer): void {
    const id = header.readInt32BE(0)
    const length = header.readInt32BE(4)
    const command = commandById(id)
    if (command === undefined) this.#fail('unknown-command', `No command has the id ${id}`)
    if (this.#helloExpected && command.kind !== 'hello')
      this.#fail('hello-expected', `A connection begins with hello, not with ${command.kind}`)
    if (length < 0) this.#fail('malformed', `${command.kind} has a negative length, ${length}`)
    const bytesMax = payloadBytesMax(command.kind)
    if (length > bytesMax)
      this.#fail('too-large', `${command.kind} has ${length} bytes, at most ${bytesMax} are taken`)
    this.#helloExpected = false
    this.#command = command
    this.#payloadLength = length
  }

  /** Drops what was kept: nobody reads it any more. */
  #fail(code: ProtocolError['code'], message: string): never {
    this.#failure = new ProtocolError(code, message)
    this.#chunks.length = 0
    this.#position = 0
    this.#bufferedBytes = 0
    throw this.#failure
  }

  /** The next bytes, all of which have come. */
  #take(length: number): Buffer {
    this.#bufferedBytes -= length
    const first = this.#chunks[0]
    const end = this.#position + length
    // The common case: no copy, and the list of chunks is touched only where one ends.
    if (first !== undefined && end <= first.length) {
      const bytes = first.subarray(this.#position, end)
      if (end === first.length) this.#dropChunks(1, 0)
      else this.#position = end
      return bytes
    }
    return this.#copy(length)
  }

  #copy(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    let used = 0
    let copied = 0
    let position = this.#position
    while (copied < length) {
      // There are enough bytes, so there is another chunk.
      const chunk = this.#chunks[used]!
      const end = Math.min(chunk.length, position + length - copied)
      copied += chunk.copy(bytes, copied, position, end)
      position = end
      if (end === chunk.length) {
        used++
        position = 0
      }
    }
    this.#dropChunks(used, position)
    return bytes
  }

  #dropChunks(count: number, position: number): void {
    this.#chunks.splice(0, count)
    this.#position = position
  }
}
