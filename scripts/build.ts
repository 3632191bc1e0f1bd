/**
 * Builds the package as it is published, into `dist/package/`: JavaScript and declarations for ES2022, the command, and a manifest
 * of its own. A checkout never needs it; Node runs the sources there.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const SOURCE = join(ROOT, 'packages/millrace')

/** Where the package is after `build`. */
export const PACKAGE: string = join(ROOT, 'dist/package')

/** What is published: everything but tests and the tools for them that are of use to us alone. */
const SHIPPED = ['src/index.ts', 'src/server/index.ts', 'src/testing/index.ts', 'src/cli/main.ts']

interface Manifest {
  readonly exports: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

export function build(): void {
  rmSync(PACKAGE, { recursive: true, force: true })
  mkdirSync(PACKAGE, { recursive: true })
  const config = {
    extends: '../tsconfig.json',
    compilerOptions: {
      noEmit: false,
      noEmitOnError: true,
      outDir: 'package/dist',
      rootDir: '../packages/millrace/src',
      declaration: true,
      sourceMap: false,
    },
    include: [],
    files: SHIPPED.map((file) => `../packages/millrace/${file}`),
    exclude: [],
  }
  writeFileSync(join(ROOT, 'dist/tsconfig.json'), JSON.stringify(config, undefined, 2))
  run('tsc', ['-p', 'dist/tsconfig.json'])
  // Generated code is JavaScript already.
  for (const file of globSync('src/**/gen/*.{js,d.ts}', { cwd: SOURCE })) {
    const target = join(PACKAGE, file.replace(/^src/, 'dist'))
    mkdirSync(dirname(target), { recursive: true })
    cpSync(join(SOURCE, file), target)
  }
  mkdirSync(join(PACKAGE, 'bin'))
  const command = readFileSync(join(SOURCE, 'bin/millrace.js'), 'utf8')
  writeFileSync(
    join(PACKAGE, 'bin/millrace.js'),
    command.replace('../src/cli/main.ts', '../dist/cli/main.js'),
  )
  for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md']) cpSync(join(ROOT, file), join(PACKAGE, file))
  writeFileSync(join(PACKAGE, 'package.json'), `${JSON.stringify(publishedManifest(), undefined, 2)}\n`)
}

function publishedManifest(): object {
  const manifest = JSON.parse(readFileSync(join(SOURCE, 'package.json'), 'utf8')) as Manifest
  const exports = Object.entries(manifest.exports).map(([name, source]) => {
    if (!source.endsWith('.ts')) return [name, source]
    const base = source.replace('./src/', './dist/').replace(/\.ts$/, '')
    return [name, { types: `${base}.d.ts`, default: `${base}.js` }]
  })
  return {
    ...manifest,
    exports: Object.fromEntries(exports) as object,
    files: ['bin', 'dist', 'CHANGELOG.md'],
  }
}

function run(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' })
  if (result.error !== undefined) throw result.error
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed:\n${result.stdout}${result.stderr}`)
}

if (import.meta.main) build()
