/**
 * A container's state as one piece of bytes: segments with their attributes, runs and table entries, and which files hold
 * which extents. The format is described in docs/formats/operations.md.
 */
import { type BinaryReader as Reader, BinaryReader, BinaryWriter, FormatError } from './binary.ts'
import { type ContainerState, type Run, type Segment, setAttributes } from './container-state.ts'
import type { Extents } from './extents.ts'
import { countOf, readAttributes, TYPE_CODES, typeOf, writeAttributes } from './operation.ts'
import { Table } from './table.ts'

const VERSION = 1
const SEALED = 1
const HAS_TABLE = 2

export interface CheckpointParts {
  readonly state: ContainerState
  readonly extents: Extents
}

/** `operations` is how many were accepted so far: those that come again with the next frames are known by it. */
export function writeCheckpoint(parts: CheckpointParts & { readonly operations: number }): Buffer {
  const { state, extents, operations } = parts
  const to = new BinaryWriter(64 * 1024)
  to.byte(VERSION)
  to.integer(operations)
  to.integer(state.lastId)
  to.uint32(state.size)
  for (const segment of state.segments) writeSegment(to, segment)
  const all = [...extents.values()]
  to.uint32(all.length)
  for (const { id, references, end, ranges } of all) {
    to.integer(id)
    to.uint32(references)
    to.integer(end)
    to.uint32(ranges.length)
    for (const { from, place } of ranges) {
      to.integer(from)
      to.integer(place)
    }
  }
  return to.finish()
}

/** Fills an empty state; returns the number of operations. Throws `FormatError`. */
export function readCheckpoint(bytes: Buffer, into: CheckpointParts): number {
  const from = new BinaryReader(bytes)
  const version = from.byte()
  if (version !== VERSION) throw new FormatError(`Checkpoint version ${version} is not known`)
  const operations = from.integer()
  into.state.restoreLastId(from.integer())
  for (let left = countOf(from, 30); left > 0; left--) into.state.restore(readSegment(from))
  for (let left = countOf(from, 24); left > 0; left--) {
    const extent = into.extents.add(from.integer(), from.uint32())
    const end = from.integer()
    for (let ranges = countOf(from, 16); ranges > 0; ranges--) {
      const offset = from.integer()
      into.extents.note(extent, { offset, length: 0 }, from.integer())
    }
    extent.end = end
  }
  if (from.left > 0) throw new FormatError(`${from.left} bytes follow the end of a checkpoint`)
  return operations
}

function writeSegment(to: BinaryWriter, segment: Segment): void {
  const { table } = segment
  to.integer(segment.id)
  to.text(segment.name)
  to.byte(TYPE_CODES[segment.type])
  to.byte((segment.sealed ? SEALED : 0) | (table === undefined ? 0 : HAS_TABLE))
  to.integer(segment.startOffset)
  to.integer(segment.length)
  to.integer(segment.lastModifiedMs)
  writeAttributes(
    to,
    [...segment.attributes].map(([id, value]) => ({ id, value })),
  )
  to.uint32(segment.runs.length)
  for (const run of segment.runs) {
    to.integer(run.start)
    to.integer(run.length)
    to.integer(run.extent)
    to.integer(run.extentOffset)
  }
  if (table === undefined) return
  to.uint32(table.size)
  for (const { key, value, version } of table.from(0)) {
    to.integer(version)
    to.bytes(key)
    to.bytes(value)
  }
}

function readSegment(from: Reader): Segment {
  const id = from.integer()
  const name = from.text()
  const type = typeOf(from.byte())
  const flags = from.byte()
  const startOffset = from.integer()
  const length = from.integer()
  const lastModifiedMs = from.integer()
  const attributes = new Map()
  setAttributes(attributes, readAttributes(from))
  const runs: Run[] = Array.from({ length: countOf(from, 32) }, () => ({
    start: from.integer(),
    length: from.integer(),
    extent: from.integer(),
    extentOffset: from.integer(),
  }))
  const sealed = (flags & SEALED) !== 0
  const table = (flags & HAS_TABLE) === 0 ? undefined : readTable(from, length)
  return {
    id,
    name,
    type,
    attributes,
    table,
    startOffset,
    length,
    sealed,
    gone: false,
    lastModifiedMs,
    runs,
    durableLength: length,
    durablySealed: sealed,
  }
}

function readTable(from: Reader, length: number): Table {
  const table = new Table(length)
  for (let left = countOf(from, 16); left > 0; left--) {
    const version = from.integer()
    table.restore({ version, key: from.bytes(), value: from.bytes() })
  }
  return table
}
