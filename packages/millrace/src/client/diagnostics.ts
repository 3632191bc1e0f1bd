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
  /**
   * The number of segments that a group's readers share has changed, or was seen for the first time: more readers than segments
   * are of no use, fewer may fall behind.
   */
  | {
      readonly kind: 'segments-changed'
      /** `scope/group` */
      readonly group: string
      readonly segments: number
      readonly readers: number
    }
  /** A reader of a group has shown no life for 30 s. The others go on where it had recorded. */
  | { readonly kind: 'reader-silent'; readonly group: string; readonly reader: string }

export type Report = (diagnostic: Diagnostic) => void
