/**
 * The state of a group as this process knows it: what is read from the group's stream and what is written to it. All readers of
 * one `Group` share it, and so see each other's changes at once; other processes' are seen when somebody fetches.
 *
 * Changes are decided on the known state, written on the condition that it is the latest, and decided anew if it is not. One
 * of them is under way at a time.
 */
import { assert } from '../../base/assert.ts'
import type { Host } from '../../base/host.ts'
import { ProtocolError } from '../../protocol/protocol-error.ts'
import { decodeGroupChange, type GroupChange } from '../../protocol/reader-group/group-changes.ts'
import { GroupState } from '../../protocol/reader-group/group-state.ts'
import type { GroupInit, GroupUpdate } from '../../protocol/reader-group/group-updates.ts'
import { MillraceError } from '../errors.ts'
import { Backoff } from '../waiting.ts'
import type { ChangePlace, GroupLog } from './group-log.ts'
import { LifeSigns } from './life-signs.ts'

/** As Java: when so much has been written since the last time, every twentieth who looks writes the whole state. */
const COMPACTION_BYTES_MIN = 512 * 1024
const COMPACTION_CHANCE = 0.05

export interface SynchronizerOptions {
  readonly compactionBytesMin?: number | undefined
}

/** What to write, and what the caller of `update` gets once it is written. Nothing is written if there is no update. */
export interface Decided<R> {
  readonly updates: readonly GroupUpdate[]
  readonly result: R
}

export class GroupSynchronizer {
  readonly life: LifeSigns = new LifeSigns()
  readonly #host: Host
  readonly #log: GroupLog
  readonly #compactionBytesMin: number
  #state: GroupState | undefined
  /** What is to come are changes to a state that is not known here: nothing is to be done with them before a whole state. */
  #behind = true
  /** Everything before has been applied. */
  #end = 0
  /** Where the last whole state begins. */
  #initOffset = 0
  #fetchedMs = Number.NEGATIVE_INFINITY
  /** The last of those that wait for their turn. */
  #turn: Promise<unknown> = Promise.resolve()
  /** A fetch that has not begun: it serves all who ask until then. */
  #nextFetch: Promise<void> | undefined
  readonly #joins = new Map<string, number>()
  readonly #listeners = new Set<() => void>()

  constructor(host: Host, log: GroupLog, options: SynchronizerOptions = {}) {
    this.#host = host
    this.#log = log
    this.#compactionBytesMin = options.compactionBytesMin ?? COMPACTION_BYTES_MIN
  }

  /** Only once there is one: after a fetch that found it, or `initialize`. */
  get state(): GroupState {
    assert(this.#state !== undefined, `The state of ${this.#log.group} has been read`)
    return this.#state
  }

  get isInitialized(): boolean {
    return this.#state !== undefined
  }

  /** On the monotonic clock. */
  get fetchedMs(): number {
    return this.#fetchedMs
  }

  /** How often a reader of this name has been seen to join: a reader learns by it that another one goes by its name. */
  joinsOf(reader: string): number {
    return this.#joins.get(reader) ?? 0
  }

  /** Called after each change of the state. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Applies all that others have written. */
  fetch(): Promise<void> {
    this.#nextFetch ??= this.#inTurn(() => {
      this.#nextFetch = undefined
      return this.#fetch()
    })
    return this.#nextFetch
  }

  /** Makes this the first state, if there is none. */
  initialize(init: GroupInit): Promise<void> {
    return this.#inTurn(async () => {
      const at = await this.#log.start()
      const end = await this.#log.append({ kind: 'init', init }, at)
      if (end === undefined) await this.#fetch()
      else this.#apply({ kind: 'init', init }, { start: at, end })
    })
  }

  /** `decide` may be called several times; its last answer counts. */
  update<R>(decide: (state: GroupState) => Decided<R>): Promise<R> {
    return this.#inTurn(async () => {
      const backoff = new Backoff(this.#host)
      for (;;) {
        const { updates, result } = decide(this.state)
        if (updates.length === 0) return result
        const change = { kind: 'updates', updates } as const
        const start = this.#end
        const startMs = this.#host.clock.monotonicMs()
        const end = await this.#log.append(change, start)
        if (end !== undefined) {
          this.#apply(change, { start, end })
          this.#caughtUp(startMs)
          return result
        }
        await this.#fetch()
        // A store may refuse for an append that is on its way to the disk, and not show it yet.
        if (this.#end === start) await backoff.wait()
      }
    })
  }

  /** Writes the whole state if it is time. */
  async compactIfNeeded(): Promise<void> {
    if (this.#end - this.#initOffset <= this.#compactionBytesMin) return
    if (this.#host.random.ratio() < COMPACTION_CHANCE) await this.compact()
  }

  compact(): Promise<void> {
    return this.#inTurn(async () => {
      const at = this.#end
      const end = await this.#log.append({ kind: 'init', init: this.state.compact() }, at)
      // Somebody else has written something meanwhile: then there will be another time.
      if (end === undefined) return this.#fetch()
      this.#end = end
      this.#initOffset = at
      await this.#log.moveMark(at)
    })
  }

  async #fetch(): Promise<void> {
    const startMs = this.#host.clock.monotonicMs()
    if (this.#state === undefined) this.#end = await this.#log.start()
    while ((await this.#read()) === 'truncated') {
      // Others have gone on so far that what comes next for this state is no more. The mark says where to read.
      const start = await this.#log.start()
      if (start <= this.#end)
        throw new MillraceError(
          'internal',
          `The stream of the group ${this.#log.group} was truncated behind its mark`,
        )
      this.#end = start
      this.#behind = true
      this.life.missed(this.#host.clock.monotonicMs())
    }
    this.#fetchedMs = this.#host.clock.monotonicMs()
    this.#caughtUp(startMs)
  }

  #caughtUp(startMs: number): void {
    this.life.caughtUp(startMs, this.#host.clock.monotonicMs())
  }

  #read(): Promise<number | 'truncated'> {
    return this.#log.read(this.#end, (payload, place) =>
      this.#orDamaged(place, () => this.#apply(decodeGroupChange(payload), place)),
    )
  }

  #apply(change: GroupChange, { start, end }: ChangePlace): void {
    if (change.kind === 'init') {
      this.#state = new GroupState(change.init)
      this.life.loaded(this.#state, this.#host.clock.monotonicMs())
      this.#behind = false
      this.#initOffset = start
    } else if (!this.#behind) for (const update of change.updates) this.#applyUpdate(update)
    this.#end = end
    for (const listener of this.#listeners) listener()
  }

  #orDamaged(place: ChangePlace, apply: () => void): void {
    try {
      apply()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      const where = `The stream of the group ${this.#log.group} has a change at ${place.start} that cannot be made`
      throw new MillraceError('internal', `${where}: ${error.message}`, { cause: error })
    }
  }

  #applyUpdate(update: GroupUpdate): void {
    this.state.apply(update)
    this.life.applied(update, this.state, this.#host.clock.monotonicMs())
    if (update.kind === 'add-reader') this.#joins.set(update.reader, this.joinsOf(update.reader) + 1)
  }

  #inTurn<R>(step: () => Promise<R>): Promise<R> {
    const turn = this.#turn.then(step)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
