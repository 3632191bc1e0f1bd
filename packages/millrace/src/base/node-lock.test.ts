import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'

test('a killed holder is followed at once, twenty times over', async (t) => {
  const directory = await makeDirectory(t)
  let last = await startContender(t, directory)
  match(await last.ask('lock'), /^locked/)
  for (let round = 0; round < 20; round++) {
    const next = await startContender(t, directory)
    match(await next.ask('lock'), new RegExp(`^refused .*contender.*process ${last.process.pid} `))
    const ended = once(last.process, 'exit')
    last.process.kill('SIGKILL')
    await ended
    match(await next.ask('lock'), /^locked/)
    last = next
  }
})

test('of two that start at once one gets in, twenty times over', async (t) => {
  const directory = await makeDirectory(t)
  const contenders = await Promise.all([startContender(t, directory), startContender(t, directory)])
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(contenders.map((contender) => contender.ask('lock')))
    const winners = contenders.filter((_, index) => answers[index]?.startsWith('locked') === true)
    strictEqual(winners.length, 1, answers.join(' | '))
    await winners[0]?.ask('release')
  }
})

test('a lock leaves an empty file and no name behind, and loading it prints nothing', async (t) => {
  const directory = await makeDirectory(t)
  const contender = await startContender(t, directory)
  await contender.ask('lock')
  deepStrictEqual(await readdir(directory), ['lock', 'lock-holder'])
  await contender.ask('release')
  deepStrictEqual(await readdir(directory), ['lock'])
  strictEqual(contender.warnings(), '')
})

interface Contender {
  readonly process: ChildProcess
  ask(command: 'lock' | 'release'): Promise<string>
  warnings(): string
}

/** A process that takes and releases the lock on command. */
async function startContender(t: TestContext, directory: string): Promise<Contender> {
  const module = new URL('node-disk.ts', import.meta.url).href
  const program = `
    const { nodeDisk } = await import(${JSON.stringify(module)})
    const { createInterface } = await import('node:readline')
    let lock
    console.log('ready')
    for await (const command of createInterface({ input: process.stdin })) {
      try {
        if (command === 'lock') lock = await nodeDisk.lock(process.argv[1], 'contender')
        else await lock.release()
        console.log(command + 'ed')
      } catch (error) {
        console.log('refused ' + error.message)
      }
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory])
  t.after(() => child.kill('SIGKILL'))
  let warnings = ''
  child.stderr.on('data', (chunk: Buffer) => {
    warnings += chunk.toString()
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async (): Promise<string> => {
    const line = await lines.next()
    ok(line.done !== true, `the contender ended: ${warnings}`)
    return line.value
  }
  strictEqual(await nextLine(), 'ready')
  return {
    process: child,
    warnings: () => warnings,
    ask: (command) => {
      child.stdin.write(`${command}\n`)
      return nextLine()
    },
  }
}

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-lock-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}
