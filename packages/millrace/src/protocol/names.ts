/**
 * Names of streams and segments as Pravega forms them. Whoever takes a segment's name from a peer takes any name: tables of
 * the schema registry, for one, have segments that look like nothing below.
 */
import { assert } from '../base/assert.ts'
import { ProtocolError } from './protocol-error.ts'
import { uuidHex } from './uuid.ts'

/** Where the streams of the system itself live. */
export const SYSTEM_SCOPE = '_system'

const GROUP_PREFIX = '_RG'
const MARK_PREFIX = '_MARK'
const TABLE_SUFFIX = '_kvtable'
const EPOCH = '.#epoch.'
const TRANSACTION = '#transaction.'
const TRANSIENT = '#transient.'
/** A UUID in hexadecimal digits. */
const ID_LENGTH = 32
const INT32_MAX = 2 ** 31 - 1

const NAME_LENGTH_MAX = 255
/** Room is left for the prefix that a name gets when a stream is made for it. */
const GIVEN_NAME_LENGTH_MAX = NAME_LENGTH_MAX - 5

export type NamedThing = 'scope' | 'stream' | 'key-value table' | 'reader group' | 'reader' | 'writer'

/** Why a user may not give this name; undefined if it is a good one. */
export function userNameProblem(thing: NamedThing, name: string): string | undefined {
  const lengthMax = thing === 'scope' ? NAME_LENGTH_MAX : GIVEN_NAME_LENGTH_MAX
  return nameProblem({ thing, name, lengthMax, characters: name })
}

/** The same for names that the system gives, too: they may begin with one `_`, and are not shortened for a prefix. */
export function anyNameProblem(thing: 'scope' | 'stream', name: string): string | undefined {
  const characters = isInternalName(name) ? name.slice(1) : name
  return nameProblem({ thing, name, lengthMax: NAME_LENGTH_MAX, characters })
}

function nameProblem(name: {
  thing: NamedThing
  name: string
  lengthMax: number
  characters: string
}): string | undefined {
  if (name.name.length > name.lengthMax)
    return `The name of a ${name.thing} has ${name.name.length} characters, at most ${name.lengthMax} are allowed`
  if (!/^[A-Za-z0-9.-]+$/.test(name.characters))
    return `The name of a ${name.thing} is made of letters, digits, '.' and '-', not '${name.name}'`
  return undefined
}

/** Internal names do not show in listings for people. */
export function isInternalName(name: string): boolean {
  return name.startsWith('_')
}

/** The stream that a reader group keeps its state in. */
export function groupStreamOf(group: string): string {
  return GROUP_PREFIX + group
}

/** The group whose state a stream holds; undefined if it is another stream. */
export function groupOfStream(stream: string): string | undefined {
  return stream.startsWith(GROUP_PREFIX) ? stream.slice(GROUP_PREFIX.length) : undefined
}

/** The stream that holds a stream's watermarks. */
export function markStreamOf(stream: string): string {
  return MARK_PREFIX + stream
}

export function isMarkStream(stream: string): boolean {
  return stream.startsWith(MARK_PREFIX)
}

/** The stream whose segments are the partitions of a key-value table. */
export function tableStreamOf(table: string): string {
  return table + TABLE_SUFFIX
}

export interface ScopedName {
  readonly scope: string
  readonly name: string
}

/** `scope/name`, for streams, tables and groups. */
export function scopedName(scope: string, name: string): string {
  return `${scope}/${name}`
}

export function parseScopedName(text: string): ScopedName {
  const [scope, name, ...more] = text.split('/')
  if (scope === undefined || scope === '' || name === undefined || name === '' || more.length > 0)
    throw new ProtocolError('malformed', `A scoped name is scope/name, not '${text}'`)
  return { scope, name }
}

export interface SegmentNumber {
  /** Unique among all segments the stream ever had, but not dense. */
  readonly number: number
  /** In which the segment was made. */
  readonly epoch: number
}

