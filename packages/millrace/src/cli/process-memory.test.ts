import { notStrictEqual, strictEqual } from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { giveBackMemory, tuneCollector } from './process-memory.ts'

test('what nobody holds any more is given back at once', async () => {
  tuneCollector()
  const held = { bytes: Buffer.alloc(1000) }
  const [dropped, kept] = [new WeakRef({ bytes: Buffer.alloc(1000) }), new WeakRef(held)]
  // A weak reference keeps its object for the turn in which it was made.
  await setTimeout(1)
  giveBackMemory()
  strictEqual(dropped.deref(), undefined)
  notStrictEqual(kept.deref(), undefined)
  strictEqual(held.bytes.length, 1000)
})
