/** A place in a revisioned stream, as its users keep it. */
import { parseSegmentName, segmentName } from './names.ts'
import { ProtocolError } from './protocol-error.ts'

export interface Revision {
  readonly segment: string
  readonly offset: number
  /** Which of the updates that were written at once. */
  readonly index: number
}

/** Java's text form: `scope/stream/0.#epoch.0:offset:index`. */
export function showRevision({ segment, offset, index }: Revision): string {
  return `${segment}:${offset}:${index}`
}

export function parseRevision(text: string): Revision {
  const match = /^([^:]{1,1000}):(\d{1,16}):(\d{1,10})$/.exec(text)
  const offset = Number(match?.[2])
  const index = Number(match?.[3])
  if (match === null || !Number.isSafeInteger(offset) || index >= 2 ** 31)
    throw new ProtocolError('malformed', `A revision is segment:offset:index, not '${text.slice(0, 100)}'`)
  return { segment: segmentName(parseSegmentName(match[1]!)), offset, index }
}
