/**
 * What a container logs: operations that were checked and given their place, so that applying them in order makes the same
 * state again. The format is described in docs/formats/operations.md.
 */
import { unreachable } from '../base/assert.ts'
import type { Long } from '../protocol/wire/commands.ts'
import { type BinaryReader, type BinaryWriter, FormatError } from './binary.ts'

export type SegmentType = 'stream' | 'table' | 'transient'

export interface AttributeValue {
  readonly id: string
  /** LONG_MIN takes the attribute away. */
  readonly value: Long
}

export interface Create {
  readonly kind: 'create'
  /** Of the segment, and of the extent that its own bytes are. */
  readonly id: number
  readonly name: string
  readonly type: SegmentType
  readonly nowMs: number
  readonly attributes: readonly AttributeValue[]
}

export interface Append {
  readonly kind: 'append'
  readonly segment: number
  readonly offset: number
  readonly length: number
  readonly writerId: string
  readonly eventNumber: Long
  readonly eventCount: number
  readonly nowMs: number
}

export interface SetAttributes {
  readonly kind: 'attributes'
  readonly segment: number
  readonly values: readonly AttributeValue[]
}

export interface Seal {
  readonly kind: 'seal'
  readonly segment: number
  readonly nowMs: number
}

export interface Truncate {
  readonly kind: 'truncate'
  readonly segment: number
  readonly offset: number
}

export interface Delete {
  readonly kind: 'delete'
  readonly segment: number
}

/** The source's bytes become the target's, where they are; the source is gone. */
export interface Merge {
  readonly kind: 'merge'
  readonly target: number
  readonly source: number
  readonly targetOffset: number
  readonly nowMs: number
  readonly values: readonly AttributeValue[]
}

export interface TablePut {
  readonly kind: 'table-put'
  readonly segment: number
  /** The table's length before; the version of each entry follows from it. */
  readonly length: number
  readonly entries: readonly { readonly key: Buffer; readonly value: Buffer }[]
}

export interface TableRemove {
  readonly kind: 'table-remove'
  readonly segment: number
  readonly length: number
  readonly keys: readonly Buffer[]
}

/** Bytes of an extent have been copied into this frame, so that the file where they stood can go. Nothing else changes. */
export interface Move {
  readonly kind: 'move'
  readonly extent: number
  readonly offset: number
  readonly length: number
}

export type Operation =
  | Create
  | Append
  | SetAttributes
  | Seal
  | Truncate
  | Delete
  | Merge
  | TablePut
  | TableRemove
  | Move

const CODES = {
  create: 1,
  append: 2,
  attributes: 3,
  seal: 4,
  truncate: 5,
  delete: 6,
  merge: 7,
  'table-put': 8,
  'table-remove': 9,
  move: 10,
} as const satisfies Record<Operation['kind'], number>

export const TYPE_CODES: Readonly<Record<SegmentType, number>> = { stream: 0, table: 1, transient: 2 }
const TYPES: readonly SegmentType[] = ['stream', 'table', 'transient']

export function typeOf(code: number): SegmentType {
  const type = TYPES[code]
  if (type === undefined) throw new FormatError(`No segment type ${code}`)
  return type
}

export function writeOperation(to: BinaryWriter, operation: Operation): void {
  to.byte(CODES[operation.kind])
  switch (operation.kind) {
    case 'create':
      to.integer(operation.id)
      to.text(operation.name)
      to.byte(TYPE_CODES[operation.type])
      to.integer(operation.nowMs)
      return writeAttributes(to, operation.attributes)
    case 'append':
      to.integer(operation.segment)
      to.integer(operation.offset)
      to.uint32(operation.length)
      to.uuid(operation.writerId)
      to.long(operation.eventNumber)
      to.uint32(operation.eventCount)
      return to.integer(operation.nowMs)
    case 'attributes':
      to.integer(operation.segment)
      return writeAttributes(to, operation.values)
    case 'seal':
      to.integer(operation.segment)
      return to.integer(operation.nowMs)
    case 'truncate':
      to.integer(operation.segment)
      return to.integer(operation.offset)
    case 'delete':
      return to.integer(operation.segment)
    case 'merge':
      to.integer(operation.target)
      to.integer(operation.source)
      to.integer(operation.targetOffset)
      to.integer(operation.nowMs)
      return writeAttributes(to, operation.values)
    case 'table-put':
      to.integer(operation.segment)
      to.integer(operation.length)
      to.uint32(operation.entries.length)
      for (const { key, value } of operation.entries) {
        to.bytes(key)
        to.bytes(value)
      }
      return
    case 'table-remove':
      to.integer(operation.segment)
      to.integer(operation.length)
      to.uint32(operation.keys.length)
      for (const key of operation.keys) to.bytes(key)
      return
    case 'move':
      to.integer(operation.extent)
      to.integer(operation.offset)
      return to.integer(operation.length)
    default:
      return unreachable(operation)
  }
}

/** Throws `FormatError` for bytes that are no operation. Keys and values are views of what is read from. */
export function readOperation(from: BinaryReader): Operation {
  const code = from.byte()
  switch (code) {
    case CODES.create:
      return {
        kind: 'create',
        id: from.integer(),
        name: from.text(),
        type: typeOf(from.byte()),
        nowMs: from.integer(),
        attributes: readAttributes(from),
      }
    case CODES.append:
      return {
        kind: 'append',
        segment: from.integer(),
        offset: from.integer(),
        length: from.uint32(),
        writerId: from.uuid(),
        eventNumber: from.long(),
        eventCount: from.uint32(),
        nowMs: from.integer(),
      }
    case CODES.attributes:
      return { kind: 'attributes', segment: from.integer(), values: readAttributes(from) }
    case CODES.seal:
      return { kind: 'seal', segment: from.integer(), nowMs: from.integer() }
    case CODES.truncate:
      return { kind: 'truncate', segment: from.integer(), offset: from.integer() }
    case CODES.delete:
      return { kind: 'delete', segment: from.integer() }
    case CODES.merge:
      return {
        kind: 'merge',
        target: from.integer(),
        source: from.integer(),
        targetOffset: from.integer(),
        nowMs: from.integer(),
        values: readAttributes(from),
      }
    case CODES['table-put']: {
      const segment = from.integer()
      const length = from.integer()
      const count = countOf(from, 8)
      const entries = Array.from({ length: count }, () => ({ key: from.bytes(), value: from.bytes() }))
      return { kind: 'table-put', segment, length, entries }
    }
    case CODES['table-remove']: {
      const segment = from.integer()
      const length = from.integer()
      const count = countOf(from, 4)
      return {
        kind: 'table-remove',
        segment,
        length,
        keys: Array.from({ length: count }, () => from.bytes()),
      }
    }
    case CODES.move:
      return { kind: 'move', extent: from.integer(), offset: from.integer(), length: from.integer() }
    default:
      throw new FormatError(`No operation ${code}`)
  }
}

export function writeAttributes(to: BinaryWriter, attributes: readonly AttributeValue[]): void {
  to.uint32(attributes.length)
  for (const { id, value } of attributes) {
    to.uuid(id)
    to.long(value)
  }
}

export function readAttributes(from: BinaryReader): AttributeValue[] {
  const count = countOf(from, 24)
  return Array.from({ length: count }, () => ({ id: from.uuid(), value: from.long() }))
}

/** A number of items, each of `bytesMin` bytes at least: one that cannot be true costs no memory. */
export function countOf(from: BinaryReader, bytesMin: number): number {
  const count = from.uint32()
  if (count * bytesMin > from.left) throw new FormatError(`${count} items in ${from.left} bytes`)
  return count
}
