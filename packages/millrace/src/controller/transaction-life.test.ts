import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { answerPing, changeTransaction, leaseProblem, TRANSACTION_LIMITS } from './transaction-life.ts'

test('commit and abort are decided once, and come to the same when they are asked for again', () => {
  const cases = [
    ['open', 'commit', 'committing'],
    ['open', 'abort', 'aborting'],
    ['open', 'finish', undefined],
    ['committing', 'commit', 'committing'],
    ['committing', 'abort', undefined],
    ['committing', 'finish', 'committed'],
    ['committed', 'commit', 'committed'],
    ['committed', 'abort', undefined],
    ['committed', 'finish', 'committed'],
    ['aborting', 'commit', undefined],
    ['aborting', 'abort', 'aborting'],
    ['aborting', 'finish', 'aborted'],
    ['aborted', 'commit', undefined],
    ['aborted', 'abort', 'aborted'],
    ['aborted', 'finish', 'aborted'],
  ] as const
  for (const [state, event, next] of cases)
    strictEqual(changeTransaction(state, event), next, `${state} ${event}`)
})

test('a lease has bounds', () => {
  strictEqual(leaseProblem(10_000, TRANSACTION_LIMITS), undefined)
  strictEqual(leaseProblem(600_000, TRANSACTION_LIMITS), undefined)
  for (const leaseMs of [9999, 600_001, 0, -1, Number.MAX_VALUE])
    strictEqual(
      leaseProblem(leaseMs, TRANSACTION_LIMITS),
      `The lease of a transaction is 10000 to 600000 ms, not ${leaseMs}`,
    )
})

test('trap 47: a ping is told why it is the last one', () => {
  const limits = TRANSACTION_LIMITS
  const open = { state: 'open', executionLeftMs: 50_000 } as const
  strictEqual(answerPing(open, 50_000, limits), 'ok')
  strictEqual(answerPing(open, 50_001, limits), 'execution-exceeded')
  strictEqual(answerPing(open, 600_001, limits), 'lease-too-large')
  for (const [state, answer] of [
    ['committing', 'committed'],
    ['committed', 'committed'],
    ['aborting', 'aborted'],
    ['aborted', 'aborted'],
  ] as const)
    strictEqual(answerPing({ state, executionLeftMs: 0 }, 700_000, limits), answer)
})
