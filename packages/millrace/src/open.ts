/** A store in a folder, inside the program that uses it. */
import { resolve } from 'node:path'
import { DiskError, NetworkError } from './base/host.ts'
import { nodeHost } from './base/node-host.ts'
import { MillraceError } from './client/errors.ts'
import { nodeReport } from './client/node-diagnostics.ts'
import type { Store } from './client/store.ts'
import { embed } from './embedded.ts'
import { LogError } from './segment-store/log/durable-log.ts'

export interface OpenOptions {
  /** For cache, appends on their way to the disk and replies. 64 MiB if absent. */
  readonly memoryBytesMax?: number | undefined
  /** Ports for Pravega's clients and other programs. None is opened unless this is given. */
  readonly listen?: ListenOptions | undefined
}

export interface ListenOptions {
  /** 127.0.0.1 if absent. */
  readonly host?: string | undefined
  /** 9090 if absent; 0 takes any free one. */
  readonly controllerPort?: number | undefined
  /** 12345 if absent; 0 takes any free one. */
  readonly segmentStorePort?: number | undefined
}

const MEMORY_BYTES = 64 * 1024 * 1024

/**
 * Opens the store in a folder, which is made if it is missing. One process at a time has it: another one rejects with `locked`.
 * Damaged files reject with `data-loss`, what the disk refuses with `unavailable` or `disk-full`.
 */
export async function open(path: string, options: OpenOptions = {}): Promise<Store> {
  const { listen, memoryBytesMax = MEMORY_BYTES } = options
  const host = listen?.host ?? '127.0.0.1'
  try {
    const { store } = await embed(
      {
        host: nodeHost(),
        data: resolve(path),
        memoryBytes: memoryBytesMax,
        holder: 'a program that opened it',
        ...(listen === undefined
          ? {}
          : {
              listen: {
                controller: { host, port: listen.controllerPort ?? 9090 },
                segmentStore: { host, port: listen.segmentStorePort ?? 12_345 },
              },
            }),
      },
      nodeReport,
    )
    return store
  } catch (error) {
    throw asOpenError(error)
  }
}

function asOpenError(error: unknown): unknown {
  if (error instanceof DiskError) {
    const code = error.code === 'locked' ? 'locked' : error.code === 'full' ? 'disk-full' : 'unavailable'
    return new MillraceError(code, error.message, { cause: error })
  }
  if (error instanceof LogError)
    return new MillraceError(error.code === 'io' ? 'unavailable' : 'data-loss', error.message, {
      cause: error,
    })
  if (error instanceof NetworkError) return new MillraceError('unavailable', error.message, { cause: error })
  return error
}
