/**
 * A container that knows what it gave to its log and what was acknowledged, so that it can tell after every start whether it
 * got back what it should: each acknowledged frame once and in order, nothing that was never given, and every byte.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { assert } from '../base/assert.ts'
import {
  type Block,
  BLOCK_BYTES_MAX,
  type ContainerLog,
  type ContainerRecovery,
  type DurableLog,
  type Frame,
  type FrameSource,
  LogError,
  type Place,
  type RecoveredFrame,
} from '../segment-store/log/durable-log.ts'
import { hashText, SimRandom } from './sim/sim-random.ts'

/** One frame's worth: extents that come and extents that go. */
interface Operation {
  readonly number: number
  readonly add: readonly { extent: number; lengths: readonly number[] }[]
  readonly drop: readonly number[]
  readonly filler: number
}

interface Extent {
  readonly place: Place
  readonly lengths: readonly number[]
}

interface State {
  through: number
  readonly extents: Map<number, Extent>
}

/** What outlives a crash: the knowledge of the one who watches. */
export class ModelContainer implements FrameSource {
  readonly id: number
  /** The number of the last operation that was acknowledged, in any life. */
  acknowledged = 0
  /** Called for each frame that is durable. */
  onDurable: (number: number) => void = () => undefined
  onFailed: (error: LogError) => void = () => undefined
  onCheckpointDue: () => void = () => undefined
  readonly failures: LogError[] = []
  damage: LogError | undefined
  /** All that were given to the log and may be found; those behind a start's end were lost and never come back. */
  #given: Operation[] = []
  #state: State = newState()
  #queue: Operation[] = []
  #lastNumber = 0
  #taken = 0
  #log: ContainerLog | undefined
  #checkpoint: { through: number; save: (state: Buffer[]) => void } | undefined
  #replayed = 0

  constructor(id: number) {
    this.id = id
  }

