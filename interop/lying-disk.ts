/** A planted bug: a disk whose last syncs before a power failure are pretended. */
import type { Disk, File } from '../packages/millrace/src/base/host.ts'

export interface LyingDisk extends Disk {
  /** From now on so many syncs are answered and not made; those after them are never answered, as if the power had failed. */
  lie(syncs: number): void
}

/**
 * Over a disk that forgets what was not synced. What was acknowledged because of the last few syncs is lost in a kill, and nothing
 * else is: the store opens again, and only who holds it against a list of what was acknowledged finds what is missing.
 */
export function lyingDisk(disk: Disk): LyingDisk {
  let syncsLeft = Number.POSITIVE_INFINITY
  let lies = false
  /** True where the sync is to be made. */
  const honest = async (): Promise<boolean> => {
    if (!lies) return true
    syncsLeft -= 1
    if (syncsLeft < 0) await new Promise(() => undefined)
    return false
  }
  return {
    lie: (syncs) => {
      lies = true
      syncsLeft = syncs
    },
    open: async (path, mode) => lyingFile(await disk.open(path, mode), honest),
    list: (path) => disk.list(path),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: async (path) => {
      if (await honest()) await disk.syncDirectory(path)
    },
    lock: (directory, holder) => disk.lock(directory, holder),
  }
}

function lyingFile(file: File, honest: () => Promise<boolean>): File {
  return {
    path: file.path,
    size: () => file.size(),
    read: (target, position) => file.read(target, position),
    write: (pieces, position) => file.write(pieces, position),
    writeDurable: async (pieces, position) =>
      (await honest()) ? file.writeDurable(pieces, position) : file.write(pieces, position),
    sync: async () => {
      if (await honest()) await file.sync()
    },
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
  }
}
