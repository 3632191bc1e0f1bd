/**
 * The files of the log and who needs them. A file goes when nothing is written to it, when every start would begin behind it, and
 * when no container has bytes in it.
 */
import type { Disk } from '../../base/host.ts'
import type { BlockReader } from './block-reader.ts'
import type { FilePreparer } from './file-preparer.ts'
import type { LogFile } from './log-file.ts'
import { indexName } from './log-names.ts'
import { removeIfThere } from './replace-file.ts'

export interface FileSetOptions {
  readonly disk: Disk
  readonly directory: string
  readonly reader: BlockReader
  readonly preparer: FilePreparer
  /** The first generation that a start would read. */
  readonly oldestNeeded: () => number
  readonly onFailure: (error: unknown) => void
}

export class FileSet {
  readonly #options: FileSetOptions
  readonly #files = new Map<number, LogFile>()
  /** Places of which a container said that it has bytes there, and there is no such file. */
  readonly #missing = new Map<number, Set<number>>()
  #removal: Promise<void> = Promise.resolve()

  constructor(options: FileSetOptions) {
    this.#options = options
  }

  get all(): readonly LogFile[] {
    return [...this.#files.values()]
  }

  add(file: LogFile): void {
    this.#files.set(file.generation, file)
  }

  get(generation: number): LogFile | undefined {
    return this.#files.get(generation)
  }

  isMissing(generation: number, container: number): boolean {
    return this.#missing.get(generation)?.has(container) === true
  }

  pin(generation: number, container: number): void {
    const file = this.#files.get(generation)
    if (file !== undefined) {
      file.pins.add(container)
      return
    }
    const containers = this.#missing.get(generation) ?? new Set<number>()
    this.#missing.set(generation, containers.add(container))
  }

  unpin(generation: number, container: number): void {
    const file = this.#files.get(generation)
    file?.pins.delete(container)
    this.#missing.get(generation)?.delete(container)
    if (file !== undefined) this.maybeFree(file)
  }

  isNeeded(file: LogFile): boolean {
    if (!file.left || file.writesRunning > 0 || file.pins.size > 0) return true
    return file.generation >= this.#options.oldestNeeded()
  }

  freeUnneeded(): void {
    for (const file of this.#files.values()) this.maybeFree(file)
  }

  /** Removes a file for which nobody can have a need, whatever its age. */
  discard(file: LogFile): void {
    this.#free(file)
  }

  /** Resolves once the files that were freed are gone. */
  async settle(): Promise<void> {
    await this.#removal
  }

  maybeFree(file: LogFile): void {
    if (this.#files.get(file.generation) !== file) return
    if (file.holds === 0 && !this.isNeeded(file)) this.#free(file)
  }

  #free(file: LogFile): void {
    this.#files.delete(file.generation)
    file.index = undefined
    this.#removal = this.#removal.then(() => this.#remove(file)).catch(this.#options.onFailure)
  }

  async #remove(file: LogFile): Promise<void> {
    const { disk, directory, reader, preparer } = this.#options
    await file.closeSlots()
    await reader.forget(file.generation)
    // First the index, or a start might find one whose file is used for something else.
    await removeIfThere(disk, `${directory}/${indexName(file.generation)}`)
    await preparer.release({ path: file.path, bytes: file.bytes })
  }
}
