/** The epochs of a stream: when its segments changed, why, and to how many. */
import type { ControllerClient } from '../protocol/controller/service.ts'
import type { ScopedName } from '../protocol/names.ts'
import { showNumber, showTable } from './show.ts'

export interface ShownEpoch {
  readonly epoch: number
  /** ISO 8601; undefined where the server does not say. */
  readonly startedAt: string | undefined
  /** `created`, `manual`, `load`, `policy` or `commit`; undefined where the server does not say. */
  readonly cause: string | undefined
  readonly detail: string | undefined
  readonly segments: number
}

const CAUSES: Readonly<Record<string, string>> = {
  created: 'the stream was made',
  manual: 'asked for',
  load: 'by its load',
  policy: 'for a new policy',
  commit: 'for transactions that were opened before',
}
const CALLS_AT_ONCE = 16

/** The last `count` epochs up to `current`, the latest one first. */
export async function lastEpochs(
  controller: ControllerClient,
  { scope, name: stream }: ScopedName,
  { current, count }: { current: number; count: number },
): Promise<readonly ShownEpoch[]> {
  const first = Math.max(current - count + 1, 0)
  const wanted = Array.from({ length: current - first + 1 }, (_, index) => current - index)
  const epochs: ShownEpoch[] = []
  while (wanted.length > 0) {
    const some = wanted.splice(0, CALLS_AT_ONCE)
    epochs.push(...(await Promise.all(some.map((epoch) => describe(controller, { scope, stream }, epoch)))))
  }
  return epochs
}

async function describe(
  controller: ControllerClient,
  streamInfo: { readonly scope: string; readonly stream: string },
  epoch: number,
): Promise<ShownEpoch> {
  const { segmentRanges, epochInfo } = await controller.getEpochSegments({ streamInfo, epoch })
  const detail = epochInfo?.detail
  return {
    epoch,
    startedAt: epochInfo === undefined ? undefined : new Date(Number(epochInfo.startedAtMs)).toISOString(),
    cause: epochInfo?.cause,
    detail: detail === '' ? undefined : detail,
    segments: segmentRanges.length,
  }
}

export function showEpochs(epochs: readonly ShownEpoch[]): string {
  const rows = epochs.map(({ epoch, startedAt = '', cause = '', detail, segments }) => {
    const why = CAUSES[cause] ?? cause
    return [`${epoch}`, startedAt, showNumber(segments), detail === undefined ? why : `${why}: ${detail}`]
  })
  return showTable([['EPOCH', 'SINCE', 'SEGMENTS', 'WHY'], ...rows], { indent: '  ', right: [0, 2] })
}
