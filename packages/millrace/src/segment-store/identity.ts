/**
 * The file that makes a directory a store: which version of the formats it has, which store it is and into how many containers
 * its segments are hashed. It is written once, before anything else, and described in docs/formats/store.md.
 *
 *     8 bytes  "MILLRACE"     uint32 version     16 bytes store id     uint32 containers     uint32 CRC-32 of all before
 */
import { crc32 } from 'node:zlib'
import { DiskError, type Host } from '../base/host.ts'
import { CONTAINERS_DEFAULT } from './limits.ts'
import { LogError } from './log/durable-log.ts'

const MAGIC = 'MILLRACE'
const VERSION = 1
const BYTES = 36
const CONTAINERS_MAX = 4096

export interface StoreIdentity {
  readonly storeId: Buffer
  readonly containers: number
}

/**
 * Reads the identity of the store in a directory, or makes one where there is no store. Rejects with `LogError`: `damaged` or
 * `unknown-version`, in which case nothing was touched.
 */
export async function openIdentity(
  host: Host,
  options: { directory: string; containers?: number | undefined },
): Promise<StoreIdentity> {
  const { directory } = options
  const path = `${directory}/store`
  const names = await host.disk.list(directory)
  if (names.includes('store')) return read(host, path)
  if (names.includes('log'))
    throw new LogError(
      'damaged',
      `${directory} holds a log, but the file ${path} that says whose it is is missing; put it back, or choose another directory`,
      { path },
    )
  const identity = { storeId: host.random.bytes(16), containers: options.containers ?? CONTAINERS_DEFAULT }
  if (names.includes('store.new')) await host.disk.remove(`${directory}/store.new`)
  const file = await host.disk.open(`${directory}/store.new`, 'create')
  await file.writeDurable([encode(identity)], 0)
  await file.sync()
  await file.close()
  await host.disk.rename(`${directory}/store.new`, path)
  await host.disk.syncDirectory(directory)
  return identity
}

async function read(host: Host, path: string): Promise<StoreIdentity> {
  const file = await host.disk.open(path, 'read')
  const bytes = Buffer.alloc(BYTES)
  let length: number
  try {
    length = await file.read(bytes, 0)
  } catch (error) {
    if (error instanceof DiskError) throw new LogError('io', error.message, { path, cause: error })
    throw error
  } finally {
    await file.close()
  }
  const damaged = (what: string): LogError =>
    new LogError('damaged', `${path} is damaged: ${what}. Put the file back from a copy`, {
      path,
      position: 0,
    })
  if (bytes.toString('latin1', 0, 8) !== MAGIC) throw damaged('it does not begin with MILLRACE')
  const version = bytes.readUInt32BE(8)
  if (version !== VERSION)
    throw new LogError(
      'unknown-version',
      `${path} is of version ${version}, this Millrace knows version ${VERSION}; nothing was changed`,
      { path, position: 8 },
    )
  if (length < BYTES) throw damaged(`it has ${length} bytes, not ${BYTES}`)
  if (crc32(bytes.subarray(0, BYTES - 4)) !== bytes.readUInt32BE(BYTES - 4))
    throw damaged('its checksum does not fit')
  const containers = bytes.readUInt32BE(28)
  if (containers < 1 || containers > CONTAINERS_MAX) throw damaged(`it says ${containers} containers`)
  return { storeId: Buffer.from(bytes.subarray(12, 28)), containers }
}

function encode({ storeId, containers }: StoreIdentity): Buffer {
  const bytes = Buffer.alloc(BYTES)
  bytes.write(MAGIC, 0, 'latin1')
  bytes.writeUInt32BE(VERSION, 8)
  bytes.set(storeId, 12)
  bytes.writeUInt32BE(containers, 28)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, BYTES - 4)), BYTES - 4)
  return bytes
}
