/** Bytes of events that are not durable. Beyond the limit producers are asked to wait, not forced to. */
import { assert } from '../base/assert.ts'

/** Room is told again when this part of the budget is in use. */
const ROOM_AT = 0.75

export class WriteBudget {
  readonly #bytesMax: number
  #bytes = 0
  #room: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Undefined while the budget has room; else resolves when it has again. Never rejects. */
  get room(): Promise<void> | undefined {
    if (this.#bytes <= this.#bytesMax) return undefined
    if (this.#room === undefined) {
      let resolve = (): void => undefined
      const promise = new Promise<void>((settle) => {
        resolve = settle
      })
      this.#room = { promise, resolve }
    }
    return this.#room.promise
  }

  take(bytes: number): void {
    this.#bytes += bytes
  }

  free(bytes: number): void {
    this.#bytes -= bytes
    assert(this.#bytes >= 0, 'What is freed was taken')
    if (this.#room === undefined || this.#bytes > this.#bytesMax * ROOM_AT) return
    this.#room.resolve()
    this.#room = undefined
  }
}
