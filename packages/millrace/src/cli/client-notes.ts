/** What the client tells while a command runs, as notes for whoever looks. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Diagnostic } from '../client/diagnostics.ts'
import { showCount } from './show.ts'
import type { Terminal } from './terminal.ts'

/** A server that goes takes several connections with it, and is worth one note. */
const QUIET_MS = 5000

export async function withClientNotes<T>(terminal: Terminal, run: () => Promise<T>): Promise<T> {
  let lostMs = Number.NEGATIVE_INFINITY
  const onMessage = (message: unknown): void => {
    const diagnostic = message as Diagnostic
    if (diagnostic.kind === 'events-missed') {
      const gone = showCount(diagnostic.to - diagnostic.from, 'byte')
      terminal.note(`Truncated before they were read: ${gone} of events in ${diagnostic.segment}`)
    }
    if (diagnostic.kind === 'reader-silent')
      terminal.note(
        `The reader ${diagnostic.reader} of ${diagnostic.group} has shown no life for 30 s and is taken for dead`,
      )
    if (diagnostic.kind !== 'connection-lost' || performance.now() - lostMs < QUIET_MS) return
    lostMs = performance.now()
    terminal.note(`The connection to ${diagnostic.address} broke; going on when the server is back`)
  }
  subscribe('millrace', onMessage)
  try {
    return await run()
  } finally {
    unsubscribe('millrace', onMessage)
  }
}
