/**
 * The operations of segment stores as calls: what the controller keeps its tables with, and what readers and writers are
 * made of. Names are full segment names (`scope/stream/0.#epoch.0`). Where a segment lives is found out and kept inside.
 *
 * A call that met a broken connection, a moved segment or a store that is just starting is sent again until it is answered or
 * its signal says no more. Repeating changes nothing for any call but the conditional ones (`updateAttribute`, `updateTable`,
 * `removeFromTable`, `mergeSegments`): if one of those may have been carried out though its answer was lost, it rejects with
 * `unknown-outcome`.
 */
import type { Long } from '../protocol/wire/commands.ts'

export interface Wait {
  readonly signal?: AbortSignal | undefined
}

export type SegmentErrorCode =
  | 'no-such-segment'
  | 'sealed'
  /** The offset was truncated away, or lies where no truncation may reach. */
  | 'truncated'
  | 'bad-key-version'
  | 'no-such-key'
  | 'not-empty'
  /** The arguments are illegal, the message says which and why. */
  | 'invalid'
  | 'unsupported'
  /** The store failed in a way of its own, the message says how. */
  | 'internal'
  | 'unauthorized'
  | 'disk-full'
  | 'data-loss'
  | 'unknown-outcome'
  | 'closed'

export class SegmentError extends Error {
  override readonly name = 'SegmentError'
  readonly code: SegmentErrorCode
  readonly segment: string
  /** With `truncated`: where the segment starts now. */
  readonly startOffset: number | undefined

  constructor(
    code: SegmentErrorCode,
    segment: string,
    message: string,
    options?: { startOffset?: number | undefined; cause?: unknown },
  ) {
    super(message, { cause: options?.cause })
    this.code = code
    this.segment = segment
    this.startOffset = options?.startOffset
  }
}

export interface SegmentState {
  readonly startOffset: number
  /** Where the next byte goes. */
  readonly writeOffset: number
  readonly sealed: boolean
  readonly lastModifiedMs: number
}

/** `any`, `absent`, or the version that the entry must have. */
export type TableCondition = 'any' | 'absent' | Long

export interface TableUpdate {
  readonly key: Buffer
  readonly value: Buffer
  readonly condition: TableCondition
}

export interface TableEntry {
  readonly key: Buffer
  readonly value: Buffer
  readonly version: Long
}

export interface TablePage {
  readonly entries: readonly TableEntry[]
  /** For the next page; undefined behind the last entry. */
  readonly continuationToken: Buffer | undefined
}

export interface SegmentCalls {
  createSegment(segment: string, options?: Wait & { rolloverBytes?: Long }): Promise<'created' | 'exists'>
  segmentState(segment: string, options?: Wait): Promise<SegmentState>
  /** A sealed segment may be sealed again. */
  sealSegment(segment: string, options?: Wait): Promise<void>
  /** Truncating where the segment starts already, or before, changes nothing. */
  truncateSegment(segment: string, offset: number, options?: Wait): Promise<void>
  deleteSegment(segment: string, options?: Wait): Promise<'deleted' | 'missing'>
  /**
   * Merges the sources one after the other, and resolves with the length of the target after each. One that is not there has been
   * merged before.
   */
  mergeAll(merge: { target: string; sources: readonly string[] }, options?: Wait): Promise<readonly number[]>
  /** Resolves with the length of the target then. */
  mergeSegments(merge: { target: string; source: string }, options?: Wait): Promise<number>
  /** Undefined when it is not set. `attributeId` is sixteen latin1 characters. */
  attribute(segment: string, attributeId: string, options?: Wait): Promise<Long | undefined>
  /** Compare and set; `expected` undefined: it must not be set. False if it was something else. */
  updateAttribute(
    segment: string,
    update: { attributeId: string; value: Long; expected: Long | undefined },
    options?: Wait,
  ): Promise<boolean>

  createTable(table: string, options?: Wait): Promise<'created' | 'exists'>
  deleteTable(table: string, options?: Wait & { mustBeEmpty?: boolean }): Promise<'deleted' | 'missing'>
  /** All of them or, if one condition does not hold (`bad-key-version`), none. Resolves with the new versions. */
  updateTable(table: string, updates: readonly TableUpdate[], options?: Wait): Promise<readonly Long[]>
  removeFromTable(
    table: string,
    keys: readonly { key: Buffer; condition: TableCondition }[],
    options?: Wait,
  ): Promise<void>
  /** In the order of the keys; undefined for an absent one. */
  readTable(
    table: string,
    keys: readonly Buffer[],
    options?: Wait,
  ): Promise<readonly (TableEntry | undefined)[]>
  /** In no particular order. An entry that changes between two pages may come again. */
  listTable(
    table: string,
    page: { count: number; continuationToken?: Buffer | undefined },
    options?: Wait,
  ): Promise<TablePage>
}
