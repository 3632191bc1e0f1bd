/** Calls that this version does not serve. They say so, for clients take no answer for success. */
import { ControllerError, type ControllerService } from '../protocol/controller/service.ts'

function unserved(what: string): () => Promise<never> {
  return async () => {
    throw new ControllerError('unimplemented', `${what} not supported by this version`)
  }
}

const transactions = unserved('Transactions are')
const scaling = unserved('Scaling a stream by hand is')
const watermarks = unserved('Watermarks are')
const tables = unserved('Key-value tables are')

export const unservedCalls: Pick<
  ControllerService,
  | 'createTransaction'
  | 'commitTransaction'
  | 'abortTransaction'
  | 'pingTransaction'
  | 'checkTransactionState'
  | 'listCompletedTransactions'
  | 'scale'
  | 'checkScale'
  | 'noteTimestampFromWriter'
  | 'removeWriter'
  | 'createKeyValueTable'
  | 'deleteKeyValueTable'
  | 'getKeyValueTableConfiguration'
  | 'getCurrentSegmentsKeyValueTable'
> = {
  createTransaction: transactions,
  commitTransaction: transactions,
  abortTransaction: transactions,
  pingTransaction: transactions,
  checkTransactionState: transactions,
  listCompletedTransactions: transactions,
  scale: scaling,
  checkScale: scaling,
  noteTimestampFromWriter: watermarks,
  removeWriter: watermarks,
  createKeyValueTable: tables,
  deleteKeyValueTable: tables,
  getKeyValueTableConfiguration: tables,
  getCurrentSegmentsKeyValueTable: tables,
}
