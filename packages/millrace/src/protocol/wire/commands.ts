/**
 * Every command of the segment store's protocol, as one table of fields (Pravega 0.13 WireCommands, wire version 16). Types,
 * encoder and decoder follow from it.
 *
 * A field is `[name, type]`, or `[name, type, default]` where older peers end their payload before it: it is optional on input
 * and always written on output. Bytes after the last field belong to newer peers and are ignored.
 *
 * Requests and replies are matched by `requestId`, which is opaque: eight characters, one for each byte.
 */

/** A signed 64-bit integer: a number if it is a safe one, a bigint otherwise. */
export type Long = number | bigint

/** Null as an attribute value, and as the version of a table key "any". */
export const LONG_MIN: bigint = -(2n ** 63n)

/** What we answer to Hello: newer clients would use commands that this server does not have. */
export const WIRE_VERSION = 16
export const WIRE_VERSION_OLDEST = 5

export const FRAME_HEADER_BYTES = 8
/** No payload may be longer. */
export const PAYLOAD_BYTES_MAX = 0x00ff_ffff

/** `version` on update and removal: `LONG_MIN` any, -1 must be absent; on reading -1 says that the key is absent. */
export interface WireTableKey {
  readonly key: Buffer
  readonly version: Long
}

export interface WireTableEntry extends WireTableKey {
  readonly value: Buffer
}

/** Both bounds are part of the range; an empty buffer is no bound. */
export interface WireIteratorArgs {
  readonly continuationToken: Buffer
  readonly fromKey: Buffer
  readonly toKey: Buffer
}

export interface WireAttributeUpdate {
  readonly attributeId: string
  /** One of `AttributeUpdateType`. */
  readonly updateType: number
  readonly newValue: Long
  readonly oldValue: Long
}

export interface WireMerge {
  readonly source: string
  readonly newTargetWriteOffset: number
}

export interface WireChunk {
  readonly lengthInMetadata: number
  readonly lengthInStorage: number
  readonly startOffset: number
  readonly chunkName: string
  readonly existsInStorage: boolean
}

/** What a field's type holds in memory. */
export interface FieldValues {
  readonly int8: number
  readonly int32: number
  readonly boolean: boolean
  /** A long that must be a safe integer; -1 often stands for none. */
  readonly offset: number
  readonly long: Long
  /** Eight bytes as eight latin1 characters, never looked into. */
  readonly id64: string
  /** Sixteen bytes as sixteen latin1 characters, never looked into. */
  readonly uuid: string
  readonly string: string
  /** Bytes behind their int32 length. */
  readonly bytes: Buffer
  /** All bytes that are left. */
  readonly rest: Buffer
  /** An event as segments store it, header included: int32 0, int32 length, bytes. */
  readonly event: Buffer
  readonly keys: readonly WireTableKey[]
  readonly entries: readonly WireTableEntry[]
  readonly iteratorArgs: WireIteratorArgs
  readonly attributeUpdates: readonly WireAttributeUpdate[]
  readonly strings: readonly string[]
  readonly longs: readonly Long[]
  readonly merges: readonly WireMerge[]
  readonly chunks: readonly WireChunk[]
}

export type FieldType = keyof FieldValues

