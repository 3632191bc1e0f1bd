/**
 * Files by node:fs. Its callback functions are used, since a promise-based read or write costs several times as much.
 *
 * `writeDurable` is one hop to the thread pool on Linux: a second description of the file, opened with O_DSYNC, writes and
 * syncs in one system call. Elsewhere a sync follows the write.
 *
 * Linux reports a failed write-back once per description, and to whichever call asks first. Therefore (1) durable calls on one
 * File run one after the other, or one could take the report that was meant for another; (2) the first that fails poisons
 * the File: a second sync would succeed though the data is gone.
 */
import * as fs from 'node:fs'
import { dirname, resolve } from 'node:path'
import { assert } from './assert.ts'
import { type Disk, DiskError, type DiskErrorCode, type File } from './host.ts'
import { lockDirectory } from './node-lock.ts'

const { O_CREAT, O_DIRECTORY, O_DSYNC, O_EXCL, O_RDONLY, O_RDWR } = fs.constants

const OPEN_FLAGS = { read: O_RDONLY, write: O_RDWR, create: O_RDWR | O_CREAT | O_EXCL }

/** A system call takes at most 1024 pieces; more would become several calls, each with its own sync. */
const PIECES_MAX = 1000

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOENT: 'not-found',
  EEXIST: 'exists',
  ENOSPC: 'full',
  EDQUOT: 'full',
  EROFS: 'read-only',
}

export const nodeDisk: Disk = {
  async open(path, mode) {
    return new NodeFile(path, await open(path, OPEN_FLAGS[mode]), mode !== 'read')
  },

  async list(path) {
    const names = await attempt<string[]>(path, 'list', (done) => fs.readdir(path, done))
    return names.toSorted()
  },

  async makeDirectory(path) {
    const options = { recursive: true } as const
    const full = resolve(path)
    const first = await attempt<string | undefined>(path, 'create', (done) => fs.mkdir(full, options, done))
    // A directory is durable once its parent is synced; that of the deepest may be left over from a start that died.
    const top = dirname(first === undefined ? full : resolve(first))
    for (let parent = dirname(full); ; parent = dirname(parent)) {
      await syncDirectory(parent)
      if (parent === top) return
    }
  },

  async rename(from, to) {
    await attempt<void>(from, `rename to ${to}`, (done) => fs.rename(from, to, done))
  },

  async remove(path) {
    await attempt<void>(path, 'remove', (done) => fs.unlink(path, done))
  },

  syncDirectory,
  lock: lockDirectory,
}

class NodeFile implements File {
  readonly path: string
  readonly #descriptor: number
  readonly #writable: boolean
  /** 'none' where there is no such description and a sync follows each durable write. */
  #durableDescriptor: number | 'none' | undefined
  /** The end of the last durable call that was begun. */
  #durableCalls: Promise<unknown> = Promise.resolve()
  #poison: DiskError | undefined
  #callsRunning = 0
  #closed = false
  #onIdle: (() => void) | undefined

  constructor(path: string, descriptor: number, writable: boolean) {
    this.path = path
    this.#descriptor = descriptor
    this.#writable = writable
  }

