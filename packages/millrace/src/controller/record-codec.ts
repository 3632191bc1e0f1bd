/**
 * Records as the values of table entries: JSON with a version, `{"v":1,"w":"<write id>","r":<record>}` (docs/formats/metadata.md).
 * The store checks every byte that it reads back, so a value of a known version is one that was written here; anything else
 * is damage or the future, and is named.
 *
 * A bigint is `{"$n":"123"}` and a map of segments `{"$m":[[id,offset],...]}`; absent fields stay absent.
 */
import { ControllerError } from '../protocol/controller/service.ts'
import { RECORD_BYTES_MAX } from './limits.ts'

export interface RecordCodec<T> {
  /** What a record describes, for messages: `stream`. */
  readonly what: string
  /** That it is written in. It changes with whatever an earlier controller would misread. */
  readonly version: number
  /** Earlier ones that are read as well. */
  readonly versionsBefore?: readonly number[]
  toJson(record: T): unknown
  fromJson(json: unknown, version: number): T
  /** What the record takes in memory beside its stored form. */
  bytesBeside?(record: T): number
}

export interface DecodedRecord<T> {
  readonly record: T
  /** Drawn for every write; tells a writer whether a value is its own. */
  readonly writeId: string
}

export function encodeRecord<T>(
  codec: RecordCodec<T>,
  written: { key: string; record: T; writeId: string },
): Buffer {
  const { key, record, writeId } = written
  const value = Buffer.from(
    JSON.stringify({ v: codec.version, w: writeId, r: codec.toJson(record) }, tagged),
    'utf8',
  )
  if (value.length > RECORD_BYTES_MAX)
    throw new ControllerError(
      'invalid-argument',
      `The record of ${codec.what} '${key}' would take ${value.length} bytes, at most ${RECORD_BYTES_MAX} fit`,
    )
  return value
}

export function decodeRecord<T>(
  codec: RecordCodec<T>,
  stored: { key: string; value: Buffer },
): DecodedRecord<T> {
  const what = `The record of ${codec.what} '${stored.key}'`
  let json: { readonly v?: unknown; readonly w?: unknown; readonly r?: unknown }
  try {
    const parsed: unknown = JSON.parse(stored.value.toString('utf8'), untagged)
    json = typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch (error) {
    throw new ControllerError('data-loss', `${what} cannot be read`, { cause: error })
  }
  const { v: version, w: writeId } = json
  const readable = [...(codec.versionsBefore ?? []), codec.version]
  if (typeof version !== 'number' || !readable.includes(version) || typeof writeId !== 'string')
    throw new ControllerError(
      'data-loss',
      `${what} has version ${version === undefined ? 'none' : JSON.stringify(version)}, this controller reads version ${readable.join(' and ')}`,
    )
  return { record: codec.fromJson(json.r, version), writeId }
}

function tagged(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $n: String(value) }
  if (value instanceof Map) return { $m: [...(value as ReadonlyMap<bigint, number>)] }
  return value
}

function untagged(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('$n' in value) return BigInt(value.$n as string)
  if ('$m' in value) return new Map(value.$m as [bigint, number][])
  return value
}
