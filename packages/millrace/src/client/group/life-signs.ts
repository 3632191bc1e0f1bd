/**
 * Who of a group still lives. A process that was killed cannot leave its group, so readers of this client show life: each of them
 * writes something to the group's state every five seconds, and one of whom nothing has been seen for thirty is taken out by
 * the others, which go on where it had recorded. Signs of life are ordinary updates. When there is nothing else to write it is
 * the distance to the tail, which Java's readers write every few seconds themselves: those in a group with ours apply it, carry
 * it along, and nothing follows from it. Java's readers are never judged, for they write only when their program reads.
 *
 * Times are of one clock, the monotonic one of who judges, and say when a sign was seen here. Nobody is silent before this
 * process has looked on all the time: after a pause of its own, or of the server, all have their thirty seconds again.
 *
 * A reader owes signs only while somebody looks: another reader of this client, or whoever waits for a checkpoint. One that
 * reads alone writes none. From when it begins to owe them it has thirty seconds, of which it takes five at most to notice.
 *
 * So a reader knows when others may have given it up: `DELIVER_MS` after the last moment at which it was in good standing it
 * stops delivering until it has asked. Two readers do not deliver of one segment at a time, other than what was in a program's
 * hands already.
 */
import { unreachable } from '../../base/assert.ts'
import type { GroupState } from '../../protocol/reader-group/group-state.ts'
import type { GroupUpdate } from '../../protocol/reader-group/group-updates.ts'
import { isMarked } from './reader-id.ts'

/** How often a reader shows life. */
export const SIGN_MS = 5000
/** Who shows none for so long is dead to the others. */
export const SILENT_MS = 30_000
/** The difference is for clocks that run at different speeds, and for what was on its way to the program. */
export const DELIVER_MS = 25_000
/** Who looks more seldom than this has not looked on all the time. */
const LOOK_MS_MAX = 10_000

export class LifeSigns {
  /** When the last sign of each reader was seen. Only of those online, and marked; as the next map. */
  readonly #signs = new Map<string, number>()
  /** When the reader came to owe signs, or was first seen here. */
  readonly #owedSince = new Map<string, number>()
  /** Readers of this very process. They live. */
  readonly #own = new Map<string, number>()
  #knownMs = Number.NEGATIVE_INFINITY
  #watchedSinceMs = Number.NEGATIVE_INFINITY

  /** Everything that was written before is known here. */
  get knownMs(): number {
    return this.#knownMs
  }

  /** A reader of this process begins; what is returned ends it. */
  enter(reader: string): () => void {
    this.#own.set(reader, (this.#own.get(reader) ?? 0) + 1)
    let entered = true
    return () => {
      if (!entered) return
      entered = false
      const count = this.#own.get(reader) ?? 0
      if (count > 1) this.#own.set(reader, count - 1)
      else this.#own.delete(reader)
    }
  }

  /** Whatever had been written at `startMs` has been applied by now. */
  caughtUp(startMs: number, nowMs: number): void {
    if (startMs - this.#knownMs > LOOK_MS_MAX) this.#watchedSinceMs = nowMs
    this.#knownMs = Math.max(this.#knownMs, startMs)
  }

  /** Some of what was written will never be seen here. */
  missed(nowMs: number): void {
    this.#watchedSinceMs = nowMs
  }

  /** A whole state took the place of the one before. */
  loaded(state: GroupState, nowMs: number): void {
    for (const reader of this.#owedSince.keys()) if (!state.isReaderOnline(reader)) this.#forget(reader)
    for (const reader of markedReaders(state))
      if (!this.#owedSince.has(reader)) this.#owedSince.set(reader, nowMs)
  }

  /** The update was applied, and this is the state that came of it. */
  applied(update: GroupUpdate, state: GroupState, nowMs: number): void {
    switch (update.kind) {
      case 'start':
      case 'compact':
        return this.loaded(state, nowMs)
      case 'remove-reader':
        return this.#forget(update.reader)
      case 'add-reader':
        if (!isMarked(update.reader)) return
        this.#signs.set(update.reader, nowMs)
        this.#owedSince.set(update.reader, nowMs)
        return this.#owes(state, update.reader, nowMs)
      case 'create-checkpoint':
        return this.#owes(state, undefined, nowMs)
      case 'release-segment':
      case 'acquire-segment':
      case 'complete-segment':
      case 'report-checkpoint':
      case 'update-distance-to-tail':
        if (this.#owedSince.has(update.reader)) this.#signs.set(update.reader, nowMs)
        return
      case 'clear-checkpoints-before':
      case 'remove-outstanding-checkpoints':
      case 'set-checkpoint-published':
      case 'set-updating-config':
        return
      default:
        return unreachable(update)
    }
  }

  /** Readers that are dead as far as can be told here. */
  silent(): readonly string[] {
    return [...this.#owedSince.keys()].filter((reader) => !this.#own.has(reader) && this.#isSilent(reader))
  }

  /** Whether the reader has been seen to live since then. Java's are taken to live always. */
  livesSince(reader: string, sinceMs: number): boolean {
    if (!isMarked(reader) || this.#own.has(reader)) return true
    return (this.#signs.get(reader) ?? Number.NEGATIVE_INFINITY) >= sinceMs
  }

  #isSilent(reader: string): boolean {
    const signMs = this.#signs.get(reader) ?? Number.NEGATIVE_INFINITY
    const owedMs = this.#owedSince.get(reader) ?? Number.POSITIVE_INFINITY
    return this.#knownMs - Math.max(signMs, owedMs, this.#watchedSinceMs) >= SILENT_MS
  }

  /** One reader that was alone, and so owed nothing, owes signs from now on. */
  #owes(state: GroupState, newcomer: string | undefined, nowMs: number): void {
    const [first, second] = markedReaders(state).filter((reader) => reader !== newcomer)
    if (first !== undefined && second === undefined) this.#owedSince.set(first, nowMs)
  }

  #forget(reader: string): void {
    this.#signs.delete(reader)
    this.#owedSince.delete(reader)
  }
}

/** Whether others look for signs of life of the reader. */
export function owesSigns(state: GroupState, reader: string): boolean {
  return state.readers.some((other) => other !== reader && isMarked(other))
}

/** What takes a dead reader out. Others go on where it had recorded, and with that it has reported for checkpoints. */
export function takeOut(reader: string): GroupUpdate {
  return { kind: 'remove-reader', reader, owned: new Map() }
}

function markedReaders(state: GroupState): readonly string[] {
  return state.readers.filter(isMarked)
}
