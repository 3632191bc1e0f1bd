/**
 * Configuration of a server: each setting comes from a flag, else from the environment, else from a file, else its default. All
 * are checked once, here, and a wrong one is named together with where it came from.
 */
import { readFileSync } from 'node:fs'
import { MEMORY_BYTES_MIN } from '../segment-store/limits.ts'

export interface ServerConfig {
  readonly data: string
  readonly host: string
  readonly controllerPort: number
  readonly segmentStorePort: number
  /** Off if absent. */
  readonly httpPort: number | undefined
  /** What clients are told instead of the host they connected to. */
  readonly advertise: { readonly host: string; readonly port: number | undefined } | undefined
  readonly memoryBytes: number
  readonly containers: number
  /** After a split nothing of it is merged for so long. */
  readonly mergeHoldOffMs: number
  /** Neighbouring segments are merged when they have had little to do for so long. */
  readonly mergeColdMs: number
  /** The load alone does not split a stream into more segments. */
  readonly segmentsMax: number
  readonly logLevel: LogLevel
}

export type LogLevel = (typeof LOG_LEVELS)[number]
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] as const

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

interface Setting<T> {
  readonly flag: string
  readonly env: string
  /** Name in the file. */
  readonly key: keyof ServerConfig
  readonly argument: string
  readonly help: string
  readonly fallback: T
  /** Throws an Error that says what is right. */
  parse(text: string): T
}

export const SETTINGS: { readonly [K in keyof ServerConfig]: Setting<ServerConfig[K]> } = {
  data: {
    flag: '--data',
    env: 'MILLRACE_DATA',
    key: 'data',
    argument: 'DIR',
    help: 'directory of the store',
    fallback: './millrace-data',
    parse: parseText,
  },
  host: {
    flag: '--host',
    env: 'MILLRACE_HOST',
    key: 'host',
    argument: 'HOST',
    help: 'address to listen on',
    fallback: '127.0.0.1',
    parse: parseText,
  },
  controllerPort: {
    flag: '--controller-port',
    env: 'MILLRACE_CONTROLLER_PORT',
    key: 'controllerPort',
    argument: 'N',
    help: 'gRPC port of the controller, 0 for any free one',
    fallback: 9090,
    parse: parsePort,
  },
  segmentStorePort: {
    flag: '--segment-store-port',
    env: 'MILLRACE_SEGMENT_STORE_PORT',
    key: 'segmentStorePort',
    argument: 'N',
    help: 'port of the segment store, 0 for any free one',
    fallback: 12345,
    parse: parsePort,
  },
  httpPort: {
    flag: '--http-port',
    env: 'MILLRACE_HTTP_PORT',
    key: 'httpPort',
    argument: 'N',
    help: 'port of /healthz, /readyz and /metrics; off unless given',
    fallback: undefined,
    parse: parsePort,
  },
  advertise: {
    flag: '--advertise',
    env: 'MILLRACE_ADVERTISE',
    key: 'advertise',
    argument: 'HOST[:PORT]',
    help: 'where clients shall find the segment store; the host they know unless given',
    fallback: undefined,
    parse: parseAdvertise,
  },
  memoryBytes: {
    flag: '--memory',
    env: 'MILLRACE_MEMORY',
    key: 'memoryBytes',
    argument: 'SIZE',
    help: 'memory for cache, appends under way and replies, such as 256MiB',
    fallback: 256 * 1024 * 1024,
    parse: parseMemory,
  },
  containers: {
    flag: '--containers',
    env: 'MILLRACE_CONTAINERS',
    key: 'containers',
    argument: 'N',
    help: 'containers of a new store; fixed afterwards',
    fallback: 16,
    parse: (text) => parseInteger(text, 1, 4096),
  },
  mergeHoldOffMs: {
    flag: '--merge-hold-off',
    env: 'MILLRACE_MERGE_HOLD_OFF',
    key: 'mergeHoldOffMs',
    argument: 'SPAN',
    help: 'after a split, how long its segments are not merged whatever their load, such as 30s or 10m',
    fallback: 10 * 60_000,
    parse: (text) => parseSpan(text, 0),
  },
  mergeColdMs: {
    flag: '--merge-cold',
    env: 'MILLRACE_MERGE_COLD',
    key: 'mergeColdMs',
    argument: 'SPAN',
    help: 'how long neighbouring segments have little to do before they are merged',
    fallback: 30_000,
    parse: (text) => parseSpan(text, 1000),
  },
  segmentsMax: {
    flag: '--segments-max',
    env: 'MILLRACE_SEGMENTS_MAX',
    key: 'segmentsMax',
    argument: 'N',
    help: 'segments that a stream is split into by its load at most',
    fallback: 1000,
    parse: (text) => parseInteger(text, 1, 10_000),
  },
  logLevel: {
    flag: '--log-level',
    env: 'MILLRACE_LOG_LEVEL',
    key: 'logLevel',
    argument: 'LEVEL',
    help: `one of ${LOG_LEVELS.join(', ')}`,
    fallback: 'info',
    parse: parseLogLevel,
  },
}

