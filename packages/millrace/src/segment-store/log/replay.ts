/**
 * Hands out what the containers were before: checkpoints, then the frames since.
 *
 * The sequences that count are dense, so a missing one is damage. Whose it is, others tell: the next frame names the
 * container of the one before it, and each frame names the one of its container that came before. A container
 * whose chain is whole goes on; only where nobody can tell are all shut that might have lost something.
 */
import type { Disk } from '../../base/host.ts'
import type { Anchor, LogPoint } from './anchor.ts'
import { MemoryIndex } from './block-index.ts'
import { readCheckpoint } from './checkpoint-file.ts'
import { asLogError } from './disk-failure.ts'
import { type ContainerRecovery, LogError, type RecoveredFrame } from './durable-log.ts'
import { FrameScanner } from './frame-scanner.ts'
import {
  blocksPosition,
  ENTRY_BYTES,
  type FrameBody,
  type FrameHeader,
  NO_CONTAINER,
  readEntry,
} from './frame.ts'
import type { FoundFile } from './inventory.ts'
import { FIRST_FRAME_POSITION } from './log-file.ts'

export interface ReplayOptions {
  readonly disk: Disk
  readonly directory: string
  readonly storeId: Buffer
  readonly anchor: Anchor
  /** By generation, the one of the new epoch included. */
  readonly files: readonly FoundFile[]
  /** Of the last frame that counts. */
  readonly sequenceLast: number
  readonly recover: (container: number) => ContainerRecovery
  readonly onProgress: (doneBytes: number, totalBytes: number) => void
}

/** A container after the replay. */
export interface ReplayedContainer {
  readonly container: number
  readonly checkpoint: number
  readonly replay: LogPoint
  /** Of its last frame; 0 if there is none behind the anchor's places. */
  readonly lastSequence: number
  /** Why it stays shut. */
  readonly damage: LogError | undefined
  /** The places in which it has bytes. */
  readonly places: readonly number[]
}

export interface ReplayedFile {
  /** Made while reading, for a file that has none beside it. */
  readonly index: MemoryIndex | undefined
  /** No frame in it counts, so it can go. */
  readonly isEmpty: boolean
}

export interface ReplayResult {
  readonly containers: readonly ReplayedContainer[]
  /** Of the files that were read, by generation. */
  readonly files: ReadonlyMap<number, ReplayedFile>
  /** Frames were lost and nobody knows whose, so a container that seems new may not be. */
  readonly unexplained: LogError | undefined
}

interface Recovering {
  readonly container: number
  readonly checkpoint: number
  readonly replay: LogPoint
  recovery: ContainerRecovery | undefined
  lastSequence: number
  damage: LogError | undefined
}

/** Sequences that are missing, both included. */
interface Gap {
  readonly first: number
  readonly last: number
  readonly path: string
  readonly position: number
  /** Those of which some frame said whose they are. */
  readonly explained: Set<number>
}

interface Reading {
  readonly file: FoundFile
  readonly scanner: FrameScanner
  /** Undefined if the file has one beside it. */
  readonly index: MemoryIndex | undefined
}

export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  return new Replay(options).run()
}

class Replay {
  readonly #options: ReplayOptions
  readonly #containers = new Map<number, Recovering>()
  /** Where frames of containers begin that the anchor does not list. */
  readonly #end: LogPoint
  readonly #files = new Map<number, ReplayedFile>()
  readonly #gaps: Gap[] = []
  /** The next sequence that counts. */
  #expected: number
  /** Behind the last frame or mark that was found. */
  #lastEnd: { file: FoundFile; position: number; index: MemoryIndex | undefined } | undefined

  constructor(options: ReplayOptions) {
    this.#options = options
    const { anchor } = options
    this.#end = this.#effective(anchor.end)
    this.#expected = this.#end.sequence
    for (const { container, checkpoint, replay: point } of anchor.entries) {
      const replayFrom = this.#effective(point)
      this.#expected = Math.min(this.#expected, replayFrom.sequence)
      this.#containers.set(container, newRecovering(container, checkpoint, replayFrom))
    }
  }

