/**
 * A reader of a group: it reads the segments that the group has given it, and looks after its part of the group's state in the
 * background, whether or not somebody waits for its next event.
 *
 * Invariants: (1) `#holdings` is what the state assigns to this reader, as of its last change of that state. (2) When the next
 * batch is asked for, everything delivered has been acknowledged; so of all segments but the one being delivered, the
 * acknowledged position is where delivery stopped. (3) A segment that may be given away is not read, from before that is
 * written until it is known whether it was. (4) Nothing is delivered while others may have taken this reader for dead.
 */
import type { Host, Timer } from '../../base/host.ts'
import type { GroupState } from '../../protocol/reader-group/group-state.ts'
import { randomUuid, showUuid } from '../../protocol/uuid.ts'
import { readerReplaced, MillraceError } from '../errors.ts'
import type { EventBatch } from '../events.ts'
import type { Locations } from '../locations.ts'
import type { EventSource } from '../reader.ts'
import { SegmentReaders } from '../segment-readers.ts'
import type { StorePool } from '../store-pool.ts'
import { orAborted, sleep } from '../waiting.ts'
import { type Decision, decide, dueMs, firstTimers, type GoOn, leave, type Timers } from './decisions.ts'
import type { Decided, GroupSynchronizer } from './group-synchronizer.ts'
import { type Following, Holding } from './holding.ts'
import { DELIVER_MS, owesSigns } from './life-signs.ts'
import { shownReader } from './reader-id.ts'
import type { ReadingBounds } from './reading-bounds.ts'

/** How often to look at the group when its configuration says something odd. */
const REFRESH_MS_MIN = 100
/** Java's groups may say more, but a reader has to notice soon when others begin to look for its signs of life. */
const REFRESH_MS_MAX = 5000
/** How long closing waits for the group to take note of where this reader was. */
const LEAVE_MS_MAX = 5000
const PATIENCE_MAX = 1000

export interface GroupReaderParts {
  readonly host: Host
  readonly locations: Locations
  /** For reading events; closed with the reader. */
  readonly pool: StorePool
  readonly group: GroupSynchronizer
  /** `scope/group` */
  readonly name: string
  /** As it stands in the group. */
  readonly reader: string
  readonly bounds: ReadingBounds | undefined
  /** What is to be read behind a segment that has been read to its end. */
  following(segment: string, signal: AbortSignal): Promise<Following>
  /** Called when the state may have turned in a way that asks for more than this reader's own part. */
  afterRound(round: { readonly reported: boolean }): Promise<void>
  /** This reader has taken another out of the group, which had shown no life. */
  onSilent(reader: string): void
  /** Events that had been truncated away when their turn came. */
  readonly onGap: (gap: { segment: string; from: number; to: number }) => void
}

export class GroupReader implements EventSource {
  readonly #parts: GroupReaderParts
  readonly #readers: SegmentReaders
  readonly #holdings = new Map<string, Holding>()
  readonly #byId = new Map<bigint, Holding>()
  /** Segments that this reader has given away, for others to take. */
  readonly #offered = new Set<string>()
  readonly #closing = new AbortController()
  readonly #stopListening: () => void
  readonly #stopLiving: () => void
  #running: Promise<void> | undefined
  #joined: number | undefined
  /** When this reader joined, and when it was last known that nobody could take it for dead. */
  #joinedMs = Number.POSITIVE_INFINITY
  #soundMs = Number.NEGATIVE_INFINITY
  #timers: Timers
  #patience = 1
  #delivering: Holding | undefined
  #over = false
  #failure: { readonly error: unknown } | undefined
  /** The program waits for an event: the process lives for it. */
  #waiting = false
  #wakeProgram: (() => void) | undefined
  /** Something has happened that the next round is to look at. */
  #kicked = false
  #wakeRound: (() => void) | undefined
  #timer: Timer | undefined
  #dueMs = 0

  constructor(parts: GroupReaderParts) {
    this.#parts = parts
    this.#timers = firstTimers(parts.host.clock.monotonicMs())
    this.#readers = new SegmentReaders(parts, () => this.#wakeProgram?.())
    this.#stopListening = parts.group.onChange(() => this.#kick())
    this.#stopLiving = parts.group.life.enter(parts.reader)
  }

  async next(signal: AbortSignal): Promise<EventBatch | undefined> {
    this.#delivering = undefined
    this.#running ??= this.#run()
    this.#wait(true)
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error
        const batch = this.#take()
        if (batch !== undefined) return batch
        if (this.#over) return undefined
        const woken = new Promise<void>((resolve) => {
          this.#wakeProgram = resolve
        })
        if (this.#failure === undefined && !this.#over) await orAborted(woken, signal)
      }
    } finally {
      this.#wait(false)
    }
  }

