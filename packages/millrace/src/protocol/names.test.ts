import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  anyNameProblem,
  epochOfTransaction,
  groupOfStream,
  groupStreamOf,
  isInternalName,
  isMarkStream,
  isTransactionSegment,
  isTransientSegment,
  markStreamOf,
  parentSegmentName,
  parseScopedName,
  parseSegmentName,
  primarySegmentName,
  scopedName,
  segmentIdOf,
  segmentName,
  segmentNameOfId,
  splitSegmentId,
  tableStreamOf,
  transactionSegmentName,
  transientSegmentName,
  userNameProblem,
} from './names.ts'
import { parseUuid } from './uuid.ts'

const segment = 'shop/orders/7.#epoch.3'
const transaction = parseUuid('00000003-0000-0001-ffff-ffffffffff00')
const writer = parseUuid('01234567-89ab-cdef-0123-456789abcdef')

test('trap 32: a segment has its epoch in its name and in the upper half of its id', () => {
  strictEqual(segmentName({ scope: 'shop', stream: 'orders', number: 7, epoch: 3 }), segment)
  strictEqual(segmentNameOfId('shop', 'orders', (3n << 32n) | 7n), segment)
  const largest = { number: 2 ** 31 - 1, epoch: 2 ** 31 - 1 }
  strictEqual(segmentIdOf(largest), 0x7fff_ffff_7fff_ffffn)
  deepStrictEqual(splitSegmentId(0x7fff_ffff_7fff_ffffn), largest)
  for (const id of [-1n, 1n << 31n, 1n << 63n])
    throws(() => splitSegmentId(id), { code: 'malformed', message: `No segment has the id ${id}` })
})

test('a segment name comes apart into what it was made of, also without an epoch or with a transaction', () => {
  deepStrictEqual(parseSegmentName(segment), { scope: 'shop', stream: 'orders', number: 7, epoch: 3 })
  deepStrictEqual(parseSegmentName('shop/orders/7'), { scope: 'shop', stream: 'orders', number: 7, epoch: 0 })
  for (const name of [
    transactionSegmentName(segment, transaction),
    transientSegmentName(segment, writer, transaction),
  ])
    deepStrictEqual(parseSegmentName(name), parseSegmentName(segment))
  for (const name of ['', 'orders/7', 'a/b/c', 'a/b/1.#epoch.', 'a/b/2147483648', 'a/b/1.#epoch.2147483648'])
    throws(() => parseSegmentName(name), { code: 'malformed' }, name)
})

test('transaction and transient segments are named after their parent', () => {
  const inTransaction = transactionSegmentName(segment, transaction)
  strictEqual(inTransaction, `${segment}#transaction.0000000300000001ffffffffffffff00`)
  const transient = transientSegmentName(segment, writer, transaction)
  strictEqual(
    transient,
    `${segment}#transient.0123456789abcdef0123456789abcdef.0000000300000001ffffffffffffff00`,
  )
  deepStrictEqual([inTransaction, transient, segment].map(isTransactionSegment), [true, false, false])
  deepStrictEqual([inTransaction, transient, segment].map(isTransientSegment), [false, true, false])
  deepStrictEqual([inTransaction, transient, segment].map(parentSegmentName), [segment, segment, undefined])
  strictEqual(parentSegmentName(`${segment}#transaction.0123`), undefined)
  strictEqual(epochOfTransaction(transaction), 3)
})

test('trap 31: what may be merged has one primary name', () => {
  const nested = transactionSegmentName(transientSegmentName(segment, writer, writer), transaction)
  for (const name of [segment, transactionSegmentName(segment, transaction), nested])
    strictEqual(primarySegmentName(name), 'shop/orders/7')
  strictEqual(primarySegmentName('_schemaregistry/x.#.metadata/0'), '_schemaregistry/x.#.metadata/0')
})

