import { strictEqual } from 'node:assert/strict'
import type { Host } from '../base/host.ts'
import { type DurableLog, LogError } from '../segment-store/log/durable-log.ts'
import { type FileLogOptions, openFileLog } from '../segment-store/log/file-log.ts'
import { ModelContainer } from './log-model.ts'

export const LOG_DIRECTORY = 'data/log'
export const LOG_STORE_ID: Buffer = Buffer.from('0123456789abcdef')

/** A log in small files with some model containers on it. */
export class LogStore {
  readonly containers: readonly ModelContainer[]
  /** Damage that harmed nobody. */
  readonly damage: LogError[] = []
  #log: DurableLog | undefined

  constructor(containers: number) {
    this.containers = Array.from({ length: containers }, (_, id) => new ModelContainer(id))
  }

  get log(): DurableLog {
    return this.#log!
  }

  container(id: number): ModelContainer {
    return this.containers[id]!
  }

  /** Opens the log, and all containers that are not damaged. */
  async open(host: Pick<Host, keyof Host>, options?: Partial<FileLogOptions>): Promise<void> {
    const recoveries = this.containers.map((container) => container.recovery())
    this.#log = await openFileLog({
      host,
      directory: LOG_DIRECTORY,
      storeId: LOG_STORE_ID,
      fileBytesFirst: 32 * 1024,
      fileBytesMax: 128 * 1024,
      recover: (container) => recoveries[container]!,
      onDamage: (error) => this.damage.push(error),
      ...options,
    })
    for (const container of this.containers) if (container.damage === undefined) container.open(this.log)
  }

  /** The codes of the damage that was told to each container. */
  get damaged(): readonly number[] {
    return this.containers.filter(({ damage }) => damage !== undefined).map(({ id }) => id)
  }
}

/** Puts one operation and waits until it is durable. */
export async function putDurably(
  container: ModelContainer,
  options: Parameters<ModelContainer['put']>[0] = { lengths: [100] },
): Promise<number> {
  const number = container.put(options)
  await durable(container, number)
  return number
}

/** Resolves when the operation is durable, and rejects if the log fails. */
export function durable(container: ModelContainer, number: number): Promise<void> {
  return new Promise((resolve, reject) => {
    container.onDurable = (settled) => {
      if (settled === number) resolve()
    }
    container.onFailed = reject
    container.log.wake()
  })
}

/** Rejects unless the promise fails with a LogError of this code; answers it. */
export async function failsWith(promise: Promise<unknown>, code: LogError['code']): Promise<LogError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof LogError))
    throw error instanceof Error ? error : new Error(`It did not fail with ${code}`)
  strictEqual(error.code, code)
  return error
}
