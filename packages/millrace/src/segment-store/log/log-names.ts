/** Names in the directory of a log. Those of files that are being made end in `.new`; they are rubbish after a crash. */
export const ANCHOR_NAME = 'anchor'

/** 0000000001 sorts before 0000000002. */
const GENERATION_DIGITS = 10

export function logName(generation: number): string {
  return `log-${String(generation).padStart(GENERATION_DIGITS, '0')}`
}

export function indexName(generation: number): string {
  return `${logName(generation)}.index`
}

export function checkpointName(container: number, number: number): string {
  return `checkpoint-${container}-${number}`
}

export function unfinishedName(name: string): string {
  return `${name}.new`
}

export interface LogDirectory {
  /** Ascending. */
  readonly generations: readonly number[]
  readonly indexes: ReadonlySet<number>
  readonly checkpoints: readonly { readonly container: number; readonly number: number }[]
  readonly anchor: boolean
  readonly unfinished: readonly string[]
}

/** Sorts out what is there. Names that are none of ours are left alone. */
export function parseNames(names: readonly string[]): LogDirectory {
  const generations: number[] = []
  const indexes = new Set<number>()
  const checkpoints: { container: number; number: number }[] = []
  for (const name of names) {
    const log = /^log-(\d{10,15})(\.index)?$/.exec(name)
    const checkpoint = /^checkpoint-(\d{1,10})-(\d{1,15})$/.exec(name)
    if (log !== null) {
      if (log[2] === undefined) generations.push(Number(log[1]))
      else indexes.add(Number(log[1]))
    } else if (checkpoint !== null)
      checkpoints.push({ container: Number(checkpoint[1]), number: Number(checkpoint[2]) })
  }
  return {
    generations: generations.toSorted((left, right) => left - right),
    indexes,
    checkpoints,
    anchor: names.includes(ANCHOR_NAME),
    unfinished: names.filter((name) => /^(log|checkpoint|anchor).*\.new$/.test(name)),
  }
}
