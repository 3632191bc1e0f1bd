/** Requests about hash tables. Key-value tables with fixed keys, which are sorted, are refused by name. */
import type { AnyMessage, Message, WireTableKey } from '../../protocol/wire/commands.ts'
import type { Container } from '../container.ts'
import { versionsOf } from '../container-state.ts'
import { TABLE_KEY_BYTES_MAX, TABLE_REPLY_BYTES_MAX, TABLE_VALUE_BYTES_MAX } from '../limits.ts'
import type { StoredEntry, Table } from '../table.ts'
import { errorMessage, fullReply, rejectionReply } from './replies.ts'
import { ask, birthAttributes, change, nameProblem, type RequestPort } from './segment-requests.ts'

const EMPTY = Buffer.alloc(0)
/** A key that is not there. */
const NOT_EXISTS = -1

/** True if the message was one of these. */
export function handleTableRequest(port: RequestPort, message: AnyMessage): boolean {
  switch (message.kind) {
    case 'create-table-segment':
      ask(port, message, (container) => create(port, container, message))
      return true
    case 'delete-table-segment':
      change(
        port,
        message,
        { kind: 'delete', name: message.segment, type: 'table', mustBeEmpty: message.mustBeEmpty },
        () => ({ ...message, kind: 'segment-deleted' }),
      )
      return true
    case 'get-table-segment-info':
      lookUp(port, message, (table) => ({
        kind: 'table-segment-info',
        requestId: message.requestId,
        segment: message.segment,
        startOffset: 0,
        length: table.length,
        entryCount: table.size,
        keyLength: 0,
      }))
      return true
    case 'update-table-entries':
      update(port, message)
      return true
    case 'remove-table-keys':
      remove(port, message)
      return true
    case 'read-table':
      lookUp(port, message, (table) => read(table, message))
      return true
    case 'read-table-keys':
    case 'read-table-entries':
      lookUp(port, message, (table) => list(table, message))
      return true
    case 'read-table-entries-delta':
      lookUp(port, message, (table) => delta(table, message))
      return true
    default:
      return false
  }
}

function create(
  port: RequestPort,
  container: Container,
  message: Message<'create-table-segment'>,
): AnyMessage {
  const { requestId, segment: name } = message
  const problem = nameProblem(name)
  if (problem !== undefined) return errorMessage(requestId, name, problem)
  if (message.keyLength > 0 || message.sortedDeprecated)
    return {
      kind: 'operation-unsupported',
      requestId,
      operationName: 'create-table-segment with keys of a fixed length',
      serverStackTrace: '',
    }
  if (port.store.full && container.find(name) === undefined) return fullReply(requestId, name)
  const outcome = container.submit({ kind: 'create', name, type: 'table', attributes: birthAttributes(port) })
  if ('rejection' in outcome) return rejectionReply(outcome.rejection, requestId)
  return { kind: 'segment-created', requestId, segment: name }
}

function lookUp(
  port: RequestPort,
  message: { requestId: string; segment: string },
  answer: (table: Table) => AnyMessage,
): void {
  ask(port, message, (container) => {
    const { requestId, segment: name } = message
    const segment = container.find(name)
    if (segment === undefined) return rejectionReply({ code: 'no-such-segment', segment: name }, requestId)
    if (segment.table === undefined) return errorMessage(requestId, name, 'It is no table')
    return answer(segment.table)
  })
}

function update(port: RequestPort, message: Message<'update-table-entries'>): void {
  const { requestId, segment: name, entries, tableSegmentOffset: tableOffset } = message
  const problem = keysProblem(entries) ?? valuesProblem(entries)
  if (problem !== undefined) return port.reply(errorMessage(requestId, name, problem))
  if (port.store.full) return port.reply(fullReply(requestId, name))
  change<'table-put'>(port, message, { kind: 'table-put', name, entries, tableOffset }, (operation) => ({
    kind: 'table-entries-updated',
    requestId,
    updatedVersions: versionsOf(operation),
  }))
}

