/** Where segments live, as far as it is known: asked once, and again after a store said or showed that it is wrong. */
import type { Address } from '../base/host.ts'

const ENTRIES_MAX = 10_000

export type Locate = (segment: string, options: { signal?: AbortSignal | undefined }) => Promise<Address>

export class Locations {
  readonly #locate: Locate
  /** The oldest entry first. */
  readonly #known = new Map<string, Address>()

  constructor(locate: Locate) {
    this.#locate = locate
  }

  async find(segment: string, options: { signal?: AbortSignal | undefined } = {}): Promise<Address> {
    const known = this.#known.get(segment)
    if (known !== undefined) return known
    const address = await this.#locate(segment, options)
    if (this.#known.size >= ENTRIES_MAX)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest)
        break
      }
    this.#known.set(segment, address)
    return address
  }

  /** Forgets what turned out to be wrong, or may have. */
  drop(segment: string): void {
    this.#known.delete(segment)
  }
}
