/**
 * Makes the next file of the log ready while the present one is written, from a file that nobody needs any more or by writing
 * zeros. When the volume is full it tries again until there is room; every other failure is one of the log.
 */
import type { Clock, Timer } from '../../base/host.ts'
import { assert } from '../../base/assert.ts'
import { roundUp } from '../../base/bytes.ts'
import { isFull } from './disk-failure.ts'
import { PAGE_BYTES } from './frame.ts'
import {
  createLogFile,
  FIRST_FRAME_POSITION,
  LAST_MARK_BYTES,
  type LogFile,
  type LogRun,
} from './log-file.ts'
import type { SpareFile } from './log-file.ts'
import { removeIfThere } from './replace-file.ts'

const SPARES_MAX = 2
const RETRY_MS = 500

export interface FilePreparerOptions {
  readonly run: LogRun
  readonly clock: Clock
  readonly generation: number
  readonly fileBytesFirst: number
  readonly fileBytesMax: number
  /** A file became ready, or there is no room for one. */
  readonly onChange: () => void
  readonly onFailure: (error: unknown) => void
}

export class FilePreparer {
  readonly #options: FilePreparerOptions
  readonly #spares: SpareFile[] = []
  #generation: number
  /** Of the next file; doubles. */
  #fileBytes: number
  #frameBytesMin = 0
  #ready: LogFile | undefined
  #making: Promise<void> | undefined
  #noSpace = false
  #stopped = false
  #pause: { timer: Timer; end: () => void } | undefined

  constructor(options: FilePreparerOptions) {
    this.#options = options
    this.#generation = options.generation
    this.#fileBytes = Math.min(options.fileBytesFirst * 2, options.fileBytesMax)
  }

  /** The file to go on with. */
  get ready(): LogFile | undefined {
    return this.#ready
  }

  /** The last attempt failed for want of room. */
  get noSpace(): boolean {
    return this.#noSpace
  }

  get spares(): readonly SpareFile[] {
    return this.#spares
  }

  /** Sees to it that there will be a file with room for a frame of this length; as cheap as can be if there is one. */
  prepare(frameBytes: number): void {
    if (frameBytes > this.#frameBytesMin) this.#frameBytesMin = frameBytes
    if (this.#making !== undefined || this.#stopped) return
    if (this.#ready !== undefined && this.#ready.bytes >= this.#bytesMin) return
    this.#making = this.#make().then(
      () => {
        this.#making = undefined
        this.#options.onChange()
      },
      (error: unknown) => {
        this.#making = undefined
        this.#options.onFailure(error)
      },
    )
  }

  take(): LogFile {
    const file = this.#ready
    assert(file !== undefined, 'Only a file that is ready can be taken')
    this.#ready = undefined
    this.#frameBytesMin = 0
    return file
  }

  /** Keeps a file for later use, unless there are enough or it is too small. */
  async release(spare: SpareFile): Promise<void> {
    const isWelcome = spare.bytes >= this.#fileBytes || this.#noSpace
    if (isWelcome && this.#spares.length < SPARES_MAX) this.#spares.push(spare)
    else await this.#options.run.disk.remove(spare.path)
    this.#pause?.end()
  }

  /** Gives up what is being made, and removes the file that was ready: the next start makes one that suits it. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#pause?.end()
    await this.#making
    const file = this.#ready
    if (file === undefined) return
    this.#ready = undefined
    await file.closeSlots()
    await removeIfThere(this.#options.run.disk, file.path)
  }

  get #bytesMin(): number {
    const bytes = FIRST_FRAME_POSITION + this.#frameBytesMin + LAST_MARK_BYTES
    return this.#frameBytesMin === 0 ? 0 : roundUp(bytes, PAGE_BYTES)
  }

  async #make(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (this.#ready === undefined) await this.#makeReady()
        else if (this.#ready.bytes < this.#bytesMin) await this.#growReady(this.#ready)
        else return
        this.#noSpace = false
      } catch (error) {
        if (!isFull(error)) throw error
        await this.#waitForSpace()
      }
    }
  }

  async #makeReady(): Promise<void> {
    const { run } = this.#options
    const bytes = Math.max(this.#fileBytes, this.#bytesMin)
    const spare = this.#spares.shift()
    const made = await createLogFile(run, {
      generation: this.#generation,
      bytes: spare === undefined ? bytes : Math.max(spare.bytes, this.#bytesMin),
      spare,
      isUnwanted: () => this.#stopped,
    })
    if (made === undefined) return
    this.#generation++
    this.#fileBytes = Math.min(this.#fileBytes * 2, this.#options.fileBytesMax)
    this.#ready = made
  }

  /** A file in preparation is taken away meanwhile, so that nobody writes to it. */
  async #growReady(file: LogFile): Promise<void> {
    this.#ready = undefined
    try {
      await file.grow(this.#options.run.disk, this.#bytesMin)
    } finally {
      this.#ready = file
    }
  }

  async #waitForSpace(): Promise<void> {
    const { fileBytesFirst, clock } = this.#options
    if (this.#ready === undefined && this.#fileBytes > fileBytesFirst && this.#fileBytes > this.#bytesMin) {
      // Half as much may still fit.
      this.#fileBytes = Math.max(Math.floor(this.#fileBytes / 2 / PAGE_BYTES) * PAGE_BYTES, fileBytesFirst)
      return
    }
    this.#noSpace = true
    this.#options.onChange()
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.#pause?.timer.cancel()
        this.#pause = undefined
        resolve()
      }
      this.#pause = { timer: clock.setTimer(RETRY_MS, end, { weak: true }), end }
    })
  }
}
