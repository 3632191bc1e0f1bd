/** A checkpoint of a reader group, as users store it: Flink keeps it in its savepoints. */
import { ByteReader } from './byte-reader.ts'
import { encodeVersioned, readMap, readText, readVersioned, writeMap, writeText } from './java-serializer.ts'
import { readStreamCut, type StreamCut, writeStreamCut } from './stream-cut.ts'

export interface Checkpoint {
  readonly name: string
  /** By `scope/stream`. */
  readonly cuts: ReadonlyMap<string, StreamCut>
}

export function encodeCheckpoint({ name, cuts }: Checkpoint): Buffer {
  return encodeVersioned({ version: 0 }, [
    (writer) => {
      writer.string(name)
      writeMap(writer, cuts, writeText, writeStreamCut)
    },
  ])
}

export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  const { first } = readVersioned(new ByteReader(bytes, 'checkpoint'), 'checkpoint', [0])
  first.part = 'name'
  const name = first.string()
  first.part = 'cuts'
  return { name, cuts: readMap(first, readText, readStreamCut) }
}
