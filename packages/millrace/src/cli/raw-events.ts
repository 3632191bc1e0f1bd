/** Events as the bytes they are. */
import type { Codec } from '../client/values.ts'

export const rawEvents: Codec<Uint8Array> = {
  encode: (bytes) => bytes,
  decode: (bytes) => bytes,
}
