/**
 * The log of a server that is starting: pino is loaded with the first line that it has to write, so that it costs nothing of
 * the time to the first event.
 */
import type { LogLevel } from '../server/config.ts'
import type { Logger } from '../server/logger.ts'

type Level = 'info' | 'warn' | 'error' | 'fatal'

export class ServerLog {
  readonly #level: LogLevel
  /** Lines leave in their order: the first one waits for the logger, the others for those before them. */
  #logger: Promise<Logger> | undefined

  constructor(level: LogLevel) {
    this.#level = level
  }

  write(level: Level, fields: object, message: string): void {
    this.#logger ??= import('../server/logger.ts').then(({ createLogger }) => createLogger(this.#level))
    void this.#logger.then((logger) => logger[level](fields, message))
  }

  /** Resolves when all lines are written. */
  async end(): Promise<void> {
    const logger = await this.#logger
    logger?.flush()
  }
}
