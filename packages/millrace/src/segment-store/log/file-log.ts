/**
 * The log on the disk of this machine: all containers of a process in one sequence of files (docs/formats/log.md).
 *
 * The parts: `LogWriter` takes and writes, `FilePreparer` makes the next file ready, `BlockReader` reads back, `Checkpoints`
 * keeps checkpoints and anchor, `FileSet` knows which files are needed. A start takes the inventory, secures the tail
 * (`tail-recovery.ts`) and hands out the rest (`replay.ts`).
 */
import { assert } from '../../base/assert.ts'
import { DiskError, type Host, type Timer } from '../../base/host.ts'
import { type Anchor, encodeAnchor } from './anchor.ts'
import { BlockReader } from './block-reader.ts'
import { Checkpoints, oldestGeneration } from './checkpoints.ts'
import { asLogError, isFull } from './disk-failure.ts'
import {
  type Admission,
  type Block,
  type ContainerLog,
  type ContainerRecovery,
  type DurableLog,
  type FrameSource,
  LogError,
  type LogStats,
  type Place,
} from './durable-log.ts'
import { FilePreparer } from './file-preparer.ts'
import { FileSet } from './file-set.ts'
import { NO_CONTAINER, PAGE_BYTES } from './frame.ts'
import { type FoundFile, type Inventory, takeInventory } from './inventory.ts'
import { createLogFile, FIRST_FRAME_POSITION, LogFile, type LogRun } from './log-file.ts'
import { ANCHOR_NAME, checkpointName, indexName, logName } from './log-names.ts'
import { LogWriter, WriterContainer } from './log-writer.ts'
import { replaceFile } from './replace-file.ts'
import { replay, type ReplayedContainer, type ReplayResult } from './replay.ts'
import { beginEpoch, findTail } from './tail-recovery.ts'

export interface FileLogOptions {
  readonly host: Host
  /** Made if it is not there. Nobody else may use it. */
  readonly directory: string
  /** 16 bytes; a log of another store is refused. */
  readonly storeId: Buffer
  /** Called at most once for each container that has anything. */
  readonly recover: (container: number) => ContainerRecovery
  /** Writes under way at the same time. */
  readonly slots?: number
  readonly fileBytesFirst?: number
  readonly fileBytesMax?: number
  readonly onProgress?: (progress: { doneBytes: number; totalBytes: number }) => void
  /** Told of damage that harms nobody, since the same is known from elsewhere. */
  readonly onDamage?: (error: LogError) => void
  /** Another answer of `admission` is possible. */
  readonly onRoom?: () => void
  /** A write or sync has failed, and with it the log, for good. Called once. */
  readonly onFailure?: (error: LogError) => void
}

const SLOTS = 2
const FILE_BYTES_FIRST = 4 * 1024 * 1024
const FILE_BYTES_MAX = 64 * 1024 * 1024
const FILE_BYTES_LEAST = 4 * PAGE_BYTES
const SEAL_RETRY_MS = 500

/** Rejects with `LogError` if the log as a whole cannot be used. Damage of single containers is told to them. */
export async function openFileLog(options: FileLogOptions): Promise<DurableLog> {
  const { host, directory, storeId } = options
  const { disk } = host
  const onDamage = options.onDamage ?? ((): void => undefined)
  const common: Common = { disk, directory, storeId, slots: options.slots ?? SLOTS, ...checkSizes(options) }
  try {
    await disk.makeDirectory(directory)
    const inventory = await takeInventory({ disk, directory, storeId, onDamage })
    for (const name of inventory.names.unfinished) await disk.remove(`${directory}/${name}`)
    const { anchor } = inventory
    const start =
      anchor === undefined
        ? await startAfresh(common, inventory)
        : await startAgain(common, inventory, { anchor, options })
    await removeStrays(common, inventory, start.anchor)
    return new FileLog(host, common, {
      ...start,
      onDamage,
      onFailed: options.onFailure ?? ((): void => undefined),
      onRoom: options.onRoom ?? ((): void => undefined),
    })
  } catch (error) {
    throw error instanceof DiskError ? asLogError(error) : error
  }
}

interface Common extends Omit<LogRun, 'epoch' | 'epochStart'> {
  readonly fileBytesFirst: number
  readonly fileBytesMax: number
}

