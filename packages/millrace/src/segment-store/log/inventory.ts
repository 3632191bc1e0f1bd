/** What a start finds in the directory of a log. Nothing is changed until all of it is known to be of a version we know. */
import type { Disk } from '../../base/host.ts'
import { type Anchor, ANCHOR_BYTES_MAX, decodeAnchor } from './anchor.ts'
import { LogError } from './durable-log.ts'
import { FrameScanner } from './frame-scanner.ts'
import { decodeLogHeader, type LogHeader } from './log-file.ts'
import {
  ANCHOR_NAME,
  checkpointName,
  indexName,
  logName,
  type LogDirectory,
  parseNames,
} from './log-names.ts'
import { type FileKind, FORMAT_VERSION, PREFACE_BYTES, readPreface } from './preface.ts'
import { readStart, readWholeFile } from './read-whole-file.ts'

export interface FoundFile {
  readonly generation: number
  readonly path: string
  readonly bytes: number
  /** Of its header or, if that is damaged, of its first frame; undefined if it has neither. */
  readonly header: LogHeader | undefined
  readonly hasIndex: boolean
}

export interface Inventory {
  readonly names: LogDirectory
  /** By generation. */
  readonly files: readonly FoundFile[]
  /** Undefined if the log was never used. */
  readonly anchor: Anchor | undefined
}

export interface InventoryOptions {
  readonly disk: Disk
  readonly directory: string
  readonly storeId: Buffer
  readonly onDamage: (error: LogError) => void
}

const HEADER_BYTES = 64
const CHECKS_AT_ONCE = 8

export async function takeInventory(options: InventoryOptions): Promise<Inventory> {
  const names = parseNames(await options.disk.list(options.directory))
  await checkVersions(options, names)
  const files: FoundFile[] = []
  for (const generation of names.generations)
    files.push(await inspect(options, { generation, hasIndex: names.indexes.has(generation) }))
  if (names.anchor) return { names, files, anchor: await readAnchor(options) }
  await checkUnused(options, names, files)
  return { names, files, anchor: undefined }
}

async function checkVersions(options: InventoryOptions, names: LogDirectory): Promise<void> {
  const checks: { kind: FileKind; name: string }[] = []
  if (names.anchor) checks.push({ kind: 'anchor', name: ANCHOR_NAME })
  for (const generation of names.generations) checks.push({ kind: 'log', name: logName(generation) })
  for (const generation of names.indexes) checks.push({ kind: 'index', name: indexName(generation) })
  for (const { container, number } of names.checkpoints)
    checks.push({ kind: 'checkpoint', name: checkpointName(container, number) })
  for (let start = 0; start < checks.length; start += CHECKS_AT_ONCE)
    await Promise.all(
      checks.slice(start, start + CHECKS_AT_ONCE).map((check) => checkVersion(options, check)),
    )
}

async function checkVersion(
  { disk, directory }: InventoryOptions,
  { kind, name }: { kind: FileKind; name: string },
): Promise<void> {
  const path = `${directory}/${name}`
  const version = readPreface(await readStart(disk, path, PREFACE_BYTES), kind)
  // What is damaged is named where it is needed.
  if (version === undefined || version === FORMAT_VERSION) return
  throw new LogError(
    'unknown-version',
    `${path} is of version ${version} of its format, and this program knows only ${FORMAT_VERSION}; nothing was changed`,
    { path, position: 0 },
  )
}

async function inspect(
  options: InventoryOptions,
  { generation, hasIndex }: { generation: number; hasIndex: boolean },
): Promise<FoundFile> {
  const { disk, directory, storeId, onDamage } = options
  const path = `${directory}/${logName(generation)}`
  const file = await disk.open(path, 'read')
  try {
    const bytes = await file.size()
    const start = Buffer.alloc(HEADER_BYTES)
    await file.read(start, 0)
    const isOurs = readPreface(start, 'log') !== undefined
    const header = isOurs ? decodeLogHeader(start, { storeId, generation }) : undefined
    if (header !== undefined) return { generation, path, bytes, header, hasIndex }
    const frame = await new FrameScanner({ file, storeId, generation, bytes }).next()
    const message = `The header of ${path} is damaged; its frames say the same, so nothing is lost`
    if (frame !== undefined) onDamage(new LogError('damaged', message, { path, position: 0 }))
    return { generation, path, bytes, header: frame, hasIndex }
  } finally {
    await file.close()
  }
}

async function readAnchor({ disk, directory, storeId }: InventoryOptions): Promise<Anchor> {
  const path = `${directory}/${ANCHOR_NAME}`
  const bytes = await readWholeFile(disk, path, ANCHOR_BYTES_MAX)
  const anchor = bytes === undefined ? undefined : decodeAnchor(bytes, storeId)
  if (anchor !== undefined) return anchor
  const message = `${path} is damaged or of another store; without it nobody knows where the log begins`
  throw new LogError('damaged', message, { path, position: 0 })
}

/** Before the anchor is there nothing is acknowledged. So if it is missing, no frame and no checkpoint may be there. */
async function checkUnused(
  { disk, directory, storeId }: InventoryOptions,
  names: LogDirectory,
  files: readonly FoundFile[],
): Promise<void> {
  const path = `${directory}/${ANCHOR_NAME}`
  const missing = (witness: string): LogError =>
    new LogError('damaged', `${path} is missing, but ${witness} shows that the log was used`, { path })
  for (const { container, number } of names.checkpoints)
    throw missing(`${directory}/${checkpointName(container, number)}`)
  for (const { path: filePath, generation, bytes } of files) {
    const file = await disk.open(filePath, 'read')
    try {
      const frame = await new FrameScanner({ file, storeId, generation, bytes }).next()
      if (frame !== undefined) throw missing(`the frame at ${frame.position} of ${filePath}`)
    } finally {
      await file.close()
    }
  }
}
