/** What the controller takes and keeps, each with its reason. */
import { assert } from '../base/assert.ts'

/** Names in one page of a listing. With the longest names a page stays far below gRPC's 4 MiB. */
export const PAGE_NAMES = 1000

/** Open segments of a stream: its record, with one cut of all of them, is one table value. */
export const SEGMENTS_MAX = 10_000

/** What Pravega's clients enforce. */
export const TAGS_MAX = 128
export const TAG_LENGTH_MAX = 256

/** The largest value of a table entry. */
export const RECORD_BYTES_MAX: number = 1024 * 1024 - 8192

/** Records held in memory, by the length of their stored form. A stream that has scaled 100,000 times takes 15 MiB of it. */
export const RECORD_CACHE_BYTES: number = 64 * 1024 * 1024

/** Names held in memory for listings, about 100 bytes each. A scope that has more is read anew for every page. */
export const LISTED_NAMES_MAX = 200_000

/** Calls to segment stores that one piece of work has under way. */
export const CALLS_AT_ONCE = 64

/** Transactions that are merged and written off together. */
export const TRANSACTIONS_AT_ONCE = 100

/** What Pravega lists of finished transactions. */
export const FINISHED_LISTED_MAX = 500

/** Finished transactions held in memory for those who ask how theirs has ended. */
export const FINISHED_HELD_MAX = 10_000

/** How often a record may change under a call, which happens only where two controllers work on it. */
export const CONFLICTS_MAX = 100

/** Pravega's, for the streams that groups keep their state in: truncated bytes of one are given back early. */
export const GROUP_STREAM_ROLLOVER_BYTES: bigint = 4n * 1024n * 1024n

assert(SEGMENTS_MAX * 80 < RECORD_BYTES_MAX, 'The record of the widest stream fits')