/** The log as it is when it begins to take frames. */
interface Start {
  readonly run: LogRun
  readonly anchor: Anchor
  /** To write to. */
  readonly file: LogFile
  readonly sequence: number
  readonly lastContainer: number
  readonly others: readonly LogFile[]
  /** Of them those in which nothing counts. */
  readonly empty: readonly LogFile[]
  readonly containers: readonly ReplayedContainer[]
  readonly unexplained: LogError | undefined
}

function checkSizes(options: FileLogOptions): { fileBytesFirst: number; fileBytesMax: number } {
  const fileBytesFirst = options.fileBytesFirst ?? FILE_BYTES_FIRST
  const fileBytesMax = options.fileBytesMax ?? FILE_BYTES_MAX
  assert(fileBytesFirst >= FILE_BYTES_LEAST, `A log file has at least ${FILE_BYTES_LEAST} bytes`)
  assert(fileBytesFirst % PAGE_BYTES === 0, 'A log file consists of whole pages')
  assert(fileBytesMax >= fileBytesFirst, 'Log files grow from the first size to the largest')
  assert(fileBytesMax % PAGE_BYTES === 0, 'The largest log file consists of whole pages')
  return { fileBytesFirst, fileBytesMax }
}

/** The anchor comes last: until it is there, no frame was written. */
async function startAfresh(common: Common, { files }: Inventory): Promise<Start> {
  for (const file of files) await common.disk.remove(file.path)
  const generation = (files.at(-1)?.generation ?? 0) + 1
  const run: LogRun = { ...common, epoch: 1, epochStart: 1 }
  const file = await createLogFile(run, { generation, bytes: common.fileBytesFirst })
  assert(file !== undefined, 'Nobody gave the first file up')
  const end = { epoch: 1, generation, position: FIRST_FRAME_POSITION, sequence: 1 }
  const anchor: Anchor = { durableThrough: 0, end, entries: [] }
  await replaceFile(common, ANCHOR_NAME, [encodeAnchor(anchor, common.storeId)])
  return {
    run,
    anchor,
    file,
    sequence: 1,
    lastContainer: NO_CONTAINER,
    others: [],
    empty: [],
    containers: [],
    unexplained: undefined,
  }
}

async function startAgain(
  common: Common,
  inventory: Inventory,
  { anchor, options }: { anchor: Anchor; options: FileLogOptions },
): Promise<Start> {
  const { fileBytesFirst } = common
  const tail = await findTail(common, { files: inventory.files, anchor })
  const run: LogRun = { ...common, epoch: tail.epoch + 1, epochStart: tail.durableThrough + 1 }
  const generation = Math.max(anchor.end.generation, inventory.files.at(-1)?.generation ?? 0) + 1
  const { file, sequenceLast, lastContainer, spare } = await beginEpoch(run, {
    generation,
    tail,
    fileBytesFirst,
  })
  const found: FoundFile = { generation, path: file.path, bytes: file.bytes, header: run, hasIndex: false }
  const old = inventory.files.filter((one) => one.path !== spare?.path)
  try {
    const { onProgress, recover } = options
    const result = await replay({
      ...common,
      anchor,
      files: [...old, found],
      sequenceLast,
      recover,
      onProgress: (doneBytes, totalBytes) => onProgress?.({ doneBytes, totalBytes }),
    })
    const { containers, unexplained } = result
    file.index = result.files.get(generation)?.index
    file.blocks = file.index?.count ?? 0
    const others = old.map((one) => leftFile(common.directory, one, result))
    // Where there is damage, everything stays for whoever looks into it.
    const isDamaged = unexplained !== undefined || containers.some(({ damage }) => damage !== undefined)
    const empty = isDamaged ? [] : others.filter((one) => result.files.get(one.generation)?.isEmpty === true)
    return {
      run,
      anchor,
      file,
      sequence: sequenceLast + 1,
      lastContainer,
      others,
      empty,
      containers,
      unexplained,
    }
  } catch (error) {
    await file.closeSlots()
    throw error
  }
}

function leftFile(directory: string, { generation, bytes }: FoundFile, result: ReplayResult): LogFile {
  const file = new LogFile({ generation, directory, bytes })
  file.left = true
  file.index = result.files.get(generation)?.index
  return file
}

