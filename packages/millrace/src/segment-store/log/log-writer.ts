/**
 * Takes frames from the containers and writes them, several at a time.
 *
 * A slot is one write and sync under way. When one is free it takes what all containers have queued and writes it in one
 * piece; what comes meanwhile waits in the containers and is the next batch. So batches grow with the load by themselves.
 *
 * Invariants: (1) Frames are settled in the order of their sequence, whatever order the slots finish in. (2) A frame's header
 * names only sequences as durable that were synced when it was made. (3) Frames of one container are placed in the order in which
 * they were taken. (4) After the first failure nothing is written any more.
 */
import { assert } from '../../base/assert.ts'
import { roundUp } from '../../base/bytes.ts'
import type { Clock, Timer } from '../../base/host.ts'
import type { LogPoint } from './anchor.ts'
import { INDEX_ENTRIES_MAX } from './block-index.ts'
import { asLogError } from './disk-failure.ts'
import type { Admission, Frame, FrameSource, LogError } from './durable-log.ts'
import type { FilePreparer } from './file-preparer.ts'
import { encodeHead, encodeMark, HEADER_BYTES, measureFrame, PAGE_BYTES } from './frame.ts'
import { LAST_MARK_BYTES, type LogFile, type LogRun } from './log-file.ts'

/** What a container is asked for at a time. */
const FRAME_BYTES_TARGET = 1024 * 1024
/** A write is closed when it has reached this. */
const WRITE_BYTES_TARGET = 2 * 1024 * 1024
/** Not worth asking a container for less. */
const TAKE_BYTES_MIN = 64 * 1024
/** A system call takes about a thousand pieces; the last frame of a write may add `BLOCKS_APART_MAX` and a few. */
const PIECES_TARGET = 600
/** Beyond this many blocks a frame's bytes are copied into one piece, which costs less than so many pieces. */
const BLOCKS_APART_MAX = 300

/** How much of a file is kept for frames without blocks when there is no next file. */
const RESERVE_BYTES_MAX = 1024 * 1024
/** With less room than this and no next file, the log calls itself full. */
const LOW_WATER_BYTES_MAX = 16 * 1024 * 1024

/** After traffic has ended, how long until a mark says that all of it is durable. */
const MARK_DELAY_MS = 100

const PADDING: Buffer = Buffer.alloc(PAGE_BYTES)

/** A container as the writer knows it. */
export class WriterContainer {
  readonly id: number
  readonly source: FrameSource
  /** Has woken and stands in the line of those to take from. */
  queued = false
  /** Its last frame was taken and found no room yet. */
  waits = false
  /** Of its last frame; 0 if it had none since the log was opened or, at opening, within what was replayed. */
  lastSequence: number

  constructor(options: { id: number; source: FrameSource; lastSequence: number }) {
    this.id = options.id
    this.source = options.source
    this.lastSequence = options.lastSequence
  }
}

interface TakenFrame {
  readonly container: WriterContainer
  readonly frame: Frame
  /** Without padding. */
  readonly bytes: number
}

interface PlacedFrame extends TakenFrame {
  readonly table: Buffer
  readonly blocksPosition: number
}

interface Write {
  readonly file: LogFile
  readonly position: number
  readonly pieces: Buffer[]
  readonly frames: PlacedFrame[]
  bytes: number
  lastSequence: number
  synced: boolean
}

export interface LogWriterOptions {
  readonly run: LogRun
  readonly clock: Clock
  readonly preparer: FilePreparer
  readonly file: LogFile
  /** Of the next frame. All before it are durable. */
  readonly sequence: number
  readonly previousContainer: number
  /** All frames of a file that was left are durable. */
  readonly onFileLeft: (file: LogFile) => void
  /** The log has moved to another file. */
  readonly onFileEntered: (file: LogFile) => void
  /** Nothing is written any more; frames hear of it before. Called once. */
  readonly onFailed: (error: LogError) => void
}

