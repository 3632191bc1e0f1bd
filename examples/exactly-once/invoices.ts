/** Whether there is an invoice for every order, once, and in the order of each customer's orders. */
import type { Invoice } from './invoicing.ts'

/** What is wrong with them, in words; empty if nothing is. `ordered`: by customer, how many orders there were. */
export function faultsOf(invoices: Iterable<Invoice>, ordered: ReadonlyMap<string, number>): string[] {
  const faults: string[] = []
  const next = new Map<string, number>()
  for (const { customer, number } of invoices) {
    const expected = next.get(customer) ?? 0
    if (number !== expected)
      faults.push(
        number < expected
          ? `order ${number} of ${customer} was invoiced again, behind ${expected - 1}`
          : `order ${number} of ${customer} was invoiced where ${expected} belongs`,
      )
    next.set(customer, Math.max(expected, number + 1))
  }
  for (const [customer, count] of ordered) {
    const invoiced = next.get(customer) ?? 0
    if (invoiced < count) faults.push(`the last ${count - invoiced} orders of ${customer} have no invoices`)
    if (invoiced > count) faults.push(`${invoiced - count} invoices of ${customer} have no orders`)
  }
  return faults
}
