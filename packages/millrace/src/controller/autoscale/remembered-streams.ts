/**
 * Streams that have more segments than they need at least, written down so that they are found again after a restart: once nothing
 * is appended to them any more, nothing else would tell of them, and looking through all streams there are is out of the question.
 */
import type { Random } from '../../base/host.ts'
import type { SegmentCalls } from '../../client/segment-calls.ts'
import { parseScopedName, scopedName } from '../../protocol/names.ts'
import type { RecordCodec } from '../record-codec.ts'
import { NoTableError, type Place, Records } from '../records.ts'
import type { StreamName } from './scalable-streams.ts'

/** What is said twice counts once. */
export interface RememberedStreams {
  add(name: StreamName): Promise<void>
  remove(name: StreamName): Promise<void>
  /** Page by page, in no order. What changes meanwhile may be among them or not, or come twice. */
  list(): AsyncIterable<readonly StreamName[]>
}

export const SCALED_STREAMS_TABLE = '_system/_tables/scaled-streams'

type Nothing = Readonly<Record<string, never>>

/** The key says it all. */
const CODEC: RecordCodec<Nothing> = {
  what: 'scaled stream',
  version: 1,
  toJson: () => ({}),
  fromJson: () => ({}),
}

/** Held in memory, about so many names. */
const HELD_BYTES_MAX = 100_000

export function rememberedStreams(stored: { segments: SegmentCalls; random: Random }): RememberedStreams {
  const records = new Records(stored, { codec: CODEC, heldBytesMax: HELD_BYTES_MAX })

  async function put(place: Place): Promise<void> {
    // Whoever is quicker has written the same.
    if ((await records.get(place)) === undefined) await records.put(place, {}, undefined)
  }

  return {
    async add(name) {
      const place = placeOf(name)
      try {
        await put(place)
      } catch (error) {
        if (!(error instanceof NoTableError)) throw error
        await stored.segments.createTable(SCALED_STREAMS_TABLE)
        await put(place)
      }
    },
    async remove(name) {
      const place = placeOf(name)
      for (;;) {
        const found = await records.get(place)
        if (found === undefined || (await records.remove(place, found))) return
      }
    },
    async *list() {
      for await (const page of records.list(SCALED_STREAMS_TABLE, ''))
        yield page.map(({ key }) => {
          const { scope, name } = parseScopedName(key)
          return { scope, stream: name }
        })
    },
  }
}

function placeOf({ scope, stream }: StreamName): Place {
  return { table: SCALED_STREAMS_TABLE, key: scopedName(scope, stream) }
}
