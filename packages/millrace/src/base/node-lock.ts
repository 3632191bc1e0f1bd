/**
 * One process at a time in a directory.
 *
 * Node has no flock, but it carries SQLite, which holds its database by the kernel's file locks: fcntl on POSIX systems,
 * LockFileEx on Windows. So the lock is an open exclusive transaction on the file `lock`, which stays empty. The kernel
 * gives it up with its process, however that ends, before the parent hears of the end. It hangs on the file and not on a
 * process id, a socket name or a clock, hence nothing is left over after `kill -9` or a power cut, process ids may come
 * round again (every container's first process is 1), and containers that share a volume exclude each other though
 * their namespaces differ. On NFS it reaches as far as that mount's locks do.
 *
 * Not covered: a directory reached from two machines through a file system without locks between them; someone who
 * deletes `lock` while it is held; the same process opening and closing `lock` itself (POSIX then drops its locks).
 *
 * `lock-holder` says who holds it, for people only.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type * as Sqlite from 'node:sqlite'
import { DiskError, type Lock } from './host.ts'
import { nodeClock } from './node-clock.ts'
import { nodeRandom } from './node-random.ts'

// SQLite's result codes.
const BUSY = 5
const READ_ONLY = 8
const CANNOT_OPEN = 14

/**
 * Two that start in the same instant may both be refused, and a process that was killed may take a moment to die, so being
 * refused once proves nothing.
 */
const ATTEMPTS_MAX = 6

export async function lockDirectory(directory: string, holder: string): Promise<Lock> {
  for (let attempt = 1; ; attempt++) {
    const database = tryLock(directory)
    if (database !== undefined) return held(database, directory, holder)
    if (attempt === ATTEMPTS_MAX)
      throw new DiskError(
        'locked',
        directory,
        `${directory} is in use by ${readHolder(directory)}. Stop that one first, or choose another directory.`,
      )
    await new Promise<void>((resolve) => {
      nodeClock.setTimer(2 ** attempt * (1 + nodeRandom.ratio()), resolve)
    })
  }
}

function held(database: Sqlite.DatabaseSync, directory: string, holder: string): Lock {
  const since = new Date(nodeClock.now()).toISOString()
  const holderPath = join(directory, 'lock-holder')
  try {
    writeFileSync(holderPath, `${holder} (process ${process.pid} on ${hostname()}, since ${since})`)
  } catch (error) {
    database.close()
    throw new DiskError('io', holderPath, `Cannot write ${holderPath}`, { cause: error })
  }
  let released = false
  return {
    release: async () => {
      if (released) return
      released = true
      rmSync(holderPath, { force: true })
      database.close()
    },
  }
}

/** The open database that holds the lock, or nothing if somebody else does. */
function tryLock(directory: string): Sqlite.DatabaseSync | undefined {
  const path = join(directory, 'lock')
  let database: Sqlite.DatabaseSync | undefined
  try {
    const { DatabaseSync } = loadSqlite()
    database = new DatabaseSync(path)
    database.exec('PRAGMA busy_timeout=0; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database?.close()
    const result = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
    if (result === BUSY) return undefined
    if (result === CANNOT_OPEN && !existsSync(directory))
      throw new DiskError('not-found', directory, `Cannot lock ${directory}: there is no such directory`)
    if (result === CANNOT_OPEN || result === READ_ONLY)
      throw new DiskError(
        result === READ_ONLY ? 'read-only' : 'io',
        path,
        `Cannot open ${path} to lock ${directory}: it must be writable`,
        { cause: error },
      )
    throw new DiskError('io', path, `Cannot lock ${directory}: ${String(error)}`, { cause: error })
  }
}

function loadSqlite(): typeof Sqlite {
  // Older Nodes print a warning when this module is first loaded, and a guest prints nothing.
  const emitWarning = process.emitWarning
  process.emitWarning = () => undefined
  try {
    const sqlite = process.getBuiltinModule('node:sqlite') as typeof Sqlite | undefined
    if (sqlite === undefined) throw new Error('this build of Node has no node:sqlite')
    return sqlite
  } finally {
    process.emitWarning = emitWarning
  }
}

function readHolder(directory: string): string {
  try {
    const text = readFileSync(join(directory, 'lock-holder'), 'utf8')
    if (text !== '') return text
  } catch (error) {
    // The holder may be between taking the lock and saying so, or already leaving.
    return `another process (which has not said who it is: ${(error as NodeJS.ErrnoException).code})`
  }
  return 'another process'
}
