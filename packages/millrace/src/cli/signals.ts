/** What ends a command that would go on. */

/** Aborted by the first SIGINT or SIGTERM, whose name is the reason; a second one ends the process at once. */
export function stopSignal(): AbortSignal {
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort(signal))
  return stopping.signal
}