  async run(): Promise<ReplayResult> {
    for (const state of this.#containers.values()) if (state.checkpoint > 0) await this.#giveCheckpoint(state)
    await this.#readFiles()
    const unexplained = this.#suspect()
    const containers: ReplayedContainer[] = []
    for (const state of this.#containers.values()) {
      const { container, checkpoint, replay: point, lastSequence } = state
      const places = state.damage === undefined ? [...this.#recovery(state).end()] : []
      const { damage } = state
      containers.push({ container, checkpoint, replay: point, lastSequence, damage, places })
    }
    return { containers, files: this.#files, unexplained }
  }

  /**
   * A point may lie behind frames that a later start has cut; the next epoch began with a smaller sequence then, and that is
   * where the frames behind the point begin.
   */
  #effective(point: LogPoint): LogPoint {
    return { ...point, sequence: Math.min(point.sequence, this.#startAfter(point.epoch)) }
  }

  /** Where the epochs after this one begin: frames of it from there on do not count. */
  #startAfter(epoch: number): number {
    let start = Number.POSITIVE_INFINITY
    for (const { header } of this.#options.files)
      if (header !== undefined && header.epoch > epoch) start = Math.min(start, header.epochStart)
    return start
  }

  async #giveCheckpoint(state: Recovering): Promise<void> {
    const { container, checkpoint } = state
    let bytes: Buffer
    try {
      bytes = await readCheckpoint(this.#options, { container, number: checkpoint })
    } catch (error) {
      return this.#shut(state, asCheckpointDamage(error, container))
    }
    this.#recovery(state).checkpoint(bytes)
  }

  async #readFiles(): Promise<void> {
    const { anchor, files, sequenceLast, onProgress } = this.#options
    const points = [anchor.end, ...anchor.entries.map((entry) => entry.replay)]
    const oldest = Math.min(...points.map((point) => point.generation))
    const positionsIn = (generation: number): number[] =>
      points.filter((point) => point.generation === generation).map((point) => point.position)
    const read = files.filter((file) => file.generation >= oldest)
    let totalBytes = 0
    for (const { bytes } of read) totalBytes += bytes
    let doneBytes = 0
    for (const file of read) {
      onProgress(doneBytes, totalBytes)
      const positions = positionsIn(file.generation)
      // A file that has no index yet is read from its start to make one.
      const isBegunWithin = file.generation === oldest && file.hasIndex
      const start = isBegunWithin ? Math.min(...positions) : FIRST_FRAME_POSITION
      await this.#readFile(file, { start, filledTo: Math.max(FIRST_FRAME_POSITION, ...positions) })
      doneBytes += file.bytes
    }
    onProgress(totalBytes, totalBytes)
    if (this.#expected <= sequenceLast) this.#addGap(sequenceLast)
  }

  /** Up to `filledTo`, at least, there were frames in the file. */
  async #readFile(file: FoundFile, { start, filledTo }: { start: number; filledTo: number }): Promise<void> {
    const index = file.hasIndex ? undefined : new MemoryIndex()
    let frames = 0
    let reached = start
    if (file.header !== undefined) {
      const startAfter = this.#startAfter(file.header.epoch)
      const opened = await this.#options.disk.open(file.path, 'read')
      try {
        const { storeId } = this.#options
        const scanner = new FrameScanner({ ...file, file: opened, storeId }, start)
        for (;;) {
          const expectedAt = scanner.position
          const header = await scanner.next()
          if (header === undefined || header.sequence > startAfter) break
          if (header.kind === 'frame') {
            if (header.sequence === startAfter) break
            // The index wants the frames before those that are handed out as well.
            if (frames++ === 0) this.#expected = Math.min(this.#expected, header.sequence)
            if (scanner.hasSkipped) this.#lastEnd = { file, position: expectedAt, index }
            await this.#readFrame({ file, scanner, index }, header)
          } else {
            this.#checkMissing(header)
            if (header.kind === 'last-mark') break
            if (scanner.hasSkipped) continue
          }
          if (header.position < filledTo) reached = scanner.position
          this.#lastEnd = { file, position: scanner.position, index }
        }
      } finally {
        await opened.close()
      }
    }
    if (index !== undefined && reached < filledTo) index.damage ??= holeAt(file, reached)
    this.#files.set(file.generation, { index, isEmpty: frames === 0 && start === FIRST_FRAME_POSITION })
  }

  async #readFrame({ file, scanner, index }: Reading, header: FrameHeader): Promise<void> {
    const { sequence, container } = header
    if (scanner.hasSkipped && index !== undefined) index.damage ??= this.#damageAtEnd()
    this.#checkMissing(header)
    this.#expected = Math.max(this.#expected, sequence + 1)
    this.#explain(header.containerPrevious, container)
    const state = this.#state(container)
    state.lastSequence = sequence
    const isWanted = sequence >= state.replay.sequence
    const body = await scanner.body(header)
    if (body === undefined) {
      const error = frameDamage(file, header)
      if (index !== undefined) index.damage ??= error
      if (isWanted) this.#shut(state, error)
      return
    }
    index?.add(container, body.table, blocksPosition(header))
    if (isWanted && state.damage === undefined) this.#recovery(state).frame(recoveredFrame(header, body))
  }

  /** A frame or mark shows which sequences should have come before it. */
  #checkMissing({ sequence, previousContainer }: FrameHeader): void {
    if (sequence <= this.#expected) return
    this.#addGap(sequence - 1)
    this.#explain(sequence - 1, previousContainer)
  }

  /** Everything from `#expected` to `last` is missing. */
  #addGap(last: number): void {
    const error = this.#damageAtEnd()
    const index = this.#lastEnd?.index
    if (index !== undefined) index.damage ??= error
    const { path, position } = error
    this.#gaps.push({
      first: this.#expected,
      last,
      path: path ?? this.#options.directory,
      position: position ?? FIRST_FRAME_POSITION,
      explained: new Set<number>(),
    })
    this.#expected = last + 1
  }

  /** A frame says that this sequence was of this container. If it is missing, now it is known whose loss that is. */
  #explain(sequence: number, container: number): void {
    const gap = this.#gaps.find((one) => sequence >= one.first && sequence <= one.last)
    if (gap === undefined || container === NO_CONTAINER) return
    gap.explained.add(sequence)
    const state = this.#state(container)
    if (sequence >= state.replay.sequence)
      this.#shut(state, lossOf(gap, `A frame of container ${container} is`))
  }

  /** Shuts whoever may have lost what nobody explained: all that come no more behind it with a chain that is whole. */
  #suspect(): LogError | undefined {
    let unexplained: LogError | undefined
    for (const gap of this.#gaps) {
      if (gap.explained.size === gap.last - gap.first + 1) continue
      if (gap.last >= this.#end.sequence)
        unexplained ??= lossOf(gap, 'Frames of a container that cannot be told are')
      for (const state of this.#containers.values()) {
        if (state.lastSequence > gap.last || state.replay.sequence > gap.last) continue
        this.#shut(state, lossOf(gap, `Frames, perhaps of container ${state.container}, are`))
      }
    }
    return unexplained
  }

  #damageAtEnd(): LogError {
    const { file, position } = this.#lastEnd ?? {
      file: this.#options.files[0]!,
      position: FIRST_FRAME_POSITION,
    }
    return holeAt(file, position)
  }

  #state(container: number): Recovering {
    let state = this.#containers.get(container)
    if (state === undefined) {
      state = newRecovering(container, 0, this.#end)
      this.#containers.set(container, state)
    }
    return state
  }

  #recovery(state: Recovering): ContainerRecovery {
    state.recovery ??= this.#options.recover(state.container)
    return state.recovery
  }

  #shut(state: Recovering, error: LogError): void {
    if (state.damage !== undefined) return
    state.damage = error
    this.#recovery(state).damaged(error)
  }
}