function remove(port: RequestPort, message: Message<'remove-table-keys'>): void {
  const { requestId, segment: name, keys, tableSegmentOffset: tableOffset } = message
  const problem = keysProblem(keys)
  if (problem !== undefined) return port.reply(errorMessage(requestId, name, problem))
  change(port, message, { kind: 'table-remove', name, keys, tableOffset }, () => ({
    kind: 'table-keys-removed',
    requestId,
    segment: name,
  }))
}

function read(table: Table, message: Message<'read-table'>): AnyMessage {
  const { requestId, segment } = message
  const entries: StoredEntry[] = []
  let bytes = 0
  for (const { key } of message.keys) {
    const entry = table.get(key) ?? { key, value: EMPTY, version: NOT_EXISTS }
    bytes += key.length + entry.value.length + 28
    if (bytes > READ_REPLY_BYTES_MAX)
      return errorMessage(
        requestId,
        segment,
        `The entries of ${message.keys.length} keys take more than ${READ_REPLY_BYTES_MAX} bytes; ask for fewer`,
      )
    entries.push(entry)
  }
  return { kind: 'table-read', requestId, segment, entries }
}

/** A reply must fit a frame, with its header and the segment's name. */
const READ_REPLY_BYTES_MAX = 15 * 1024 * 1024

/**
 * A page in the order of versions. The token is the version behind the last entry: an entry that changes moves behind it and
 * comes again, and none is missed.
 */
function list(table: Table, message: Message<'read-table-keys'> | Message<'read-table-entries'>): AnyMessage {
  const { requestId, segment, suggestedCount } = message
  const token = message.args.continuationToken
  if (token.length !== 0 && token.length !== 8)
    return errorMessage(requestId, segment, `A continuation token of ${token.length} bytes is none of ours`)
  const from = token.length === 0 ? 0 : Number(token.readBigInt64BE())
  const { entries, next } = page(table, from, suggestedCount)
  const continuationToken = Buffer.alloc(8)
  continuationToken.writeBigInt64BE(BigInt(next))
  return message.kind === 'read-table-keys'
    ? { kind: 'table-keys-read', requestId, segment, keys: entries, continuationToken }
    : { kind: 'table-entries-read', requestId, segment, entries, continuationToken }
}

function delta(table: Table, message: Message<'read-table-entries-delta'>): AnyMessage {
  const { requestId, segment, fromPosition, suggestedCount } = message
  const { entries, next, reachedEnd } = page(table, fromPosition, suggestedCount)
  return {
    kind: 'table-entries-delta-read',
    requestId,
    segment,
    entries,
    shouldClear: false,
    reachedEnd,
    lastPosition: next,
  }
}

function page(
  table: Table,
  from: number,
  count: number,
): { entries: StoredEntry[]; next: number; reachedEnd: boolean } {
  const entries: StoredEntry[] = []
  let bytes = 0
  for (const entry of table.from(from)) {
    const next = entry.version
    if (entries.length >= Math.max(count, 1) || bytes >= TABLE_REPLY_BYTES_MAX)
      return { entries, next, reachedEnd: false }
    entries.push(entry)
    bytes += entry.key.length + entry.value.length + 28
  }
  return { entries, next: table.length, reachedEnd: true }
}

function keysProblem(keys: readonly WireTableKey[]): string | undefined {
  for (const { key } of keys) {
    if (key.length === 0) return 'A key must have a byte at least'
    if (key.length > TABLE_KEY_BYTES_MAX)
      return `A key has ${key.length} bytes, at most ${TABLE_KEY_BYTES_MAX} are possible`
  }
  return undefined
}

function valuesProblem(entries: readonly { readonly value: Buffer }[]): string | undefined {
  for (const { value } of entries) {
    if (value.length > TABLE_VALUE_BYTES_MAX)
      return `A value has ${value.length} bytes, at most ${TABLE_VALUE_BYTES_MAX} are possible`
  }
  return undefined
}
