/**
 * The disk of one simulated machine. It outlives the processes on it: `attach` gives each life of a node its own view.
 *
 * A call takes effect at a random moment and answers a while later, so calls that overlap take effect in any order.
 * A call whose process dies before it took effect may or may not have happened, or half of it.
 */
import { assert } from '../../base/assert.ts'
import { type Disk, DiskError, type DiskErrorCode, type File, type Lock } from '../../base/host.ts'
import type { Life, Timeline } from './sim-clock.ts'
import { DirectoryTree } from './sim-directory.ts'
import type { Inode, Snapshot } from './sim-inode.ts'
import type { SimRandom } from './sim-random.ts'
import type { Trace } from './trace.ts'

export type DiskAction =
  | 'open'
  | 'list'
  | 'make-directory'
  | 'rename'
  | 'remove'
  | 'sync-directory'
  | 'lock'
  | 'size'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'close'

/** A call that fails. `write` covers durable writes too, and `sync` the sync within those. */
export interface DiskFault {
  readonly action: DiskAction
  /** All paths, if absent. */
  readonly path?: (path: string) => boolean
  readonly code?: DiskErrorCode
  /** Of each call that fits; 1 if absent. */
  readonly chance?: number
  /** How often; for ever, if absent. */
  readonly times?: number
}

/** Mean delays; a call in a hundred takes twenty times as long. */
export interface DiskDelays {
  readonly readMs: number
  readonly writeMs: number
  readonly syncMs: number
}

const DELAYS: DiskDelays = { readMs: 0.1, writeMs: 0.05, syncMs: 0.3 }
const SLOW_CHANCE = 0.01
const SLOW_FACTOR = 20

export interface SimDiskOptions {
  readonly timeline: Timeline
  readonly random: SimRandom
  readonly trace: Trace
  readonly name: string
}

export class SimDisk {
  /** May be changed at any time. */
  delays: DiskDelays = DELAYS
  capacityBytes: number = Number.POSITIVE_INFINITY
  readonly tree: DirectoryTree = new DirectoryTree()
  readonly random: SimRandom
  readonly #timeline: Timeline
  readonly #trace: Trace
  readonly #name: string
  readonly #locks = new Map<string, { holder: string; life: Life }>()
  /** Calls that have not taken effect, and what of each happens if the process dies now. */
  readonly #unfinished = new Set<{ life: Life; action: DiskAction; half: (() => void) | undefined }>()
  #awaited: { readonly writes: number; readonly callback: () => void } | undefined
  #faults: { fault: DiskFault; timesLeft: number }[] = []

  constructor(options: SimDiskOptions) {
    this.#timeline = options.timeline
    this.#trace = options.trace
    this.#name = options.name
    this.random = options.random
  }

  attach(life: Life): Disk {
    return new SimDiskView(this, life)
  }

  /** From now on such calls fail; the answer ends it. */
  inject(fault: DiskFault): () => void {
    const entry = { fault, timesLeft: fault.times ?? Number.POSITIVE_INFINITY }
    this.#faults.push(entry)
    return () => {
      this.#faults = this.#faults.filter((other) => other !== entry)
    }
  }

  /** Calls back once, as soon as so many writes are under way at a time. The answer ends it. */
  whenWriting(writes: number, callback: () => void): () => void {
    this.#awaited = { writes, callback }
    return () => {
      this.#awaited = undefined
    }
  }

  /** The process died. The page cache lives on, with all that was never synced. */
  kill(life: Life): void {
    for (const call of this.#unfinished) {
      if (call.life !== life) continue
      if (this.random.chance(0.5)) call.half?.()
      this.#unfinished.delete(call)
    }
    for (const [path, lock] of this.#locks) if (lock.life === life) this.#locks.delete(path)
  }

  /** The power went: of what was not synced any part may be left. */
  losePower(life: Life): void {
    this.kill(life)
    this.tree.loseUnsynced(this.random)
    this.#trace.note(this.#timeline.nowUs, 'power-cut', this.#name, this.random.word())
  }

  /** Clean pages are read from the platter again, as after the kernel ran short of memory. */
  dropCache(): void {
    for (const inode of this.tree.inodes) inode.dropCache()
  }

  /** Changes the bytes on the platter behind everybody's back. */
  damage(path: string, change: (bytes: Buffer) => void): void {
    this.tree.inode(path).damage(change)
  }

  flipBit(path: string, position: number, bit: number): void {
    this.damage(path, (bytes) => {
      bytes[position] = bytes[position]! ^ (1 << bit)
    })
  }

  /** A block lands where it does not belong. */
  misdirect(path: string, block: { from: number; to: number; length: number }): void {
    this.damage(path, (bytes) => bytes.copyWithin(block.to, block.from, block.from + block.length))
  }

  get usedBytes(): number {
    let total = 0
    for (const inode of this.tree.inodes) total += inode.length
    return total
  }

  /** How many bytes a write at this position may have. */
  roomFor(inode: Inode, position: number): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
    return Math.max(inode.length - position, 0) + Math.max(this.capacityBytes - this.usedBytes, 0)
  }

