/**
 * A real disk that forgets like one whose power fails. Writes stay in this process's memory until they are synced, so that a
 * SIGKILL loses what a power cut would have lost, which the kernel's page cache would otherwise have saved. Reads see them
 * all the while. Now and then a part of such a write reaches the real file early, as sectors do.
 *
 * Bytes held beyond `heldBytesMax` (256 MiB) go to the real file, oldest first, without a sync.
 */
import type { Disk, File } from '../base/host.ts'
import { type PowerNode, PowerNames } from './power-names.ts'
import { SimRandom } from './sim/sim-random.ts'

export interface PowerDiskOptions {
  readonly seed: number | string
  /** A planted bug: a sync answers at once and does nothing. A crash test that does not find it is worth nothing. */
  readonly syncDoesNothing?: boolean
  readonly heldBytesMax?: number
}

const HELD_BYTES_MAX = 256 * 1024 * 1024
const TEAR_CHANCE = 0.05
const SECTOR_BYTES = 512

export function powerDisk(disk: Disk, options: PowerDiskOptions): Disk {
  const random = new SimRandom(`power ${options.seed}`)
  const names = new PowerNames(disk, random)
  const memory: Memory = {
    disk,
    random,
    syncDoesNothing: options.syncDoesNothing === true,
    heldBytesMax: options.heldBytesMax ?? HELD_BYTES_MAX,
    heldBytes: 0,
  }
  return {
    async open(path, mode) {
      if (mode === 'create') {
        let real: File | undefined
        const node = await names.create(path, async (realPath) => {
          real = await disk.open(realPath, 'create')
        })
        return new PowerFile(memory, node, { path, real: real! })
      }
      return names.use(path, async (node) => {
        // Also a file that is only read takes what others wrote along when it is synced.
        const real = await disk.open(node.realPath, 'write')
        node.length ??= await real.size()
        return new PowerFile(memory, node, { path, real })
      })
    },
    list: (path) => names.list(path),
    makeDirectory: (path) => names.makeDirectory(path),
    rename: (from, to) => names.rename(from, to),
    remove: (path) => names.remove(path),
    syncDirectory: (path) => names.sync(path),
    lock: (directory, holder) => disk.lock(directory, holder),
  }
}

interface Memory {
  readonly disk: Disk
  readonly random: SimRandom
  readonly syncDoesNothing: boolean
  readonly heldBytesMax: number
  heldBytes: number
}

type HeldWrite = PowerNode['held'][number]

class PowerFile implements File {
  readonly path: string
  readonly #memory: Memory
  readonly #node: PowerNode
  readonly #real: File

  constructor(memory: Memory, node: PowerNode, options: { path: string; real: File }) {
    this.path = options.path
    this.#memory = memory
    this.#node = node
    this.#real = options.real
  }

  async size(): Promise<number> {
    return this.#length
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const length = Math.min(target.length, Math.max(this.#length - position, 0))
    // What is held now is laid over the bytes below, also if it is written through meanwhile.
    const held = [...this.#node.held]
    const within = target.subarray(0, length)
    const count = await this.#real.read(within, position)
    within.fill(0, count)
    for (const write of held) {
      const from = Math.max(write.position, position)
      const to = Math.min(write.position + write.bytes.length, position + length)
      if (from < to)
        within.set(write.bytes.subarray(from - write.position, to - write.position), from - position)
    }
    return length
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    const write = this.#hold(pieces, position)
    const { random } = this.#memory
    const tears = random.chance(TEAR_CHANCE)
    if (!tears && this.#memory.heldBytes <= this.#memory.heldBytesMax) return
    const sectors = random.integer(Math.ceil(write.bytes.length / SECTOR_BYTES) + 1)
    await this.#inTurn(async () => {
      if (tears && this.#node.held.includes(write))
        await this.#real.write([write.bytes.subarray(0, sectors * SECTOR_BYTES)], position)
      await this.#spill()
    })
  }

  async writeDurable(pieces: readonly Uint8Array[], position: number): Promise<void> {
    const write = this.#hold(pieces, position)
    if (this.#memory.syncDoesNothing) return this.#inTurn(() => this.#spill())
    const end = position + write.bytes.length
    await this.#inTurn(async () => {
      const older: HeldWrite[] = []
      for (const other of this.#node.held) {
        if (other === write) break
        if (other.position < end && position < other.position + other.bytes.length) older.push(other)
      }
      // Or they would land on top of this one later.
      for (const other of older) await this.#real.write([other.bytes], other.position)
      await this.#real.writeDurable([write.bytes], position)
      this.#letGo([...older, write])
    })
  }

  async sync(): Promise<void> {
    if (this.#memory.syncDoesNothing) return
    await this.#inTurn(async () => {
      const held = [...this.#node.held]
      for (const write of held) await this.#real.write([write.bytes], write.position)
      await this.#real.sync()
      this.#letGo(held)
    })
  }

  /** Goes through at once, which is one of the things that may happen to it. */
  async truncate(length: number): Promise<void> {
    await this.#inTurn(async () => {
      for (const write of this.#node.held.splice(0)) {
        this.#memory.heldBytes -= write.bytes.length
        const rest = write.bytes.subarray(0, Math.max(length - write.position, 0))
        if (rest.length > 0) this.#hold([rest], write.position)
      }
      this.#node.length = length
      await this.#real.truncate(length)
    })
  }

  close(): Promise<void> {
    return this.#real.close()
  }

  get #length(): number {
    return this.#node.length ?? 0
  }

  #hold(pieces: readonly Uint8Array[], position: number): HeldWrite {
    const write = { position, bytes: Buffer.concat(pieces) }
    this.#node.held.push(write)
    this.#node.length = Math.max(this.#length, position + write.bytes.length)
    this.#memory.heldBytes += write.bytes.length
    return write
  }

  async #spill(): Promise<void> {
    while (this.#memory.heldBytes > this.#memory.heldBytesMax && this.#node.held.length > 0) {
      const oldest = this.#node.held[0]!
      await this.#real.write([oldest.bytes], oldest.position)
      this.#letGo([oldest])
    }
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#node.turn.then(action)
    this.#node.turn = turn.catch(() => undefined)
    return turn
  }

  #letGo(writes: readonly HeldWrite[]): void {
    for (const write of writes) {
      const index = this.#node.held.indexOf(write)
      if (index < 0) continue
      this.#node.held.splice(index, 1)
      this.#memory.heldBytes -= write.bytes.length
    }
  }
}
