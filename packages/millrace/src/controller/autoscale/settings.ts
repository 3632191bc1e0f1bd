/** What can be set of auto-scaling, and what it may be. */
import { ControllerError } from '../../protocol/controller/service.ts'
import { SEGMENTS_MAX } from '../limits.ts'

export interface AutoScaleSettings {
  /** Between two looks at the load while there is any. */
  readonly pollMs: number
  /** How long a segment must be over its target before it is split. Bursts of half the time are no reason. */
  readonly sustainMs: number
  /** How long neighbours must be cold before they are merged. */
  readonly coldMs: number
  /** After a split its segments are not merged for so long. */
  readonly holdOffMs: number
  /** A segment that splitting does not help is left alone for so long before that is tried once more. */
  readonly restMs: number
  /** A stream is not split into more segments than this. */
  readonly segmentsMax: number
}

const HOUR_MS = 3600_000
const DAY_MS = 24 * HOUR_MS

const BOUNDS: Readonly<Record<keyof AutoScaleSettings, { usual: number; min: number; max: number }>> = {
  pollMs: { usual: 1000, min: 100, max: 10_000 },
  sustainMs: { usual: 5000, min: 1000, max: HOUR_MS },
  coldMs: { usual: 30_000, min: 1000, max: DAY_MS },
  holdOffMs: { usual: 10 * 60_000, min: 0, max: 30 * DAY_MS },
  restMs: { usual: HOUR_MS, min: 0, max: 30 * DAY_MS },
  segmentsMax: { usual: 1000, min: 1, max: SEGMENTS_MAX },
}

/** What is not given is as usual. Rejects with `invalid-argument` what cannot be. */
export function autoScaleSettings(given: Partial<AutoScaleSettings> = {}): AutoScaleSettings {
  for (const name of Object.keys(given))
    if (!(name in BOUNDS))
      throw new ControllerError('invalid-argument', `Auto-scaling has no setting '${name}'`)
  const settings = {
    pollMs: setting(given, 'pollMs'),
    sustainMs: setting(given, 'sustainMs'),
    coldMs: setting(given, 'coldMs'),
    holdOffMs: setting(given, 'holdOffMs'),
    restMs: setting(given, 'restMs'),
    segmentsMax: setting(given, 'segmentsMax'),
  }
  for (const name of ['sustainMs', 'coldMs'] as const)
    if (settings[name] < settings.pollMs)
      throw new ControllerError(
        'invalid-argument',
        `${name} of auto-scaling is ${settings[name]}, but there is only one look in ${settings.pollMs} ms (pollMs)`,
      )
  return settings
}

function setting(given: Partial<AutoScaleSettings>, name: keyof AutoScaleSettings): number {
  const { usual, min, max } = BOUNDS[name]
  const value = given[name] ?? usual
  if (!Number.isInteger(value) || value < min || value > max)
    throw new ControllerError(
      'invalid-argument',
      `${name} of auto-scaling is a whole number from ${min} to ${max}, not ${String(value)}`,
    )
  return value
}
