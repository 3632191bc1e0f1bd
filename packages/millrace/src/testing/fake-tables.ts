/** The hash tables of a fake store. */
import {
  type AnyMessage,
  type CommandKind,
  LONG_MIN,
  type Long,
  type Message,
} from '../protocol/wire/commands.ts'

interface Entry {
  readonly key: Buffer
  readonly value: Buffer
  readonly version: number
}

type Table = Map<string, Entry>

export class FakeTables {
  readonly #tables = new Map<string, Table>()
  #lastVersion = 0

  /** False for a message that is none about tables. */
  handle(message: AnyMessage, send: (reply: AnyMessage) => void): boolean {
    const handler = this.#handlers[message.kind] as ((message: AnyMessage) => AnyMessage) | undefined
    if (handler === undefined) return false
    send(handler(message))
    return true
  }

  readonly #handlers: { readonly [K in CommandKind]?: (message: Message<K>) => AnyMessage } = {
    'create-table-segment': ({ requestId, segment }) => {
      if (this.#tables.has(segment))
        return { kind: 'segment-already-exists', requestId, segment, serverStackTrace: '' }
      this.#tables.set(segment, new Map())
      return { kind: 'segment-created', requestId, segment }
    },
    'delete-table-segment': (message) =>
      this.#withTable(message, (table) => {
        const { requestId, segment } = message
        if (message.mustBeEmpty && table.size > 0)
          return { kind: 'table-segment-not-empty', requestId, segment, serverStackTrace: '' }
        this.#tables.delete(segment)
        return { kind: 'segment-deleted', requestId, segment }
      }),
    'update-table-entries': (message) =>
      this.#withTable(message, (table) => {
        const { requestId, segment, entries } = message
        const failure = failedCondition(table, entries)
        if (failure !== undefined) return { kind: failure, requestId, segment, serverStackTrace: '' }
        const updatedVersions = entries.map(({ key, value }) => {
          const version = ++this.#lastVersion
          table.set(nameOf(key), { key: Buffer.from(key), value: Buffer.from(value), version })
          return version
        })
        return { kind: 'table-entries-updated', requestId, updatedVersions }
      }),
    'remove-table-keys': (message) =>
      this.#withTable(message, (table) => {
        const { requestId, segment, keys } = message
        const failure = failedCondition(table, keys)
        if (failure !== undefined) return { kind: failure, requestId, segment, serverStackTrace: '' }
        for (const { key } of keys) table.delete(nameOf(key))
        return { kind: 'table-keys-removed', requestId, segment }
      }),
    'read-table': (message) =>
      this.#withTable(message, (table) => {
        const absent = { value: Buffer.alloc(0), version: -1 }
        const entries = message.keys.map(({ key }) => table.get(nameOf(key)) ?? { key, ...absent })
        return { kind: 'table-read', requestId: message.requestId, segment: message.segment, entries }
      }),
    'read-table-entries': (message) =>
      this.#withTable(message, (table) => {
        const { requestId, segment, suggestedCount, args } = message
        const after = args.continuationToken.toString('latin1')
        const page = [...table.keys()]
          .toSorted()
          .filter((name) => name > after)
          .slice(0, suggestedCount)
        const continuationToken = Buffer.from(page.at(-1) ?? after, 'latin1')
        const entries = page.map((name) => table.get(name)!)
        return { kind: 'table-entries-read', requestId, segment, entries, continuationToken }
      }),
  }

  #withTable(
    { requestId, segment }: { requestId: string; segment: string },
    answer: (table: Table) => AnyMessage,
  ): AnyMessage {
    const table = this.#tables.get(segment)
    if (table !== undefined) return answer(table)
    return { kind: 'no-such-segment', requestId, segment, serverStackTrace: '', offset: -1 }
  }
}

function failedCondition(
  table: Table,
  keys: readonly { key: Buffer; version: Long }[],
): 'table-key-bad-version' | 'table-key-does-not-exist' | undefined {
  for (const { key, version } of keys) {
    const present = table.get(nameOf(key))
    if (version === LONG_MIN) continue
    if (version === -1 ? present !== undefined : present !== undefined && present.version !== Number(version))
      return 'table-key-bad-version'
    if (version !== -1 && present === undefined) return 'table-key-does-not-exist'
  }
  return undefined
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}