export const COMMANDS = {
  hello: {
    id: -127,
    fields: [
      ['highVersion', 'int32'],
      ['lowVersion', 'int32'],
    ],
  },
  // Only ever inside an append block.
  padding: { id: -1, fields: [['zeros', 'rest']] },
  'partial-event': { id: -2, fields: [['data', 'rest']] },

  // Administration.
  'flush-to-storage': {
    id: -3,
    fields: [
      ['containerId', 'int32'],
      ['delegationToken', 'string'],
      ['requestId', 'id64'],
    ],
  },
  'flushed-to-storage': { id: -4, fields: [['requestId', 'id64']] },
  'list-storage-chunks': {
    id: -5,
    fields: [
      ['segment', 'string'],
      ['delegationToken', 'string'],
      ['requestId', 'id64'],
    ],
  },
  'storage-chunks-listed': {
    id: -6,
    fields: [
      ['requestId', 'id64'],
      ['chunks', 'chunks'],
    ],
  },

  // Appends.
  'setup-append': {
    id: 1,
    fields: [
      ['requestId', 'id64'],
      ['writerId', 'uuid'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
    ],
  },
  'append-setup': {
    id: 2,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['writerId', 'uuid'],
      ['lastEventNumber', 'long'],
    ],
  },
  'append-block': {
    id: 3,
    fields: [
      ['writerId', 'uuid'],
      ['data', 'rest'],
    ],
  },
  'append-block-end': {
    id: 4,
    fields: [
      ['writerId', 'uuid'],
      ['sizeOfWholeEvents', 'int32'],
      ['data', 'bytes'],
      ['eventCount', 'int32'],
      ['lastEventNumber', 'long'],
      ['requestId', 'id64', '\xff\xff\xff\xff\xff\xff\xff\xff'],
    ],
  },
  'conditional-append': {
    id: 5,
    fields: [
      ['writerId', 'uuid'],
      ['eventNumber', 'long'],
      ['expectedOffset', 'offset'],
      ['event', 'event'],
      ['requestId', 'id64', '\xff\xff\xff\xff\xff\xff\xff\xff'],
    ],
  },
  'conditional-block-end': {
    id: 89,
    fields: [
      ['writerId', 'uuid'],
      ['eventNumber', 'long'],
      ['expectedOffset', 'offset'],
      ['data', 'bytes'],
      ['requestId', 'id64'],
    ],
  },
  'data-appended': {
    id: 7,
    fields: [
      ['writerId', 'uuid'],
      ['eventNumber', 'long'],
      ['previousEventNumber', 'long', -1],
      ['requestId', 'id64', '\xff\xff\xff\xff\xff\xff\xff\xff'],
      ['segmentWriteOffset', 'offset', -1],
    ],
  },
  'conditional-check-failed': {
    id: 8,
    fields: [
      ['writerId', 'uuid'],
      ['eventNumber', 'long'],
      ['requestId', 'id64', '\xff\xff\xff\xff\xff\xff\xff\xff'],
    ],
  },
  'create-transient-segment': {
    id: 40,
    fields: [
      ['requestId', 'id64'],
      ['writerId', 'uuid'],
      ['parentSegment', 'string'],
      ['delegationToken', 'string'],
    ],
  },

  // Reads.
  'read-segment': {
    id: 9,
    fields: [
      ['segment', 'string'],
      ['offset', 'offset'],
      ['suggestedLength', 'int32'],
      ['delegationToken', 'string'],
      ['requestId', 'id64', '\xff\xff\xff\xff\xff\xff\xff\xff'],
    ],
  },
  'segment-read': {
    id: 10,
    fields: [
      ['segment', 'string'],
      ['offset', 'offset'],
      ['atTail', 'boolean'],
      ['endOfSegment', 'boolean'],
      ['data', 'bytes'],
      ['requestId', 'id64', '\xff\xff\xff\xff\xff\xff\xff\xff'],
    ],
  },

  // Segments.
  'get-stream-segment-info': {
    id: 11,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
    ],
  },
  'stream-segment-info': {
    id: 12,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['exists', 'boolean'],
      ['sealed', 'boolean'],
      ['deleted', 'boolean'],
      ['lastModifiedMs', 'offset'],
      ['writeOffset', 'offset'],
      ['startOffset', 'offset', 0],
    ],
  },
  'create-segment': {
    id: 20,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['targetRate', 'int32'],
      ['scaleType', 'int8'],
      ['delegationToken', 'string'],
      ['rolloverBytes', 'long', 0],
    ],
  },
  'segment-created': {
    id: 21,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
    ],
  },
  'seal-segment': {
    id: 28,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
    ],
  },
  'segment-sealed': {
    id: 29,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
    ],
  },
  'delete-segment': {
    id: 30,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
    ],
  },
  'segment-deleted': {
    id: 31,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
    ],
  },
  'update-segment-policy': {
    id: 32,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['targetRate', 'int32'],
      ['scaleType', 'int8'],
      ['delegationToken', 'string'],
    ],
  },
  'segment-policy-updated': {
    id: 33,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
    ],
  },
  'get-segment-attribute': {
    id: 34,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['attributeId', 'uuid'],
      ['delegationToken', 'string'],
    ],
  },
  'segment-attribute': {
    id: 35,
    fields: [
      ['requestId', 'id64'],
      ['value', 'long'],
    ],
  },
  'update-segment-attribute': {
    id: 36,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['attributeId', 'uuid'],
      ['newValue', 'long'],
      ['expectedValue', 'long'],
      ['delegationToken', 'string'],
    ],
  },
  'segment-attribute-updated': {
    id: 37,
    fields: [
      ['requestId', 'id64'],
      ['success', 'boolean'],
    ],
  },
  'truncate-segment': {
    id: 38,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['truncationOffset', 'offset'],
      ['delegationToken', 'string'],
    ],
  },
  'segment-truncated': {
    id: 39,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
    ],
  },
  'merge-segments': {
    id: 58,
    fields: [
      ['requestId', 'id64'],
      ['target', 'string'],
      ['source', 'string'],
      ['delegationToken', 'string'],
      ['attributeUpdates', 'attributeUpdates', []],
    ],
  },
  'segments-merged': {
    id: 59,
    fields: [
      ['requestId', 'id64'],
      ['target', 'string'],
      ['source', 'string'],
      ['newTargetWriteOffset', 'offset', -1],
    ],
  },
  'merge-segments-batch': {
    id: 90,
    fields: [
      ['requestId', 'id64'],
      ['target', 'string'],
      ['sources', 'strings'],
      ['delegationToken', 'string'],
    ],
  },
  'segments-batch-merged': {
    id: 91,
    fields: [
      ['requestId', 'id64'],
      ['target', 'string'],
      ['merges', 'merges'],
    ],
  },

  // Tables.
  'get-table-segment-info': {
    id: 68,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
    ],
  },
  'table-segment-info': {
    id: 69,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['startOffset', 'offset'],
      ['length', 'offset'],
      ['entryCount', 'offset'],
      ['keyLength', 'int32'],
    ],
  },
  'create-table-segment': {
    id: 70,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
      ['sortedDeprecated', 'boolean', false],
      ['keyLength', 'int32', 0],
      ['rolloverBytes', 'long', 0],
    ],
  },
  'delete-table-segment': {
    id: 71,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['mustBeEmpty', 'boolean'],
      ['delegationToken', 'string'],
    ],
  },
  'update-table-entries': {
    id: 74,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
      ['entries', 'entries'],
      ['tableSegmentOffset', 'offset', -1],
    ],
  },
  'table-entries-updated': {
    id: 75,
    fields: [
      ['requestId', 'id64'],
      ['updatedVersions', 'longs'],
    ],
  },
  'remove-table-keys': {
    id: 76,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
      ['keys', 'keys'],
      ['tableSegmentOffset', 'offset', -1],
    ],
  },
  'table-keys-removed': {
    id: 77,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
    ],
  },
  'read-table': {
    id: 78,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
      ['keys', 'keys'],
    ],
  },
  'table-read': {
    id: 79,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['entries', 'entries'],
    ],
  },
  'read-table-keys': {
    id: 83,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
      ['suggestedCount', 'int32'],
      ['args', 'iteratorArgs'],
    ],
  },
  'table-keys-read': {
    id: 84,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['keys', 'keys'],
      ['continuationToken', 'bytes'],
    ],
  },
  'read-table-entries': {
    id: 85,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
      ['suggestedCount', 'int32'],
      ['args', 'iteratorArgs'],
    ],
  },
  'table-entries-read': {
    id: 86,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['entries', 'entries'],
      ['continuationToken', 'bytes'],
    ],
  },
  'read-table-entries-delta': {
    id: 88,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['delegationToken', 'string'],
      ['fromPosition', 'offset'],
      ['suggestedCount', 'int32'],
    ],
  },
  'table-entries-delta-read': {
    id: 87,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['entries', 'entries'],
      ['shouldClear', 'boolean'],
      ['reachedEnd', 'boolean'],
      ['lastPosition', 'offset'],
    ],
  },

  // Failures. Where an append failed, `offset` is its event number.
  'wrong-host': {
    id: 50,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['correctHost', 'string'],
      ['serverStackTrace', 'string', ''],
    ],
  },
  'segment-is-sealed': {
    id: 51,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['serverStackTrace', 'string', ''],
      ['offset', 'long', -1],
    ],
  },
  'segment-already-exists': {
    id: 52,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['serverStackTrace', 'string', ''],
    ],
  },
  'no-such-segment': {
    id: 53,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['serverStackTrace', 'string', ''],
      ['offset', 'long', -1],
    ],
  },
  'invalid-event-number': {
    id: 55,
    fields: [
      ['writerId', 'uuid'],
      ['requestId', 'id64'],
      ['serverStackTrace', 'string', ''],
      ['eventNumber', 'long', -1],
    ],
  },
  'segment-is-truncated': {
    id: 56,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['startOffset', 'offset'],
      ['serverStackTrace', 'string', ''],
      ['offset', 'long', -1],
    ],
  },
  'operation-unsupported': {
    id: 57,
    fields: [
      ['requestId', 'id64'],
      ['operationName', 'string'],
      ['serverStackTrace', 'string', ''],
    ],
  },
  'auth-token-check-failed': {
    id: 60,
    fields: [
      ['requestId', 'id64'],
      ['serverStackTrace', 'string', ''],
      /** -1 not said, 0 the check failed, 1 the token has expired. */
      ['errorCode', 'int32', -1],
    ],
  },
  'error-message': {
    id: 61,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['message', 'string'],
      /** -1 not said, 0 an illegal argument. */
      ['errorCode', 'int32'],
    ],
  },
  'table-segment-not-empty': {
    id: 80,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['serverStackTrace', 'string'],
    ],
  },
  'table-key-does-not-exist': {
    id: 81,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['serverStackTrace', 'string'],
    ],
  },
  'table-key-bad-version': {
    id: 82,
    fields: [
      ['requestId', 'id64'],
      ['segment', 'string'],
      ['serverStackTrace', 'string'],
    ],
  },
  'keep-alive': { id: 100, fields: [] },
} as const

