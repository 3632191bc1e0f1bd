/** What a store tells those who watch it. Nobody has to listen, and nothing depends on it. */
export type Diagnostic =
  /** A connection to a segment store broke; what was under way on it is taken up again. */
  | { readonly kind: 'connection-lost'; readonly address: string; readonly reason: string }
  /** Events of a stream had been truncated away before a reader came to them. */
  | {
      readonly kind: 'events-missed'
      readonly stream: string
      readonly segment: string
      readonly from: number
      readonly to: number
    }
  /** A reader passed over an event that it could not decode. */
  | {
      readonly kind: 'event-skipped'
      readonly stream: string
      readonly pointer: string
      readonly error: unknown
    }

export type Report = (diagnostic: Diagnostic) => void
