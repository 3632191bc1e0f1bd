/**
 * Work on one key runs one piece after the other, in the order of asking; work on different keys runs side by side. It
 * spares callers in this process the conflicts that compare-and-set would answer, and is no more than that: what is true
 * is decided in the table.
 */
export class KeyedQueue {
  /** The last piece of each key that has any. */
  readonly #tails = new Map<string, Promise<void>>()

  /** Keys that work is under way or waiting for. */
  get busy(): number {
    return this.#tails.size
  }

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve()
    const result = before.then(work)
    const leave = (): void => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
    const tail = result.then(leave, leave)
    this.#tails.set(key, tail)
    return result
  }
}
