/** `SegmentCalls` over the segment store's protocol. The only place where calls are sent again. */
import { type Address, type Host, NetworkError } from '../base/host.ts'
import { LONG_MIN, type Long } from '../protocol/wire/commands.ts'
import { Locations } from './locations.ts'
import {
  type SegmentCalls,
  SegmentError,
  type TableCondition,
  type TableEntry,
  type Wait,
} from './segment-calls.ts'
import { failureOf } from './segment-replies.ts'
import { IncompatibleStoreError, type Reply, type Request } from './store-connection.ts'
import { StorePool } from './store-pool.ts'
import { Backoff, orAborted } from './waiting.ts'

/** Stores with access control would want a token; none has it yet. */
const delegationToken = ''
const EMPTY = Buffer.alloc(0)

/** A key's version on the wire that says there is no such key. */
const VERSION_ABSENT = -1

export interface SegmentClientOptions {
  readonly host: Host
  /** Where a segment lives. A failure of it is the failure of the call. */
  locate(segment: string, options: Wait): Promise<Address>
}

/** Connects with the first call. */
export function createSegmentCalls(options: SegmentClientOptions): SegmentCalls & { close(): Promise<void> } {
  const { host } = options
  const locations = new Locations((segment, wait) => options.locate(segment, wait))
  const pool = new StorePool(host)
  return { ...segmentCalls({ host, locations, pool }), close: async () => pool.close() }
}

export interface CallerParts {
  readonly host: Host
  readonly locations: Locations
  readonly pool: StorePool
}

/** The calls on connections and knowledge that others share. They end with the pool. */
export function segmentCalls(parts: CallerParts): SegmentCalls {
  const call: Call = (segment, request, hopedFor, options = {}) =>
    callUntilAnswered(parts, { segment, request, ...options }, hopedFor)
  return { ...lifeCalls(call), ...attributeCalls(call), ...tableCalls(call) }
}

interface CallOptions extends Wait {
  /** False for a call that may not be carried out twice. */
  readonly repeatable?: boolean
}

interface OneCall extends CallOptions {
  readonly segment: string
  readonly request: Request
}

type ReplyOf<K> = Extract<Reply, { readonly kind: K }>

/** Resolves with one of the replies hoped for; any other is an error. */
type Call = <K extends Reply['kind']>(
  segment: string,
  request: Request,
  hopedFor: readonly K[],
  options?: CallOptions,
) => Promise<ReplyOf<K>>

async function callUntilAnswered<K extends Reply['kind']>(
  parts: CallerParts,
  one: OneCall,
  hopedFor: readonly K[],
): Promise<ReplyOf<K>> {
  const { segment, signal } = one
  const { locations, pool } = parts
  const backoff = new Backoff(parts.host)
  try {
    for (;;) {
      const reply = await tryOnce(parts, one)
      if (reply !== undefined && reply.kind !== 'wrong-host') {
        if (hopedFor.includes(reply.kind as K)) return reply as ReplyOf<K>
        throw failureOf(reply, segment)
      }
      locations.drop(segment)
      // After a connection that failed the pool makes the pause.
      if (reply !== undefined) await backoff.wait(pool.closing, signal)
    }
  } catch (error) {
    if (!pool.closing.aborted || signal?.aborted === true || error instanceof SegmentError) throw error
    throw new SegmentError('closed', segment, 'The store was closed', { cause: error })
  }
}

/** The reply, or undefined if the connection failed and the call may be made again. */
async function tryOnce({ locations, pool }: CallerParts, one: OneCall): Promise<Reply | undefined> {
  const { segment, request, signal, repeatable = true } = one
  let sent = false
  try {
    const address = await orAborted(locations.find(segment, { signal }), pool.closing, signal)
    const connection = await pool.connect(address, { signal })
    sent = !connection.closed
    return await connection.request(request, { signal })
  } catch (error) {
    if (error instanceof IncompatibleStoreError)
      throw new SegmentError('unsupported', segment, error.message, { cause: error })
    if (!(error instanceof NetworkError) || signal?.aborted === true) throw error
    if (sent && !repeatable)
      throw new SegmentError(
        'unknown-outcome',
        segment,
        `The connection broke before the store of ${segment} answered ${request.kind}: it was carried out or not`,
        { cause: error },
      )
    if (pool.closing.aborted) throw error
    return undefined
  }
}

type LifeCalls = Pick<
  SegmentCalls,
  | 'createSegment'
  | 'segmentState'
  | 'sealSegment'
  | 'truncateSegment'
  | 'deleteSegment'
  | 'mergeAll'
  | 'mergeSegments'
>

