/** Log lines of a server: JSON on stderr. Only `millrace serve` has them; an embedded store is silent. */
import { pino } from 'pino'
import type { LogLevel } from './config.ts'

export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  fatal(fields: object, message: string): void
  /** Writes what is buffered. */
  flush(): void
}

export function createLogger(level: LogLevel): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  )
}