  /** Runs the effect of a call at some moment, and settles its promise at that moment or later. */
  perform<T>(call: {
    life: Life
    action: DiskAction
    path: string
    meanMs: number
    size?: number
    effect: () => T
    /** What may have happened if the process dies before. */
    half?: (() => void) | undefined
    /** A second step, which waits for the platter. */
    after?: { meanMs: number; effect: (first: T) => void; half?: (() => void) | undefined } | undefined
  }): Promise<T> {
    const { life, action, path, after } = call
    return new Promise<T>((resolve, reject) => {
      const step = (meanMs: number, half: (() => void) | undefined, effect: () => void): void => {
        const unfinished = { life, action, half }
        this.#unfinished.add(unfinished)
        this.#tellOfWrites()
        this.#timeline.schedule(`disk-${action}`, life, this.#delay(meanMs), () => {
          this.#unfinished.delete(unfinished)
          try {
            effect()
          } catch (error) {
            reject(error as Error)
          }
        })
      }
      step(call.meanMs, call.half, () => {
        this.#trace.note(this.#timeline.nowUs, action, path, call.size ?? 0)
        // A sync fails at its end, when the platter says no.
        if (action !== 'sync') this.failIfInjected(action, path)
        const first = call.effect()
        if (after === undefined) return resolve(first)
        step(after.meanMs, after.half, () => {
          after.effect(first)
          resolve(first)
        })
      })
    })
  }

  failIfInjected(action: DiskAction, path: string): void {
    for (const entry of this.#faults) {
      const { fault } = entry
      if (fault.action !== action || fault.path?.(path) === false || entry.timesLeft === 0) continue
      if (!this.random.chance(fault.chance ?? 1)) continue
      entry.timesLeft--
      this.#trace.note(this.#timeline.nowUs, 'fault', path, entry.timesLeft)
      const code = fault.code ?? 'io'
      throw new DiskError(code, path, `Simulated failure (${code}) of ${action} on ${path}`)
    }
  }

  takeLock(directory: string, holder: string, life: Life): () => void {
    this.tree.directory(directory)
    const held = this.#locks.get(directory)
    if (held !== undefined)
      throw new DiskError('locked', directory, `${directory} is in use by ${held.holder}`)
    const lock = { holder, life }
    this.#locks.set(directory, lock)
    return () => {
      if (this.#locks.get(directory) === lock) this.#locks.delete(directory)
    }
  }

  #tellOfWrites(): void {
    if (this.#awaited === undefined) return
    const { writes, callback } = this.#awaited
    let under = 0
    for (const { action } of this.#unfinished) if (action === 'write') under++
    if (under < writes) return
    this.#awaited = undefined
    callback()
  }

  #delay(meanMs: number): number {
    const slow = this.random.chance(SLOW_CHANCE) ? SLOW_FACTOR : 1
    return this.random.exponential(meanMs) * slow
  }
}

class SimDiskView implements Disk {
  readonly #disk: SimDisk
  readonly #life: Life

  constructor(disk: SimDisk, life: Life) {
    this.#disk = disk
    this.#life = life
  }

  open(path: string, mode: 'read' | 'write' | 'create'): Promise<File> {
    const { tree } = this.#disk
    const file = (inode: Inode): File =>
      new SimFile(this.#disk, this.#life, { path, inode, writable: mode !== 'read' })
    if (mode === 'create') return this.#change('open', path, () => tree.create(path)).then(file)
    return this.#look('open', path, () => tree.inode(path)).then(file)
  }

  list(path: string): Promise<string[]> {
    return this.#look('list', path, () => [...this.#disk.tree.directory(path).names.keys()].toSorted())
  }

  makeDirectory(path: string): Promise<void> {
    return this.#change('make-directory', path, () => this.#disk.tree.makeDirectory(path))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#change('rename', from, () => this.#disk.tree.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#change('remove', path, () => this.#disk.tree.remove(path))
  }

  async syncDirectory(path: string): Promise<void> {
    const { tree, delays } = this.#disk
    await this.#disk.perform({
      life: this.#life,
      action: 'sync-directory',
      path,
      meanMs: delays.writeMs,
      effect: () => tree.pendingIn(tree.directory(path)),
      after: { meanMs: delays.syncMs, effect: (changes) => tree.commit(changes) },
    })
  }

  async lock(directory: string, holder: string): Promise<Lock> {
    const release = await this.#look('lock', directory, () =>
      this.#disk.takeLock(directory, holder, this.#life),
    )
    return { release: async () => release() }
  }

  #look<T>(action: DiskAction, path: string, effect: () => T): Promise<T> {
    return this.#disk.perform({ life: this.#life, action, path, meanMs: this.#disk.delays.readMs, effect })
  }

  #change<T>(action: DiskAction, path: string, effect: () => T): Promise<T> {
    const { writeMs } = this.#disk.delays
    const half = (): void => {
      try {
        effect()
      } catch (error) {
        // The caller is gone, so it matters to nobody that its last call would have failed.
        assert(error instanceof DiskError, String(error))
      }
    }
    return this.#disk.perform({ life: this.#life, action, path, meanMs: writeMs, effect, half })
  }
}

