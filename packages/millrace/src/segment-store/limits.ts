/** Everything in a segment store that has a bound, with its reason. */

/** Pravega's default is 4; 16 leave room to spread over cores and machines. Fixed when a store is made. */
export const CONTAINERS_DEFAULT = 16

/** Operations are gathered up to here before another frame is begun: large enough to amortise a sync, small enough to share. */
export const FRAME_BYTES_TARGET: number = 1024 * 1024

/** A write call takes about 1000 pieces; each run of event bytes is one. */
export const FRAME_RUNS_MAX = 800

/** One answer to a read. Pravega's too. */
export const READ_BYTES_MAX: number = 2 * 1024 * 1024

/** A reply that is not there yet goes on to be filled from disk up to here; short reads are normal. */
export const READ_BYTES_FILLED: number = 256 * 1024

export const TABLE_KEY_BYTES_MAX = 8192
export const TABLE_VALUE_BYTES_MAX: number = 1024 * 1024 - 8192
/** Of one answer to a table read or listing; listings are cut there. */
export const TABLE_REPLY_BYTES_MAX: number = 2 * 1024 * 1024

/** Names come from clients in 16 bits of length, ours are shorter. */
export const SEGMENT_NAME_BYTES_MAX = 1024

/** Attributes of writers that are gone pile up; this bounds what one segment may cost. */
export const ATTRIBUTES_PER_SEGMENT_MAX = 1_000_000

/** For everything together; with less nothing works well. */
export const MEMORY_BYTES_MIN: number = 16 * 1024 * 1024

/** Segments whose load is measured, about 300 bytes each; with more traffic than that the busier ones are. */
export const LOADS_MAX = 50_000
