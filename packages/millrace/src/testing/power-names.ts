/**
 * The names of a power disk. Calls see a view in memory; the real directory follows when it is synced, or now and then by
 * chance, as a kernel writes its journal when it likes. A new file has a hidden name in the real directory until then.
 * After a kill the hidden ones are leftovers of creations that were lost; they are removed when the directory is first used.
 */
import { posix } from 'node:path'
import { type Disk, DiskError } from '../base/host.ts'
import type { SimRandom } from './sim/sim-random.ts'

const { basename, dirname, join } = posix

const HIDDEN_PREFIX = '.unsynced-'
const FOLLOW_CHANCE = 0.3

/** A file or a directory, and where the real disk has it now. */
export interface PowerNode {
  realPath: string
  /** Bytes written and not synced, oldest first; see power-disk.ts. */
  readonly held: { readonly position: number; readonly bytes: Buffer }[]
  /** Of the file as calls see it; unknown until it is first opened. */
  length: number | undefined
  /** What reaches the real file does so one call after the other. */
  turn: Promise<unknown>
}

interface View {
  readonly names: Map<string, PowerNode>
  /** Real files without a name in the view. */
  removed: PowerNode[]
}

export class PowerNames {
  readonly #disk: Disk
  readonly #random: SimRandom
  readonly #views = new Map<string, Promise<View>>()
  /** Changes of names run one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #hiddenLast = 0

  constructor(disk: Disk, random: SimRandom) {
    this.#disk = disk
    this.#random = random
  }

  async list(directory: string): Promise<string[]> {
    const view = await this.#view(directory)
    return [...view.names.keys()].toSorted()
  }

  /** Uses a file or directory where it is now; its real path does not change meanwhile. */
  use<T>(path: string, action: (node: PowerNode) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => action(await this.#find(path)))
  }

  /** Gives a new file its place; whoever asked creates it there. */
  create(path: string, createReal: (realPath: string) => Promise<void>): Promise<PowerNode> {
    return this.#inTurn(async () => {
      const { directory, name } = split(path)
      const view = await this.#view(directory)
      if (view.names.has(name)) throw new DiskError('exists', path, `${path} exists`)
      const realPath = join(directory, `${HIDDEN_PREFIX}${++this.#hiddenLast}`)
      await createReal(realPath)
      const node = nodeAt(realPath, 0)
      view.names.set(name, node)
      await this.#followByChance(directory, view)
      return node
    })
  }

  makeDirectory(path: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#disk.makeDirectory(path)
      for (let child = normalize(path); child !== dirname(child); child = dirname(child)) {
        const view = await this.#views.get(dirname(child))
        if (view !== undefined && !view.names.has(basename(child)))
          view.names.set(basename(child), nodeAt(child, undefined))
      }
    })
  }

  rename(from: string, to: string): Promise<void> {
    return this.#inTurn(async () => {
      const source = split(from)
      const target = split(to)
      const node = await this.#find(from)
      const sourceView = await this.#view(source.directory)
      const targetView = await this.#view(target.directory)
      const replaced = targetView.names.get(target.name)
      if (replaced === node) return
      if (replaced !== undefined) targetView.removed.push(replaced)
      sourceView.names.delete(source.name)
      targetView.names.set(target.name, node)
      await this.#followByChance(target.directory, targetView)
    })
  }

  remove(path: string): Promise<void> {
    return this.#inTurn(async () => {
      const { directory, name } = split(path)
      const view = await this.#view(directory)
      const node = await this.#find(path)
      view.names.delete(name)
      view.removed.push(node)
      await this.#followByChance(directory, view)
    })
  }

  sync(directory: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#follow(directory, await this.#view(directory))
      await this.#disk.syncDirectory(directory)
    })
  }

  async #followByChance(directory: string, view: View): Promise<void> {
    if (this.#random.chance(FOLLOW_CHANCE)) await this.#follow(directory, view)
  }

  /** Makes the real directory look like the view. */
  async #follow(directory: string, view: View): Promise<void> {
    const removed = view.removed
    view.removed = []
    // Names that are about to be taken over are free by that; the others are removed.
    const wanted = new Set([...view.names.keys()].map((name) => join(directory, name)))
    for (const node of removed) if (!wanted.has(node.realPath)) await this.#disk.remove(node.realPath)
    let moving = [...view.names].filter(([name, node]) => node.realPath !== join(directory, name))
    while (moving.length > 0) {
      const occupied = new Set(moving.map(([, node]) => node.realPath))
      const free = moving.find(([name]) => !occupied.has(join(directory, name)))
      const [name, node] = free ?? moving[0]!
      // Names that were exchanged in a circle need one step aside.
      const target = join(directory, free === undefined ? `${HIDDEN_PREFIX}${++this.#hiddenLast}` : name)
      await this.#disk.rename(node.realPath, target)
      node.realPath = target
      moving = moving.filter(([other, { realPath }]) => realPath !== join(directory, other))
    }
  }

  async #find(path: string): Promise<PowerNode> {
    const { directory, name } = split(path)
    const view = await this.#view(directory)
    const node = view.names.get(name)
    if (node === undefined) throw new DiskError('not-found', path, `There is no ${path}`)
    return node
  }

  #view(path: string): Promise<View> {
    const directory = normalize(path)
    let view = this.#views.get(directory)
    if (view === undefined) {
      view = this.#load(directory)
      this.#views.set(directory, view)
      view.catch(() => this.#views.delete(directory))
    }
    return view
  }

  async #load(directory: string): Promise<View> {
    const names = new Map<string, PowerNode>()
    for (const name of await this.#disk.list(directory)) {
      const realPath = join(directory, name)
      if (name.startsWith(HIDDEN_PREFIX)) await this.#disk.remove(realPath)
      else names.set(name, nodeAt(realPath, undefined))
    }
    return { names, removed: [] }
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(action)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

/** One spelling for each path. */
function normalize(path: string): string {
  return join(path, '.')
}

function nodeAt(realPath: string, length: number | undefined): PowerNode {
  return { realPath, length, held: [], turn: Promise.resolve() }
}

function split(path: string): { directory: string; name: string } {
  return { directory: dirname(normalize(path)), name: basename(path) }
}