function newRecovering(container: number, checkpoint: number, from: LogPoint): Recovering {
  return { container, checkpoint, replay: from, recovery: undefined, lastSequence: 0, damage: undefined }
}

function recoveredFrame(header: FrameHeader, { table, metadata }: FrameBody): RecoveredFrame {
  const blocks: RecoveredFrame['blocks'][number][] = []
  for (let start = 0; start < table.length; start += ENTRY_BYTES) {
    const { extent, offset, length } = readEntry(table, start)
    blocks.push({ extent, offset, length })
  }
  return { metadata, blocks, place: header.generation }
}

function holeAt({ path }: FoundFile, position: number): LogError {
  return new LogError('damaged', `${path} is damaged: at ${position} there is no frame, but there was one`, {
    path,
    position,
  })
}

function frameDamage(file: FoundFile, header: FrameHeader): LogError {
  const { position, sequence, container } = header
  const message = `${file.path} at ${position} is damaged: frame ${sequence} of container ${container} is not what was written`
  return new LogError('damaged', message, { path: file.path, position })
}

function lossOf({ first, last, path, position }: Gap, whose: string): LogError {
  const sequences = first === last ? `frame ${first}` : `frames ${first} to ${last}`
  const message = `${whose} lost: ${path} at ${position} should hold ${sequences} of the log and does not`
  return new LogError('damaged', message, { path, position })
}

function asCheckpointDamage(error: unknown, container: number): LogError {
  const failure = asLogError(error)
  if (failure.code === 'damaged') return failure
  const path = failure.path === undefined ? {} : { path: failure.path }
  const message = `The checkpoint of container ${container} cannot be read: ${failure.message}`
  return new LogError('damaged', message, { ...path, cause: error })
}