  size(): Promise<number> {
    return this.#call(async () => {
      const stats = await attempt<fs.Stats>(this.path, 'inspect', (done) => fs.fstat(this.#descriptor, done))
      return stats.size
    })
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#call(async () => {
      let filled = 0
      while (filled < target.length) {
        const count = await attempt<number>(this.path, 'read', (done) =>
          fs.read(this.#descriptor, target, filled, target.length - filled, position + filled, done),
        )
        if (count === 0) break
        filled += count
      }
      return filled
    })
  }

  write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    return this.#call(() => writeAll(this.path, this.#descriptor, pieces, position))
  }

  async writeDurable(pieces: readonly Uint8Array[], position: number): Promise<void> {
    await this.#durableCall(async () => {
      const descriptor = await this.#openDurable()
      return async () => {
        if (descriptor !== 'none') return writeAll(this.path, descriptor, pieces, position)
        await writeAll(this.path, this.#descriptor, pieces, position)
        return syncData(this.path, this.#descriptor)
      }
    })
  }

  async sync(): Promise<void> {
    await this.#durableCall(async () => () => syncData(this.path, this.#descriptor))
  }

  truncate(length: number): Promise<void> {
    return this.#call(() =>
      attempt<void>(this.path, 'truncate', (done) => fs.ftruncate(this.#descriptor, length, done)),
    )
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // A descriptor that is closed under a running call may come round as another file's.
    if (this.#callsRunning > 0) {
      await new Promise<void>((resolveIdle) => {
        this.#onIdle = resolveIdle
      })
    }
    const durable = this.#durableDescriptor
    if (typeof durable === 'number')
      await attempt<void>(this.path, 'close', (done) => fs.close(durable, done))
    await attempt<void>(this.path, 'close', (done) => fs.close(this.#descriptor, done))
  }

  async #call<T>(body: () => Promise<T>): Promise<T> {
    assert(!this.#closed, `${this.path} is used after it was closed`)
    this.#checkPoison()
    this.#callsRunning++
    try {
      return await body()
    } finally {
      this.#callsRunning--
      if (this.#callsRunning === 0) this.#onIdle?.()
    }
  }

  /** Runs what `prepare` returns once it is its turn. A failure of that poisons the file, one of `prepare` does not. */
  #durableCall(prepare: () => Promise<() => Promise<void>>): Promise<void> {
    return this.#call(() => {
      const turn = this.#durableCalls.then(async () => {
        this.#checkPoison()
        const body = await prepare()
        try {
          await body()
        } catch (error) {
          this.#poison = error as DiskError
          throw error
        }
      })
      this.#durableCalls = turn.catch(() => undefined)
      return turn
    })
  }

  #checkPoison(): void {
    if (this.#poison === undefined) return
    const message = `${this.path} is given up since a sync of it failed; open it again to see what it holds`
    throw new DiskError('io', this.path, message, { cause: this.#poison })
  }

  async #openDurable(): Promise<number | 'none'> {
    assert(this.#writable, `${this.path} was opened for reading only`)
    this.#durableDescriptor ??= process.platform === 'linux' ? await this.#reopenDurable() : 'none'
    return this.#durableDescriptor
  }

  async #reopenDurable(): Promise<number | 'none'> {
    try {
      // Not by its path: the file may have been renamed.
      return await open(`/proc/self/fd/${this.#descriptor}`, O_RDWR | O_DSYNC)
    } catch (error) {
      if (error instanceof DiskError && error.code === 'not-found') return 'none' // No /proc here.
      throw error
    }
  }
}

async function writeAll(
  path: string,
  descriptor: number,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let rest = pieces.length > PIECES_MAX ? [Buffer.concat(pieces)] : pieces.filter((piece) => piece.length > 0)
  let at = position
  while (rest.length > 0) {
    const batch = rest
    const start = at
    const written = await attempt<number>(path, 'write', (done) => {
      if (batch.length === 1) fs.write(descriptor, batch[0]!, 0, batch[0]!.length, start, done)
      else fs.writev(descriptor, batch, start, done)
    })
    if (written === 0) throw new DiskError('io', path, `Cannot write ${path}: it took no bytes at ${at}`)
    at += written
    rest = dropBytes(rest, written)
  }
}

function dropBytes(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  let rest = count
  for (const [index, piece] of pieces.entries()) {
    if (rest < piece.length) return [piece.subarray(rest), ...pieces.slice(index + 1)]
    rest -= piece.length
  }
  return []
}

async function syncData(path: string, descriptor: number): Promise<void> {
  // macOS leaves fdatasync in the drive's cache; Node's fsync asks it to empty that.
  const sync = process.platform === 'darwin' ? fs.fsync : fs.fdatasync
  await attempt<void>(path, 'sync', (done) => sync(descriptor, done))
}

async function syncDirectory(path: string): Promise<void> {
  // Windows cannot sync a directory, its file systems journal names by themselves.
  if (process.platform === 'win32') return
  const descriptor = await open(path, O_RDONLY | O_DIRECTORY)
  try {
    await attempt<void>(path, 'sync', (done) => fs.fsync(descriptor, done))
  } finally {
    await attempt<void>(path, 'close', (done) => fs.close(descriptor, done))
  }
}

function open(path: string, flags: number): Promise<number> {
  return attempt<number>(path, 'open', (done) => fs.open(path, flags, 0o644, done))
}

/** Turns one callback of node:fs into a promise that fails with a DiskError. */
function attempt<T>(
  path: string,
  action: string,
  start: (done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void,
): Promise<T> {
  return new Promise<T>((resolveAttempt, reject) => {
    start((error, value) => {
      if (error === null) resolveAttempt(value as T)
      else reject(diskError(path, action, error))
    })
  })
}

function diskError(path: string, action: string, error: NodeJS.ErrnoException): DiskError {
  const code = CODES[error.code ?? ''] ?? 'io'
  const remedy = code === 'full' ? '; free space on its volume' : ''
  return new DiskError(code, path, `Cannot ${action} ${path}: ${error.message}${remedy}`, { cause: error })
}
