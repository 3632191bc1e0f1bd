/**
 * What a container asks of its log. Operations go in as frames, each of one container, and come back in order after a
 * restart; event bytes go in with them as blocks and stay readable where they are for as long as the container pins the
 * place.
 *
 * The log pulls: a container says that it has something (`wake`), and when a slot is free the log takes what is queued
 * everywhere and writes it in one piece. So batches grow with the load and nothing waits for a timer.
 */

/** Bytes of an extent, as they are checked and read back. */
export interface Block {
  /** A number of the container's own, from 1 to 2^48 - 1, never used again for other bytes. */
  readonly extent: number
  /** Where in the extent the first byte stands. */
  readonly offset: number
  /** From 1 byte to `BLOCK_BYTES_MAX`; they may not change before the frame is settled. */
  readonly bytes: Buffer
}

export const BLOCK_BYTES_MAX: number = 64 * 1024

/** Of one frame; with it the index of a file is bounded too. */
export const FRAME_BLOCKS_MAX: number = 64 * 1024

/** Of one frame, all in all. Its metadata and blocks may be as large as that allows: one operation is never divided. */
export const FRAME_BYTES_MAX: number = 32 * 1024 * 1024

/** What is acknowledged together. */
export interface Frame {
  /** The operations, in a form that only the container knows. */
  readonly metadata: Buffer
  readonly blocks: readonly Block[]
  /**
   * Synced, and so are all frames that this container gave before; called in that order. `place` is where the blocks are.
   * Either this or `failed` is called, once. Neither may throw.
   */
  durable(place: Place): void
  /** The log has failed or was closed, for good. The frame may or may not be found after a restart. */
  failed(error: LogError): void
}

/** The number of a log file. It grows, and none is given twice. */
export type Place = number

export interface FrameSource {
  /** What is queued, of about `bytesMax` bytes but at least one operation; undefined if nothing is. Must not throw. */
  take(bytesMax: number): Frame | undefined
  /** Much was logged since the last checkpoint: time for `beginCheckpoint`. */
  checkpointDue(): void
}

/** One container's share of a log. */
export interface ContainerLog {
  /** There is something to take. Calling it often costs nothing. */
  wake(): void
  /**
   * The stored block with the byte of this extent and offset, checked; its bytes may be kept. Rejects with `LogError`
   * `damaged` naming file, position, container, extent and offset if it is not what was written or its file is gone, and
   * `not-found` for bytes that are in no pinned place. Bytes of frames that are not durable yet are not found.
   */
  read(request: { place: Place; extent: number; offset: number }): Promise<Block>
  /** No extent of this container has bytes there any more, and that is durable. */
  unpin(place: Place): void
  /**
   * Notes where the log stands. The state as it is now, once every operation in it is durable, is what `save` takes; a later
   * start gets it back and then the frames taken from now on. A second begin gives the first up: its `save` may no more be
   * called, unless that had happened before. `save` resolves when the checkpoint counts. If it rejects with `full`, the last
   * one still counts and the log goes on.
   */
  beginCheckpoint(): { save(state: readonly Buffer[]): Promise<void> }
}

export type Admission = 'open' | 'wait' | 'full'

export interface DurableLog {
  /**
   * Whether operations that bring bytes should be accepted, when `pendingBytes` were accepted and are not durable: what was
   * accepted must find a place. `wait`: whether there is room will be known soon, and told by `onRoom`. `full`: the volume
   * has none; what frees some still goes through on a reserve. It ends by itself when there is room again.
   */
  admission(pendingBytes: number): Admission
  /** Why nothing is accepted any more, after a write or sync that failed. */
  readonly failure: LogError | undefined
  readonly stats: LogStats
  /** Files to which nothing is written any more, oldest first, with their sizes. */
  places(): { readonly place: Place; readonly bytes: number }[]
  /** The log of a container that was recovered; each is opened once. */
  openContainer(container: number, source: FrameSource): ContainerLog
  /** Waits for the frames that were taken, refuses the rest, notes what is durable, and closes the files. */
  close(): Promise<void>
}

/** Receives what a container was before. The calls come in the order checkpoint, frames, end. */
export interface ContainerRecovery {
  /** The last checkpoint that was saved; not called if there was none. */
  checkpoint(state: Buffer): void
  /** A frame taken since then. The first of them may hold operations that the checkpoint has already. */
  frame(frame: RecoveredFrame): void
  /** All was given; the container answers with every place in which it still has bytes. */
  end(): Iterable<Place>
  /**
   * Part of what was acknowledged cannot be read back. Nothing more follows, though frames may have come before: this
   * container stays shut, others do not.
   */
  damaged(error: LogError): void
}

export interface RecoveredFrame {
  readonly metadata: Buffer
  /** Without their bytes. */
  readonly blocks: readonly { readonly extent: number; readonly offset: number; readonly length: number }[]
  readonly place: Place
}

/** Counts since the log was opened. */
export interface LogStats {
  readonly syncs: number
  readonly frames: number
  /** Of frames, with their headers and padding. */
  readonly frameBytes: number
  readonly files: number
  readonly fileBytes: number
}

export type LogErrorCode =
  /** Bytes are not what was written. */
  | 'damaged'
  /** Written by a version this one does not know; nothing was touched. */
  | 'unknown-version'
  | 'not-found'
  /** A write or sync failed. */
  | 'io'
  | 'full'
  | 'closed'

/** Fields say where it is; the message says it all in a sentence. */
export class LogError extends Error {
  override readonly name = 'LogError'
  readonly code: LogErrorCode
  readonly path: string | undefined
  readonly position: number | undefined

  constructor(
    code: LogErrorCode,
    message: string,
    options?: { path?: string; position?: number; cause?: unknown },
  ) {
    super(message, { cause: options?.cause })
    this.code = code
    this.path = options?.path
    this.position = options?.position
  }
}
