/** What must hold of the text itself: types, lint, format and the rules of the tree. Fast enough to run on every save. */
import { spawnSync } from 'node:child_process'
import { findUntidy } from './tidy.ts'

const steps: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['types', 'tsc', ['-p', '.']],
  ['lint', 'oxlint', ['--type-aware', '--deny-warnings']],
  ['format', 'biome', ['format', '.']],
]

/** Runs every check and prints a line for each; true if all passed. */
export function check(): boolean {
  let passed = true
  for (const [name, command, args] of steps) {
    const started = performance.now()
    const result = spawnSync(command, args, { encoding: 'utf8', shell: false })
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const ok = result.status === 0
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
    if (!ok) console.log(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`)
    passed &&= ok
  }
  const untidy = findUntidy()
  console.log(`${untidy.length === 0 ? 'ok  ' : 'FAIL'} tidy`)
  for (const finding of untidy) console.log(`  ${finding}`)
  return passed && untidy.length === 0
}

if (import.meta.main && !check()) process.exitCode = 1
