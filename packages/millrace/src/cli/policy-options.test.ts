import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import type { StreamPolicy } from '../client/policy.ts'
import { addPolicyOptions, policyOf, showRetention, showScaling } from './policy-options.ts'

function policy(...args: string[]): StreamPolicy {
  const command = addPolicyOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
  return policyOf(command.parse(args, { from: 'user' }).opts())
}

test('nothing said is nothing decided', () => {
  deepStrictEqual(policy(), {})
})

test('a stream scales by one of three', () => {
  deepStrictEqual(policy('--segments', '4'), { scaling: { segments: 4 } })
  deepStrictEqual(policy('--events-per-second', '1000', '--segments-min', '2'), {
    scaling: { eventsPerSecond: 1000, segmentsMin: 2 },
  })
  deepStrictEqual(policy('--bytes-per-second', '64KiB'), { scaling: { bytesPerSecond: 65_536 } })
  throws(
    () => policy('--segments', '4', '--events-per-second', '9'),
    /--segments and --events-per-second exclude/,
  )
  throws(() => policy('--segments-min', '2'), /goes with/)
  throws(() => policy('--segments', '4', '--segments-min', '2'), /a fixed number is --segments/)
})

test('retention is by age or by bytes, with a maximum or without', () => {
  deepStrictEqual(policy('--retain-for', '7d'), { retention: { ageMs: 604_800_000 } })
  deepStrictEqual(policy('--retain-for', '1h', '--retain-for-max', '2h'), {
    retention: { ageMs: 3_600_000, ageMsMax: 7_200_000 },
  })
  deepStrictEqual(policy('--retain-bytes', '1k', '--retain-bytes-max', '2k'), {
    retention: { bytes: 1024, bytesMax: 2048 },
  })
  throws(() => policy('--retain-for', '1h', '--retain-bytes', '1k'), /exclude one another/)
  throws(() => policy('--retain-for-max', '1h'), /goes with --retain-for/)
  throws(() => policy('--retain-bytes-max', '1k'), /goes with --retain-bytes/)
})

test('tags are given one by one or together', () => {
  deepStrictEqual(policy('--tag', 'a', '--tag', 'b'), { tags: ['a', 'b'] })
  deepStrictEqual(policy('--tag', 'a', 'b'), { tags: ['a', 'b'] })
})

test('a policy in words', () => {
  strictEqual(showScaling({ segments: 1 }), '1 segment, fixed')
  strictEqual(
    showScaling({ eventsPerSecond: 1000, segmentsMin: 2 }),
    'by events: about 1,000 events a second in a segment, at least 2 segments',
  )
  strictEqual(
    showScaling({ bytesPerSecond: 65_536 }),
    'by bytes: about 64.0 KiB a second in a segment, at least 1 segment',
  )
  strictEqual(showRetention(undefined), 'everything')
  strictEqual(
    showRetention({ ageMs: 86_400_000, ageMsMax: 172_800_000 }),
    'events of the last 1 day, at most 2 days',
  )
  strictEqual(showRetention({ bytes: 1024 }), 'the last 1.0 KiB')
})
