/**
 * The load of P11: a rate that rises evenly, then stays for a while, and what segments there have to be meanwhile. Moments are
 * milliseconds since the load began.
 */

export interface Ramp {
  readonly perSecondFirst: number
  readonly perSecondLast: number
  readonly risesMs: number
  /** At the last rate, so that what has been crossed shortly before can be followed. */
  readonly staysMs: number
}

/** How many events are due by then. */
export function dueBy(atMs: number, ramp: Ramp): number {
  const risingMs = Math.min(atMs, ramp.risesMs)
  const risen = perMs(ramp.perSecondFirst) * risingMs + (steepness(ramp) * risingMs ** 2) / 2
  return risen + perMs(ramp.perSecondLast) * (atMs - risingMs)
}

/** When the event of this number is due, the first of which is 0. */
export function dueAtMs(index: number, ramp: Ramp): number {
  const risen = dueBy(ramp.risesMs, ramp)
  if (index >= risen) return ramp.risesMs + (index - risen) / perMs(ramp.perSecondLast)
  const first = perMs(ramp.perSecondFirst)
  const rise = steepness(ramp)
  return (Math.sqrt(first ** 2 + 2 * rise * index) - first) / rise
}

export function endMsOf({ risesMs, staysMs }: Ramp): number {
  return risesMs + staysMs
}

/** The stream had so many segments from then on. */
export interface SegmentsSeen {
  readonly atMs: number
  readonly segments: number
}

/** The load has become more than so many segments should take. */
export interface Crossing {
  readonly segments: number
  readonly perSecond: number
  readonly crossedMs: number
  /** When the stream had more segments; undefined if it never had while there was load. */
  readonly splitMs: number | undefined
  /** 0 if it had them before. */
  readonly lateMs: number
}

/** One for each multiple of the target, below the last rate, that the load rises above. */
export function crossingsOf(ramp: Ramp, target: number, seen: readonly SegmentsSeen[]): readonly Crossing[] {
  const crossings: Crossing[] = []
  const endMs = endMsOf(ramp)
  const from = Math.max(1, Math.ceil(ramp.perSecondFirst / target))
  for (let segments = from; segments * target < ramp.perSecondLast; segments++) {
    const perSecond = segments * target
    const crossedMs = perMs(perSecond - ramp.perSecondFirst) / steepness(ramp)
    const splitMs = seen.find((each) => each.segments > segments && each.atMs <= endMs)?.atMs
    const lateMs = Math.max(0, (splitMs ?? endMs) - crossedMs)
    crossings.push({ segments, perSecond, crossedMs, splitMs, lateMs })
  }
  return crossings
}

/** By how much the rate, in events a millisecond, rises in a millisecond. */
function steepness({ perSecondFirst, perSecondLast, risesMs }: Ramp): number {
  return perMs(perSecondLast - perSecondFirst) / risesMs
}

function perMs(perSecond: number): number {
  return perSecond / 1000
}
