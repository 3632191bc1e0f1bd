/** Scaling by hand: the plan is made of the segments as they are, and made anew when they have changed on the way. */
import type { Host } from '../base/host.ts'
import { ScaleResponse, ScaleStatusResponse } from '../protocol/controller/messages.ts'
import type { ControllerService } from '../protocol/controller/service.ts'
import { invalidArgument, MillraceError } from './errors.ts'
import { planScale, type ScalePlan, type ScaleTo } from './scale-plan.ts'
import type { Wait } from './segment-calls.ts'
import type { Segment, StreamMetadata } from './stream-metadata.ts'
import { currentTopology, type Topology, topologyOf } from './topology.ts'
import { Backoff, UNTIL_DONE } from './waiting.ts'

export interface ScalingParts {
  readonly host: Host
  readonly controller: ControllerService
  readonly metadata: StreamMetadata
}

/** Refusals before one is believed: the stream may just be scaling by itself. */
const TRIES_MAX = 8

/** Resolves when it is done, with what the stream is like then. */
export async function scaleStream(parts: ScalingParts, to: ScaleTo, wait: Wait): Promise<Topology> {
  const { host, controller, metadata } = parts
  const { signal } = wait
  const backoff = new Backoff(host)
  let asked: { readonly before: readonly Segment[]; readonly plan: ScalePlan } | undefined
  for (let tries = 1; ; tries++) {
    const current = await metadata.writable(wait)
    // What was refused may have been done before: the answer to an earlier try was lost.
    const isDone = asked !== undefined && typeof to !== 'number' && wasCarriedOut(asked, current)
    const plan = isDone ? undefined : planScale(metadata.stream, current, to)
    if (plan === undefined) return topologyOf(metadata, current, wait)
    asked ??= { before: current, plan }
    const request = {
      streamInfo: metadata.info,
      sealedSegments: plan.seal,
      newKeyRanges: plan.into.map(({ low, high }) => ({ start: low, end: high })),
      scaleTimestamp: BigInt(Math.trunc(host.clock.now())),
    }
    const { status, epoch } = await metadata.unlessSealed(() => controller.scale(request, wait), wait)
    if (status === ScaleResponse.STARTED) {
      await untilScaled(parts, epoch, wait)
      return currentTopology(metadata, wait)
    }
    await checkMinimum(metadata, current.length - plan.seal.length + plan.into.length, wait)
    if (tries === TRIES_MAX)
      throw new MillraceError('internal', `The controller does not scale ${metadata.stream}`, {
        stream: metadata.stream,
      })
    await backoff.wait(signal)
  }
}

function wasCarriedOut(
  { before, plan }: { readonly before: readonly Segment[]; readonly plan: ScalePlan },
  current: readonly Segment[],
): boolean {
  const old = new Set(before.map(({ id }) => id))
  const made = new Map(current.filter(({ id }) => !old.has(id)).map(({ low, high }) => [low, high]))
  return plan.into.every(({ low, high }) => made.get(low) === high)
}

/** The epoch is the one before the scale. */
async function untilScaled(
  { host, controller, metadata }: ScalingParts,
  epoch: number,
  { signal }: Wait,
): Promise<void> {
  const backoff = new Backoff(host, UNTIL_DONE)
  for (let failures = 0; failures < TRIES_MAX; ) {
    const { status } = await controller.checkScale({ streamInfo: metadata.info, epoch }, { signal })
    if (status === ScaleStatusResponse.SUCCESS) return
    if (status !== ScaleStatusResponse.IN_PROGRESS) failures++
    await backoff.wait(signal)
  }
  // Deleted meanwhile, perhaps.
  await metadata.current({ signal })
  throw new MillraceError('internal', `The controller does not say how ${metadata.stream} is scaled`, {
    stream: metadata.stream,
  })
}

async function checkMinimum(metadata: StreamMetadata, count: number, wait: Wait): Promise<void> {
  const { scalingPolicy } = await metadata.config(wait)
  const { minNumSegments } = scalingPolicy
  if (count >= minNumSegments) return
  throw invalidArgument(
    `The policy of ${metadata.stream} asks for ${minNumSegments} segments at least, and ${count} would be left: update it first`,
  )
}
