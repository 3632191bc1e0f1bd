import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ConfigError, readConfig } from './config.ts'

function configFile(t: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-config-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'millrace.json')
  writeFileSync(path, text)
  return path
}

test('a server listens on loopback, on the ports that Pravega clients know', () => {
  deepStrictEqual(readConfig({ flags: {}, env: {} }), {
    data: './millrace-data',
    host: '127.0.0.1',
    controllerPort: 9090,
    segmentStorePort: 12345,
    httpPort: undefined,
    advertise: undefined,
    memoryBytes: 256 * 1024 * 1024,
    containers: 16,
    mergeHoldOffMs: 600_000,
    mergeColdMs: 30_000,
    segmentsMax: 1000,
    logLevel: 'info',
  })
})

test('a flag goes before the environment, that before the file, that before the default', (t) => {
  const file = configFile(t, '{"host": "file", "data": "file", "controllerPort": 1}')
  const config = readConfig({
    flags: { host: 'flag' },
    env: { MILLRACE_HOST: 'env', MILLRACE_DATA: 'env', MILLRACE_MEMORY: '' },
    file,
  })
  deepStrictEqual([config.host, config.data, config.controllerPort], ['flag', 'env', 1])
  strictEqual(readConfig({ flags: {}, env: { MILLRACE_CONFIG: file } }).host, 'file')
})

test('sizes, ports and addresses are read in the forms people write', () => {
  const read = (flags: Record<string, string>): ReturnType<typeof readConfig> =>
    readConfig({ flags, env: {} })
  for (const [text, bytes] of [
    ['256MiB', 256 * 1024 * 1024],
    ['1g', 1024 ** 3],
    ['1.5 GB', 1.5 * 1024 ** 3],
    ['16777216', 16 * 1024 * 1024],
  ] as const)
    strictEqual(read({ memoryBytes: text }).memoryBytes, bytes)
  deepStrictEqual(read({ advertise: 'store.example' }).advertise, { host: 'store.example', port: undefined })
  deepStrictEqual(read({ advertise: '[::1]:7' }).advertise, { host: '::1', port: 7 })
  strictEqual(read({ httpPort: '0' }).httpPort, 0)
  strictEqual(read({ mergeHoldOffMs: '30s' }).mergeHoldOffMs, 30_000)
  strictEqual(read({ mergeHoldOffMs: '0s' }).mergeHoldOffMs, 0)
  strictEqual(read({ mergeColdMs: '1.5m' }).mergeColdMs, 90_000)
})

test('a wrong setting is named with where it came from and what is right', (t) => {
  const wrong = (sources: Parameters<typeof readConfig>[0], words: RegExp): void =>
    throws(
      () => readConfig(sources),
      (error) => error instanceof ConfigError && words.test(error.message),
    )
  wrong(
    { flags: { controllerPort: '70000' }, env: {} },
    /--controller-port is '70000', but must be .* to 65535/,
  )
  wrong({ flags: {}, env: { MILLRACE_MEMORY: '1MiB' } }, /MILLRACE_MEMORY is '1MiB', but .* at least 16MiB/)
  wrong({ flags: { mergeColdMs: '500ms' }, env: {} }, /--merge-cold is '500ms', but .* from 1s to 30d/)
  wrong({ flags: { mergeHoldOffMs: '10' }, env: {} }, /--merge-hold-off is '10', but .* such as 90s/)
  wrong({ flags: { segmentsMax: '0' }, env: {} }, /--segments-max is '0', but .* from 1 to 10000/)
  wrong({ flags: { logLevel: 'loud' }, env: {} }, /one of fatal/)
  wrong({ flags: { advertise: 'a:b:c' }, env: {} }, /HOST or HOST:PORT/)
  wrong({ flags: {}, env: {}, file: configFile(t, '{"colour": 1}') }, /colour, which is no setting/)
  wrong({ flags: {}, env: {}, file: configFile(t, '{"host": {}}') }, /host in .* must be a text/)
  wrong({ flags: {}, env: {}, file: configFile(t, '[]') }, /JSON object/)
  wrong({ flags: {}, env: {}, file: '/no/such/file' }, /Cannot read the configuration \/no\/such\/file/)
})
