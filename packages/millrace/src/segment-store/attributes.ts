/** Attributes of segments: a sixteen-byte id and a long each (reference: Pravega's Attributes, AttributeUpdateType). */
import { LONG_MIN, type Long } from '../protocol/wire/commands.ts'

/** The core attributes are numbered: the first half of their id is Long.MIN, the second the number. */
export function coreAttribute(number: number): string {
  const id = Buffer.alloc(16)
  id[0] = 0x80
  id.writeUInt32BE(number, 12)
  return id.toString('latin1')
}

export const CREATION_TIME: string = coreAttribute(0)
export const EVENT_COUNT: string = coreAttribute(1)
export const SCALE_TYPE: string = coreAttribute(2)
export const SCALE_RATE: string = coreAttribute(3)
export const ROLLOVER_BYTES: string = coreAttribute(4)

export const UpdateType = {
  none: 0,
  replace: 1,
  replaceIfGreater: 2,
  accumulate: 3,
  replaceIfEquals: 4,
} as const

export interface AttributeUpdate {
  readonly id: string
  readonly type: number
  readonly value: Long
  /** With `replaceIfEquals`; LONG_MIN means that it must not be set. */
  readonly expected: Long
}

export type Attributes = Map<string, Long>

/** What the attribute becomes, or undefined if the update's condition does not hold. */
export function updated(attributes: ReadonlyMap<string, Long>, update: AttributeUpdate): Long | undefined {
  const current = attributes.get(update.id) ?? LONG_MIN
  switch (update.type) {
    case UpdateType.none:
      return current === LONG_MIN ? update.value : undefined
    case UpdateType.replace:
      return update.value
    case UpdateType.replaceIfGreater:
      return current === LONG_MIN || update.value > current ? update.value : undefined
    case UpdateType.accumulate:
      return current === LONG_MIN ? update.value : wrapped(BigInt(current) + BigInt(update.value))
    case UpdateType.replaceIfEquals:
      return current === update.expected ? update.value : undefined
    default:
      return undefined
  }
}

/** A sum as Java has it. */
function wrapped(sum: bigint): Long {
  const value = BigInt.asIntN(64, sum)
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value
}