/** Indexes of files that are gone, and checkpoints that the anchor does not name: their making or removal was cut short. */
async function removeStrays(
  { disk, directory }: Common,
  { names }: Inventory,
  { entries }: Anchor,
): Promise<void> {
  const generations = new Set(names.generations)
  for (const generation of names.indexes)
    if (!generations.has(generation)) await disk.remove(`${directory}/${indexName(generation)}`)
  const named = new Set(entries.map(({ container, checkpoint }) => checkpointName(container, checkpoint)))
  for (const { container, number } of names.checkpoints) {
    const name = checkpointName(container, number)
    if (!named.has(name)) await disk.remove(`${directory}/${name}`)
  }
}

interface LogListeners {
  readonly onRoom: () => void
  readonly onDamage: (error: LogError) => void
  readonly onFailed: (error: LogError) => void
}

class FileLog implements DurableLog {
  readonly #host: Host
  readonly #run: LogRun
  readonly #reader: BlockReader
  readonly #preparer: FilePreparer
  readonly #files: FileSet
  readonly #writer: LogWriter
  readonly #checkpoints: Checkpoints
  readonly #recovered: ReadonlyMap<number, ReplayedContainer>
  readonly #unexplained: LogError | undefined
  readonly #containers = new Map<number, WriterContainer>()
  /** Indexes that are being written. */
  readonly #sealings = new Set<Promise<void>>()
  readonly #pauses = new Set<{ timer: Timer; end: () => void }>()
  #closed: LogError | undefined
  #closing: Promise<void> | undefined

