import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { faultsOf } from './invoices.ts'
import type { Invoice } from './invoicing.ts'

function invoices(...numbers: readonly (readonly [customer: string, number: number])[]): Invoice[] {
  return numbers.map(([customer, number]) => ({ customer, number, cents: 100, taxCents: 20 }))
}

const ORDERED = new Map([
  ['ada', 3],
  ['bob', 1],
])

test('one invoice for each order, in the order of each customer, is right', () => {
  deepEqual(faultsOf(invoices(['ada', 0], ['bob', 0], ['ada', 1], ['ada', 2]), ORDERED), [])
})

test('an invoice too many, too few, out of order or of nobody is named', () => {
  deepEqual(faultsOf(invoices(['ada', 0], ['ada', 1], ['bob', 0], ['ada', 1], ['ada', 2]), ORDERED), [
    'order 1 of ada was invoiced again, behind 1',
  ])
  deepEqual(faultsOf(invoices(['ada', 0], ['bob', 0], ['ada', 2]), ORDERED), [
    'order 2 of ada was invoiced where 1 belongs',
  ])
  deepEqual(faultsOf(invoices(['ada', 0]), ORDERED), [
    'the last 2 orders of ada have no invoices',
    'the last 1 orders of bob have no invoices',
  ])
  deepEqual(faultsOf(invoices(['ada', 0], ['ada', 1], ['ada', 2], ['bob', 0], ['bob', 1]), ORDERED), [
    '1 invoices of bob have no orders',
  ])
})
