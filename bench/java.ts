/** The Java client's driver: built once, run as a process. */
import { existsSync, globSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runToEnd } from './child.ts'

const PROJECT = join(import.meta.dirname, 'java')
const TARGET = join(PROJECT, 'target')
const BUILT = join(TARGET, 'built')
const BUILD_MS_MAX = 600_000

/** Compiles what is newer than the last build. Rejects with what Maven says, or that there is none. */
export async function buildJava(): Promise<void> {
  const sources = [
    join(PROJECT, 'pom.xml'),
    ...globSync('src/**/*.java', { cwd: PROJECT }).map((file) => join(PROJECT, file)),
  ]
  const newest = Math.max(...sources.map((file) => statSync(file).mtimeMs))
  if (existsSync(BUILT) && statSync(BUILT).mtimeMs >= newest) return
  const goals = [
    'compile',
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
    '-DoutputDirectory=target/lib',
  ]
  await runToEnd({ name: 'mvn', command: 'mvn', args: ['-q', '-B', ...goals], cwd: PROJECT }, BUILD_MS_MAX)
  writeFileSync(BUILT, '')
  const now = new Date()
  utimesSync(BUILT, now, now)
}

/** The command line that runs a load. */
export function javaCommand(args: readonly string[]): { command: string; args: string[] } {
  const classpath = `${join(TARGET, 'classes')}:${join(TARGET, 'lib')}/*`
  // The heap holds what is under way several times over; a fixed one keeps its growth out of the figures.
  return { command: 'java', args: ['-Xms1g', '-Xmx1g', '-cp', classpath, 'millrace.bench.Bench', ...args] }
}
