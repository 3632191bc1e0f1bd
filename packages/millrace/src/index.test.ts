import { deepStrictEqual, ok } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { inDirectory } from './testing/command-line.ts'

const SOURCE: string = pathToFileURL(join(import.meta.dirname, '/')).href

test('whoever imports millrace and opens a store loads our own files and nothing else', () =>
  inDirectory(async (directory) => {
    const program = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context) } })
      const { open } = await import(${JSON.stringify(`${SOURCE}index.ts`)})
      const store = await open(${JSON.stringify(join(directory, 'data'))})
      await store.stream('demo/first', { key: null }).write('event')
      await store.close()
      console.log(JSON.stringify(loaded))`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    const loaded = (JSON.parse(stdout) as string[]).filter((url) => !url.startsWith('node:'))
    ok(loaded.length > 10)
    const layers = ['base', 'protocol', 'segment-store', 'client', 'controller', 'server']
    const foreign = loaded.filter((url) => {
      const path = url.startsWith(SOURCE) ? url.slice(SOURCE.length) : undefined
      return path === undefined || (path.includes('/') && !layers.includes(path.split('/')[0] ?? ''))
    })
    // Neither packages, nor the command line, nor anything made for tests, nor gRPC.
    deepStrictEqual(foreign, [])
    deepStrictEqual(
      loaded.filter((url) => /grpc|\/gen\/|\/http\.ts|logger/.test(url)),
      [],
    )
  }))