export type CommandKind = keyof typeof COMMANDS

type FieldsOf<K extends CommandKind> = (typeof COMMANDS)[K]['fields'][number]
type ValuesOf<F> = F extends readonly [infer Name extends string, infer Type extends FieldType, ...unknown[]]
  ? { readonly [N in Name]: FieldValues[Type] }
  : never
type Intersection<U> = (U extends unknown ? (value: U) => void : never) extends (value: infer I) => void
  ? I
  : never
type Flat<T> = { readonly [Key in keyof T]: T[Key] }

/** A command as an object: its kind and its fields. */
export type Message<K extends CommandKind> = K extends CommandKind
  ? Flat<
      { readonly kind: K } & ([FieldsOf<K>] extends [never] ? unknown : Intersection<ValuesOf<FieldsOf<K>>>)
    >
  : never

export type AnyMessage = Message<CommandKind>

export interface Field {
  readonly name: string
  readonly type: FieldType
  /** Undefined where the field must be there. */
  readonly fallback: unknown
}

/** One row of the table, in the form that codecs loop over. */
export interface Command {
  readonly kind: CommandKind
  readonly id: number
  readonly fields: readonly Field[]
}

const byKind = new Map<string, Command>()
const byId = new Map<number, Command>()
for (const [kind, { id, fields }] of Object.entries(COMMANDS)) {
  const rows: readonly (readonly [name: string, type: FieldType, fallback?: unknown])[] = fields
  const command: Command = {
    kind: kind as CommandKind,
    id,
    fields: rows.map(([name, type, fallback]) => ({ name, type, fallback })),
  }
  byKind.set(kind, command)
  byId.set(id, command)
}

export function commandOf(kind: CommandKind): Command {
  // The table has a row for every kind.
  return byKind.get(kind)!
}

/** Undefined for an id that Pravega 0.13 does not know either. */
export function commandById(id: number): Command | undefined {
  return byId.get(id)
}
