/**
 * A controller over a fake store, with as much of streams as clients need, and scaling on demand: the real one has its own
 * tests, and does not scale whenever a test wants it to.
 */
import type { Address } from '../base/host.ts'
import type { CutMap, SegmentRange, StreamConfig, StreamInfo } from '../protocol/controller/messages.ts'
import { ControllerError, type ControllerService, serviceOf } from '../protocol/controller/service.ts'
import { scopedName, segmentIdOf, segmentNameOfId } from '../protocol/names.ts'
import type { FakeStore } from './fake-store.ts'

interface FakeRange {
  readonly id: bigint
  readonly low: number
  readonly high: number
  readonly predecessors: readonly bigint[]
}

interface FakeStream {
  config: StreamConfig
  readonly info: StreamInfo
  readonly ranges: Map<bigint, FakeRange>
  current: readonly bigint[]
  head: Map<bigint, number>
  epoch: number
  nextNumber: number
  sealed: boolean
}

export class FakeController {
  readonly scopes: Set<string> = new Set()
  readonly streams: Map<string, FakeStream> = new Map()
  readonly calls: string[] = []
  /** Called before each call; may throw, and may wait. */
  before: ((rpc: string, request: object) => void | Promise<void>) | undefined
  readonly service: ControllerService
  readonly #store: FakeStore
  readonly #address: Address
  /** Streams that are made again never have the segments that they had before. */
  readonly #nextNumbers = new Map<string, number>()

  constructor(store: FakeStore, address: Address) {
    this.#store = store
    this.#address = address
    const implemented = this.#implemented()
    this.service = serviceOf(async (rpc, request) => {
      this.calls.push(rpc)
      await this.before?.(rpc, request)
      const method = implemented[rpc] as ((request: object) => Promise<object>) | undefined
      if (method === undefined)
        throw new ControllerError('unimplemented', `The fake controller has no ${rpc}`)
      return method(request)
    })
  }

  /** Seals some segments and puts others in their place, with these upper bounds. Resolves with the new ones' ids. */
  scale(stream: string, sealed: readonly bigint[], highs: readonly number[]): readonly bigint[] {
    const found = this.#stream(stream)
    found.epoch++
    const old = sealed.map((id) => found.ranges.get(id)!)
    let low = Math.min(...old.map((range) => range.low))
    const added = highs.map((high) => {
      const range = this.#addRange(found, { low, high, predecessors: [] })
      low = high
      return {
        ...range,
        predecessors: old.filter((o) => o.low < high && o.high > range.low).map((o) => o.id),
      }
    })
    for (const range of added) found.ranges.set(range.id, range)
    found.current = [...found.current.filter((id) => !sealed.includes(id)), ...added.map(({ id }) => id)]
    for (const id of sealed) this.#seal(found, id)
    return added.map(({ id }) => id)
  }

