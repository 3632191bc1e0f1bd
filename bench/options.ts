/** What `npm run bench -- ...` was asked for. */
import { parseArgs } from 'node:util'

const PARTS = [
  'P1',
  'P2',
  'P3',
  'P4',
  'P10',
  'P11',
  'P12',
  'transactions',
  'start',
  'open',
  'idle',
  'memory',
  'crash',
] as const
export type Part = (typeof PARTS)[number]

export type TargetName = 'millrace' | 'pravega' | 'sink'
const TARGETS: readonly TargetName[] = ['millrace', 'pravega', 'sink']

export type ClientName = 'ts' | 'java'
const CLIENTS: readonly ClientName[] = ['ts', 'java']

export interface Options {
  readonly parts: readonly Part[]
  readonly targets: readonly TargetName[]
  readonly clients: readonly ClientName[]
  readonly full: boolean
  readonly pairs: number
  readonly warmupMs: number
  readonly measureMs: number
  readonly profile: boolean
  /** Instead of a file named after moment and commit. */
  readonly out: string | undefined
}

export const USAGE: string = `Usage: npm run bench -- [PART...] [--full] [--pairs N] [--warmup SECONDS] [--measure SECONDS]
         [--target NAME...] [--client NAME...] [--profile] [--out FILE]

Parts: ${PARTS.join(' ')}; all of them if none is named.
  --full      30 s to warm up, 60 s to measure, 5 pairs, 10,000 segments at the restart
  --pairs     how often each side is measured, 3 unless given; the sides take turns
  --target    ${TARGETS.join(', ')}; all unless given, and again for several
  --client    ${CLIENTS.join(', ')}; both unless given
  --profile   shows where the time of server and client goes, and keeps the profiles in bench/.cache/profiles`

export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args)
  const full = values.full === true
  const seconds = (text: string | undefined, fallback: number, flag: string): number => {
    const value = text === undefined ? fallback : Number(text)
    if (!(value >= 0 && value <= 3600)) throw new UsageError(`${flag} is a number of seconds, not '${text}'`)
    return value * 1000
  }
  const pairs = Number(values.pairs ?? (full ? 5 : 3))
  if (!Number.isInteger(pairs) || pairs < 1)
    throw new UsageError(`--pairs is a whole number, not '${values.pairs}'`)
  return {
    parts: namesAmong(PARTS, positionals, 'part'),
    targets: namesAmong(TARGETS, values.target ?? [], 'target'),
    clients: namesAmong(CLIENTS, values.client ?? [], 'client'),
    full,
    pairs,
    warmupMs: seconds(values.warmup, full ? 30 : 5, '--warmup'),
    measureMs: Math.max(seconds(values.measure, full ? 60 : 10, '--measure'), 100),
    profile: values.profile === true,
    out: values.out,
  }
}

function parse(args: readonly string[]): {
  values: {
    full?: boolean
    pairs?: string
    warmup?: string
    measure?: string
    target?: string[]
    client?: string[]
    profile?: boolean
    out?: string
  }
  positionals: string[]
} {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        full: { type: 'boolean' },
        pairs: { type: 'string' },
        warmup: { type: 'string' },
        measure: { type: 'string' },
        target: { type: 'string', multiple: true },
        client: { type: 'string', multiple: true },
        profile: { type: 'boolean' },
        out: { type: 'string' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}

/** In the order of the list; all of it if none is named. */
function namesAmong<N extends string>(
  known: readonly N[],
  given: readonly string[],
  what: string,
): readonly N[] {
  for (const name of given)
    if (!known.some((one) => one === name))
      throw new UsageError(`There is no ${what} '${name}', but ${known.join(', ')}`)
  return given.length === 0 ? known : known.filter((name) => given.includes(name))
}
