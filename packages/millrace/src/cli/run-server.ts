/** A server from its start to its end: what it says on the way, and what stops it. */
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { resolve } from 'node:path'
import { NetworkError, showAddress } from '../base/host.ts'
import { nodeHost } from '../base/node-host.ts'
import { type ServerConfig, SETTINGS } from '../server/config.ts'
import type { HttpServer } from '../server/http.ts'
import { type Server, type ServerEvent, startServer } from '../server/server.ts'
import { CommandError, Exit } from './exit.ts'
import { giveBackMemory } from './process-memory.ts'
import { ServerLog } from './server-log.ts'
import type { Terminal } from './terminal.ts'

/** Clients that waited for the server have come back by then. */
const TRIM_AFTER_MS = 3000

/** Resolves once the server has stopped as it was told to. */
export async function serve(
  terminal: Terminal,
  config: ServerConfig,
  { json }: { json: boolean },
): Promise<void> {
  const stopping = terminal.stopSignal()
  // Who looks at a terminal is told in words what the log would say of every start and stop.
  const inWords = terminal.watched && !json
  const log = new ServerLog(inWords && config.logLevel === 'info' ? 'warn' : config.logLevel)
  let fail: ((error: Error) => void) | undefined
  const failure = new Promise<Error>((resolveFailure) => {
    fail = resolveFailure
  })
  const server = await start(config, (event) => {
    if (event.kind === 'replaying') {
      if (inWords) showReplay(terminal, event)
    } else logEvent(log, event)
    if (event.kind === 'store-failed') fail?.(event.error)
  })
  let http: HttpServer | undefined
  try {
    if (config.httpPort !== undefined) http = await startHttp(server, config.host, config.httpPort)
    await announce(terminal, config, { server, http, json })
    log.write('info', { data: resolve(config.data) }, 'serving')
    // A server that is killed would never leave the next one what it has compiled.
    flushCompileCache()
    setTimeout(giveBackMemory, TRIM_AFTER_MS).unref()
    const end = stopping.aborted ? undefined : await Promise.race([once(stopping, 'abort'), failure])
    if (end instanceof Error)
      throw new CommandError(Exit.failed, `The store has failed: ${end.message}`, { cause: end })
    log.write('info', { signal: stopping.reason as unknown }, 'stopping')
    if (inWords) terminal.note('Stopping.')
  } finally {
    await http?.close()
    await server
      .close()
      .catch((error: unknown) => log.write('error', { err: error }, 'the store did not close well'))
    await log.end()
  }
}

async function start(config: ServerConfig, onEvent: (event: ServerEvent) => void): Promise<Server> {
  const { host } = config
  return startServer({
    host: nodeHost(),
    data: config.data,
    memoryBytes: config.memoryBytes,
    containers: config.containers,
    autoScaling: {
      holdOffMs: config.mergeHoldOffMs,
      coldMs: config.mergeColdMs,
      segmentsMax: config.segmentsMax,
    },
    holder: 'millrace serve',
    listen: {
      controller: { host, port: config.controllerPort },
      segmentStore: { host, port: config.segmentStorePort },
      advertise: config.advertise,
    },
    onEvent,
  }).catch((error: unknown) => {
    const store = showAddress({ host, port: config.segmentStorePort })
    const isStore = error instanceof Error && error.message.includes(store)
    throw nameThePort(error, isStore ? SETTINGS.segmentStorePort.flag : SETTINGS.controllerPort.flag)
  })
}

async function startHttp(server: Server, host: string, port: number): Promise<HttpServer> {
  const http = await import('../server/http.ts')
  return http.startHttp(server, { host, port }).catch((error: unknown) => {
    throw nameThePort(error, SETTINGS.httpPort.flag)
  })
}

function nameThePort(error: unknown, flag: string): unknown {
  if (!(error instanceof NetworkError) || error.code !== 'in-use') return error
  return new CommandError(
    Exit.failed,
    `${error.message}; choose another port with ${flag} N, or 0 for any free one`,
    { cause: error },
  )
}

async function announce(
  terminal: Terminal,
  config: ServerConfig,
  parts: { server: Server; http: HttpServer | undefined; json: boolean },
): Promise<void> {
  const { server, http } = parts
  // The process began when the clock of `performance` did.
  const readyMs = Math.round(performance.now())
  const data = resolve(config.data)
  // Both are open: the server was asked to listen.
  const controller = `tcp://${showAddress(server.controllerAddress!)}`
  const segmentStore = `tcp://${showAddress(server.segmentStoreAddress!)}`
  const address = http === undefined ? undefined : `http://${showAddress(http.address)}`
  if (parts.json) {
    const more = address === undefined ? {} : { http: address }
    return terminal.json({ event: 'ready', controller, segmentStore, ...more, data, readyMs })
  }
  const elsewhere = controller === 'tcp://127.0.0.1:9090' ? '' : ` --server ${reachable(controller)}`
  terminal.endProgress()
  await terminal.line(
    [
      `Millrace is ready after ${readyMs} ms.`,
      `  Pravega clients   ${controller}  (segment store ${segmentStore})`,
      ...(address === undefined ? [] : [`  health, metrics   ${address}/readyz  ${address}/metrics`]),
      `  data              ${data}, every acknowledged event synced`,
      `Try: seq 1 1000 | npx millrace write demo/orders --key-field 1${elsewhere}`,
      'Ctrl-C stops it.',
    ].join('\n'),
  )
}

/** Listening everywhere is no address to connect to. */
function reachable(controller: string): string {
  return controller.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
}

function showReplay(terminal: Terminal, progress: { doneBytes: number; totalBytes: number }): void {
  const { doneBytes, totalBytes } = progress
  const percent = totalBytes === 0 ? 100 : Math.floor((doneBytes / totalBytes) * 100)
  terminal.progress(`Reading the log: ${percent} %`)
}

function logEvent(log: ServerLog, event: Exclude<ServerEvent, { kind: 'replaying' }>): void {
  switch (event.kind) {
    case 'connection-broken':
      return log.write('warn', { remote: event.remote, reason: event.reason.message }, 'a connection was cut')
    case 'call-failed':
      return log.write('error', { rpc: event.rpc, err: event.error }, 'a call failed')
    case 'container-shut':
      return log.write('error', { container: event.container, err: event.error }, 'a container stays shut')
    case 'repaired':
      return log.write('warn', { err: event.error }, 'damaged bytes were known from elsewhere')
    case 'store-failed':
      return log.write('fatal', { err: event.error }, 'the store failed')
    case 'auto-scaling':
      return logScale(log, event.event)
  }
}

type ScaleEvent = Extract<ServerEvent, { kind: 'auto-scaling' }>['event']

function logScale(log: ServerLog, event: ScaleEvent): void {
  switch (event.kind) {
    case 'scaled': {
      const { kind: _kind, scope, stream, detail, ...figures } = event
      return log.write('info', { stream: nameOf({ scope, stream }), ...figures }, detail)
    }
    case 'refused':
      return log.write('info', { stream: nameOf(event), reason: event.reason }, `not done: ${event.detail}`)
    case 'left-alone':
      return log.write('info', { stream: nameOf(event) }, event.detail)
    case 'failed': {
      const stream = event.name === undefined ? {} : { stream: nameOf(event.name) }
      return log.write('warn', { ...stream, err: event.error }, 'scaling by load failed and is tried again')
    }
  }
}

function nameOf({ scope, stream }: { scope: string; stream: string }): string {
  return `${scope}/${stream}`
}
