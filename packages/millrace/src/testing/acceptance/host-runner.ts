import type { Host } from '../../base/host.ts'

export interface Place {
  /** An empty directory. */
  readonly directory: string
  /** A host name that this host may listen on. */
  readonly hostName: string
}

/** Runs a scenario on a fresh host and resolves, or rejects, with it. Suites register their tests through one. */
export type HostRunner = (scenario: (host: Host, place: Place) => Promise<void>) => Promise<void>