  constructor(host: Host, common: Common, start: Start & LogListeners) {
    const { run, anchor, file } = start
    const { disk, directory, storeId } = run
    const { clock } = host
    this.#host = host
    this.#run = run
    this.#recovered = new Map(start.containers.map((one) => [one.container, one]))
    this.#unexplained = start.unexplained
    const onFailure = (error: unknown): void => this.#writer.fail(error)
    this.#reader = new BlockReader({ disk, directory, storeId, onDamage: start.onDamage })
    this.#preparer = new FilePreparer({
      ...common,
      run,
      clock,
      generation: file.generation + 1,
      onChange: () => {
        this.#writer.pump()
        start.onRoom()
      },
      onFailure,
    })
    this.#files = new FileSet({
      disk,
      directory,
      reader: this.#reader,
      preparer: this.#preparer,
      oldestNeeded: () => this.#checkpoints.oldestNeeded,
      onFailure,
    })
    this.#writer = new LogWriter({
      run,
      clock,
      preparer: this.#preparer,
      file,
      sequence: start.sequence,
      previousContainer: start.lastContainer,
      onFileLeft: (left) => this.#seal(left),
      onFileEntered: (entered) => this.#onFileEntered(entered),
      onFailed: start.onFailed,
    })
    this.#checkpoints = new Checkpoints({
      making: { disk, directory, storeId },
      containers: start.containers.map((one) => ({ ...one, shut: one.damage !== undefined })),
      oldestNeeded: oldestGeneration(anchor),
      point: () => this.#writer.point,
      durableThrough: () => this.#writer.durableThrough,
      lastSequence: (container) =>
        this.#containers.get(container)?.lastSequence ?? this.#recovered.get(container)?.lastSequence ?? 0,
      refusal: () => this.#refusal,
      onAnchored: () => this.#files.freeUnneeded(),
      onFailure,
    })
    this.#adopt(start)
  }

  admission(pendingBytes: number): Admission {
    return this.#writer.admission(pendingBytes)
  }

  get failure(): LogError | undefined {
    return this.#writer.failure
  }

  get stats(): LogStats {
    const { ready, spares } = this.#preparer
    const files = [...this.#files.all, ...(ready === undefined ? [] : [ready]), ...spares]
    const fileBytes = files.reduce((total, { bytes }) => total + bytes, 0)
    return { ...this.#writer.counts, files: files.length, fileBytes }
  }

  places(): { place: Place; bytes: number }[] {
    return [...this.#files.all]
      .filter(({ left }) => left)
      .map(({ generation, bytes }) => ({ place: generation, bytes }))
      .toSorted((one, two) => one.place - two.place)
  }

  openContainer(id: number, source: FrameSource): ContainerLog {
    if (this.#closed !== undefined) throw this.#closed
    assert(Number.isInteger(id) && id >= 0 && id < NO_CONTAINER, `Container ${id} is out of range`)
    assert(!this.#containers.has(id), `Container ${id} was opened before`)
    const recovered = this.#recovered.get(id)
    const damage = recovered === undefined ? this.#unexplained : recovered.damage
    if (damage !== undefined) throw damage
    const container = new WriterContainer({ id, source, lastSequence: recovered?.lastSequence ?? 0 })
    this.#containers.set(id, container)
    this.#writer.add(container)
    this.#checkpoints.add(id)
    return {
      wake: () => this.#writer.wake(container),
      read: (request) => this.#read(id, request),
      unpin: (place) => this.#files.unpin(place, id),
      beginCheckpoint: () => this.#checkpoints.begin(id),
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get #refusal(): LogError | undefined {
    return this.#writer.failure ?? this.#closed
  }

  #adopt(start: Start): void {
    const { others, empty, containers } = start
    for (const file of others) this.#files.add(file)
    for (const { container, damage, places } of containers) {
      for (const place of places) this.#pin(place, container, start.file)
      // Nobody knows what a container has that is shut.
      if (damage !== undefined) for (const { generation } of others) this.#files.pin(generation, container)
    }
    for (const file of empty) if (file.pins.size === 0) this.#files.discard(file)
    this.#files.add(start.file)
    this.#files.freeUnneeded()
    for (const file of others) if (this.#files.get(file.generation) === file) this.#seal(file)
  }

  #pin(place: Place, container: number, current: LogFile): void {
    if (place === current.generation) current.pins.add(container)
    else this.#files.pin(place, container)
  }

  #onFileEntered(file: LogFile): void {
    this.#files.add(file)
    for (const [id, { source }] of this.#containers) if (this.#checkpoints.due(id)) source.checkpointDue()
  }

  async #read(
    container: number,
    { place, extent, offset }: { place: Place; extent: number; offset: number },
  ): Promise<Block> {
    if (this.#closed !== undefined) throw this.#closed
    const file = this.#files.get(place)
    if (file === undefined || !file.pins.has(container)) throw this.#noSuchPlace(container, place)
    file.holds++
    try {
      return await this.#reader.read(file, { container, extent, offset })
    } finally {
      file.holds--
      this.#files.maybeFree(file)
    }
  }

  #noSuchPlace(container: number, place: Place): LogError {
    if (!this.#files.isMissing(place, container))
      return new LogError('not-found', `Container ${container} has nothing in file ${place} of the log`)
    const path = `${this.#run.directory}/${logName(place)}`
    return new LogError('damaged', `${path} is missing, and container ${container} has bytes in it`, { path })
  }

  /** A file that was left gets its index beside it. */
  #seal(file: LogFile): void {
    const sealing = this.#writeIndex(file)
      .catch((error: unknown) => this.#writer.fail(error))
      .finally(() => this.#sealings.delete(sealing))
    this.#sealings.add(sealing)
  }

  async #writeIndex(file: LogFile): Promise<void> {
    await file.closeSlots()
    // One with gaps is better made again by each start: the damage may be repaired.
    if (file.index?.damage !== undefined) return
    while (file.index !== undefined && this.#refusal === undefined && this.#files.isNeeded(file)) {
      file.holds++
      try {
        const { generation, index } = file
        const { storeId } = this.#run
        await replaceFile(this.#run, indexName(generation), index.encode({ storeId, generation }))
        file.index = undefined
      } catch (error) {
        if (!isFull(error)) throw error
        await this.#pause(SEAL_RETRY_MS)
      } finally {
        file.holds--
      }
    }
    this.#files.maybeFree(file)
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        pause.timer.cancel()
        this.#pauses.delete(pause)
        resolve()
      }
      const pause = { timer: this.#host.clock.setTimer(delayMs, end, { weak: true }), end }
      this.#pauses.add(pause)
    })
  }

  async #close(): Promise<void> {
    const reason = new LogError('closed', 'The log is closed')
    let failure: unknown
    try {
      await this.#writer.close(reason)
    } catch (error) {
      failure = error
      this.#writer.fail(error)
    }
    this.#closed = reason
    for (const { end } of this.#pauses) end()
    await this.#preparer.stop()
    await this.#checkpoints.settle()
    await Promise.all(this.#sealings)
    await this.#files.settle()
    await this.#reader.close()
    for (const file of this.#files.all) await file.closeSlots()
    if (failure !== undefined) throw asLogError(failure)
  }
}
