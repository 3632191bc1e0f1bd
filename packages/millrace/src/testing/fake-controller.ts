/**
 * A controller over a fake store, with as much of streams as clients need, and scaling on demand: the real one has its own
 * tests, and does not fail or change its mind whenever a test wants it to.
 */
import type { Address } from '../base/host.ts'
import type { CutMap, StreamConfig, StreamInfo } from '../protocol/controller/messages.ts'
import { ControllerError, type ControllerService, serviceOf } from '../protocol/controller/service.ts'
import { scopedName, segmentIdOf } from '../protocol/names.ts'
import type { FakeStore } from './fake-store.ts'
import { type FakeRange, type FakeStream, nameOf, rangeOf } from './fake-stream.ts'
import { FakeTransactions } from './fake-transactions.ts'

export class FakeController {
  readonly scopes: Set<string> = new Set()
  readonly streams: Map<string, FakeStream> = new Map()
  readonly transactions: FakeTransactions
  /** How often `checkScale` says that a scale is not done yet. */
  scaleChecks = 0
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
    this.transactions = new FakeTransactions(store, {
      find: (info) => this.#found(info),
      roll: (info, epoch) => this.#roll(this.#found(info), epoch),
    })
    const implemented = { ...this.#implemented(), ...this.#scaling(), ...this.transactions.calls() }
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
    let low = Math.min(...sealed.map((id) => found.ranges.get(id)!.low))
    const ranges = highs.map((high) => {
      const range = { low, high }
      low = high
      return range
    })
    return this.#change(found, sealed, ranges)
  }

  #change(
    stream: FakeStream,
    sealed: readonly bigint[],
    ranges: readonly { low: number; high: number }[],
  ): readonly bigint[] {
    stream.epoch++
    const old = sealed.map((id) => stream.ranges.get(id)!)
    const added = ranges.map(({ low, high }) => {
      const predecessors = old.filter((range) => range.low < high && range.high > low)
      return this.#addRange(stream, { low, high, predecessors: predecessors.map(({ id }) => id) }).id
    })
    stream.current = [...stream.current.filter((id) => !sealed.includes(id)), ...added]
    stream.epochs.push(stream.current)
    for (const id of sealed) this.#seal(stream, id)
    return added
  }

  /** Makes the segments of an old epoch once more, and then those of now. Answers what has taken whose place. */
  #roll(stream: FakeStream, epoch: number): ReadonlyMap<bigint, bigint> {
    const { current } = stream
    const old = stream.epochs[epoch] ?? []
    const again = this.#change(
      stream,
      current,
      old.map((id) => stream.ranges.get(id)!),
    )
    this.#change(
      stream,
      again,
      current.map((id) => stream.ranges.get(id)!),
    )
    return new Map(old.map((id, index) => [id, again[index]!]))
  }

  #scaling(): Partial<ControllerService> {
    return {
      scale: async ({ streamInfo, sealedSegments, newKeyRanges }) => {
        const stream = this.#found(streamInfo)
        const epoch = stream.epoch
        if (stream.sealed) return { status: 1, segments: [], epoch }
        const count = stream.current.length - sealedSegments.length + newKeyRanges.length
        const known = sealedSegments.every((id) => stream.current.includes(id))
        if (!known || count < stream.config.scalingPolicy.minNumSegments)
          return { status: 2, segments: [], epoch }
        const ranges = newKeyRanges.map(({ start, end }) => ({ low: start, high: end }))
        const added = this.#change(stream, sealedSegments, ranges)
        return { status: 0, segments: added.map((id) => rangeOf(stream, id)), epoch }
      },
      checkScale: async ({ streamInfo, epoch }) => {
        if (this.scaleChecks-- > 0) return { status: 0 }
        return { status: this.#found(streamInfo).epoch > epoch ? 1 : 2 }
      },
      getEpochSegments: async ({ streamInfo, epoch }) => {
        const stream = this.#found(streamInfo)
        const ids = stream.epochs[epoch]
        if (ids === undefined) throw new ControllerError('not-found', `There has been no epoch ${epoch}`)
        return { segmentRanges: ids.map((id) => rangeOf(stream, id)), delegationToken: '' }
      },
    }
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
        if (found === undefined || found.sealed) return { status: found === undefined ? 2 : 4 }
        found.config = config
        const count = config.scalingPolicy.minNumSegments
        if (found.current.length < count) this.#change(found, found.current, evenRanges(count))
        return { status: 0 }
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
        this.transactions.abortAll(found.info)
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
      epochs: [],
      nextNumber: this.#nextNumbers.get(name) ?? 0,
      sealed: false,
    }
    const count = config.scalingPolicy.minNumSegments
    for (const range of evenRanges(count)) this.#addRange(made, { ...range, predecessors: [] })
    made.current = [...made.ranges.keys()]
    made.epochs.push(made.current)
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

function evenRanges(count: number): readonly { low: number; high: number }[] {
  return Array.from({ length: count }, (_, index) => ({ low: index / count, high: (index + 1) / count }))
}
