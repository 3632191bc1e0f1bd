/** Thrown when the program itself is wrong. Whoever owns the broken state stops; nobody carries on with it. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** States what must hold. Values that come from wire, disk or caller are never asserted, they get typed errors. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** The end of a switch over a closed union. */
export function unreachable(value: never): never {
  throw new AssertionError(`No case for ${JSON.stringify(value)}`)
}
