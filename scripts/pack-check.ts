/**
 * `npm run pack:check`: is what would be published good? Builds and packs it, installs the tarball in an empty directory, and there
 * runs the README's first program and the command line on every Node that the package promises to run on.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build, PACKAGE } from './build.ts'

const ROOT = join(import.meta.dirname, '..')

/** The oldest that the manifest admits, as far as there is a package of it for this machine, and the newest of the others. */
const NODES: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['22.15.0', '24.21.0', '26.10.0'],
  'linux-arm64': ['22.18.0', '24.21.0', '26.10.0'],
}

/** The oldest TypeScript that our types are promised to compile under. The newest is the one of this workspace. */
const TYPESCRIPT_OLDEST = '5.9.3'

/** What the README's first program prints when it is run anew. */
const PRINTED = ['ada 1 12.5', 'bob 2 3', 'ada 3 7'].join('\n')

async function packCheck(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-pack-'))
  try {
    build()
    const tarball = pack(directory)
    install(directory, tarball)
    compileFirstProgram(directory)
    for (const node of nodes()) await runOn(node, directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Of what there is for tests, users get the test store and the simulator beneath it. */
const STRANGER = /\.test\.|\/testing\/(?!index\.|test-store\/|sim\/)|\/fixtures\/|(?<!\.d)\.ts$/

/** The path of the tarball, which holds what a user needs and nothing that only we do. */
function pack(directory: string): string {
  const output = run('npm', ['pack', '--json', '--pack-destination', directory], { cwd: PACKAGE })
  const [packed] = JSON.parse(output) as {
    filename: string
    unpackedSize: number
    files: { path: string }[]
  }[]
  if (packed === undefined) throw new Error('npm pack made nothing')
  const paths = packed.files.map(({ path }) => path)
  const strangers = paths.filter((path) => STRANGER.test(path))
  if (strangers.length > 0)
    throw new Error(`The package holds what is not for users: ${strangers.join(', ')}`)
  for (const path of [
    'README.md',
    'LICENSE',
    'package.json',
    'bin/millrace.js',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/testing/index.js',
  ])
    if (!paths.includes(path)) throw new Error(`The package lacks ${path}`)
  console.log(
    `ok   packed: ${paths.length} files, ${(packed.unpackedSize / 1024 ** 2).toFixed(1)} MiB unpacked`,
  )
  return join(directory, packed.filename)
}

function install(directory: string, tarball: string): void {
  const types = rootVersion('@types/node')
  const manifest = {
    private: true,
    type: 'module',
    dependencies: { millrace: `file:${tarball}` },
    devDependencies: { '@types/node': types, typescript: TYPESCRIPT_OLDEST },
  }
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest))
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: directory })
  console.log('ok   installed without running scripts')
}

/** Under both ends of the range of compilers; without `skipLibCheck`, so that our declarations are checked, too. */
function compileFirstProgram(directory: string): void {
  const source = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1]
  if (source === undefined) throw new Error('README.md has no program')
  writeFileSync(join(directory, 'first.ts'), source)
  const options = ['--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node']
  const compilers = [
    [TYPESCRIPT_OLDEST, join(directory, 'node_modules/typescript/bin/tsc')],
    [rootVersion('typescript'), join(ROOT, 'node_modules/typescript/bin/tsc')],
  ] as const
  for (const [version, compiler] of compilers) {
    run(process.execPath, [compiler, ...options, 'first.ts'], { cwd: directory })
    console.log(`ok   the README's first program compiles under TypeScript ${version}`)
  }
}

function rootVersion(name: string): string {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  const version = manifest.devDependencies[name]
  if (version === undefined) throw new Error(`package.json does not say which ${name} we use`)
  return version
}

/** Paths of executables, installed once beside the packages of this workspace. */
function nodes(): readonly string[] {
  const platform = `${process.platform}-${process.arch}`
  const versions = NODES[platform]
  if (versions === undefined) {
    console.log(
      `     no packages of Node are known for ${platform}: only this one, ${process.version}, is tried`,
    )
    return [process.execPath]
  }
  const cache = join(ROOT, 'node_modules/.cache/nodes')
  const aliases = versions.map((version) => [`node-${version}`, `npm:node-${platform}@${version}`])
  const manifest = JSON.stringify({ private: true, dependencies: Object.fromEntries(aliases) as object })
  // Written last, so that an installation that broke off is made again.
  const done = join(cache, 'installed.json')
  if (!existsSync(done) || readFileSync(done, 'utf8') !== manifest) {
    rmSync(cache, { recursive: true, force: true })
    mkdirSync(cache, { recursive: true })
    writeFileSync(join(cache, 'package.json'), manifest)
    run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: cache })
    writeFileSync(done, manifest)
  }
  return versions.map((version) => join(cache, 'node_modules', `node-${version}`, 'bin/node'))
}

