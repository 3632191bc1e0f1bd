/**
 * Where segments live, as far as it is known: asked once, and again after a store said or showed that it is wrong. What will be
 * merged into a segment lives where that segment does, and is not asked about by itself (trap 31).
 */
import type { Address } from '../base/host.ts'
import { parentSegmentName } from '../protocol/names.ts'

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
    const place = placeOf(segment)
    const known = this.#known.get(place)
    if (known !== undefined) return known
    const address = await this.#locate(place, options)
    if (this.#known.size >= ENTRIES_MAX)
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest)
        break
      }
    this.#known.set(place, address)
    return address
  }

  /** Forgets what turned out to be wrong, or may have. */
  drop(segment: string): void {
    this.#known.delete(placeOf(segment))
  }
}

function placeOf(segment: string): string {
  return parentSegmentName(segment) ?? segment
}