class SimFile implements File {
  readonly path: string
  readonly #disk: SimDisk
  readonly #life: Life
  readonly #inode: Inode
  readonly #writable: boolean
  #errorsTold: number
  #closed = false

  constructor(disk: SimDisk, life: Life, options: { path: string; inode: Inode; writable: boolean }) {
    this.#disk = disk
    this.#life = life
    this.path = options.path
    this.#inode = options.inode
    this.#writable = options.writable
    this.#errorsTold = this.#inode.errors
  }

  size(): Promise<number> {
    return this.#call({ action: 'size', effect: () => this.#inode.length })
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#call({
      action: 'read',
      size: target.length,
      effect: () => this.#inode.read(target, position),
    })
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    assert(this.#writable, `${this.path} was opened for reading only`)
    await this.#call({
      action: 'write',
      size: lengthOf(pieces),
      effect: () => this.#put(pieces, position),
      half: () => this.#putHalf(pieces, position),
    })
  }

  async writeDurable(pieces: readonly Uint8Array[], position: number): Promise<void> {
    assert(this.#writable, `${this.path} was opened for reading only`)
    await this.#call({
      action: 'write',
      size: lengthOf(pieces),
      effect: () => {
        this.#put(pieces, position)
        return this.#inode.snapshotRange(position, position + lengthOf(pieces))
      },
      half: () => this.#putHalf(pieces, position),
      after: this.#platter,
    })
  }

  async sync(): Promise<void> {
    await this.#call({ action: 'sync', effect: () => this.#inode.snapshot(), after: this.#platter })
  }

  truncate(length: number): Promise<void> {
    assert(this.#writable, `${this.path} was opened for reading only`)
    const effect = (): void => this.#inode.truncate(length)
    return this.#call({ action: 'truncate', size: length, effect, half: effect })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    const closing = this.#call({ action: 'close', effect: () => undefined })
    this.#closed = true
    await closing
  }

  async #call<T>(call: {
    action: DiskAction
    size?: number
    effect: () => T
    half?: () => void
    after?: { meanMs: number; effect: (first: T) => void; half: () => void }
  }): Promise<T> {
    assert(!this.#closed, `${this.path} is used after it was closed`)
    const { readMs, writeMs } = this.#disk.delays
    const meanMs = call.action === 'read' || call.action === 'size' ? readMs : writeMs
    return this.#disk.perform({ life: this.#life, path: this.path, meanMs, ...call })
  }

  get #platter(): { meanMs: number; effect: (snapshot: Snapshot) => void; half: () => void } {
    return {
      meanMs: this.#disk.delays.syncMs,
      effect: (snapshot) => this.#writeBack(snapshot),
      half: () => this.#inode.writeBackSome(this.#disk.random),
    }
  }

  #writeBack(snapshot: Snapshot): void {
    const inode = this.#inode
    try {
      this.#disk.failIfInjected('sync', this.path)
      inode.commit(snapshot)
    } catch (error) {
      inode.fail(snapshot)
      this.#errorsTold = inode.errors
      throw error
    }
    if (inode.errors === this.#errorsTold) return
    this.#errorsTold = inode.errors
    throw new DiskError('io', this.path, `An earlier write-back of ${this.path} failed`)
  }

  #put(pieces: readonly Uint8Array[], position: number): void {
    const roomBytes = this.#disk.roomFor(this.#inode, position)
    let at = position
    for (const piece of pieces) {
      const fits = Math.min(piece.length, Math.max(position + roomBytes - at, 0))
      this.#inode.write(piece.subarray(0, fits), at)
      if (fits < piece.length) throw new DiskError('full', this.path, `No space left for ${this.path}`)
      at += piece.length
    }
  }

  #putHalf(pieces: readonly Uint8Array[], position: number): void {
    const bytes = Buffer.concat(pieces)
    const sectors = this.#disk.random.integer(Math.ceil(bytes.length / 512) + 1)
    this.#inode.write(bytes.subarray(0, sectors * 512), position)
  }
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  let total = 0
  for (const piece of pieces) total += piece.length
  return total
}
