/** Events as the bytes they are. */
import type { Store } from '../client/store.ts'
import type { Stream } from '../client/stream.ts'
import type { Codec } from '../client/values.ts'

export const rawEvents: Codec<Uint8Array> = {
  encode: (bytes) => bytes,
  decode: (bytes) => bytes,
}

/** A stream that must exist. */
export function handle(store: Store, name: string): Stream<Uint8Array> {
  return store.stream(name, { key: null, codec: rawEvents, create: false })
}