function lifeCalls(call: Call): LifeCalls {
  return {
    async createSegment(segment, { signal, rolloverBytes = 0 } = {}) {
      // How the segment scales is the controller's business, stores only write it down.
      const scaling = { targetRate: 0, scaleType: 0 }
      const request = { kind: 'create-segment', segment, delegationToken, rolloverBytes, ...scaling } as const
      const reply = await call(segment, request, ['segment-created', 'segment-already-exists'], { signal })
      return reply.kind === 'segment-created' ? 'created' : 'exists'
    },

    async segmentState(segment, { signal } = {}) {
      const request = { kind: 'get-stream-segment-info', segment, delegationToken } as const
      const reply = await call(segment, request, ['stream-segment-info'], { signal })
      if (!reply.exists || reply.deleted)
        throw new SegmentError('no-such-segment', segment, `There is no segment ${segment}`)
      const { startOffset, writeOffset, sealed, lastModifiedMs } = reply
      return { startOffset, writeOffset, sealed, lastModifiedMs }
    },

    async sealSegment(segment, { signal } = {}) {
      const request = { kind: 'seal-segment', segment, delegationToken } as const
      await call(segment, request, ['segment-sealed', 'segment-is-sealed'], { signal })
    },

    async truncateSegment(segment, offset, { signal } = {}) {
      const request = {
        kind: 'truncate-segment',
        segment,
        truncationOffset: offset,
        delegationToken,
      } as const
      const reply = await call(segment, request, ['segment-truncated', 'segment-is-truncated'], { signal })
      if (reply.kind === 'segment-is-truncated' && offset > reply.startOffset)
        throw new SegmentError('truncated', segment, `${segment} does not reach to ${offset}`, {
          startOffset: reply.startOffset,
        })
    },

    async deleteSegment(segment, { signal } = {}) {
      const request = { kind: 'delete-segment', segment, delegationToken } as const
      const reply = await call(segment, request, ['segment-deleted', 'no-such-segment'], { signal })
      return reply.kind === 'segment-deleted' ? 'deleted' : 'missing'
    },

    async mergeAll({ target, sources }, { signal } = {}) {
      const request = { kind: 'merge-segments-batch', target, sources, delegationToken } as const
      const { merges } = await call(target, request, ['segments-batch-merged'], { signal })
      return merges.map(({ newTargetWriteOffset }) => newTargetWriteOffset)
    },

    async mergeSegments({ target, source }, { signal } = {}) {
      const request = {
        kind: 'merge-segments',
        target,
        source,
        delegationToken,
        attributeUpdates: [],
      } as const
      const reply = await call(target, request, ['segments-merged'], { signal, repeatable: false })
      return reply.newTargetWriteOffset
    },
  }
}

function attributeCalls(call: Call): Pick<SegmentCalls, 'attribute' | 'updateAttribute'> {
  return {
    async attribute(segment, attributeId, { signal } = {}) {
      const request = { kind: 'get-segment-attribute', segment, attributeId, delegationToken } as const
      const { value } = await call(segment, request, ['segment-attribute'], { signal })
      return value === LONG_MIN ? undefined : value
    },

    async updateAttribute(segment, { attributeId, value, expected = LONG_MIN }, { signal } = {}) {
      const request = {
        kind: 'update-segment-attribute',
        segment,
        attributeId,
        newValue: value,
        expectedValue: expected,
        delegationToken,
      } as const
      const options = { signal, repeatable: false }
      return (await call(segment, request, ['segment-attribute-updated'], options)).success
    },
  }
}

type TableCalls = Pick<
  SegmentCalls,
  'createTable' | 'deleteTable' | 'updateTable' | 'removeFromTable' | 'readTable' | 'listTable'
>

function tableCalls(call: Call): TableCalls {
  return {
    async createTable(segment, { signal } = {}) {
      const plain = { sortedDeprecated: false, keyLength: 0, rolloverBytes: 0 }
      const request = { kind: 'create-table-segment', segment, delegationToken, ...plain } as const
      const reply = await call(segment, request, ['segment-created', 'segment-already-exists'], { signal })
      return reply.kind === 'segment-created' ? 'created' : 'exists'
    },

    async deleteTable(segment, { signal, mustBeEmpty = false } = {}) {
      const request = { kind: 'delete-table-segment', segment, mustBeEmpty, delegationToken } as const
      const reply = await call(segment, request, ['segment-deleted', 'no-such-segment'], { signal })
      return reply.kind === 'segment-deleted' ? 'deleted' : 'missing'
    },

    async updateTable(segment, updates, { signal } = {}) {
      const entries = updates.map(({ key, value, condition }) => ({
        key,
        value,
        version: versionOf(condition),
      }))
      const request = {
        kind: 'update-table-entries',
        segment,
        delegationToken,
        entries,
        tableSegmentOffset: -1,
      } as const
      const options = { signal, repeatable: false }
      return (await call(segment, request, ['table-entries-updated'], options)).updatedVersions
    },

    async removeFromTable(segment, keys, { signal } = {}) {
      const versioned = keys.map(({ key, condition }) => ({ key, version: versionOf(condition) }))
      const request = {
        kind: 'remove-table-keys',
        segment,
        delegationToken,
        keys: versioned,
        tableSegmentOffset: -1,
      } as const
      await call(segment, request, ['table-keys-removed'], { signal, repeatable: false })
    },

    async readTable(segment, keys, { signal } = {}) {
      const unversioned = keys.map((key) => ({ key, version: LONG_MIN }))
      const request = { kind: 'read-table', segment, delegationToken, keys: unversioned } as const
      const { entries } = await call(segment, request, ['table-read'], { signal })
      if (entries.length === keys.length) return entries.map(presentEntry)
      throw new SegmentError(
        'internal',
        segment,
        `The store of ${segment} answered ${keys.length} keys with ${entries.length} entries`,
      )
    },

    async listTable(segment, { count, continuationToken = EMPTY }, { signal } = {}) {
      const request = {
        kind: 'read-table-entries',
        segment,
        delegationToken,
        suggestedCount: count,
        args: { continuationToken, fromKey: EMPTY, toKey: EMPTY },
      } as const
      const { entries, continuationToken: next } = await call(segment, request, ['table-entries-read'], {
        signal,
      })
      const more = entries.length > 0 && next.length > 0
      return { entries, continuationToken: more ? next : undefined }
    },
  }
}

function versionOf(condition: TableCondition): Long {
  if (condition === 'any') return LONG_MIN
  return condition === 'absent' ? VERSION_ABSENT : condition
}

function presentEntry(entry: TableEntry): TableEntry | undefined {
  return entry.version === VERSION_ABSENT ? undefined : entry
}
