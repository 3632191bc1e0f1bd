/**
 * - `unknown-command`: a command that Pravega 0.13 does not have either;
 * - `hello-expected`: the first frame of a connection is another one than Hello;
 * - `too-large`: a frame, a string or a text is longer than the protocol lets it be;
 * - `malformed`: bytes or a text that are not what they should be;
 * - `illegal-update`: a change to a reader group that is impossible in the group's state.
 */
export type ProtocolErrorCode =
  | 'unknown-command'
  | 'hello-expected'
  | 'too-large'
  | 'malformed'
  | 'illegal-update'

/** Bytes or texts of a peer or caller that the protocol does not know. The message says what, where, and the limit. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: ProtocolErrorCode

  constructor(code: ProtocolErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
