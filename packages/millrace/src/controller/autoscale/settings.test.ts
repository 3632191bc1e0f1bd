import { deepStrictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { autoScaleSettings } from './settings.ts'

test('what is not set is as usual', () => {
  deepStrictEqual(autoScaleSettings({ holdOffMs: 30_000 }), {
    pollMs: 1000,
    sustainMs: 5000,
    coldMs: 30_000,
    holdOffMs: 30_000,
    restMs: 3_600_000,
    segmentsMax: 1000,
  })
})

test('what cannot be is refused with the bounds', () => {
  const cases: [given: object, message: RegExp][] = [
    [{ pollMs: 0 }, /^pollMs of auto-scaling is a whole number from 100 to 10000, not 0$/],
    [{ holdOffMs: -1 }, /holdOffMs .* from 0 to 2592000000, not -1/],
    [{ coldMs: 2500.5 }, /coldMs .* not 2500.5/],
    [{ segmentsMax: 10_001 }, /segmentsMax .* from 1 to 10000, not 10001/],
    [{ restMs: 'long' }, /restMs .* not long/],
    [{ sustainMs: Number.NaN }, /sustainMs .* not NaN/],
    [{ pollMs: 8000, sustainMs: 5000 }, /sustainMs .* is 5000, but .* 8000 ms \(pollMs\)/],
    [{ holdOff: 1 }, /no setting 'holdOff'/],
  ]
  for (const [given, message] of cases)
    throws(() => autoScaleSettings(given), { name: 'ControllerError', code: 'invalid-argument', message })
})
