/** Places in a stream as programs hold them: Java's text of a stream cut. */
import type { ScopedName } from '../protocol/names.ts'
import { ProtocolError } from '../protocol/protocol-error.ts'
import { parseStreamCut, showStreamCut } from '../protocol/stream-cut.ts'
import { invalidArgument } from './errors.ts'
import type { SegmentCalls, Wait } from './segment-calls.ts'
import type { Cut, StreamMetadata } from './stream-metadata.ts'

/** The text form of Java's StreamCut: it may be kept, and given to Java. */
export type StreamCut = string

/** A word or a cut. The intersection changes nothing, but lets editors offer the words. */
export type WordOrCut<Word extends string> = Word | (StreamCut & Record<never, never>)

export function showCut({ scope, name }: ScopedName, cut: Cut): StreamCut {
  return showStreamCut({ scope, stream: name, positions: cut })
}

/** Throws `invalid-argument` if the text is no cut of this stream. */
export function parseCut({ scope, name }: ScopedName, text: StreamCut): Cut {
  try {
    const cut = parseStreamCut(text)
    if (cut.scope === scope && cut.stream === name) return cut.positions
    throw invalidArgument(`The cut is one of ${cut.scope}/${cut.stream}, not of ${scope}/${name}`)
  } catch (error) {
    if (error instanceof ProtocolError) throw invalidArgument(error.message, error)
    throw error
  }
}

/** Where the next events would go. For a sealed stream: where its last segments end. */
export async function tailOf(metadata: StreamMetadata, segments: SegmentCalls, wait: Wait): Promise<Cut> {
  const current = await metadata.current(wait)
  const ids = current.length > 0 ? current.map(({ id }) => id) : await lastSegments(metadata, wait)
  const states = await Promise.all(ids.map((id) => segments.segmentState(metadata.nameOf(id), wait)))
  return new Map(states.map(({ writeOffset }, index) => [ids[index]!, writeOffset]))
}

async function lastSegments(metadata: StreamMetadata, wait: Wait): Promise<readonly bigint[]> {
  const last: bigint[] = []
  for (const id of await metadata.between(await metadata.head(wait), new Map(), wait))
    if ((await metadata.successors(id, wait)).length === 0) last.push(id)
  return last
}