test('names are made and taken apart as in Java', () => {
  const golden = JSON.parse(readFileSync(new URL('./golden/names.json', import.meta.url), 'utf8')) as Golden
  const { names } = golden
  const id = BigInt(names.segmentId)
  strictEqual(segmentNameOfId('scope', 'stream', id), names.segment)
  strictEqual(segmentIdOf(parseSegmentName(names.segment)), id)
  strictEqual(transactionSegmentName('scope/stream/0.#epoch.0', transaction), names.transaction)
  strictEqual(epochOfTransaction(transaction), names.transactionEpoch)
  strictEqual(segmentNameOfId('scope', tableStreamOf('kvt'), 2n), names.table)
  strictEqual(groupStreamOf('group'), names.group)
  strictEqual(markStreamOf('stream'), names.mark)
  for (const { name, primary, parent } of golden.segments) {
    strictEqual(primarySegmentName(name), primary)
    strictEqual(parentSegmentName(name) ?? null, parent, name)
  }
})

interface Golden {
  readonly names: {
    readonly segmentId: string
    readonly segment: string
    readonly transaction: string
    readonly transactionEpoch: number
    readonly table: string
    readonly group: string
    readonly mark: string
  }
  readonly segments: readonly { name: string; primary: string; parent: string | null }[]
}

test('no name makes the functions on segment names throw', () => {
  const part = fc.constantFrom(
    '#transaction.',
    '#transient.',
    '.#epoch.',
    '0123456789abcdef',
    '/',
    'a',
    '.',
    '7',
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const name = parts.join('')
      primarySegmentName(name)
      const parent = parentSegmentName(name)
      strictEqual(parent !== undefined, isTransactionSegment(name) || isTransientSegment(name))
    }),
    { seed: 1 },
  )
})

test('users name things with letters, digits, dots and dashes', () => {
  strictEqual(userNameProblem('stream', 'Orders.2026-11'), undefined)
  strictEqual(userNameProblem('stream', 'a'.repeat(250)), undefined)
  strictEqual(userNameProblem('scope', 'a'.repeat(255)), undefined)
  strictEqual(
    userNameProblem('reader group', 'a'.repeat(251)),
    'The name of a reader group has 251 characters, at most 250 are allowed',
  )
  for (const name of ['', '_RGx', 'a/b', 'a b', 'é', 'a\n'])
    strictEqual(
      userNameProblem('stream', name),
      `The name of a stream is made of letters, digits, '.' and '-', not '${name}'`,
    )
})

test('the system may begin a name with one underscore, and need not leave room for it', () => {
  strictEqual(anyNameProblem('stream', `_RG${'a'.repeat(252)}`), undefined)
  strictEqual(anyNameProblem('scope', '_system'), undefined)
  strictEqual(typeof anyNameProblem('stream', '__x'), 'string')
  strictEqual(typeof anyNameProblem('stream', '_'), 'string')
  strictEqual(typeof anyNameProblem('stream', 'a'.repeat(256)), 'string')
})

test('the streams that belong to groups, streams and tables are known by their names', () => {
  strictEqual(groupStreamOf('billing'), '_RGbilling')
  deepStrictEqual([groupOfStream('_RGbilling'), groupOfStream('billing')], ['billing', undefined])
  strictEqual(markStreamOf('orders'), '_MARKorders')
  deepStrictEqual([isMarkStream('_MARKorders'), isMarkStream('orders')], [true, false])
  strictEqual(tableStreamOf('prices'), 'prices_kvtable')
  deepStrictEqual(['_MARKorders', 'orders'].map(isInternalName), [true, false])
})

test('a scoped name has two parts', () => {
  deepStrictEqual(parseScopedName(scopedName('shop', 'orders')), { scope: 'shop', name: 'orders' })
  for (const text of ['', 'shop', '/orders', 'shop/', 'a/b/c'])
    throws(() => parseScopedName(text), { code: 'malformed', message: /scope\/name/ })
})
