import { type Disk, DiskError, type File } from '../../base/host.ts'

/** Undefined if there is no such file, or if it is larger than any that was written. */
export async function readWholeFile(disk: Disk, path: string, bytesMax: number): Promise<Buffer | undefined> {
  const file = await openIfThere(disk, path)
  if (file === undefined) return undefined
  try {
    const size = await file.size()
    if (size > bytesMax) return undefined
    const bytes = Buffer.allocUnsafeSlow(size)
    const filled = await file.read(bytes, 0)
    return bytes.subarray(0, filled)
  } finally {
    await file.close()
  }
}

/** The first bytes of a file; fewer if it is shorter. */
export async function readStart(disk: Disk, path: string, bytes: number): Promise<Buffer> {
  const file = await disk.open(path, 'read')
  try {
    const start = Buffer.alloc(bytes)
    const filled = await file.read(start, 0)
    return start.subarray(0, filled)
  } finally {
    await file.close()
  }
}

async function openIfThere(disk: Disk, path: string): Promise<File | undefined> {
  try {
    return await disk.open(path, 'read')
  } catch (error) {
    if (error instanceof DiskError && error.code === 'not-found') return undefined
    throw error
  }
}
