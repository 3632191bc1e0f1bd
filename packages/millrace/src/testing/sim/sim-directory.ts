/**
 * The names of the simulated disk, twice: as calls see them, and as they are after a power cut. A creation, renaming or removal
 * is pending until its directory is synced; a power cut keeps some of the pending ones and loses the others.
 */
import { DiskError } from '../../base/host.ts'
import { Inode } from './sim-inode.ts'
import type { SimRandom } from './sim-random.ts'

export class Directory {
  readonly names: Map<string, Inode | Directory> = new Map()
  readonly durable: Map<string, Inode | Directory> = new Map()
}

type Change =
  | { readonly kind: 'add'; readonly directory: Directory; readonly name: string; readonly node: Inode }
  | { readonly kind: 'remove'; readonly directory: Directory; readonly name: string }
  | {
      readonly kind: 'rename'
      readonly directory: Directory
      readonly name: string
      readonly fromDirectory: Directory
      readonly fromName: string
      readonly node: Inode | Directory
    }

/** The root and all below it. */
export class DirectoryTree {
  readonly #root = new Directory()
  #pending: Change[] = []

  /** Every file that has a name. */
  get inodes(): Inode[] {
    return [...inodesBelow(this.#root)]
  }

  directory(path: string): Directory {
    let node: Inode | Directory | undefined = this.#root
    for (const name of namesOf(path)) node = node instanceof Directory ? node.names.get(name) : undefined
    if (node instanceof Directory) return node
    throw new DiskError(node === undefined ? 'not-found' : 'io', path, `${path} is no directory`)
  }

  inode(path: string): Inode {
    const { directory, name } = this.#locate(path)
    const node = directory.names.get(name)
    if (node instanceof Inode) return node
    if (node === undefined) throw new DiskError('not-found', path, `There is no ${path}`)
    throw new DiskError('io', path, `${path} is a directory`)
  }

  create(path: string): Inode {
    const { directory, name } = this.#locate(path)
    if (directory.names.has(name)) throw new DiskError('exists', path, `${path} exists`)
    const node = new Inode()
    directory.names.set(name, node)
    this.#pending.push({ kind: 'add', directory, name, node })
    return node
  }

  /** Directories are durable at once, as the contract of `makeDirectory` has it. */
  makeDirectory(path: string): void {
    let directory = this.#root
    for (const name of namesOf(path)) {
      let next = directory.names.get(name)
      if (next === undefined) {
        next = new Directory()
        directory.names.set(name, next)
        directory.durable.set(name, next)
      }
      if (!(next instanceof Directory)) throw new DiskError('exists', path, `${path} passes through a file`)
      directory = next
    }
  }

  rename(from: string, to: string): void {
    const source = this.#locate(from)
    const target = this.#locate(to)
    const node = source.directory.names.get(source.name)
    if (node === undefined) throw new DiskError('not-found', from, `There is no ${from}`)
    source.directory.names.delete(source.name)
    target.directory.names.set(target.name, node)
    this.#pending.push({
      kind: 'rename',
      directory: target.directory,
      name: target.name,
      fromDirectory: source.directory,
      fromName: source.name,
      node,
    })
  }

  remove(path: string): void {
    this.inode(path)
    const { directory, name } = this.#locate(path)
    directory.names.delete(name)
    this.#pending.push({ kind: 'remove', directory, name })
  }

  /** What a sync of this directory that begins now makes durable when it ends. */
  pendingIn(directory: Directory): readonly Change[] {
    return this.#pending.filter(
      (change) =>
        change.directory === directory || (change.kind === 'rename' && change.fromDirectory === directory),
    )
  }

  commit(changes: readonly Change[]): void {
    const committed = new Set(changes)
    for (const change of this.#pending) if (committed.has(change)) applyDurable(change)
    this.#pending = this.#pending.filter((change) => !committed.has(change))
  }

  /** The power goes: a journal keeps a prefix of the pending changes, a careless file system any of them. */
  loseUnsynced(random: SimRandom): void {
    const ordered = random.chance(0.5)
    const prefix = random.integer(this.#pending.length + 1)
    for (const [nth, change] of this.#pending.entries())
      if (ordered ? nth < prefix : random.chance(0.5)) applyDurable(change)
    this.#pending = []
    restore(this.#root)
    for (const inode of this.inodes) inode.loseUnsynced(random)
  }

  #locate(path: string): { directory: Directory; name: string } {
    const names = namesOf(path)
    const name = names.pop()
    if (name === undefined) throw new DiskError('io', path, `${path} is the root`)
    return { directory: this.directory(names.join('/')), name }
  }
}

function applyDurable(change: Change): void {
  switch (change.kind) {
    case 'add':
      change.directory.durable.set(change.name, change.node)
      return
    case 'remove':
      change.directory.durable.delete(change.name)
      return
    case 'rename': {
      const { fromDirectory, fromName } = change
      if (fromDirectory.durable.get(fromName) === change.node) fromDirectory.durable.delete(fromName)
      change.directory.durable.set(change.name, change.node)
    }
  }
}

function restore(directory: Directory): void {
  directory.names.clear()
  for (const [name, node] of directory.durable) {
    directory.names.set(name, node)
    if (node instanceof Directory) restore(node)
  }
}

function* inodesBelow(directory: Directory): Generator<Inode> {
  for (const node of directory.names.values()) {
    if (node instanceof Inode) yield node
    else yield* inodesBelow(node)
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}
