/**
 * A log in memory, for tests that decide when frames become durable. `power` forgets what is not; what is can be recovered
 * into other containers.
 */
import {
  type Admission,
  type Block,
  type ContainerLog,
  type ContainerRecovery,
  type DurableLog,
  type Frame,
  type FrameSource,
  LogError,
  type LogStats,
} from '../segment-store/log/durable-log.ts'

interface Kept {
  readonly container: number
  readonly metadata: Buffer
  readonly blocks: readonly Block[]
  readonly place: number
}

export class MemoryLog implements DurableLog {
  full = false
  failure: LogError | undefined
  /** Whether frames become durable by themselves, at the end of the turn that brought them. */
  automatic = true
  /** Durable frames since the last checkpoint of their container. */
  readonly frames: Kept[] = []
  readonly unpinned: { container: number; place: number }[] = []
  /** Where the next frames go. */
  place = 1
  readonly #checkpoints = new Map<number, Buffer>()
  readonly #sources = new Map<number, FrameSource>()
  readonly #woken = new Set<number>()
  #taken: { container: number; frame: Frame }[] = []
  #scheduled = false
  #syncs = 0

  places(): { place: number; bytes: number }[] {
    return []
  }

  admission(): Admission {
    return this.full ? 'full' : 'open'
  }

  get stats(): LogStats {
    return { syncs: this.#syncs, frames: this.frames.length, frameBytes: 0, files: 1, fileBytes: 0 }
  }

  openContainer(container: number, source: FrameSource): ContainerLog {
    this.#sources.set(container, source)
    return {
      wake: () => {
        this.#woken.add(container)
        if (!this.automatic || this.#scheduled) return
        this.#scheduled = true
        queueMicrotask(() => {
          this.#scheduled = false
          this.settle()
        })
      },
      read: async ({ place, extent, offset }) => {
        const kept = this.frames.filter((frame) => frame.container === container && frame.place === place)
        const blocks = kept.flatMap(({ blocks: all }) => all)
        const block = blocks.find(
          (one) => one.extent === extent && one.offset <= offset && offset < one.offset + one.bytes.length,
        )
        if (block === undefined) throw new LogError('not-found', `No byte ${offset} of extent ${extent}`)
        return { ...block, bytes: Buffer.from(block.bytes) }
      },
      unpin: (where) => this.unpinned.push({ container, place: where }),
      beginCheckpoint: () => ({
        save: async (state) => void this.#checkpoints.set(container, Buffer.concat(state)),
      }),
    }
  }

  /** What was woken is taken and is on its way. */
  take(): void {
    for (const container of this.#woken) {
      const source = this.#sources.get(container)
      for (let frame = source?.take(2 ** 20); frame !== undefined; frame = source?.take(2 ** 20))
        this.#taken.push({ container, frame })
    }
    this.#woken.clear()
  }

  /** Everything is synced. */
  settle(): void {
    this.take()
    this.#syncs++
    for (const { container, frame } of this.#taken.splice(0)) {
      if (this.failure !== undefined) {
        frame.failed(this.failure)
        continue
      }
      const blocks = frame.blocks.map((block) => ({ ...block, bytes: Buffer.from(block.bytes) }))
      this.frames.push({ container, metadata: Buffer.from(frame.metadata), blocks, place: this.place })
      frame.durable(this.place)
    }
  }

  /** A sync fails: nothing is durable any more. */
  fail(): void {
    this.failure = new LogError('io', 'The sync failed')
    this.settle()
  }

  checkpoint(): void {
    for (const source of this.#sources.values()) source.checkpointDue()
  }

  /** Gives a container what it was, as a start does. Answers with the places it pins. */
  recover(container: number, recovery: ContainerRecovery): number[] {
    const checkpoint = this.#checkpoints.get(container)
    if (checkpoint !== undefined) recovery.checkpoint(checkpoint)
    for (const frame of this.frames) {
      if (frame.container !== container) continue
      const blocks = frame.blocks.map(({ extent, offset, bytes }) => ({
        extent,
        offset,
        length: bytes.length,
      }))
      recovery.frame({ metadata: frame.metadata, blocks, place: frame.place })
    }
    return [...recovery.end()]
  }

  async close(): Promise<void> {
    this.settle()
  }
}
