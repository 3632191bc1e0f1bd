/** Rules of the tree that no linter knows: who may import whom, how long a file may be, words that must not stay. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const SOURCE = 'packages/millrace/src/'
const LINES_MAX = 1000

/** Dependencies point one way (design §5). A layer may import itself and what stands in its row. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  protocol: ['base'],
  'segment-store': ['base', 'protocol'],
  client: ['base', 'protocol'],
  controller: ['base', 'protocol', 'client'],
  server: ['base', 'protocol', 'segment-store', 'client', 'controller'],
  cli: ['base', 'protocol', 'client', 'server', ''],
  testing: ['base', 'protocol', 'segment-store', 'client', 'controller', 'server', 'cli', ''],
  '': ['base', 'protocol', 'segment-store', 'client', 'server'],
}

/** Third-party packages and the only files that may load them. */
const PACKAGES: readonly (readonly [name: RegExp, files: RegExp])[] = [
  [/^@grpc\/|^@bufbuild\//, /\/(grpc[a-z-]*|gen\/.*)\.(test\.)?(ts|js)$/],
  [/^pino$/, /^packages\/millrace\/src\/(server|cli)\//],
  [/^commander$/, /^packages\/millrace\/src\/cli\//],
  [/^fast-check$/, /\.test\.ts$|\/testing\//],
]
const NODE_ANYWHERE = /^node:(buffer|zlib|test|assert(\/strict)?)$/
const NODE_FILES =
  /\/(node-[a-z-]+|grpc[a-z-]*)\.ts$|\.test\.ts$|^packages\/millrace\/(bin\/|src\/(server|cli|testing)\/|src\/open\.ts)|^(scripts|bench|interop|examples)\//

function layerOf(path: string): string {
  const rest = path.slice(SOURCE.length)
  return rest.includes('/') ? (rest.split('/')[0] ?? '') : ''
}

function importProblem(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) {
    if (NODE_ANYWHERE.test(specifier) || NODE_FILES.test(file)) return undefined
    return `imports ${specifier}: only hosts and ends do`
  }
  if (!specifier.startsWith('.')) {
    if (specifier === 'millrace' || specifier.startsWith('millrace/')) return undefined
    const rule = PACKAGES.find(([name]) => name.test(specifier))
    if (rule === undefined) return `imports ${specifier}, which has no rule in scripts/tidy.ts`
    return rule[1].test(file) ? undefined : `imports ${specifier}, which may not be loaded here`
  }
  if (!file.startsWith(SOURCE)) return undefined
  const target = normalize(join(dirname(file), specifier))
  if (!target.startsWith(SOURCE)) return undefined
  const from = layerOf(file)
  const to = layerOf(target)
  if (file.endsWith('.test.ts')) return undefined
  if (from === to || LAYERS[from]?.includes(to) === true) return undefined
  return `imports ${specifier}: ${from} may not depend on ${to}`
}

/** One line for each finding; empty when the tree is tidy. */
export function findUntidy(): string[] {
  const listed = spawnSync(
    'git',
    ['ls-files', '-co', '--exclude-standard', '*.ts', '*.js', '*.md', '*.java'],
    {
      encoding: 'utf8',
    },
  )
  const findings: string[] = []
  for (const file of listed.stdout.split('\n')) {
    if (file === '' || !existsSync(file) || file.includes('/gen/')) continue
    const text = readFileSync(file, 'utf8')
    const code = /\.(ts|js)$/.test(file)
    const lines = text.split('\n').length
    if (code && lines > LINES_MAX) findings.push(`${file}: ${lines} lines, at most ${LINES_MAX}`)
    if (file !== 'scripts/tidy.ts' && /\b(FIXME|TODO|XXX|HACK)\b|@ts-(ignore|nocheck)/.test(text))
      findings.push(`${file}: holds a word for unfinished work`)
    if (file.endsWith('.test.ts') && /\b(test|it|describe|suite|t)\.(skip|only|todo)\(/.test(text))
      findings.push(`${file}: a test is skipped or focused`)
    if (!code) continue
    for (const match of text.matchAll(/(?<![.\w'-])(?:from|import)\s*\(?\s*'([^']+)'/g)) {
      const problem = importProblem(file, match[1] ?? '')
      if (problem !== undefined) findings.push(`${file}: ${problem}`)
    }
  }
  return findings
}