export class LogWriter {
  readonly #options: LogWriterOptions
  readonly #containers: WriterContainer[] = []
  #line: WriterContainer[] = []
  #waiting: TakenFrame[] = []
  readonly #idleSlots: number[]
  /** Not settled, in log order. */
  #writes: Write[] = []
  #file: LogFile
  #sequence: number
  #durableThrough: number
  /** As the last header has it. */
  #notedThrough: number
  #previousContainer: number
  #isTakingDue = false
  #markTimer: Timer | undefined
  #failure: LogError | undefined
  #closing: LogError | undefined
  #onSettled: (() => void) | undefined
  #syncs = 0
  #frames = 0
  #frameBytes = 0

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#file = options.file
    this.#sequence = options.sequence
    this.#durableThrough = options.sequence - 1
    this.#notedThrough = options.sequence - 1
    this.#previousContainer = options.previousContainer
    this.#idleSlots = Array.from({ length: options.run.slots }, (_, slot) => slot)
  }

  get failure(): LogError | undefined {
    return this.#failure
  }

  get file(): LogFile {
    return this.#file
  }

  get durableThrough(): number {
    return this.#durableThrough
  }

  get counts(): { syncs: number; frames: number; frameBytes: number } {
    return { syncs: this.#syncs, frames: this.#frames, frameBytes: this.#frameBytes }
  }

  admission(pendingBytes: number): Admission {
    const { ready, noSpace } = this.#options.preparer
    if (ready !== undefined) return 'open'
    const { bytes, position } = this.#file
    const lowWater = Math.min(bytes / 4, LOW_WATER_BYTES_MAX)
    if (bytes - position - pendingBytes >= lowWater) return 'open'
    return noSpace ? 'full' : 'wait'
  }

  /** Where the next frame goes. */
  get point(): LogPoint {
    const { generation, position } = this.#file
    return { epoch: this.#options.run.epoch, generation, position, sequence: this.#sequence }
  }

  add(container: WriterContainer): void {
    this.#containers.push(container)
  }

  wake(container: WriterContainer): void {
    this.#enqueue(container)
    if (this.#isTakingDue) return
    if (this.#idleSlots.length === 0 && this.#refusal === undefined) return
    this.#isTakingDue = true
    // What arrives in the same turn shall be in the same batch.
    this.#options.clock.defer(() => {
      this.#isTakingDue = false
      this.pump()
    })
  }

  /** Starts writes as long as there are free slots and frames that have a place. */
  pump(): void {
    if (this.#refusal !== undefined) {
      for (const container of this.#line.splice(0)) this.#failUntaken(container, this.#refusal)
      if (this.#failure !== undefined) return
    }
    const fileBefore = this.#file
    try {
      while (this.#idleSlots.length > 0) {
        const write = this.#assemble()
        if (write === undefined) break
        this.#start(write)
      }
    } catch (error) {
      return this.fail(error)
    }
    if (this.#closing !== undefined) this.#giveUpWithoutSpace(this.#closing)
    if (this.#file !== fileBefore) this.#options.onFileEntered(this.#file)
  }

  /** Ends the log for good. What was not acknowledged may or may not be found by the next start. */
  fail(cause: unknown): void {
    if (this.#failure !== undefined) return
    const failure = asLogError(cause)
    this.#failure = failure
    this.#markTimer?.cancel()
    const placed = this.#writes.splice(0).flatMap((write) => write.frames)
    this.#line = []
    for (const { frame } of placed) frame.failed(failure)
    this.#failWaiting(failure)
    for (const container of this.#containers) this.#failUntaken(container, failure)
    this.#options.onFailed(failure)
    this.#onSettled?.()
  }

  /** Waits for the frames that were taken, fails all others, and notes that everything is durable. */
  async close(reason: LogError): Promise<void> {
    this.#closing = reason
    this.#markTimer?.cancel()
    for (const container of this.#containers) this.#failUntaken(container, reason)
    this.#giveUpWithoutSpace(reason)
    if (this.#writes.length > 0 || this.#waiting.length > 0) {
      await new Promise<void>((resolve) => {
        this.#onSettled = resolve
      })
    }
    if (this.#failure !== undefined) return
    // Of a file that is full to the end a mark says so already.
    if (this.#file.position + PAGE_BYTES > this.#file.bytes) return
    const mark = this.#encodeMark({ last: true })
    await this.#file.slots[0]!.writeDurable([mark], this.#file.position)
    this.#syncs++
  }

  /** On a full volume, closing would wait for ever. */
  #giveUpWithoutSpace(reason: LogError): void {
    if (!this.#options.preparer.noSpace) return
    this.#failWaiting(reason)
    if (this.#writes.length === 0) this.#onSettled?.()
  }

  get #refusal(): LogError | undefined {
    return this.#failure ?? this.#closing
  }

  #enqueue(container: WriterContainer): void {
    if (container.queued || container.waits) return
    container.queued = true
    this.#line.push(container)
  }

  #failUntaken(container: WriterContainer, reason: LogError): void {
    container.queued = false
    for (;;) {
      const frame = container.source.take(FRAME_BYTES_TARGET)
      if (frame === undefined) return
      frame.failed(reason)
    }
  }

  #failWaiting(reason: LogError): void {
    for (const { container, frame } of this.#waiting.splice(0)) {
      container.waits = false
      frame.failed(reason)
    }
  }

  /** The next write, of frames that had to wait and then of what is queued; undefined if there is nothing that has a place. */
  #assemble(): Write | undefined {
    let write: Write | undefined
    for (let index = 0; index < this.#waiting.length; ) {
      const taken = this.#waiting[index]!
      const file = this.#fileFor(taken)
      if (file === undefined) {
        if (!this.#options.preparer.noSpace) return write
        index++
        continue
      }
      if (write !== undefined && (file !== write.file || isLarge(write))) return write
      this.#waiting.splice(index, 1)
      write = this.#place(taken, file, write)
      taken.container.waits = false
      this.#enqueue(taken.container)
    }
    while (this.#line.length > 0 && (write === undefined || !isLarge(write))) {
      const taken = this.#take(this.#line.shift()!, write)
      if (taken === undefined) continue
      const file = this.#fileFor(taken)
      if (file !== undefined && (write === undefined || file === write.file)) {
        write = this.#place(taken, file, write)
        this.#enqueue(taken.container)
        continue
      }
      this.#waiting.push(taken)
      taken.container.waits = true
      // On a full volume others may have frames that fit the reserve, such as those that free something.
      if (file !== undefined || !this.#options.preparer.noSpace) break
    }
    return write
  }

  #take(container: WriterContainer, write: Write | undefined): TakenFrame | undefined {
    container.queued = false
    const rest = Math.max(WRITE_BYTES_TARGET - (write?.bytes ?? 0), TAKE_BYTES_MIN)
    const frame = container.source.take(Math.min(FRAME_BYTES_TARGET, rest))
    return frame === undefined ? undefined : { container, frame, bytes: measureFrame(frame) }
  }

  /** The file that has room for a frame; undefined until the next one is ready, which then is on its way. */
  #fileFor({ frame, bytes }: TakenFrame): LogFile | undefined {
    const { preparer } = this.#options
    const needed = { bytes: roundUp(bytes, PAGE_BYTES), blocks: frame.blocks.length }
    const { ready } = preparer
    const reserve = ready === undefined && needed.blocks > 0 ? reserveBytes(this.#file) : 0
    if (hasRoom(this.#file, needed, reserve)) return this.#file
    if (ready !== undefined && hasRoom(ready, needed, 0)) return ready
    preparer.prepare(needed.bytes)
    return undefined
  }

  #place(taken: TakenFrame, file: LogFile, write: Write | undefined): Write {
    if (file !== this.#file) this.#enter(file)
    const { run, preparer } = this.#options
    const { container, frame, bytes } = taken
    const sequence = this.#sequence++
    const { position } = file
    const place = {
      container: container.id,
      generation: file.generation,
      position,
      epoch: run.epoch,
      epochStart: run.epochStart,
      sequence,
      durableThrough: this.#durableThrough,
      containerPrevious: container.lastSequence,
      previousContainer: this.#previousContainer,
    }
    const head = encodeHead(frame, place, { storeId: run.storeId, totalBytes: bytes })
    this.#notedThrough = this.#durableThrough
    this.#previousContainer = container.id
    container.lastSequence = sequence
    const padded = roundUp(bytes, PAGE_BYTES)
    file.position += padded
    file.blocks += frame.blocks.length
    const into = write ?? this.#newWrite(file, position)
    pushPieces(into.pieces, head, frame)
    if (padded > bytes) into.pieces.push(PADDING.subarray(0, padded - bytes))
    into.frames.push({
      ...taken,
      table: head.subarray(HEADER_BYTES),
      blocksPosition: position + head.length + frame.metadata.length,
    })
    into.bytes += padded
    into.lastSequence = sequence
    if (preparer.ready === undefined) preparer.prepare(0)
    return into
  }

  #newWrite(file: LogFile, position: number): Write {
    const lastSequence = this.#sequence - 1
    return { file, position, pieces: [], frames: [], bytes: 0, lastSequence, synced: false }
  }

  #enter(next: LogFile): void {
    const taken = this.#options.preparer.take()
    assert(taken === next, 'The file that is ready is the next')
    const left = this.#file
    this.#file = next
    left.left = true
    if (left.writesRunning === 0) this.#options.onFileLeft(left)
  }

  #start(write: Write): void {
    const slot = this.#idleSlots.shift()!
    this.#writes.push(write)
    write.file.writesRunning++
    write.file.slots[slot]!.writeDurable(write.pieces, write.position).then(
      () => this.#onSynced(write, slot),
      (error: unknown) => this.fail(error),
    )
  }

  #onSynced(write: Write, slot: number): void {
    if (this.#failure !== undefined) return
    write.synced = true
    this.#syncs++
    this.#idleSlots.push(slot)
    let count = 0
    while (this.#writes[count]?.synced === true) count++
    const settled = this.#writes.splice(0, count)
    const last = settled.at(-1)
    if (last !== undefined) this.#durableThrough = last.lastSequence
    // The slot goes on before the callers hear of it, as they take their time.
    this.pump()
    for (const one of settled) this.#settle(one)
    if (this.#writes.length > 0 || this.#waiting.length > 0) return
    this.#onSettled?.()
    this.#armMark()
  }

  #settle(write: Write): void {
    const { file } = write
    for (const { container, frame, table, blocksPosition } of write.frames) {
      if (frame.blocks.length > 0) {
        assert(file.index !== undefined, 'The index of a file is in memory while it is written')
        file.index.add(container.id, table, blocksPosition)
        file.pins.add(container.id)
      }
      try {
        frame.durable(file.generation)
      } catch (error) {
        this.fail(error)
      }
    }
    this.#frames += write.frames.length
    this.#frameBytes += write.bytes
    file.writesRunning--
    if (file.left && file.writesRunning === 0) this.#options.onFileLeft(file)
  }

  /** One page, some time after the last traffic: until then a start could take damage of its last frames for a torn end. */
  #armMark(): void {
    if (this.#markTimer !== undefined || this.#durableThrough === this.#notedThrough) return
    if (this.#refusal !== undefined) return
    const { clock } = this.#options
    const sequence = this.#sequence
    this.#markTimer = clock.setTimer(
      MARK_DELAY_MS,
      () => {
        this.#markTimer = undefined
        if (this.#writes.length > 0 || this.#refusal !== undefined) return
        if (this.#sequence === sequence) this.#writeMark()
        else this.#armMark()
      },
      { weak: true },
    )
  }

  #writeMark(): void {
    const file = this.#file
    const { position } = file
    // It may take the page of the last mark, as no frame fits in front of that one any more.
    if (position + PAGE_BYTES > file.bytes) return
    const write = this.#newWrite(file, position)
    write.pieces.push(this.#encodeMark({ last: false }))
    write.bytes = PAGE_BYTES
    file.position += PAGE_BYTES
    this.#notedThrough = this.#durableThrough
    this.#start(write)
  }

  #encodeMark(options: { last: boolean }): Buffer {
    const { epoch, epochStart, storeId } = this.#options.run
    const place = {
      generation: this.#file.generation,
      position: this.#file.position,
      epoch,
      epochStart,
      sequence: this.#sequence,
      durableThrough: this.#durableThrough,
      previousContainer: this.#previousContainer,
    }
    return encodeMark(place, { storeId, last: options.last })
  }
}

function isLarge(write: Write): boolean {
  return write.bytes >= WRITE_BYTES_TARGET || write.pieces.length >= PIECES_TARGET
}

function hasRoom(file: LogFile, needed: { bytes: number; blocks: number }, reserve: number): boolean {
  if (file.position + needed.bytes + reserve + LAST_MARK_BYTES > file.bytes) return false
  return needed.blocks === 0 || file.blocks === 0 || file.blocks + needed.blocks <= INDEX_ENTRIES_MAX
}

function reserveBytes(file: LogFile): number {
  return Math.min(RESERVE_BYTES_MAX, file.bytes / 8)
}

function pushPieces(pieces: Buffer[], head: Buffer, frame: Frame): void {
  pieces.push(head)
  if (frame.metadata.length > 0) pieces.push(frame.metadata)
  const { blocks } = frame
  if (blocks.length > BLOCKS_APART_MAX) pieces.push(Buffer.concat(blocks.map((block) => block.bytes)))
  else for (const block of blocks) pieces.push(block.bytes)
}
