/** A reader group as programs hold it: a name, and who reads a stream together under it. */
import { DeleteReaderGroupStatus, DeleteStreamStatus } from '../../protocol/controller/messages.ts'
import {
  groupStreamOf,
  parseSegmentName,
  scopedName,
  segmentIdOf,
  userNameProblem,
} from '../../protocol/names.ts'
import { randomUuid, showUuid } from '../../protocol/uuid.ts'
import { parseCut, type StreamCut, type WordOrCut } from '../cuts.ts'
import { asMillraceError, groupNotFound, invalidArgument, MillraceError } from '../errors.ts'
import type { EventForm } from '../events.ts'
import { EventReader, type EventSource, type Reader, type ReadOptions } from '../reader.ts'
import type { Wait } from '../segment-calls.ts'
import { StorePool } from '../store-pool.ts'
import type { Cut } from '../stream-metadata.ts'
import { orAborted } from '../waiting.ts'
import { followingOf } from './following.ts'
import { configOf, GroupAccess, type GroupIdentity, groupOf } from './group-access.ts'
import { type Checkpoint, publishLastCheckpoint, takeCheckpoint } from './group-checkpoint.ts'
import { startOf } from './group-configuration.ts'
import { type Lag, lagOf } from './group-lag.ts'
import { GroupReader } from './group-reader.ts'
import { followConfig, resetGroup } from './group-reset.ts'
import type { GroupSynchronizer } from './group-synchronizer.ts'
import { markedReader, shownReader } from './reader-id.ts'
import { boundsAt } from './reading-bounds.ts'

export interface GroupOptions {
  /** Where a new group starts: the head unless it is said otherwise. One that exists goes on where it is. */
  readonly from?: WordOrCut<'head' | 'tail'> | undefined
}

export interface GroupReadOptions extends Omit<ReadOptions, 'from'> {
  /**
   * By what the group knows the reader; drawn if absent. A new reader takes the place of one that had the same id, and so
   * goes on at once where that one died. Where nobody takes it, the others have waited for signs of life for 30 s.
   */
  readonly id?: string | undefined
}

export interface Group<T> {
  /** All readers of the group share the events. What one has acknowledged no other gets, now or later. */
  reader(options?: GroupReadOptions): Reader<T>
  /** A place that all events acknowledged so far lie before, and all others behind. Waits for all readers to report. */
  checkpoint(options?: Wait & { name?: string | undefined }): Promise<Checkpoint>
  /** All readers start over there. */
  reset(to: Checkpoint | WordOrCut<'head' | 'tail'>): Promise<void>
  lag(options?: Wait): Promise<Lag>
  /** Forgets where it stopped. */
  delete(): Promise<void>
}

/** What a group needs of its stream's handle. */
export interface GroupParts<T> {
  readonly identity: GroupIdentity
  readonly form: EventForm<T>
  readonly from: WordOrCut<'head' | 'tail'>
  cutOf(place: WordOrCut<'head' | 'tail'>, wait: Wait): Promise<Cut>
  /** Does it, and once more after making the stream if that does not exist. */
  orMissing<R>(call: () => Promise<R>): Promise<R>
  /** Tests look at the compaction of small states. */
  readonly compactionBytesMin?: number | undefined
}

/** After the flag of a reset has been seen, whoever set it gets some time to finish. */
const CONFIG_FIRST_MS = 1000
const CONFIG_MS = 10_000

export class GroupHandle<T> implements Group<T> {
  readonly #parts: GroupParts<T>
  readonly #identity: GroupIdentity
  readonly #access: GroupAccess
  /** How many segments the group was last said to have. */
  #segmentsTold: number | undefined

  constructor(parts: GroupParts<T>) {
    const { identity, from, compactionBytesMin } = parts
    this.#parts = parts
    this.#identity = identity
    this.#access = new GroupAccess(identity, { from: () => this.#startOfNew(from), compactionBytesMin })
  }

  reader(options: GroupReadOptions = {}): Reader<T> {
    const { context } = this.#identity
    context.closing.throwIfAborted()
    const id = options.id ?? showUuid(randomUuid(context.host.random))
    const problem = userNameProblem('reader', id)
    if (problem !== undefined) throw invalidArgument(problem)
    const reader: EventReader<T> = new EventReader({
      form: this.#parts.form,
      open: (signal) => this.#open(id, options.until, signal),
      signal: options.signal,
      skipUndecodable: options.onDecodeError === 'skip',
      report: context.report,
      closing: context.closing,
      onClosed: () => context.open.delete(reader),
    })
    context.open.add(reader)
    return reader
  }

