/** The programs on Pravega's own Java client: built once, run as processes. */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child, type ChildOptions } from './child.ts'

const PROJECT = join(import.meta.dirname, 'java')
const BUILT = join(PROJECT, 'target/built')
const GOALS = [
  'compile',
  'dependency:copy-dependencies',
  '-DincludeScope=runtime',
  '-DoutputDirectory=target/lib',
]
/** The client's own pool is as small as the machine, too small for checkpoints that are waited for. */
const OPTIONS = ['-Xmx1g', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
const CLIENT_THREADS = '-Dpravega.client.internal.threadpool.size=8'

/** Those of the programs that are needed and not there. */
export function missingPrograms(): string[] {
  return ['java', 'mvn'].filter((name) => spawnSync(name, ['-version'], { stdio: 'ignore' }).status !== 0)
}

/** Compiles what is newer than the last build. */
export async function buildJava(): Promise<void> {
  const sources = globSync('{pom.xml,src/**/*.java}', { cwd: PROJECT }).map((file) => join(PROJECT, file))
  const begunAt = new Date()
  const newest = Math.max(...sources.map((file) => statSync(file).mtimeMs))
  if (existsSync(BUILT) && statSync(BUILT).mtimeMs >= newest) return
  console.log('building the Java programs')
  const maven = new Child({ name: 'mvn', command: 'mvn', args: ['-q', '-B', ...GOALS], cwd: PROJECT })
  if ((await maven.ended) !== 0) throw maven.failure('failed')
  writeFileSync(BUILT, '')
  // What was changed while Maven ran is built the next time.
  utimesSync(BUILT, begunAt, begunAt)
}

/** Builds, or ends this process with status 2 and the name of what is missing. */
export async function needJava(): Promise<void> {
  const missing = missingPrograms()
  if (missing.length > 0) {
    console.error(
      `${missing.join(' and ')}: not found on the PATH. A JDK of 11 or newer and Maven are needed.`,
    )
    process.exit(2)
  }
  await buildJava()
}

export function startJava(
  main: string,
  args: readonly string[],
  options: Pick<ChildOptions, 'onLine' | 'onErrorLine'> = {},
): Child {
  const classpath = `${join(PROJECT, 'target/classes')}:${join(PROJECT, 'target/lib')}/*`
  return new Child({
    name: main,
    command: 'java',
    args: [...OPTIONS, CLIENT_THREADS, '-cp', classpath, `millrace.interop.${main}`, ...args],
    ...options,
  })
}