  #implemented(): Partial<ControllerService> {
    return {
      createScope: async ({ scope }) => {
        const known = this.scopes.has(scope)
        this.scopes.add(scope)
        return { status: known ? 2 : 0 }
      },
      createStream: async (config) => this.#create(config),
      updateStream: async (config) => {
        const { scope, stream } = config.streamInfo
        const found = this.streams.get(scopedName(scope, stream))
        if (found !== undefined) found.config = config
        return { status: found === undefined ? 2 : found.sealed ? 4 : 0 }
      },
      getStreamConfiguration: async (info) => this.#found(info).config,
      getCurrentSegments: async (info) => {
        const stream = this.#found(info)
        const ids = stream.sealed ? [] : stream.current
        const ranges = ids.map((id) => rangeOf(stream, id)).toSorted((one, two) => one.minKey - two.minKey)
        return { segmentRanges: ranges, delegationToken: '' }
      },
      getSegments: async ({ streamInfo }) => ({
        segments: [...this.#found(streamInfo).head].map(([segmentId, offset]) => ({
          segmentId: { streamInfo, segmentId },
          offset,
        })),
        delegationToken: '',
      }),
      getSegmentsImmediatelyFollowing: async ({ streamInfo, segmentId }) => {
        const stream = this.#found(streamInfo)
        if (stream.current.includes(segmentId)) return { segments: [], delegationToken: '' }
        const following = [...stream.ranges.values()].filter((r) => r.predecessors.includes(segmentId))
        return {
          segments: following.map(({ id, predecessors }) => ({
            segment: rangeOf(stream, id),
            value: predecessors,
          })),
          delegationToken: '',
        }
      },
      getSegmentsBetween: async ({ streamInfo, from, to }) => ({
        segments: this.#between(this.#found(streamInfo), from, to).map((segmentId) => ({
          streamInfo,
          segmentId,
        })),
        delegationToken: '',
      }),
      getURI: async () => ({ endpoint: this.#address.host, port: this.#address.port }),
      truncateStream: async ({ streamInfo, cut }) => {
        const stream = this.#found(streamInfo)
        if (stream.sealed) return { status: 4 }
        stream.head = new Map(cut)
        for (const [id, offset] of cut) {
          const segment = this.#store.segment(nameOf(stream, id))
          segment.startOffset = offset
          segment.wake()
        }
        return { status: 0 }
      },
      sealStream: async ({ scope, stream }) => {
        const found = this.streams.get(scopedName(scope, stream))
        if (found === undefined) return { status: 2 }
        for (const id of found.current) this.#seal(found, id)
        found.sealed = true
        return { status: 0 }
      },
      deleteStream: async ({ scope, stream }) => {
        const name = scopedName(scope, stream)
        const found = this.streams.get(name)
        if (found === undefined) return { status: 2 }
        if (!found.sealed) return { status: 3 }
        for (const id of found.ranges.keys()) this.#store.segments.delete(nameOf(found, id))
        this.streams.delete(name)
        this.#nextNumbers.set(name, found.nextNumber)
        return { status: 0 }
      },
    }
  }

  #create(config: StreamConfig): { status: 0 | 2 | 3 } {
    const { scope, stream } = config.streamInfo
    const name = scopedName(scope, stream)
    if (!this.scopes.has(scope)) return { status: 3 }
    if (this.streams.has(name)) return { status: 2 }
    const made: FakeStream = {
      config,
      info: config.streamInfo,
      ranges: new Map(),
      current: [],
      head: new Map(),
      epoch: 0,
      nextNumber: this.#nextNumbers.get(name) ?? 0,
      sealed: false,
    }
    const count = config.scalingPolicy.minNumSegments
    for (let i = 0; i < count; i++)
      this.#addRange(made, { low: i / count, high: (i + 1) / count, predecessors: [] })
    made.current = [...made.ranges.keys()]
    made.head = new Map(made.current.map((id) => [id, 0]))
    this.streams.set(name, made)
    return { status: 0 }
  }

  #between(stream: FakeStream, from: CutMap, to: CutMap): readonly bigint[] {
    const found = new Set<bigint>(from.keys())
    for (const id of found) {
      if (to.has(id)) continue
      for (const range of stream.ranges.values()) if (range.predecessors.includes(id)) found.add(range.id)
    }
    return [...found]
  }

  #addRange(stream: FakeStream, range: Omit<FakeRange, 'id'>): FakeRange {
    const id = segmentIdOf({ number: stream.nextNumber++, epoch: stream.epoch })
    const added = { id, ...range }
    stream.ranges.set(id, added)
    this.#store.create(nameOf(stream, id))
    return added
  }

  #seal(stream: FakeStream, id: bigint): void {
    const segment = this.#store.segment(nameOf(stream, id))
    segment.sealed = true
    segment.wake()
  }

  #stream(name: string): FakeStream {
    const stream = this.streams.get(name)
    if (stream === undefined) throw new ControllerError('not-found', `There is no stream ${name}`)
    return stream
  }

  #found({ scope, stream }: StreamInfo): FakeStream {
    return this.#stream(scopedName(scope, stream))
  }
}

function nameOf({ info }: FakeStream, id: bigint): string {
  return segmentNameOfId(info.scope, info.stream, id)
}

function rangeOf(stream: FakeStream, id: bigint): SegmentRange {
  const { low, high } = stream.ranges.get(id)!
  return { segmentId: { streamInfo: stream.info, segmentId: id }, minKey: low, maxKey: high }
}
