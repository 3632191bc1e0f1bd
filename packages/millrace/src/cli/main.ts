/** The command `millrace` as a process. */
import { Exit, explain } from './exit.ts'
import { tuneCollector } from './process-memory.ts'
import { runCommand } from './run-command.ts'
import { stopSignal } from './signals.ts'
import { Terminal } from './terminal.ts'

/** Resolves with the exit status. Never rejects. */
export async function main(args: readonly string[]): Promise<number> {
  tuneCollector()
  const terminal = new Terminal(process, stopSignal)
  process.once('uncaughtException', (error) => {
    terminal.note(explain(error).message)
    process.exit(Exit.bug)
  })
  return runCommand(args, terminal)
}
