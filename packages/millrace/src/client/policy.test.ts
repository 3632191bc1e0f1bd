import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from './errors.ts'
import { configOf, policyOf, type StreamPolicy } from './policy.ts'

const INFO = { scope: 'shop', stream: 'orders' }

test('a policy is the same after its way through the controller', () => {
  const policies: StreamPolicy[] = [
    { scaling: { segments: 7 } },
    { scaling: { eventsPerSecond: 100, segmentsMin: 2 }, tags: ['a', 'b'] },
    { scaling: { bytesPerSecond: 2048, segmentsMin: 1 }, retention: { ageMs: 1000 } },
    { scaling: { segments: 1 }, retention: { ageMs: 1000, ageMsMax: 9000 } },
    { scaling: { segments: 1 }, retention: { bytes: 2 ** 40, bytesMax: 2 ** 41 } },
  ]
  for (const policy of policies) deepStrictEqual(policyOf(configOf(policy, INFO)), policy)
})

test('what is not said is one segment that scales by itself, kept for ever, without tags', () => {
  const config = configOf({}, INFO)
  deepStrictEqual(policyOf(config), { scaling: { bytesPerSecond: 32 * 1024 * 1024, segmentsMin: 1 } })
  strictEqual(config.retentionPolicy, undefined)
})

test('rates are whole kilobytes on the wire', () => {
  deepStrictEqual(configOf({ scaling: { bytesPerSecond: 3072 } }, INFO).scalingPolicy, {
    scaleType: 1,
    targetRate: 3,
    scaleFactor: 2,
    minNumSegments: 1,
  })
})

test('an update keeps what it does not mention', () => {
  const present = configOf({ scaling: { segments: 3 }, retention: { bytes: 5 }, tags: ['a'] }, INFO)
  const updated = configOf({ tags: [] }, INFO, { ...present, rolloverSizeBytes: 77n })
  deepStrictEqual(policyOf(updated), { scaling: { segments: 3 }, retention: { bytes: 5 } })
  strictEqual(updated.rolloverSizeBytes, 77n)
})

test('numbers that cannot be are refused by name', () => {
  const refused: [StreamPolicy, RegExp][] = [
    [{ scaling: { segments: 0 } }, /^segments is a whole number from 1 to 2147483647, not 0$/],
    [{ scaling: { segments: 1.5 } }, /^segments/],
    [{ scaling: { eventsPerSecond: Number.NaN } }, /^eventsPerSecond/],
    [{ scaling: { eventsPerSecond: 1, segmentsMin: -1 } }, /^segmentsMin/],
    [{ scaling: { bytesPerSecond: 1025 } }, /^bytesPerSecond is whole kilobytes/],
    [{ scaling: { bytesPerSecond: 0 } }, /^bytesPerSecond/],
    [{ retention: { ageMs: 0 } }, /^ageMs/],
    [{ retention: { bytes: 1, bytesMax: 2 ** 60 } }, /^bytesMax/],
  ]
  for (const [policy, message] of refused)
    throws(
      () => configOf(policy, INFO),
      (error) => isMillraceError(error) && error.code === 'invalid-argument' && message.test(error.message),
    )
})