  checkpoint(options: Wait & { name?: string | undefined } = {}): Promise<Checkpoint> {
    return this.#call(options.signal, async () => {
      const group = await this.#access.open({ create: false })
      const onSilent = (reader: string): void => this.#tellSilent(reader)
      return takeCheckpoint(this.#identity, group, { ...options, onSilent })
    })
  }

  reset(to: Checkpoint | WordOrCut<'head' | 'tail'>): Promise<void> {
    return this.#call(undefined, async () => {
      const cut = await this.#placeOf(to)
      await resetGroup(this.#identity, await this.#access.open({ create: false }), cut)
    })
  }

  lag(options: Wait = {}): Promise<Lag> {
    return this.#call(options.signal, async () => {
      const group = await this.#access.open({ create: false })
      return lagOf(this.#identity, group.state, options)
    })
  }

  delete(): Promise<void> {
    return this.#call(undefined, () => this.#delete())
  }

  async #open(reader: string, until: ReadOptions['until'], signal: AbortSignal): Promise<EventSource> {
    const { context, metadata, name } = this.#identity
    const group = await orAborted(this.#access.open({ create: true }), signal)
    const current = await this.#parts.orMissing(() => metadata.current({ signal }))
    if (current.length > 0) await this.#revive(group, signal)
    const cut = until === undefined ? undefined : await this.#parts.cutOf(until, { signal })
    const bounds = cut === undefined ? undefined : await boundsAt(cut, metadata, { signal })
    // What there is to read is decided on the latest state.
    await orAborted(group.fetch(), signal)
    const source = new GroupReader({
      host: context.host,
      locations: context.locations,
      pool: new StorePool(context.host, { report: context.report }),
      group,
      name,
      reader: markedReader(reader),
      bounds,
      following: (segment, closing) =>
        followingOf(metadata, segmentIdOf(parseSegmentName(segment)), {
          host: context.host,
          signal: closing,
        }),
      afterRound: this.#lookAfter(group),
      onSilent: (silent) => this.#tellSilent(silent),
      onGap: (gap) => context.report({ kind: 'events-missed', stream: metadata.stream, ...gap }),
    })
    return {
      next: (waiting) => this.#access.watch(() => source.next(waiting)),
      close: () => this.#access.watch(() => source.close()),
    }
  }

  /** What a reader does for the group besides reading. */
  #lookAfter(group: GroupSynchronizer): (round: { readonly reported: boolean }) => Promise<void> {
    const { clock } = this.#identity.context.host
    let configMs: number | undefined
    return async ({ reported }) => {
      this.#tellSegments(group)
      if (reported) await publishLastCheckpoint(this.#identity, group)
      if (!group.state.updatingConfig) {
        configMs = undefined
        return
      }
      configMs ??= clock.monotonicMs() + CONFIG_FIRST_MS
      if (clock.monotonicMs() < configMs) return
      configMs = clock.monotonicMs() + CONFIG_MS
      await followConfig(this.#identity, group)
      // The group may have been given other streams.
      await this.#access.open({ create: false })
    }
  }

  #tellSilent(reader: string): void {
    const { context, name } = this.#identity
    context.report({ kind: 'reader-silent', group: name, reader: shownReader(reader) })
  }

  /** Once for all readers of this handle. */
  #tellSegments({ state }: GroupSynchronizer): void {
    const segments = state.segmentCount
    if (segments === this.#segmentsTold) return
    this.#segmentsTold = segments
    const { context, name } = this.#identity
    context.report({ kind: 'segments-changed', group: name, segments, readers: state.readers.length })
  }

  /**
   * A group whose stream was sealed and read to its end has nothing left. If the stream takes events, it is another one, made
   * after the first was deleted: the group starts over.
   */
  async #revive(group: GroupSynchronizer, signal: AbortSignal): Promise<void> {
    const isDone = (): boolean => group.state.isEndOfData && group.state.endSegments.size === 0
    if (!isDone()) return
    const unbounded = {
      ...group.state.config,
      startingStreamCuts: new Map([[this.#identity.metadata.stream, undefined]]),
    }
    const start = await startOf(unbounded, this.#identity.metadata, { signal })
    await group.update(() => ({ updates: isDone() ? [start] : [], result: undefined }))
  }

  /** Undefined for the head: then the group starts at whatever is the head when its state is written. */
  async #startOfNew(from: WordOrCut<'head' | 'tail'>): Promise<Cut | undefined> {
    const cut = await this.#parts.orMissing(() => this.#parts.cutOf(from, {}))
    return from === 'head' ? undefined : cut
  }

  async #placeOf(to: Checkpoint | WordOrCut<'head' | 'tail'>): Promise<Cut | undefined> {
    if (to === 'head') return undefined
    if (typeof to === 'string') return this.#parts.cutOf(to, {})
    const { metadata, scoped } = this.#identity
    const cut: StreamCut | undefined = to.cuts[metadata.stream]
    if (cut === undefined) throw invalidArgument(`The checkpoint ${to.name} is none of ${metadata.stream}`)
    return parseCut(scoped, cut)
  }

  async #delete(): Promise<void> {
    const { context, name } = this.#identity
    const { scope, name: group } = groupOf(this.#identity)
    const config = await configOf(this.#identity)
    if (config === undefined) return this.#deleteStream()
    const request = { scope, readerGroup: group, readerGroupId: showUuid(config.groupId), generation: 0n }
    const { status } = await context.controller.deleteReaderGroup(request)
    if (status === DeleteReaderGroupStatus.SUCCESS) return
    if (status === DeleteReaderGroupStatus.RG_NOT_FOUND) throw groupNotFound(name)
    throw new MillraceError('internal', `The controller failed to delete the reader group ${name}`, {
      group: name,
    })
  }

  /** Trap 68: of groups of clients before 0.9 there is nothing but the stream. */
  async #deleteStream(): Promise<void> {
    const { context, name } = this.#identity
    const { scope, name: group } = groupOf(this.#identity)
    const info = { scope, stream: groupStreamOf(group) }
    await context.controller.sealStream(info)
    const { status } = await context.controller.deleteStream(info)
    if (status !== DeleteStreamStatus.SUCCESS) throw groupNotFound(name)
  }

  async #call<R>(signal: AbortSignal | undefined, call: () => Promise<R>): Promise<R> {
    try {
      signal?.throwIfAborted()
      return await orAborted(this.#access.watch(call), signal)
    } catch (error) {
      throw asMillraceError(error, this.#identity.metadata.stream)
    }
  }
}

/** Throws `invalid-argument` for a name that no group can have. */
export function checkedGroupName(scope: string, group: string): string {
  if (typeof group !== 'string') throw invalidArgument(`The name of a group is a string, not ${typeof group}`)
  const problem = userNameProblem('reader group', group)
  if (problem !== undefined) throw invalidArgument(problem)
  return scopedName(scope, group)
}
