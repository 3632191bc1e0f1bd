/** Where a benchmark keeps its files: inside the checkout, since a temporary directory is often memory, and memory does not sync. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT: string = join(import.meta.dirname, '..')
export const CACHE: string = join(import.meta.dirname, '.cache')

const made = new Set<string>()

process.once('exit', () => {
  for (const directory of made) rmSync(directory, { recursive: true, force: true })
})

/** A new directory, which goes when it is removed or this process ends. */
export function makeDirectory(purpose: string): string {
  mkdirSync(CACHE, { recursive: true })
  const directory = mkdtempSync(join(CACHE, `${purpose}-`))
  made.add(directory)
  return directory
}

/** A new directory for as long as a block runs. */
export function temporaryDirectory(purpose: string): Disposable & { readonly path: string } {
  const path = makeDirectory(purpose)
  return { path, [Symbol.dispose]: () => removeDirectory(path) }
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
  made.delete(directory)
}