  async close(): Promise<void> {
    const { group, host, name } = this.#parts
    this.#closing.abort()
    this.#readers.close()
    this.#stopListening()
    this.#kick()
    const left = (async () => {
      await this.#running
      if (this.#joined !== undefined && !this.#over) await group.update((state) => this.#leave(state))
    })()
    const patience = new AbortController()
    try {
      await Promise.race([
        left,
        sleep(host.clock, LEAVE_MS_MAX, patience.signal).then(() => {
          throw new MillraceError(
            'unavailable',
            `The group ${name} could not be told where its reader stopped: what was acknowledged last comes again`,
          )
        }),
      ])
    } catch (error) {
      // A reader that has failed has said so.
      if (this.#failure === undefined) throw error
    } finally {
      patience.abort()
      this.#stopLiving()
      this.#lose()
      this.#parts.pool.close()
    }
  }

  /** The next batch at hand. */
  #take(): EventBatch | undefined {
    if (!this.#isSound) {
      this.#kick()
      return undefined
    }
    for (let taken = this.#readers.take(); taken !== undefined; taken = this.#readers.take()) {
      const { id, segment, chunk } = taken
      const holding = this.#byId.get(id)
      if (holding === undefined) continue
      switch (chunk.kind) {
        case 'events':
          this.#delivering = holding
          return { segment, offset: chunk.offset, data: chunk.data, claim: holding }
        case 'gap':
          holding.ack(chunk.to)
          this.#parts.onGap({ segment, from: chunk.from, to: chunk.to })
          break
        case 'limit':
          this.#readers.remove(id)
          this.#setEnd(holding)
          this.#kick()
          break
        case 'ended':
        case 'missing':
          this.#readers.remove(id)
          this.#goOnBehind(holding)
          break
        case 'failed':
          throw chunk.error
      }
    }
    return undefined
  }

  /** One round after the other, until the reader is closed or has failed. */
  async #run(): Promise<void> {
    try {
      while (!this.#closing.signal.aborted && !this.#over) {
        this.#kicked = false
        await this.#round()
        if (!this.#closing.signal.aborted && !this.#over) await this.#untilDue()
      }
    } catch (error) {
      this.#failure ??= { error }
      this.#readers.close()
    } finally {
      this.#stopLiving()
      this.#timer?.cancel()
      this.#wakeProgram?.()
    }
  }

  async #round(): Promise<void> {
    const { group, host } = this.#parts
    const doubtful = this.#joined !== undefined && !this.#isSound
    if (doubtful || host.clock.monotonicMs() >= group.fetchedMs + this.#refreshMs) {
      await group.fetch()
      await group.compactIfNeeded()
    }
    let reported = false
    let again = true
    while (again && !this.#closing.signal.aborted) {
      const startMs = host.clock.monotonicMs()
      let writes = false
      const decision = await group.update((state) => {
        const decided = this.#decide(state)
        writes = decided.updates.length > 0
        return decided
      })
      again = this.#carryOut(decision)
      this.#beSound(writes ? startMs : undefined)
      // What there is to come back to is not known from before.
      if (decision.kind === 'removed') await group.fetch()
      if (decision.kind === 'go-on' && decision.reported) reported = true
    }
    await this.#parts.afterRound({ reported })
  }

  #decide(state: GroupState): Decided<Decision> {
    const { group, host, reader, bounds } = this.#parts
    const decided = decide(state, {
      reader,
      joined: this.#joined,
      silent: group.life.silent(),
      lives: (other) => group.life.livesSince(other, this.#joinedMs),
      joins: group.joinsOf(reader),
      holdings: this.#holdings,
      delivering: this.#delivering,
      bounds,
      timers: this.#timers,
      patience: this.#patience,
      nowMs: host.clock.monotonicMs(),
      wallMs: host.clock.now(),
      checkpointId: showUuid(randomUuid(host.random)),
    })
    // From here on nothing more of these is delivered, since this may be the answer that counts.
    if (decided.result.kind === 'go-on')
      for (const holding of decided.result.released) {
        holding.paused = true
        this.#readers.remove(holding.id)
      }
    return decided
  }

  /** Makes true here what is written. Returns whether there may be more to do. */
  #carryOut(decision: Decision): boolean {
    switch (decision.kind) {
      case 'removed':
        this.#lose()
        this.#joined = undefined
        this.#joinedMs = Number.POSITIVE_INFINITY
        return true
      case 'replaced':
        this.#lose()
        this.#joined = undefined
        throw readerReplaced(this.#parts.name, shownReader(this.#parts.reader))
      case 'over':
        this.#lose()
        this.#over = true
        return false
      case 'go-on':
        this.#goOn(decision)
        return decision.again
    }
  }

  #goOn(decision: GoOn): void {
    if (decision.joined !== undefined) {
      this.#joined = decision.joined
      this.#joinedMs = this.#parts.host.clock.monotonicMs()
    }
    for (const reader of decision.takenOut) this.#parts.onSilent(reader)
    this.#timers = decision.timers
    for (const { holding, offset } of decision.recorded) holding.recorded = offset
    for (const holding of [...decision.completed, ...decision.released]) this.#drop(holding)
    for (const { segment } of decision.released) this.#offered.add(segment)
    for (const holding of this.#holdings.values()) if (holding.paused) this.#read(holding)
    for (const { segment, offset } of decision.acquired) {
      const holding = new Holding(segment, offset)
      this.#holdings.set(segment, holding)
      this.#byId.set(holding.id, holding)
      this.#read(holding)
    }
    this.#learnPatience(decision)
  }

