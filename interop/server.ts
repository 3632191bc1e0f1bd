/** Millrace's server as a process of its own, with its data in a directory. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child, within } from './child.ts'

const SERVE = join(import.meta.dirname, '../packages/millrace/bin/millrace.js')
const READY_MS_MAX = 60_000

export interface ServerOptions {
  readonly data: string
  /** 0, which they are unless given, takes any free one. */
  readonly controllerPort?: number
  readonly segmentStorePort?: number
  /** A program that takes the same arguments as `millrace serve`. */
  readonly program?: string
  readonly env?: Readonly<Record<string, string>>
}

export class ServerProcess {
  readonly child: Child
  /** Resolves with the URI of the controller; rejects if it ends instead. */
  readonly ready: Promise<string>

  constructor(options: ServerOptions) {
    let onReady: ((controller: string) => void) | undefined
    const announced = new Promise<string>((resolve) => {
      onReady = resolve
    })
    const { data, controllerPort = 0, segmentStorePort = 0, program } = options
    const command = program === undefined ? [SERVE, 'serve'] : [program]
    const ports = ['--controller-port', `${controllerPort}`, '--segment-store-port', `${segmentStorePort}`]
    this.child = new Child({
      name: 'the server',
      command: process.execPath,
      args: [...command, '--data', data, ...ports, '--json'],
      ...(options.env === undefined ? {} : { env: options.env }),
      onLine: (line) => {
        const controller = /"event":"ready".*"controller":"([^"]+)"/.exec(line)?.[1]
        if (controller !== undefined) onReady?.(controller)
      },
    })
    const ended = this.child.ended.then((status) => {
      throw this.child.failure(`ended with ${status} before it was ready`)
    })
    this.ready = within(READY_MS_MAX, 'the server is ready', Promise.race([announced, ended]))
    // Whoever kills a server that starts does not wait for it.
    this.ready.catch(() => undefined)
  }

  /** Stops it as an operator does. Rejects unless it ends well. */
  async stop(): Promise<void> {
    const status = await this.child.stop()
    if (status !== 0) throw this.child.failure(`ended with ${status} after SIGTERM, not with 0`)
  }
}

/** Runs an action with a directory that is removed afterwards, unless it is to be kept. */
export async function withDirectory<T>(
  action: (directory: string) => Promise<T>,
  { keep = false }: { readonly keep?: boolean } = {},
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-interop-'))
  try {
    return await action(directory)
  } finally {
    if (keep) console.log(`kept in ${directory}`)
    else rmSync(directory, { recursive: true, force: true })
  }
}

/** Ports for a server that must come back where it was. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ports.push((server.address() as AddressInfo).port)
  }
  for (const server of servers) server.close()
  return ports
}