  get log(): ContainerLog {
    assert(this.#log !== undefined, 'The container is open')
    return this.#log
  }

  get extents(): readonly number[] {
    return [...this.#state.extents.keys()]
  }

  get through(): number {
    return this.#state.through
  }

  get replayed(): number {
    return this.#replayed
  }

  placeOf(extent: number): Place {
    return this.#state.extents.get(extent)!.place
  }

  /** A start begins. */
  recovery(): ContainerRecovery {
    this.#state = newState()
    this.#queue = []
    this.#checkpoint = undefined
    this.#replayed = 0
    this.damage = undefined
    let ended = false
    let first = true
    return {
      checkpoint: (bytes) => {
        ok(!ended && first && this.#state.through === 0, 'The checkpoint comes first')
        this.#state = decodeState(bytes)
      },
      frame: (frame) => {
        ok(!ended, 'Frames come before the end')
        this.#recover(frame, first)
        first = false
      },
      end: () => {
        ok(!ended, 'The end comes once')
        ended = true
        return new Set([...this.#state.extents.values()].map((extent) => extent.place))
      },
      damaged: (error) => {
        ok(!ended, 'Damage comes instead of the end')
        ended = true
        this.damage = error
      },
    }
  }

  /** The start is over. */
  open(log: DurableLog): void {
    const { through } = this.#state
    ok(through >= this.acknowledged, `Container ${this.id} lost ${through + 1} to ${this.acknowledged}`)
    this.acknowledged = through
    this.#given = this.#given.filter((operation) => operation.number <= through)
    this.#lastNumber = through
    this.#taken = through
    this.#log = log.openContainer(this.id, this)
  }

  /** Queues an operation; `wake` is left to the caller's choice of moment. */
  put(options: { lengths?: readonly number[]; drop?: readonly number[]; filler?: number }): number {
    const number = ++this.#lastNumber
    const add = options.lengths === undefined ? [] : [{ extent: number, lengths: options.lengths }]
    this.#queue.push({ number, add, drop: options.drop ?? [], filler: options.filler ?? 0 })
    return number
  }

  take(): Frame | undefined {
    const operation = this.#queue.shift()
    if (operation === undefined) return undefined
    this.#given.push(operation)
    this.#taken = operation.number
    const { number } = operation
    return {
      metadata: encodeOperation(operation),
      blocks: blocksOf(this.id, operation),
      durable: (place) => {
        strictEqual(number, this.#state.through + 1, 'Frames become durable in order')
        this.acknowledged = number
        this.#apply(operation, place)
        this.#maybeSave()
        this.onDurable(number)
      },
      failed: (error) => {
        this.failures.push(error)
        this.onFailed(error)
      },
    }
  }

  checkpointDue(): void {
    this.onCheckpointDue()
  }

  /** Resolves when the checkpoint is saved. */
  async checkpoint(): Promise<void> {
    const begun = this.log.beginCheckpoint()
    const state = await new Promise<Buffer[]>((resolve) => {
      this.#checkpoint = { through: this.#taken, save: resolve }
      this.#maybeSave()
    })
    await begun.save(state)
  }

  /** Reads everything that should be there. */
  async verify(): Promise<void> {
    for (const extent of this.extents) await this.verifyExtent(extent)
  }

  /** Nothing is wrong if the extent is dropped, or the log closed, meanwhile. */
  async verifyExtent(extent: number): Promise<void> {
    const known = this.#state.extents.get(extent)
    if (known === undefined) return
    for (const block of blocksOfExtent(this.id, extent, known.lengths)) {
      const within = Math.floor(block.bytes.length / 2)
      try {
        const read = await this.log.read({ place: known.place, extent, offset: block.offset + within })
        deepStrictEqual(read, block)
      } catch (error) {
        if (this.#state.extents.get(extent) !== known) return
        if (error instanceof LogError && error.code === 'closed') return
        throw error
      }
    }
  }

  #recover(frame: RecoveredFrame, first: boolean): void {
    this.#replayed++
    const operation = decodeOperation(frame.metadata)
    const { number } = operation
    const given = this.#given.find((one) => one.number === number)
    deepStrictEqual(operation, given, `Container ${this.id} gets ${number} back, which it never gave`)
    deepStrictEqual(
      frame.blocks,
      blocksOf(this.id, operation).map(({ extent, offset, bytes }) => ({
        extent,
        offset,
        length: bytes.length,
      })),
    )
    if (first && number <= this.#state.through) return
    strictEqual(number, this.#state.through + 1, `Container ${this.id} gets its frames in order, each once`)
    this.#apply(operation, frame.place)
  }

  #apply(operation: Operation, place: Place): void {
    const { extents } = this.#state
    this.#state.through = operation.number
    for (const { extent, lengths } of operation.add) extents.set(extent, { place, lengths })
    const left = new Set<Place>()
    for (const extent of operation.drop) {
      const known = extents.get(extent)
      if (known !== undefined) left.add(known.place)
      extents.delete(extent)
    }
    for (const { place: used } of extents.values()) left.delete(used)
    for (const unused of left) this.#log?.unpin(unused)
  }

  #maybeSave(): void {
    if (this.#checkpoint === undefined || this.#state.through < this.#checkpoint.through) return
    const { save } = this.#checkpoint
    this.#checkpoint = undefined
    save(encodeState(this.#state))
  }
}

function newState(): State {
  return { through: 0, extents: new Map() }
}

function encodeState(state: State): Buffer[] {
  const text = JSON.stringify({ through: state.through, extents: [...state.extents] })
  const bytes = Buffer.from(text)
  return [bytes.subarray(0, 5), bytes.subarray(5)]
}

function decodeState(bytes: Buffer): State {
  const { through, extents } = JSON.parse(bytes.toString()) as {
    through: number
    extents: [number, Extent][]
  }
  return { through, extents: new Map(extents) }
}

function encodeOperation(operation: Operation): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(operation)}\n`), Buffer.alloc(operation.filler, 'x')])
}

function decodeOperation(metadata: Buffer): Operation {
  const end = metadata.indexOf('\n')
  const operation = JSON.parse(metadata.toString('utf8', 0, end)) as Operation
  strictEqual(metadata.length - end - 1, operation.filler)
  return operation
}

function blocksOf(container: number, operation: Operation): Block[] {
  return operation.add.flatMap(({ extent, lengths }) => blocksOfExtent(container, extent, lengths))
}

function blocksOfExtent(container: number, extent: number, lengths: readonly number[]): Block[] {
  let offset = 0
  return lengths.map((length) => {
    const block = { extent, offset, bytes: contentOf({ container, extent, offset, length }) }
    offset += length
    return block
  })
}

/** Other bytes for each place, which anybody can find again: a piece of one long random text. */
function contentOf(of: { container: number; extent: number; offset: number; length: number }): Buffer {
  const { container, extent, offset, length } = of
  const start = hashText(`${container}/${extent}/${offset}`, 0) % BLOCK_BYTES_MAX
  return TEXT.subarray(start, start + length)
}

const TEXT: Buffer = new SimRandom('text').bytes(2 * BLOCK_BYTES_MAX)
