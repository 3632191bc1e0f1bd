import type { Disk, File } from '../base/host.ts'

/**
 * A disk whose durable writes to some files wait for the test. So a test decides which of several finishes first, or that one
 * never does.
 */
export class GatedDisk {
  readonly disk: Disk
  readonly #waiting: { path: string; position: number; go: () => void }[] = []
  #isHeld: (path: string) => boolean = () => false

  constructor(inner: Disk) {
    this.disk = {
      open: async (path, mode) => this.#gate(await inner.open(path, mode)),
      list: (path) => inner.list(path),
      makeDirectory: (path) => inner.makeDirectory(path),
      rename: (from, to) => inner.rename(from, to),
      remove: (path) => inner.remove(path),
      syncDirectory: (path) => inner.syncDirectory(path),
      lock: (directory, holder) => inner.lock(directory, holder),
    }
  }

  /** Where the durable writes go that wait, in the order in which they were begun. */
  get waiting(): readonly { path: string; position: number }[] {
    return this.#waiting
  }

  /** From now on durable writes to such files wait. */
  hold(isHeld: (path: string) => boolean): void {
    this.#isHeld = isHeld
  }

  /** Lets the nth of those that wait go on. */
  release(nth: number): void {
    const [write] = this.#waiting.splice(nth, 1)
    write!.go()
  }

  releaseAll(): void {
    this.#isHeld = () => false
    for (const { go } of this.#waiting.splice(0)) go()
  }

  #gate(file: File): File {
    const { path } = file
    return {
      path,
      size: () => file.size(),
      read: (target, position) => file.read(target, position),
      write: (pieces, position) => file.write(pieces, position),
      writeDurable: async (pieces, position) => {
        if (this.#isHeld(path)) await new Promise<void>((go) => this.#waiting.push({ path, position, go }))
        await file.writeDurable(pieces, position)
      },
      sync: () => file.sync(),
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
    }
  }
}
