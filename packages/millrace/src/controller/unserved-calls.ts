/** Calls that this version does not serve. They say so, for clients take no answer for success. */
import { ControllerError, type ControllerService } from '../protocol/controller/service.ts'

function unserved(what: string): () => Promise<never> {
  return async () => {
    throw new ControllerError('unimplemented', `${what} not supported by this version`)
  }
}

const watermarks = unserved('Watermarks are')
const tables = unserved('Key-value tables are')

export const unservedCalls: Pick<
  ControllerService,
  | 'noteTimestampFromWriter'
  | 'removeWriter'
  | 'createKeyValueTable'
  | 'deleteKeyValueTable'
  | 'getKeyValueTableConfiguration'
  | 'getCurrentSegmentsKeyValueTable'
> = {
  noteTimestampFromWriter: watermarks,
  removeWriter: watermarks,
  createKeyValueTable: tables,
  deleteKeyValueTable: tables,
  getKeyValueTableConfiguration: tables,
  getCurrentSegmentsKeyValueTable: tables,
}
