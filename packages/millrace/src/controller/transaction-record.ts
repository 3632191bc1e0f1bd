/** Transactions that are not finished as they are stored: in one table, so that a start reads those alone. */
import { uuidHex } from '../protocol/uuid.ts'
import type { RecordCodec } from './record-codec.ts'
import type { Place } from './records.ts'
import type { UnfinishedState } from './transaction-life.ts'

export interface TransactionRecord {
  readonly state: UnfinishedState
  readonly createdAtMs: number
  /** The longest that was asked for; a restart grants it anew. */
  readonly leaseMs: number
  /** Its place in the line of the stream's commits; while it is committing. */
  readonly order?: number | undefined
}

export const TRANSACTION_CODEC: RecordCodec<TransactionRecord> = {
  what: 'transaction',
  version: 1,
  toJson: (record) => record,
  fromJson: (json) => json as TransactionRecord,
}

export const TRANSACTIONS_TABLE = '_system/_tables/transactions'

/** `id` as sixteen characters. */
export interface TransactionName {
  readonly scope: string
  readonly stream: string
  readonly id: string
}

export function transactionPlace({ scope, stream, id }: TransactionName): Place {
  return { table: TRANSACTIONS_TABLE, key: `${scope}/${stream}/${uuidHex(id)}` }
}

export function parseTransactionKey(key: string): TransactionName {
  const [scope = '', stream = '', hex = ''] = key.split('/')
  return { scope, stream, id: idOfHex(hex) }
}

/** From the 32 digits in names and records. */
export function idOfHex(hex: string): string {
  return Buffer.from(hex, 'hex').toString('latin1')
}