export interface StreamSegment extends SegmentNumber {
  readonly scope: string
  readonly stream: string
}

/** Both halves in one long: trap 32. */
export function segmentIdOf({ number, epoch }: SegmentNumber): bigint {
  assertInt32(number, 'number')
  assertInt32(epoch, 'epoch')
  return (BigInt(epoch) << 32n) | BigInt(number)
}

export function splitSegmentId(id: bigint): SegmentNumber {
  const number = Number(id & 0xffff_ffffn)
  const epoch = Number(id >> 32n)
  if (number > INT32_MAX || epoch < 0 || epoch > INT32_MAX)
    throw new ProtocolError('malformed', `No segment has the id ${id}`)
  return { number, epoch }
}

/** `scope/stream/7.#epoch.3` */
export function segmentName({ scope, stream, number, epoch }: StreamSegment): string {
  assertInt32(number, 'number')
  assertInt32(epoch, 'epoch')
  return `${scope}/${stream}/${number}${EPOCH}${epoch}`
}

export function segmentNameOfId(scope: string, stream: string, id: bigint): string {
  return segmentName({ scope, stream, ...splitSegmentId(id) })
}

/** Of a segment or of a transaction's or writer's part of it. Names without an epoch come from old versions: epoch 0. */
export function parseSegmentName(name: string): StreamSegment {
  const segment = parentSegmentName(name) ?? name
  const match = /^([^/]+)\/([^/]+)\/(\d{1,10})(?:\.#epoch\.(\d{1,10}))?$/.exec(segment)
  const number = Number(match?.[3])
  const epoch = Number(match?.[4] ?? 0)
  if (match === null || number > INT32_MAX || epoch > INT32_MAX)
    throw new ProtocolError(
      'malformed',
      `A segment's name is scope/stream/number${EPOCH}epoch, not '${name}'`,
    )
  return { scope: match[1]!, stream: match[2]!, number, epoch }
}

/** `transaction` as sixteen characters. */
export function transactionSegmentName(parent: string, transaction: string): string {
  return parent + TRANSACTION + uuidHex(transaction)
}

/** What a large event is collected in, for one writer of the parent; `writer` and `random` as sixteen characters. */
export function transientSegmentName(parent: string, writer: string, random: string): string {
  return `${parent}${TRANSIENT}${uuidHex(writer)}.${uuidHex(random)}`
}

export function isTransactionSegment(name: string): boolean {
  return delimiterPosition(name, TRANSACTION) >= 0
}

export function isTransientSegment(name: string): boolean {
  return delimiterPosition(name, TRANSIENT) >= 0
}

/** The segment that a transaction or transient segment will be merged into; undefined for any other segment. */
export function parentSegmentName(name: string): string | undefined {
  for (const delimiter of [TRANSACTION, TRANSIENT]) {
    const position = delimiterPosition(name, delimiter)
    if (position >= 0) return name.slice(0, position)
  }
  return undefined
}

/** What decides the place of a segment: all that may be merged with one another have the same, trap 31. */
export function primarySegmentName(name: string): string {
  let primary = name
  for (let parent = parentSegmentName(primary); parent !== undefined; parent = parentSegmentName(primary))
    primary = parent
  const epochAt = primary.lastIndexOf(EPOCH)
  return epochAt < 0 ? primary : primary.slice(0, epochAt)
}

/** The epoch that a transaction was opened in: the upper half of its id, trap 45. */
export function epochOfTransaction(transaction: string): number {
  return Buffer.from(transaction, 'latin1').readInt32BE(0)
}

/** -1 if no delimiter is followed by enough characters for an id. */
function delimiterPosition(name: string, delimiter: string): number {
  const position = name.lastIndexOf(delimiter)
  return position + delimiter.length + ID_LENGTH > name.length ? -1 : position
}

function assertInt32(value: number, what: string): void {
  assert(Number.isInteger(value) && value >= 0 && value <= INT32_MAX, `No ${what} of a segment: ${value}`)
}
