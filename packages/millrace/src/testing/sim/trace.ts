const RECENT_MAX = 200

/**
 * What happened, as a running hash: two runs of one seed that differ in anything noted here differ in the end. The last
 * few entries are kept for whoever looks into a failure.
 */
export class Trace {
  #low = 0x811c9dc5 | 0
  #high = 0x9e3779b9 | 0
  #entries = 0
  readonly #recent: string[] = []

  get entries(): number {
    return this.#entries
  }

  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
    return `${hex(this.#high)}${hex(this.#low)}`
  }

  /** The last entries, oldest first. */
  get recent(): readonly string[] {
    const start = this.#entries % RECENT_MAX
    return [...this.#recent.slice(start), ...this.#recent.slice(0, start)]
  }

  /** Kinds and names are few and short; `value` is a size, a position or a time. */
  note(timeUs: number, kind: string, name: string, value: number): void {
    this.#text(kind)
    this.#text(name)
    this.#word(timeUs)
    this.#word(timeUs / 2 ** 32)
    this.#word(value)
    this.#recent[this.#entries % RECENT_MAX] = `${(timeUs / 1000).toFixed(3)} ms ${name} ${kind} ${value}`
    this.#entries++
  }

  #text(text: string): void {
    for (let i = 0; i < text.length; i++) this.#word(text.charCodeAt(i))
  }

  #word(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193)
    this.#high = Math.imul((this.#high ^ value) + this.#low, 0x85ebca6b) ^ (this.#high >>> 15)
  }
}
