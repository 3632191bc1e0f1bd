/**
 * Bounds what frames take that have not come completely. A frame may have 16 MiB and a client all the time in the world, so many
 * clients that never finish could take all memory. Beyond the limit only the connection that has most of its frame is read
 * on; the others wait in their sockets. If that one does not get on either, it is cut.
 */
import type { Clock, Timer } from '../../base/host.ts'

/** What a connection may always have; most frames of those that are many are smaller. */
const SMALL_BYTES = 64 * 1024
/** For one frame, while others have to wait for it. */
const FRAME_MS_MAX = 10_000

/** A connection as it is seen from here. */
export interface Sender {
  setCrowded(crowded: boolean): void
  fail(error: Error): void
}

export class UnfinishedFrames {
  readonly #clock: Clock
  readonly #bytesMax: number
  /** Those with more than a little. */
  readonly #bytes = new Map<Sender, number>()
  #total = 0
  #waiting = new Set<Sender>()
  #leader: Sender | undefined
  #timer: Timer | undefined

  constructor(options: { clock: Clock; bytesMax: number }) {
    this.#clock = options.clock
    this.#bytesMax = options.bytesMax
  }

  get bytes(): number {
    return this.#total
  }

  /** Says how much of a frame a connection has now; 0 if it has none, or is closed. */
  note(sender: Sender, bytes: number): void {
    const before = this.#bytes.get(sender) ?? 0
    const now = bytes > SMALL_BYTES ? bytes : 0
    if (now === before) return
    this.#total += now - before
    if (now === 0) this.#bytes.delete(sender)
    else this.#bytes.set(sender, now)
    // One that has finished a frame, or begun another, has got on.
    if (sender === this.#leader && now < before) this.#lead(undefined)
    if (now === 0) this.#waiting.delete(sender)
    if (this.#total > this.#bytesMax) this.#crowd()
    else this.#release()
  }

  #crowd(): void {
    if (this.#leader === undefined) this.#lead(this.#furthest())
    for (const sender of this.#bytes.keys()) {
      if (sender === this.#leader || this.#waiting.has(sender)) continue
      this.#waiting.add(sender)
      sender.setCrowded(true)
    }
  }

  #release(): void {
    this.#lead(undefined)
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const sender of waiting) sender.setCrowded(false)
  }

  #lead(leader: Sender | undefined): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#leader = leader
    if (leader === undefined) return
    if (this.#waiting.delete(leader)) leader.setCrowded(false)
    const cut = (): void =>
      leader.fail(
        new Error(
          `A frame did not come completely within ${FRAME_MS_MAX} ms, while ${this.#total} bytes of others wait`,
        ),
      )
    this.#timer = this.#clock.setTimer(FRAME_MS_MAX, cut, { weak: true })
  }

  #furthest(): Sender | undefined {
    let furthest: Sender | undefined
    let most = 0
    for (const [sender, bytes] of this.#bytes) {
      if (bytes <= most) continue
      furthest = sender
      most = bytes
    }
    return furthest
  }
}
