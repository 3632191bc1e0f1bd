import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { SegmentError } from '../../client/segment-calls.ts'
import { FakeSegments } from '../../testing/fake-segments.ts'
import { SimRandom } from '../../testing/sim/sim-random.ts'
import { type RememberedStreams, rememberedStreams, SCALED_STREAMS_TABLE } from './remembered-streams.ts'

function open(fake: FakeSegments, segments = fake.connect()): RememberedStreams {
  return rememberedStreams({ segments, random: new SimRandom('remembered') })
}

async function listed(remembered: RememberedStreams): Promise<string[]> {
  const names: string[] = []
  for await (const page of remembered.list())
    for (const { scope, stream } of page) names.push(`${scope}/${stream}`)
  return names.toSorted()
}

test('what is remembered is there for the next process, until it is forgotten', async () => {
  const fake = new FakeSegments()
  const before = open(fake)
  deepStrictEqual(await listed(before), [])
  for (const stream of ['a', 'b', 'c', 'd', 'e']) await before.add({ scope: 'shop', stream })
  await before.add({ scope: 'shop', stream: 'a' })
  await before.remove({ scope: 'shop', stream: 'b' })
  const after = open(fake)
  deepStrictEqual(await listed(after), ['shop/a', 'shop/c', 'shop/d', 'shop/e'])
  for (const stream of ['a', 'b', 'c', 'd', 'e']) await after.remove({ scope: 'shop', stream })
  deepStrictEqual(await listed(after), [])
})

test('two that remember and forget the same come to no harm', async () => {
  const fake = new FakeSegments()
  const [one, other] = [open(fake), open(fake)]
  const name = { scope: 'shop', stream: 'orders' }
  await Promise.all([one.add(name), other.add(name)])
  strictEqual(fake.dump(SCALED_STREAMS_TABLE).size, 1)
  await Promise.all([one.remove(name), other.remove(name)])
  await Promise.all([one.add(name), other.add(name)])
  deepStrictEqual(await listed(one), ['shop/orders'])
})

test('a store that fails is told of, and nothing is taken for remembered', async () => {
  const fake = new FakeSegments()
  const error = new SegmentError('closed', SCALED_STREAMS_TABLE, 'closed')
  const cut = open(
    fake,
    fake.connect(({ name }) => (name === 'updateTable' ? { carriedOut: false, error } : undefined)),
  )
  await rejects(cut.add({ scope: 'shop', stream: 'orders' }), { code: 'closed' })
  deepStrictEqual(await listed(open(fake)), [])
})
