/**
 * How controller calls cross a byte connection inside a process or a simulation: our own format, never between versions.
 *
 *     frame  = uint32 length (big-endian), then that many bytes of JSON
 *     call   = { id, rpc, request }          cancel = { id, cancel: true }
 *     answer = { id, response }  or  { id, code, message }
 *
 * A bigint is `{"$n":"123"}` and a Map `{"$m":[[key,value],...]}`; no message has a field of these names. An absent field
 * stays absent.
 */
import { ControllerError, type ControllerErrorCode, type RpcName } from './service.ts'

export type LocalFrame =
  | { readonly id: number; readonly rpc: RpcName; readonly request: object }
  | { readonly id: number; readonly cancel: true }
  | { readonly id: number; readonly response: object }
  | { readonly id: number; readonly code: ControllerErrorCode; readonly message: string }

/** Far above the largest answer, a listing page or the segments of one epoch. */
const FRAME_BYTES_MAX = 64 * 1024 * 1024

export function encodeLocalFrame(frame: LocalFrame): Buffer {
  const json = JSON.stringify(frame, tag)
  const length = Buffer.byteLength(json)
  const bytes = Buffer.allocUnsafe(4 + length)
  bytes.writeUInt32BE(length)
  bytes.write(json, 4)
  return bytes
}

/** Puts frames together from chunks cut anywhere. */
export class LocalFrameReader {
  #rest: Buffer = Buffer.alloc(0)

  /** The frames that are complete now. Throws `ControllerError` for bytes that are none. */
  push(chunk: Buffer): LocalFrame[] {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const frames: LocalFrame[] = []
    while (rest.length >= 4) {
      const length = rest.readUInt32BE()
      if (length > FRAME_BYTES_MAX)
        throw new ControllerError(
          'internal',
          `A frame of ${length} bytes, at most ${FRAME_BYTES_MAX} are taken`,
        )
      if (rest.length < 4 + length) break
      frames.push(JSON.parse(rest.toString('utf8', 4, 4 + length), untag) as LocalFrame)
      rest = rest.subarray(4 + length)
    }
    this.#rest = rest
    return frames
  }
}

function tag(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return { $n: String(value) }
  if (value instanceof Map) return { $m: [...(value as ReadonlyMap<unknown, unknown>)] }
  return value
}

function untag(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('$n' in value) return BigInt(value.$n as string)
  if ('$m' in value) return new Map(value.$m as [unknown, unknown][])
  return value
}
