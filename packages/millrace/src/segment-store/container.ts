/**
 * One container: a log, a state, and the bytes of its segments. Requests are decided at once, in the order they come, and
 * logged; their answers wait in that same order until the log says that everything before them is durable. So an
 * acknowledgement, a rejection and an answer to a question all tell only what no crash can take back.
 *
 * Invariants: (1) Answers leave in the order of their requests. (2) Bytes are served below `durableLength` only. (3) Once the log has
 * failed nothing is accepted, answered with success, or served any more.
 */
import type { Clock } from '../base/host.ts'
import type { Long } from '../protocol/wire/commands.ts'
import type { BlockCache, CacheBlock } from './block-cache.ts'
import { BinaryReader, BinaryWriter, FormatError } from './binary.ts'
import { readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import { ContainerState, locate, type Rejection, type Request, type Segment } from './container-state.ts'
import { type Extent, Extents, rangesOf } from './extents.ts'
import { FRAME_BYTES_TARGET, FRAME_RUNS_MAX, READ_BYTES_FILLED } from './limits.ts'
import {
  type Block,
  BLOCK_BYTES_MAX,
  type ContainerLog,
  type ContainerRecovery,
  type Frame,
  type FrameSource,
  LogError,
  type Place,
  type RecoveredFrame,
} from './log/durable-log.ts'
import type { SegmentLoads } from './load.ts'
import { type Append, type Move, type Operation, readOperation, writeOperation } from './operation.ts'

/** Somebody who waits until all that was accepted before is durable, or hears why it never will be. */
export interface Waiting {
  settle(failure: LogError | undefined): void
}

export interface AppendRequest {
  readonly segment: Segment
  readonly writerId: string
  readonly eventNumber: Long
  readonly eventCount: number
  /** -1 for wherever the segment ends. */
  readonly expectedOffset: number
  readonly data: readonly Buffer[]
  readonly length: number
}

export interface ReadRequest {
  readonly segment: Segment
  readonly offset: number
  /** Whether nobody waits any more. Whoever makes it so calls `wake`, if there is one. */
  isCancelled?(): boolean
  /** Set while the read waits at the tail. */
  wake?: (() => void) | undefined
  /** How many bytes may be given now. None: asked again after `roomGrown`, so that nothing is held for who does not take it. */
  room(): number
  roomGrown(): Promise<void>
}

/** Answer to a read. The slices stay as they are until `release`, which must be called once. */
export interface ReadResult {
  readonly kind: 'bytes'
  readonly slices: readonly Buffer[]
  readonly length: number
  readonly atTail: boolean
  readonly endOfSegment: boolean
  release(): void
}

export type ReadAnswer = ReadResult | { readonly kind: 'rejected'; readonly rejection: Rejection }

type CheckpointInProgress = ReturnType<ContainerLog['beginCheckpoint']>

const FRAME_VERSION = 1

/** A frame's operations as they are gathered. */
class FrameBuilder {
  readonly writer = new BinaryWriter()
  readonly runs: FrameRun[] = []
  /** Bytes that are copied from another file of the log. */
  readonly moves: { readonly operation: Move; readonly blocks: readonly Block[] }[] = []
  /** The length of each segment behind this frame. */
  readonly lengths = new Map<Segment, number>()
  /** What else is to be done once it is durable. */
  readonly effects: (() => void)[] = []
  dataBytes = 0
  operations = 0
  readonly firstOperation: number

  constructor(firstOperation: number) {
    this.firstOperation = firstOperation
    this.writer.byte(FRAME_VERSION)
    this.writer.integer(firstOperation)
    this.writer.uint32(0) // The number of operations, set at the end.
  }

  get bytes(): number {
    return this.dataBytes + this.writer.length
  }
}

interface FrameRun {
  readonly block: CacheBlock
  readonly start: number
  end: number
}

export interface ContainerOptions {
  readonly id: number
  readonly clock: Clock
  readonly cache: BlockCache
  /** Bytes accepted that are not durable yet; the store watches them. */
  readonly inFlight: { bytes: number }
  /** Measures what is accepted; what is replayed is not. */
  readonly loads?: SegmentLoads
  /** A checkpoint was saved, which may have set files of the log free. */
  readonly onCheckpoint?: () => void
}

export class Container implements FrameSource {
  readonly id: number
  readonly #clock: Clock
  readonly #cache: BlockCache
  readonly #inFlight: { bytes: number }
  readonly #loads: SegmentLoads | undefined
  readonly #onCheckpoint: () => void
  readonly #state = new ContainerState()
  readonly #extents: Extents
  #log: ContainerLog | undefined
  #failure: LogError | undefined
  /** Operations accepted, and how many of them are durable; numbered from 1 since the container was made. */
  #accepted = 0
  #durable = 0
  #checkpointing = false
  #builders: FrameBuilder[] = []
  readonly #waiting: { operation: number; who: Waiting }[] = []
  #waitingFirst = 0
  /** Reads at the end of their segment. */
  readonly #tailReads = new Map<Segment, ReadRequest[]>()

  constructor(options: ContainerOptions) {
    this.id = options.id
    this.#clock = options.clock
    this.#cache = options.cache
    this.#inFlight = options.inFlight
    this.#loads = options.loads
    this.#onCheckpoint = options.onCheckpoint ?? ((): void => undefined)
    this.#extents = new Extents((place) => this.#log?.unpin(place))
  }

  get failure(): LogError | undefined {
    return this.#failure
  }

  get segmentCount(): number {
    return this.#state.size
  }

  open(log: ContainerLog): void {
    this.#log = log
  }

  find(name: string): Segment | undefined {
    return this.#state.find(name)
  }

  /** What is known of each segment, without its bytes. */
  describe(): Pick<Segment, 'name' | 'type' | 'startOffset' | 'length' | 'sealed'>[] {
    return [...this.#state.segments].map(({ name, type, startOffset, length, sealed }) => ({
      name,
      type,
      startOffset,
      length,
      sealed,
    }))
  }

  /** Names of segments whose owners cannot have survived a restart. */
  transientSegments(): string[] {
    return this.describe()
      .filter(({ type }) => type === 'transient')
      .map(({ name }) => name)
  }

  /** Settles when all that was accepted so far is durable. At once, if it is already. */
  whenDurable(who: Waiting): void {
    if (this.#failure !== undefined || this.#durable === this.#accepted) who.settle(this.#failure)
    else this.#waiting.push({ operation: this.#accepted, who })
  }

  #onceDurable(action: () => void): void {
    this.whenDurable({
      settle: (failure) => {
        if (failure === undefined) action()
      },
    })
  }

  /** Decides a request. Whatever comes out, its answer has to wait for `whenDurable`. */
  submit(request: Request): { operation: Operation } | { rejection: Rejection } {
    const decision = this.#state.accept(request, this.#clock.now())
    if (decision.rejection !== undefined) return decision
    const { operation } = decision
    const effect = this.#effectOf(operation)
    if (operation.kind === 'merge') this.#measureMerge(operation)
    this.#state.apply(operation)
    const builder = this.#builder()
    this.#note(builder, operation)
    if (effect !== undefined) builder.effects.push(effect)
    this.#log?.wake()
    return { operation }
  }

  /** Accepts an append, or says why not. As with `submit`, the answer has to wait. */
  append(request: AppendRequest): Rejection | undefined {
    const { segment, length } = request
    const rejection = this.#state.checkAppend(segment, request)
    if (rejection !== undefined) return rejection
    const operation: Append = {
      kind: 'append',
      segment: segment.id,
      offset: segment.length,
      length,
      writerId: request.writerId,
      eventNumber: request.eventNumber,
      eventCount: request.eventCount,
      nowMs: this.#clock.now(),
    }
    const builder = this.#builder()
    this.#state.applyAppend(operation)
    if (length > 0) this.#keepBytes(builder, operation, request.data)
    builder.lengths.set(segment, segment.length)
    this.#note(builder, operation)
    this.#loads?.appended(request)
    this.#log?.wake()
    return undefined
  }

  #measureMerge(merge: { target: number; source: number }): void {
    this.#loads?.merged({
      target: this.#state.byId(merge.target)!,
      source: this.#state.byId(merge.source)!,
    })
  }

  /**
   * Bytes from `offset` on: what is there and has room, or a rejection. At the tail of a segment that is not sealed it waits
   * for the next bytes, without a limit; cancelling ends that, and the answer then has no bytes.
   */
  async read(request: ReadRequest): Promise<ReadAnswer> {
    const { segment, offset } = request
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const rejection = refuseRead(segment, offset)
      if (rejection !== undefined) return { kind: 'rejected', rejection }
      if (offset < segment.durableLength) {
        const bytesMax = request.room()
        if (bytesMax > 0) return this.#collect(segment, offset, bytesMax)
        await request.roomGrown()
        continue
      }
      if (segment.durablySealed || request.isCancelled?.() === true)
        return { ...NO_BYTES, atTail: true, endOfSegment: segment.durablySealed }
      await this.#nextChange(request)
      if (request.isCancelled?.() === true) this.#forgetRead(request)
    }
  }

  // Towards the log.

  take(): Frame | undefined {
    const builder = this.#builders.shift()
    if (builder === undefined) return undefined
    for (const { block } of builder.runs) block.extent.run = undefined
    builder.writer.setUint32(builder.operations, FRAME_COUNT_POSITION)
    const blocks: Block[] = builder.runs.map(({ block, start, end }) => ({
      extent: block.extent.id,
      offset: block.offset + start,
      bytes: block.buffer.subarray(start, end),
    }))
    for (const move of builder.moves) blocks.push(...move.blocks)
    return {
      metadata: builder.writer.finish(),
      blocks,
      durable: (place) => this.#onDurable(builder, place),
      failed: (error) => {
        this.#inFlight.bytes -= builder.dataBytes
        this.fail(error)
      },
    }
  }

  checkpointDue(): void {
    const log = this.#log
    // One at a time: the next file of the log asks again.
    if (log === undefined || this.#failure !== undefined || this.#checkpointing) return
    this.#checkpointing = true
    const checkpoint = log.beginCheckpoint()
    // Frames that were under way will not be given again, so where their bytes are must be part of the state: it is taken down
    // when they have settled, and saved when what was accepted meanwhile is durable too.
    this.#onceDurable(() => {
      const state = writeCheckpoint({
        state: this.#state,
        extents: this.#extents,
        operations: this.#accepted,
      })
      this.#onceDurable(() => {
        void this.#saveCheckpoint(checkpoint, state)
      })
    })
  }

  async #saveCheckpoint(checkpoint: CheckpointInProgress, state: Buffer): Promise<void> {
    try {
      await checkpoint.save([state])
      this.#onCheckpoint()
    } catch (error) {
      // What fails here fails the log, which says so itself; on a full volume the next file of the log asks again.
      if (!(error instanceof LogError)) throw error
    } finally {
      this.#checkpointing = false
    }
  }

  /** How the log hands back what the container was. */
  recovery(): ContainerRecovery {
    return {
      checkpoint: (state) => this.#attempt(() => this.#restore(state)),
      frame: (frame) => this.#attempt(() => this.#replay(frame)),
      end: () => {
        for (const segment of this.#state.segments) makeDurable(segment)
        this.#durable = this.#accepted
        return [...this.#extents.places]
      },
      damaged: (error) => this.fail(error),
    }
  }

  /** Nothing more is accepted, answered or served, for good. */
  fail(error: LogError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    for (const { dataBytes } of this.#builders.splice(0)) this.#inFlight.bytes -= dataBytes
    for (const { who } of this.#waiting.splice(this.#waitingFirst)) who.settle(error)
    for (const reads of this.#tailReads.values()) for (const read of reads) wakeRead(read)
    this.#tailReads.clear()
  }

  // Accepting.

  #builder(): FrameBuilder {
    const last = this.#builders.at(-1)
    if (last !== undefined && last.bytes < FRAME_BYTES_TARGET && last.runs.length < FRAME_RUNS_MAX)
      return last
    if (last !== undefined) for (const { block } of last.runs) block.extent.run = undefined
    const builder = new FrameBuilder(this.#accepted + 1)
    this.#builders.push(builder)
    return builder
  }

  #note(builder: FrameBuilder, operation: Operation): void {
    writeOperation(builder.writer, operation)
    builder.operations++
    this.#accepted++
  }

  /** The one copy of event bytes: from where the network put them to where the log and all readers take them. */
  #keepBytes(builder: FrameBuilder, operation: Append, data: readonly Buffer[]): void {
    const extent = this.#extents.get(operation.segment)!
    let offset = operation.offset
    let left = operation.length
    for (const piece of data) {
      let at = 0
      while (at < piece.length) {
        const block = this.#cache.tail(extent, offset, left)
        const count = Math.min(piece.length - at, block.buffer.length - block.length)
        block.buffer.set(
          at === 0 && count === piece.length ? piece : piece.subarray(at, at + count),
          block.length,
        )
        this.#extendRun(builder, block, count)
        at += count
        offset += count
        left -= count
      }
    }
    builder.dataBytes += operation.length
    this.#inFlight.bytes += operation.length
  }

  #extendRun(builder: FrameBuilder, block: CacheBlock, count: number): void {
    const start = block.length
    block.length += count
    const { run } = block.extent
    if (run?.block === block && run.end === start) {
      run.end = block.length
      return
    }
    const next = { block, start, end: block.length }
    block.dirty++
    block.extent.run = next
    builder.runs.push(next)
  }

  /** What an operation does beside the state once it is durable; taken down while the state is as it was before. */
  #effectOf(operation: Operation): (() => void) | undefined {
    switch (operation.kind) {
      case 'create':
        this.#extents.add(operation.id)
        return undefined
      case 'seal': {
        const segment = this.#state.byId(operation.segment)!
        return () => {
          segment.durablySealed = true
          this.#wake(segment)
        }
      }
      case 'truncate': {
        const segment = this.#state.byId(operation.segment)!
        const { runs } = segment
        const passed = runs.filter((run) => run.start + run.length <= operation.offset)
        return () => {
          this.#trim(segment, operation.offset, passed)
          this.#wake(segment)
        }
      }
      case 'delete': {
        const segment = this.#state.byId(operation.segment)!
        return () => this.#forget(segment)
      }
      case 'merge':
        return this.#mergeEffect(operation.target, operation.source)
      case 'append':
      case 'attributes':
      case 'table-put':
      case 'table-remove':
      case 'move':
        return undefined
    }
  }

  #mergeEffect(targetId: number, sourceId: number): () => void {
    const target = this.#state.byId(targetId)!
    const source = this.#state.byId(sourceId)!
    const end = target.length + source.length
    const extent = this.#extents.get(sourceId)!
    const ownRuns = countOwnRuns(source)
    return () => {
      extent.references += ownRuns
      this.#extents.release(extent)
      target.durableLength = Math.max(target.durableLength, end)
      this.#wake(source)
      this.#wake(target)
    }
  }

  // Settling.

  #onDurable(builder: FrameBuilder, place: Place): void {
    if (this.#failure !== undefined) return
    for (const { block, start, end } of builder.runs) {
      block.dirty--
      if (this.#extents.get(block.extent.id) === block.extent)
        this.#extents.note(block.extent, { offset: block.offset + start, length: end - start }, place)
      else this.#cache.drop(block.extent)
    }
    for (const { operation } of builder.moves) this.#moved(operation, place)
    this.#inFlight.bytes -= builder.dataBytes
    for (const [segment, length] of builder.lengths) {
      if (length > segment.durableLength) segment.durableLength = length
      this.#wake(segment)
    }
    for (const effect of builder.effects) effect()
    this.#durable = builder.firstOperation + builder.operations - 1
    this.#settle()
  }

  #settle(): void {
    const waiting = this.#waiting
    let first = this.#waitingFirst
    while (first < waiting.length && waiting[first]!.operation <= this.#durable)
      waiting[first++]!.who.settle(undefined)
    if (first === waiting.length) {
      waiting.length = 0
      first = 0
    } else if (first > 1000) {
      waiting.splice(0, first)
      first = 0
    }
    this.#waitingFirst = first
  }

  #wake(segment: Segment): void {
    const reads = this.#tailReads.get(segment)
    if (reads === undefined) return
    this.#tailReads.delete(segment)
    for (const read of reads) wakeRead(read)
  }

  #trim(segment: Segment, offset: number, passed: Segment['runs']): void {
    const own = this.#extents.get(segment.id)
    if (own !== undefined) {
      this.#extents.trim(own, offset, segment.durableLength)
      this.#cache.trim(own, offset)
    }
    for (const run of passed) {
      segment.runs.splice(segment.runs.indexOf(run), 1)
      this.#releaseExtent(run.extent)
    }
  }

  #forget(segment: Segment): void {
    this.#releaseExtent(segment.id)
    for (const run of segment.runs) this.#releaseExtent(run.extent)
    this.#wake(segment)
  }

  #releaseExtent(id: number): void {
    const extent = this.#extents.get(id)
    if (extent === undefined) return
    this.#extents.release(extent)
    if (extent.references === 0) this.#cache.drop(extent)
  }

  // Reading.

  #nextChange(request: ReadRequest): Promise<void> {
    const { segment } = request
    let reads = this.#tailReads.get(segment)
    if (reads === undefined) this.#tailReads.set(segment, (reads = []))
    reads.push(request)
    return new Promise((resolve) => {
      request.wake = resolve
    })
  }

  #forgetRead(request: ReadRequest): void {
    const reads = this.#tailReads.get(request.segment)
    const index = reads?.indexOf(request) ?? -1
    if (index >= 0) reads?.splice(index, 1)
  }

  /** What is in memory goes at once; only an answer that would be empty waits for the disk. */
  async #collect(segment: Segment, offset: number, bytesMax: number): Promise<ReadAnswer> {
    const slices: Buffer[] = []
    const pinned: CacheBlock[] = []
    let length = 0
    try {
      while (length < bytesMax && offset + length < segment.durableLength) {
        const at = locate(segment, offset + length)
        const extent = this.#extents.get(at.extent)
        const available = Math.min(at.length, segment.durableLength - offset - length, bytesMax - length)
        const block = extent === undefined ? undefined : this.#cache.find(extent, at.offset)
        if (block !== undefined) {
          const start = at.offset - block.offset
          const count = Math.min(block.length - start, available)
          slices.push(block.buffer.subarray(start, start + count))
          this.#cache.pin(block)
          pinned.push(block)
          length += count
          continue
        }
        if (length >= READ_BYTES_FILLED) break
        const bytes = await this.#load(
          extent,
          at.offset,
          Math.min(at.length, segment.durableLength - offset - length),
        )
        // The segment may have been truncated or deleted meanwhile.
        const rejection = refuseRead(segment, offset)
        if (rejection !== undefined) {
          for (const other of pinned) this.#cache.unpin(other)
          return { kind: 'rejected', rejection }
        }
        const piece = bytes.subarray(0, available)
        slices.push(piece)
        length += piece.length
      }
    } catch (error) {
      for (const block of pinned) this.#cache.unpin(block)
      throw error
    }
    const end = offset + length
    return {
      kind: 'bytes',
      slices,
      length,
      atTail: end === segment.durableLength,
      endOfSegment: segment.durablySealed && end === segment.durableLength,
      release: () => {
        for (const block of pinned) this.#cache.unpin(block)
      },
    }
  }

  /**
   * Bytes of an extent from `offset` on, at most `left` of them, and the first at least. Small blocks, as events that came one at
   * a time make them, are put together: in memory each would cost more than its bytes.
   */
  async #load(extent: Extent | undefined, offset: number, left: number): Promise<Buffer> {
    const first = await this.#loadBlock(extent, offset)
    let bytes = first.bytes
    let start = first.offset
    if (bytes.length < SMALL_BLOCK_BYTES && offset - start + left > bytes.length) {
      const gathered = [bytes]
      let end = start + bytes.length
      let size = bytes.length
      const last = Math.min(offset + left, start + BLOCK_BYTES_MAX)
      while (end < last && extent !== undefined && this.#cache.find(extent, end) === undefined) {
        const next = await this.#loadBlock(extent, end).catch(unlessLog)
        // Whoever comes to it is told what is wrong with it; what stands before it is served.
        if (next === undefined) break
        const piece = next.bytes.subarray(end - next.offset)
        if (size + piece.length > BLOCK_BYTES_MAX) break
        gathered.push(piece)
        size += piece.length
        end += piece.length
      }
      bytes = Buffer.concat(gathered, size)
      start = first.offset
    }
    if (extent !== undefined && this.#extents.get(extent.id) === extent)
      this.#cache.insert(extent, start, bytes)
    return bytes.subarray(offset - start)
  }

  async #loadBlock(extent: Extent | undefined, offset: number): Promise<Block> {
    if (this.#failure !== undefined) throw this.#failure
    const place = extent === undefined ? undefined : this.#extents.placeOf(extent, offset)
    if (extent === undefined || place === undefined)
      throw new LogError(
        'not-found',
        `Container ${this.id} knows no place of extent ${extent?.id} at ${offset}`,
      )
    return this.#log!.read({ place, extent: extent.id, offset })
  }

  // Moving.

  liveBytes(): Map<Place, number> {
    return this.#extents.liveBytes()
  }

  /** Copies what has its place in a file to the end of the log, so that the file can go; resolves with the bytes copied. */
  async evacuate(place: Place): Promise<number> {
    let copied = 0
    for (const extent of this.#extents.values())
      for (const range of rangesOf(extent))
        if (range.place === place) copied += await this.#evacuate(extent, range)
    return copied
  }

  async #evacuate(extent: Extent, range: { place: Place; from: number; to: number }): Promise<number> {
    const segment = this.#state.byId(extent.id)
    // What was truncated away is not copied; it moves along in name only.
    const start = Math.min(Math.max(range.from, segment?.startOffset ?? 0), range.to)
    let from = range.from
    let offset = start
    while (from < range.to) {
      const blocks: Block[] = []
      let size = 0
      while (offset < range.to && size < MOVE_BYTES) {
        const stored = await this.#loadBlock(extent, offset)
        const bytes = stored.bytes.subarray(offset - stored.offset, range.to - stored.offset)
        blocks.push({ extent: extent.id, offset, bytes })
        offset += bytes.length
        size += bytes.length
      }
      // Meanwhile it may have been deleted, and its number stands for nothing.
      if (this.#extents.get(extent.id) !== extent || this.#extents.placeOf(extent, from) !== range.place)
        return offset - start
      await this.#move({ kind: 'move', extent: extent.id, offset: from, length: offset - from }, blocks)
      from = offset
    }
    return offset - start
  }

  #move(operation: Move, blocks: readonly Block[]): Promise<void> {
    const builder = this.#builder()
    builder.moves.push({ operation, blocks })
    this.#note(builder, operation)
    this.#log?.wake()
    return new Promise((resolve, reject) => {
      this.whenDurable({ settle: (failure) => (failure === undefined ? resolve() : reject(failure)) })
    })
  }

  #moved(move: Move, place: Place): void {
    const extent = this.#extents.get(move.extent)
    if (extent !== undefined) this.#extents.move(extent, move, place)
  }

  // Recovering.

  #attempt(step: () => void): void {
    if (this.#failure !== undefined) return
    try {
      step()
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.fail(
        new LogError('damaged', `Container ${this.id} cannot be rebuilt: ${error.message}`, { cause: error }),
      )
    }
  }

  #restore(bytes: Buffer): void {
    this.#accepted = readCheckpoint(bytes, { state: this.#state, extents: this.#extents })
  }

  #replay(frame: RecoveredFrame): void {
    const reader = new BinaryReader(frame.metadata)
    const version = reader.byte()
    if (version !== FRAME_VERSION) throw new FormatError(`Frame version ${version} is not known`)
    let number = reader.integer()
    const effects: (() => void)[] = []
    const moves: Move[] = []
    for (let left = reader.uint32(); left > 0; left--, number++) {
      const operation = readOperation(reader)
      if (operation.kind === 'move') moves.push(operation)
      if (number <= this.#accepted) continue // The checkpoint has it.
      if (number !== this.#accepted + 1)
        throw new FormatError(`Operation ${number} follows ${this.#accepted}: what stood between is missing`)
      const effect = this.#effectOf(operation)
      this.#state.apply(operation)
      this.#accepted = number
      if (effect !== undefined) effects.push(effect)
      if (operation.kind === 'append') makeDurable(this.#state.byId(operation.segment)!)
    }
    for (const block of frame.blocks) {
      const extent = this.#extents.get(block.extent)
      const isMoved = moves.some((move) => move.extent === block.extent && isWithin(block.offset, move))
      if (extent !== undefined && !isMoved) this.#extents.note(extent, block, frame.place)
    }
    for (const move of moves) this.#moved(move, frame.place)
    for (const effect of effects) effect()
  }
}

/** Copied at a time. */
const MOVE_BYTES = 512 * 1024

/** Blocks that are kept as they are read. */
const SMALL_BLOCK_BYTES = 16 * 1024

const NO_BYTES = { kind: 'bytes', slices: [], length: 0, release: (): void => undefined } as const

/** Behind the version and the first operation's number. */
const FRAME_COUNT_POSITION = 9

function wakeRead(read: ReadRequest): void {
  const { wake } = read
  read.wake = undefined
  wake?.()
}

function isWithin(offset: number, move: Move): boolean {
  return offset >= move.offset && offset < move.offset + move.length
}

function unlessLog(error: unknown): undefined {
  if (!(error instanceof LogError)) throw error
  return undefined
}

function makeDurable(segment: Segment): void {
  segment.durableLength = segment.length
  segment.durablySealed = segment.sealed
}

/** Into how many stretches merges have cut the segment's own bytes. */
function countOwnRuns(segment: Segment): number {
  let count = 0
  let position = 0
  for (const run of segment.runs) {
    if (run.start > position) count++
    position = run.start + run.length
  }
  return segment.length > position ? count + 1 : count
}

function refuseRead(segment: Segment, offset: number): Rejection | undefined {
  const { name } = segment
  if (segment.gone) return { code: 'no-such-segment', segment: name }
  if (segment.table !== undefined) return { code: 'invalid', segment: name, reason: 'It is a table' }
  if (offset < segment.startOffset)
    return { code: 'truncated', segment: name, startOffset: segment.startOffset }
  if (segment.durablySealed && offset > segment.durableLength)
    return {
      code: 'invalid',
      segment: name,
      reason: `Offset ${offset} is behind the end of the sealed segment, ${segment.durableLength}`,
    }
  return undefined
}
