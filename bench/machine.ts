/** Where figures were made: absolute ones mean nothing without it. */
import { spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

const ROOT = `${import.meta.dirname}/..`
const GIB = 1024 ** 3

/** Numbers that `statfs` gives, by name, as far as they matter here. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
}

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly fileSystem: string
  readonly node: string
}

export function describeMachine(dataDirectory: string): Machine {
  const { type } = statfsSync(dataDirectory)
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / GIB),
    kernel: release(),
    fileSystem: FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`,
    node: process.version,
  }
}

export function freeGigabytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory)
  return (bavail * bsize) / 1e9
}

/** The commit of this checkout, with a plus sign if it has been changed. */
export function describeCommit(): string {
  const git = (...args: string[]): string =>
    spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout.trim()
  return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`
}

/** How many processes wanted to run during the last minute, on average. */
export function loadNow(): number {
  return loadavg()[0] ?? 0
}

/** What files hold is read from the disk again. False where that is not ours to ask. */
export function dropPageCache(): boolean {
  spawnSync('sync')
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    return true
  } catch {
    return false
  }
}

/** Waits until what was written to the file system before is on the disk, so that the next run does not pay for it. */
export function settleDisk(directory: string): void {
  const descriptor = openSync(directory, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
  spawnSync('sync')
}

export function hasProcFs(): boolean {
  try {
    return readFileSync('/proc/self/stat', 'utf8') !== ''
  } catch {
    return false
  }
}
