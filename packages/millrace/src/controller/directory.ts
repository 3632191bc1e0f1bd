/**
 * Names in order, page by page, out of tables that have none. A page begins behind the last name of the one before, so that
 * a stream that is there all the time is listed once, whatever is created and deleted meanwhile.
 *
 * Tables listed last are held as sorted names, kept up with every write; one with too many names to hold is read through for
 * each page, keeping no more than a few pages of it.
 */
import { PAGE_NAMES } from './limits.ts'

export interface ListedName {
  readonly name: string
  readonly tags: readonly string[]
}

export interface PageRequest {
  /** Only names behind this one; '' for the first page. */
  readonly after: string
  /** Only names with this tag. */
  readonly tag?: string | undefined
}

type Scan = (table: string) => AsyncIterable<readonly ListedName[]>

export class Directory {
  readonly #scan: Scan
  readonly #namesMax: number
  /** The one unused for longest comes first. */
  readonly #listings = new Map<string, Listing>()

  constructor(dependencies: { scan: Scan }, options: { namesMax: number }) {
    this.#scan = dependencies.scan
    this.#namesMax = options.namesMax
  }

  /** At most `PAGE_NAMES` names, sorted. */
  async page(table: string, request: PageRequest): Promise<readonly string[]> {
    const listing = this.#listings.get(table) ?? new Listing(this.#scan(table), this.#namesMax)
    this.#listings.delete(table)
    this.#listings.set(table, listing)
    try {
      if (await listing.loaded) {
        this.#makeRoom()
        return listing.page(request)
      }
    } catch (error) {
      if (this.#listings.get(table) === listing) this.#listings.delete(table)
      throw error
    }
    return this.#readThrough(table, request)
  }

  /** What a write has made of a name: with these tags, or gone. */
  note(table: string, name: string, tags: readonly string[] | undefined): void {
    this.#listings.get(table)?.note(name, tags)
  }

  /** Nothing is known for sure of this table any more. */
  forget(table: string): void {
    this.#listings.delete(table)
  }

  #makeRoom(): void {
    let names = 0
    for (const listing of this.#listings.values()) names += listing.size
    for (const [table, listing] of this.#listings) {
      if (names <= this.#namesMax) return
      names -= listing.size
      this.#listings.delete(table)
    }
  }

  async #readThrough(table: string, request: PageRequest): Promise<readonly string[]> {
    let names: string[] = []
    const keepFirst = (): void => {
      names.sort(byText)
      names = names.slice(0, PAGE_NAMES)
    }
    for await (const page of this.#scan(table)) {
      for (const { name, tags } of page) if (isAskedFor(name, tags, request)) names.push(name)
      if (names.length > PAGE_NAMES * 4) keepFirst()
    }
    keepFirst()
    return names
  }
}

/** The names of one table, in memory. */
class Listing {
  /** Resolves with false if there are too many names to hold. */
  readonly loaded: Promise<boolean>
  readonly #tags = new Map<string, readonly string[]>()
  /** What was written while the table was being read, and may or may not have been read with it. */
  #notes: Map<string, readonly string[] | undefined> | undefined = new Map()
  #sorted: readonly string[] | undefined
  #isTooLong = false

  constructor(pages: AsyncIterable<readonly ListedName[]>, namesMax: number) {
    this.loaded = this.#load(pages, namesMax)
  }

  get size(): number {
    return this.#tags.size
  }

  note(name: string, tags: readonly string[] | undefined): void {
    if (this.#isTooLong) return
    if (this.#notes !== undefined) {
      this.#notes.set(name, tags)
      return
    }
    const isNew = !this.#tags.has(name)
    if (tags === undefined) this.#tags.delete(name)
    else this.#tags.set(name, tags)
    if (isNew !== (tags === undefined)) this.#sorted = undefined
  }

  page(request: PageRequest): readonly string[] {
    this.#sorted ??= [...this.#tags.keys()].toSorted(byText)
    const page: string[] = []
    for (let i = firstBehind(this.#sorted, request.after); i < this.#sorted.length; i++) {
      const name = this.#sorted[i]!
      if (isAskedFor(name, this.#tags.get(name) ?? [], request)) page.push(name)
      if (page.length === PAGE_NAMES) break
    }
    return page
  }

  async #load(pages: AsyncIterable<readonly ListedName[]>, namesMax: number): Promise<boolean> {
    for await (const page of pages) {
      for (const { name, tags } of page) this.#tags.set(name, tags)
      if (this.#tags.size <= namesMax) continue
      this.#isTooLong = true
      this.#tags.clear()
      this.#notes = undefined
      return false
    }
    const notes = this.#notes ?? new Map<string, readonly string[] | undefined>()
    this.#notes = undefined
    for (const [name, tags] of notes) this.note(name, tags)
    return true
  }
}

function isAskedFor(name: string, tags: readonly string[], { after, tag }: PageRequest): boolean {
  return byText(name, after) > 0 && (tag === undefined || tags.includes(tag))
}

/** By code units, whatever the locale. */
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function firstBehind(sorted: readonly string[], after: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (byText(sorted[middle]!, after) > 0) high = middle
    else low = middle + 1
  }
  return low
}
