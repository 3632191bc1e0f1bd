import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { selfTimes } from './profile.ts'

test('time goes to the function that was running, over all of its call paths', () => {
  const node = (id: number, functionName: string): Parameters<typeof selfTimes>[0]['nodes'][number] => ({
    id,
    callFrame: { functionName, url: 'file:///src/queue.ts', lineNumber: 9 },
  })
  const profile = {
    nodes: [node(1, 'push'), node(2, ''), node(3, 'push')],
    samples: [1, 2, 3, 1],
    timeDeltas: [10, 20, 30, 40],
  }
  deepEqual(selfTimes(profile), [
    { name: 'push queue.ts:10', share: 0.8 },
    { name: '(anonymous) queue.ts:10', share: 0.2 },
  ])
})