  get #isSound(): boolean {
    return this.#parts.host.clock.monotonicMs() - this.#soundMs < DELIVER_MS
  }

  /** `writtenMs`: the group has been written to by this reader, not before then. */
  #beSound(writtenMs: number | undefined): void {
    if (this.#joined === undefined) return
    const { group, reader } = this.#parts
    const wasSound = this.#isSound
    const soundMs = writtenMs ?? (owesSigns(group.state, reader) ? undefined : group.life.knownMs)
    if (soundMs !== undefined) this.#soundMs = Math.max(this.#soundMs, soundMs)
    if (!wasSound && this.#isSound) this.#wakeProgram?.()
  }

  /** What comes back though it was offered to others had no taker: the next offer waits longer. */
  #learnPatience({ acquired }: GoOn): void {
    for (const { segment } of acquired)
      if (this.#offered.delete(segment)) this.#patience = Math.min(this.#patience * 2, PATIENCE_MAX)
    for (const segment of this.#offered) {
      if (this.#parts.group.state.unassigned.has(segment)) continue
      this.#offered.delete(segment)
      this.#patience = 1
    }
  }

  #read(holding: Holding): void {
    holding.paused = false
    if (holding.position < 0) return this.#goOnBehind(holding)
    if (this.#setEnd(holding)) return this.#kick()
    const { id, segment, position } = holding
    this.#readers.add(id, { segment, offset: position, endOffset: this.#endOf(segment) })
  }

  /** Whether there is nothing to be read where the holding stands. */
  #setEnd(holding: Holding): boolean {
    const { segment, position } = holding
    const groupEnd = this.#parts.group.state.endSegments.get(segment)
    const limit = this.#parts.bounds?.limitOf(segment)
    if (groupEnd !== undefined && position >= groupEnd) holding.end = { kind: 'at-group-end' }
    else if (limit !== undefined && position >= limit) holding.end = { kind: 'at-cut' }
    return holding.end !== undefined
  }

  #endOf(segment: string): number {
    const groupEnd = this.#parts.group.state.endSegments.get(segment) ?? Number.POSITIVE_INFINITY
    return Math.min(groupEnd, this.#parts.bounds?.limitOf(segment) ?? groupEnd)
  }

  #goOnBehind(holding: Holding): void {
    holding.end = { kind: 'ended', following: undefined }
    const { signal } = this.#closing
    this.#parts.following(holding.segment, signal).then(
      (following) => {
        holding.end = { kind: 'ended', following }
        this.#kick()
      },
      (error: unknown) => {
        if (signal.aborted || holding.lost) return
        this.#failure ??= { error }
        this.#wakeProgram?.()
      },
    )
  }

  #leave(state: GroupState): Decided<undefined> {
    const { group, reader } = this.#parts
    const member = state.isReaderOnline(reader) && group.joinsOf(reader) === this.#joined
    return { updates: member ? [leave({ reader, holdings: this.#holdings })] : [], result: undefined }
  }

  #drop(holding: Holding): void {
    holding.lost = true
    this.#readers.remove(holding.id)
    this.#holdings.delete(holding.segment)
    this.#byId.delete(holding.id)
  }

  #lose(): void {
    for (const holding of this.#holdings.values()) this.#drop(holding)
    this.#delivering = undefined
  }

  get #refreshMs(): number {
    const refreshMs = Number(this.#parts.group.state.config.groupRefreshTimeMs)
    return Math.min(Math.max(refreshMs, REFRESH_MS_MIN), REFRESH_MS_MAX)
  }

  #kick(): void {
    this.#kicked = true
    this.#wakeRound?.()
  }

  /** Until there is something to do. */
  async #untilDue(): Promise<void> {
    if (this.#kicked) return
    const { group, host } = this.#parts
    const nowMs = host.clock.monotonicMs()
    this.#dueMs = Math.min(dueMs(this.#timers, nowMs), group.fetchedMs + this.#refreshMs)
    await new Promise<void>((resolve) => {
      this.#wakeRound = resolve
      this.#setTimer()
    })
    this.#timer?.cancel()
    this.#wakeRound = undefined
  }

  #wait(waiting: boolean): void {
    this.#waiting = waiting
    if (!waiting) this.#wakeProgram = undefined
    if (this.#wakeRound !== undefined) this.#setTimer()
  }

  /** While nobody waits for an event, this does not keep the process alive. */
  #setTimer(): void {
    const { clock } = this.#parts.host
    this.#timer?.cancel()
    const delayMs = Math.max(0, this.#dueMs - clock.monotonicMs())
    this.#timer = clock.setTimer(delayMs, () => this.#wakeRound?.(), { weak: !this.#waiting })
  }
}