async function runOn(node: string, directory: string): Promise<void> {
  const version = run(node, ['--version'], { cwd: directory }).trim()
  checkImports(node, directory)
  rmSync(join(directory, 'data'), { recursive: true, force: true })
  // The second run prints what the second run wrote: the group remembers what it has read.
  for (const time of ['first', 'second'])
    expect(run(node, ['first.js'], { cwd: directory }).trim(), PRINTED, `${time} run of the README's program`)
  checkTestStore(node, directory)
  await checkCommands(node, directory)
  console.log(`ok   Node ${version}: imports, the README's program twice, a test store, serve, write, read`)
}

/** Whoever embeds a store loads none of what the server and the command line are made with. */
function checkImports(node: string, directory: string): void {
  const list = [
    `import { registerHooks } from 'node:module'`,
    `const loaded = []`,
    `registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })`,
    `const { open } = await import('millrace')`,
    `const store = await open('./imported')`,
    `await store.close()`,
    `const foreign = loaded.filter((url) => !url.startsWith('node:') && !url.includes('/node_modules/millrace/'))`,
    `console.log(foreign.filter((url) => !url.endsWith('/imports.mjs')).concat(loaded.length > 10 ? [] : ['nothing']).join(' '))`,
  ]
  writeFileSync(join(directory, 'imports.mjs'), list.join('\n'))
  expect(run(node, ['imports.mjs'], { cwd: directory }).trim(), '', 'list of strangers that millrace loads')
}

function checkTestStore(node: string, directory: string): void {
  const program = [
    `import { testStore } from 'millrace/testing'`,
    `const store = await testStore()`,
    `const orders = store.stream('shop/orders', { key: null })`,
    `await orders.writeAll(['first', 'second'])`,
    `await store.crash()`,
    `for await (const { value } of orders.read({ until: 'tail' })) console.log(value)`,
    `await store.close()`,
  ]
  writeFileSync(join(directory, 'tested.mjs'), program.join('\n'))
  expect(run(node, ['tested.mjs'], { cwd: directory }).trim(), 'first\nsecond', 'events of the test store')
}

async function checkCommands(node: string, directory: string): Promise<void> {
  const command = join(directory, 'node_modules/millrace/bin/millrace.js')
  const data = join(directory, `data-${Math.random()}`)
  const ports = ['--controller-port', '0', '--segment-store-port', '0']
  const server = spawn(node, [command, 'serve', '--data', data, '--json', '--log-level', 'warn', ...ports], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const { controller } = JSON.parse(await firstLine(server)) as { controller: string }
    const env = { ...process.env, MILLRACE_SERVER: controller }
    const input = Array.from({ length: 1000 }, (_, index) => `${index + 1}\n`).join('')
    run(node, [command, 'write', 'demo/orders', '--key-field', '1'], { cwd: directory, env, input })
    expect(run(node, [command, 'read', 'demo/orders'], { cwd: directory, env }), input, 'events read')
    server.kill('SIGTERM')
    expect(String((await once(server, 'exit'))[0]), '0', 'status of the server')
  } finally {
    server.kill('SIGKILL')
  }
}

async function firstLine(process: ChildProcess): Promise<string> {
  // It was made with a pipe.
  const lines = createInterface({ input: process.stdout! })
  const ended = once(process, 'exit').then(([status]) => {
    throw new Error(`The server ended with ${status}`)
  })
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string]
  ended.catch(() => undefined)
  return line
}

function expect(actual: string, expected: string, what: string): void {
  if (actual === expected) return
  throw new Error(`The ${what} is not as it should be.\nExpected:\n${expected}\nActual:\n${actual}`)
}

interface RunOptions {
  readonly cwd: string
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string
}

function run(command: string, args: readonly string[], options: RunOptions): string {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000, ...options })
  if (result.error !== undefined) throw result.error
  if (result.status === 0) return result.stdout
  throw new Error(
    `${command} ${args.join(' ')} ended with ${result.status}:\n${result.stdout}${result.stderr}`,
  )
}

if (import.meta.main) await packCheck()
