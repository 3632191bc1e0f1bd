/**
 * The checkpoints of all containers and the anchor, which says where a start begins.
 *
 * A checkpoint counts once the anchor that names it is durable; only then the one before it is removed and files of the log
 * are given up. A container that logged nothing since its checkpoint moves on with every anchor for free.
 */
import { assert } from '../../base/assert.ts'
import { type Anchor, type AnchorEntry, encodeAnchor, type LogPoint } from './anchor.ts'
import { writeCheckpoint } from './checkpoint-file.ts'
import { asLogError } from './disk-failure.ts'
import type { LogError } from './durable-log.ts'
import { ANCHOR_NAME, checkpointName } from './log-names.ts'
import { type Making, removeIfThere, replaceFile } from './replace-file.ts'

/** What the log knows of a container at its start. */
export interface CheckpointState {
  readonly container: number
  /** 0 if there is none. */
  readonly checkpoint: number
  readonly replay: LogPoint
  /** It is damaged: what is left of it stays as it is. */
  readonly shut: boolean
}

export interface CheckpointsOptions {
  readonly making: Making & { storeId: Buffer }
  readonly containers: readonly CheckpointState[]
  /** Of the anchor that is there. */
  readonly oldestNeeded: number
  readonly point: () => LogPoint
  readonly durableThrough: () => number
  /** The sequence of the last frame of a container; 0 if there is none within what a start would read. */
  readonly lastSequence: (container: number) => number
  readonly refusal: () => LogError | undefined
  readonly onAnchored: () => void
  /** After this nothing can be trusted any more. */
  readonly onFailure: (error: unknown) => void
}

interface Entry {
  checkpoint: number
  replay: LogPoint
  readonly shut: boolean
  /** Of the checkpoint that was last begun. */
  begun: LogPoint | undefined
  numberLast: number
  /** The files that are there, the one that counts included. */
  files: number[]
  saving: Promise<void>
}

export class Checkpoints {
  readonly #options: CheckpointsOptions
  readonly #entries = new Map<number, Entry>()
  #oldestNeeded: number
  #writing: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  constructor(options: CheckpointsOptions) {
    this.#options = options
    this.#oldestNeeded = options.oldestNeeded
    for (const state of options.containers) this.#entries.set(state.container, newEntry(state))
  }

  /** The first generation that a start would read. */
  get oldestNeeded(): number {
    return this.#oldestNeeded
  }

  /** A container that the log has not heard of before. */
  add(container: number): void {
    if (this.#entries.has(container)) return
    const replay = this.#options.point()
    this.#entries.set(container, newEntry({ container, checkpoint: 0, replay, shut: false }))
  }

  /** Those with frames since their last checkpoint. */
  due(container: number): boolean {
    const entry = this.#entries.get(container)
    return entry !== undefined && this.#isBehind(container, entry)
  }

  begin(container: number): { save(state: readonly Buffer[]): Promise<void> } {
    const entry = this.#entries.get(container)
    assert(entry !== undefined, 'A container that is open has an entry')
    const point = this.#options.point()
    entry.begun = point
    return {
      save: (state) => {
        assert(
          entry.begun === point,
          `A later checkpoint of container ${container} was begun, or this one saved`,
        )
        entry.begun = undefined
        const saving = entry.saving.then(() => this.#save(container, point, state))
        entry.saving = saving.catch(() => undefined)
        return saving
      },
    }
  }

  /** Resolves when nothing is being written. */
  async settle(): Promise<void> {
    for (const entry of this.#entries.values()) await entry.saving
    await this.#writing
  }

  async #save(container: number, point: LogPoint, state: readonly Buffer[]): Promise<void> {
    const entry = this.#entries.get(container)!
    const { making } = this.#options
    try {
      this.#checkRefusal()
      const number = ++entry.numberLast
      await writeCheckpoint(making, { container, number }, state)
      entry.files.push(number)
      entry.checkpoint = number
      entry.replay = point
      this.#checkRefusal()
      await this.#writeAnchor()
      for (const old of entry.files.filter((file) => file < number))
        await removeIfThere(making.disk, `${making.directory}/${checkpointName(container, old)}`)
      entry.files = entry.files.filter((file) => file >= number)
    } catch (error) {
      const failure = asLogError(error)
      if (failure.code === 'io') this.#options.onFailure(failure)
      throw failure
    }
  }

  #checkRefusal(): void {
    const refusal = this.#options.refusal()
    if (refusal !== undefined) throw refusal
  }

  /** One that is being written has begun with what it knew then, so whoever asks now waits for the next. */
  #writeAnchor(): Promise<void> {
    this.#next ??= this.#writing.then(async () => {
      this.#next = undefined
      const writing = this.#replaceAnchor()
      this.#writing = writing.catch(() => undefined)
      await writing
    })
    return this.#next
  }

  async #replaceAnchor(): Promise<void> {
    const anchor = this.#snapshot()
    const { making } = this.#options
    await replaceFile(making, ANCHOR_NAME, [encodeAnchor(anchor, making.storeId)])
    this.#oldestNeeded = oldestGeneration(anchor)
    this.#options.onAnchored()
  }

  #snapshot(): Anchor {
    const end = this.#options.point()
    const entries: AnchorEntry[] = []
    for (const [container, entry] of this.#entries) {
      const isBehind = this.#isBehind(container, entry)
      if (!isBehind && entry.checkpoint === 0) continue
      entries.push({ container, checkpoint: entry.checkpoint, replay: isBehind ? entry.replay : end })
    }
    return { durableThrough: this.#options.durableThrough(), end, entries }
  }

  #isBehind(container: number, entry: Entry): boolean {
    return entry.shut || this.#options.lastSequence(container) >= entry.replay.sequence
  }
}

function newEntry(state: CheckpointState): Entry {
  return {
    checkpoint: state.checkpoint,
    replay: state.replay,
    shut: state.shut,
    begun: undefined,
    numberLast: state.checkpoint,
    files: state.checkpoint === 0 ? [] : [state.checkpoint],
    saving: Promise.resolve(),
  }
}

export function oldestGeneration(anchor: Anchor): number {
  return anchor.entries.reduce(
    (least, entry) => Math.min(least, entry.replay.generation),
    anchor.end.generation,
  )
}
