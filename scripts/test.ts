/** `npm test`: the checks of the text, then every test file; prints the ten slowest tests at the end. */
import { globSync } from 'node:fs'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { check } from './check.ts'

const patterns = process.argv.slice(2)
const files = globSync(
  patterns.length > 0
    ? patterns
    : ['packages/*/src/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/*.test.ts', 'examples/**/*.test.ts'],
)
const timings: { name: string; file: string; ms: number }[] = []
const started = performance.now()

if (patterns.length === 0 && !check()) process.exitCode = 1

let passed = 0
let failed = 0
const stream = run({ files: files.toSorted(), concurrency: 2 })
stream.on('test:pass', (event) => {
  if (event.details.type === 'suite' || event.name === event.file) return
  passed++
  timings.push({ name: event.name, file: event.file ?? '', ms: event.details.duration_ms })
})
stream.on('test:fail', (event) => {
  if (event.details.type !== 'suite') failed++
  process.exitCode = 1
})
stream.compose(spec()).pipe(process.stdout)
stream.on('end', () => {
  if (files.length === 0 || passed === 0) process.exitCode = 1
  console.log('\nslowest:')
  for (const test of timings.toSorted((a, b) => b.ms - a.ms).slice(0, 10))
    console.log(`  ${(test.ms / 1000).toFixed(2).padStart(6)} s  ${test.name}`)
  console.log(`\n${((performance.now() - started) / 1000).toFixed(0)} s in all`)
  console.log(`${passed} passed, ${failed} failed`)
})
