import { type Disk, DiskError, type File } from '../../base/host.ts'
import { unfinishedName } from './log-names.ts'

/** A system call takes at most about a thousand pieces. */
const PIECES_MAX = 900
const BYTES_MAX = 1024 * 1024

export interface Making {
  readonly disk: Disk
  readonly directory: string
}

/**
 * Makes a file appear under its name with all it should hold, or not at all: written under another name, synced, renamed, and
 * the directory synced.
 */
export async function replaceFile(making: Making, name: string, pieces: Iterable<Buffer>): Promise<void> {
  const { disk, directory } = making
  const unfinished = `${directory}/${unfinishedName(name)}`
  const file = await createAnew(disk, unfinished)
  try {
    await writePieces(file, pieces)
    await file.sync()
  } catch (error) {
    await file.close()
    await removeIfThere(disk, unfinished)
    throw error
  }
  await file.close()
  await disk.rename(unfinished, `${directory}/${name}`)
  await disk.syncDirectory(directory)
}

/** Pieces may be made while they are written: each is asked for when the ones before are on their way. */
async function writePieces(file: File, pieces: Iterable<Buffer>): Promise<void> {
  let position = 0
  let batch: Buffer[] = []
  let batchBytes = 0
  for (const piece of pieces) {
    batch.push(piece)
    batchBytes += piece.length
    if (batchBytes < BYTES_MAX && batch.length < PIECES_MAX) continue
    await file.write(batch, position)
    position += batchBytes
    batch = []
    batchBytes = 0
  }
  if (batch.length > 0) await file.write(batch, position)
}

/** Creates a file whose name may still be taken by a former attempt. */
export async function createAnew(disk: Disk, path: string): Promise<File> {
  await removeIfThere(disk, path)
  return disk.open(path, 'create')
}

export async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path)
  } catch (error) {
    if (!(error instanceof DiskError && error.code === 'not-found')) throw error
  }
}