/** `flags` by key of the setting, as text. Throws `ConfigError`. */
export function readConfig(sources: {
  readonly flags: Readonly<Record<string, string | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly file?: string | undefined
}): ServerConfig {
  const path = sources.file ?? sources.env['MILLRACE_CONFIG']
  const file = path === undefined ? {} : readFile(path)
  const value = <K extends keyof ServerConfig>(key: K): ServerConfig[K] => {
    const setting: Setting<ServerConfig[K]> = SETTINGS[key]
    const candidates = [
      { text: sources.flags[key], from: setting.flag },
      { text: sources.env[setting.env], from: setting.env },
      { text: file[key], from: `${key} in ${path}` },
    ]
    const given = candidates.find(({ text }) => text !== undefined && text !== '')
    if (given?.text === undefined) return setting.fallback
    try {
      return setting.parse(given.text)
    } catch (error) {
      throw new ConfigError(`${given.from} is '${given.text}', but ${(error as Error).message}`)
    }
  }
  return {
    data: value('data'),
    host: value('host'),
    controllerPort: value('controllerPort'),
    segmentStorePort: value('segmentStorePort'),
    httpPort: value('httpPort'),
    advertise: value('advertise'),
    memoryBytes: value('memoryBytes'),
    containers: value('containers'),
    mergeHoldOffMs: value('mergeHoldOffMs'),
    mergeColdMs: value('mergeColdMs'),
    segmentsMax: value('segmentsMax'),
    logLevel: value('logLevel'),
  }
}

function readFile(path: string): Record<string, string> {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new ConfigError(`Cannot read the configuration ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new ConfigError(`The configuration ${path} must be a JSON object of settings`)
  const values: Record<string, string> = {}
  for (const [key, value] of Object.entries(parsed)) {
    if (!(key in SETTINGS))
      throw new ConfigError(
        `${path} sets ${key}, which is no setting; there are ${Object.keys(SETTINGS).join(', ')}`,
      )
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new ConfigError(`${key} in ${path} must be a text or a number`)
    values[key] = String(value)
  }
  return values
}

function parseText(text: string): string {
  return text
}

function parseInteger(text: string, min: number, max: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new Error(`must be a whole number from ${min} to ${max}`)
  return value
}

function parsePort(text: string): number {
  return parseInteger(text, 0, 65_535)
}

function parseAdvertise(text: string): { host: string; port: number | undefined } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  if (host === undefined) throw new Error('must be HOST or HOST:PORT, an IPv6 address in brackets')
  return { host, port: match?.[3] === undefined ? undefined : parseInteger(match[3], 1, 65_535) }
}

const SPANS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SPAN_MS_MAX = 30 * 86_400_000

function parseSpan(text: string, minMs: number): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text)
  const span = match === null ? Number.NaN : Math.round(Number(match[1]) * SPANS[match[2]!]!)
  if (!(span >= minMs && span <= SPAN_MS_MAX))
    throw new Error(`must be a span of time from ${minMs / 1000}s to 30d, such as 90s or 10m`)
  return span
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

function parseMemory(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(text)
  const bytes =
    match === null ? Number.NaN : Math.floor(Number(match[1]) * UNITS[(match[2] ?? '').toLowerCase()]!)
  if (!(bytes >= MEMORY_BYTES_MIN)) throw new Error('must be a size of at least 16MiB, such as 256MiB')
  return bytes
}

function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text)
  if (level === undefined) throw new Error(`must be one of ${LOG_LEVELS.join(', ')}`)
  return level
}
