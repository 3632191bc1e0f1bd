#!/usr/bin/env node
// Plain JavaScript on purpose: an old Node must reach the sentence below instead of a syntax error.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `Millrace needs Node 22.15 or newer; this is ${process.version} (${process.execPath})\n`,
  )
  process.exitCode = 70
} else {
  // Log writes, reads and zero-filling share libuv's pool; it is sized before its first use.
  process.env.UV_THREADPOOL_SIZE ??= '8'
  // Compiled code is kept between runs, in the system's directory for temporary files: that halves the time to start.
  const { enableCompileCache } = await import('node:module')
  enableCompileCache()
  const { main } = await import('../src/cli/main.ts')
  process.exitCode = await main(process.argv.slice(2))
}
