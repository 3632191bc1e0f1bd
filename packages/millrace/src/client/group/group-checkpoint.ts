/** Checkpoints: places that all readers of a group have passed, and nobody has gone beyond when they were asked. */
import { GroupRetention, UpdateSubscriberStatus } from '../../protocol/controller/messages.ts'
import { parseSegmentName, scopedName, segmentIdOf } from '../../protocol/names.ts'
import type { Offsets } from '../../protocol/reader-group/group-checkpoints.ts'
import { isSilentCheckpoint } from '../../protocol/reader-group/group-checkpoints.ts'
import type { GroupState } from '../../protocol/reader-group/group-state.ts'
import { randomUuid, showUuid } from '../../protocol/uuid.ts'
import { showCut, type StreamCut } from '../cuts.ts'
import { invalidArgument } from '../errors.ts'
import { SegmentError, type Wait } from '../segment-calls.ts'
import type { Cut } from '../stream-metadata.ts'
import { untilAborted } from '../waiting.ts'
import { missingBefore } from './following.ts'
import { type GroupIdentity, groupOf } from './group-access.ts'
import type { GroupSynchronizer } from './group-synchronizer.ts'
import { takeOut } from './life-signs.ts'

export interface Checkpoint {
  readonly name: string
  /** By the names of streams. */
  readonly cuts: Readonly<Record<string, StreamCut>>
}

/** How often to look whether readers in other processes have reported, as in Java. */
const POLL_MS = 500

interface CheckpointOptions extends Wait {
  readonly name?: string | undefined
  /** A reader was taken out of the group, which had shown no life. */
  onSilent(reader: string): void
}

/** Waits while the group has as many checkpoints under way as it may. */
export async function takeCheckpoint(
  identity: GroupIdentity,
  group: GroupSynchronizer,
  { name, signal, onSilent }: CheckpointOptions,
): Promise<Checkpoint> {
  const checkpoint = name ?? showUuid(randomUuid(identity.context.host.random))
  if (isSilentCheckpoint(checkpoint) || checkpoint === '')
    throw invalidArgument(`A checkpoint cannot be named '${checkpoint}'`)
  for (let first = true; ; first = false) {
    await begin(identity, group, { checkpoint, signal, first })
    while (!group.state.checkpoints.isComplete(checkpoint)) {
      await news(identity, group, signal)
      for (const reader of await buryFor(group, checkpoint)) onSilent(reader)
    }
    const positions = await group.update((state) => finish(state, checkpoint))
    // Forgotten before it was read: a reset, or a checkpoint of a reader's that came behind it. Then there is another one.
    if (positions === undefined) continue
    const cut = await wholeCut(identity, positions, { signal })
    return { name: checkpoint, cuts: { [identity.metadata.stream]: showCut(identity.scoped, cut) } }
  }
}

async function begin(
  identity: GroupIdentity,
  group: GroupSynchronizer,
  { checkpoint, signal, first }: Wait & { checkpoint: string; first: boolean },
): Promise<void> {
  for (;;) {
    const outcome = await group.update((state) => {
      const { checkpoints, config } = state
      const known =
        !checkpoints.isComplete(checkpoint) || checkpoints.positionsOfCompleted(checkpoint) !== undefined
      if (known) return { updates: [], result: 'known' as const }
      if (checkpoints.outstanding().length >= Math.max(1, config.maxOutstandingCheckpointRequests))
        return { updates: [], result: 'wait' as const }
      return { updates: [{ kind: 'create-checkpoint', checkpoint }], result: 'begun' as const }
    })
    if (outcome === 'known' && first)
      throw invalidArgument(`The group ${identity.name} has a checkpoint named '${checkpoint}' already`)
    if (outcome !== 'wait') return
    await news(identity, group, signal)
  }
}

function finish(
  state: GroupState,
  checkpoint: string,
): {
  updates: readonly { kind: 'clear-checkpoints-before'; checkpoint: string }[]
  result: Offsets | undefined
} {
  const positions = state.checkpoints.positionsOfCompleted(checkpoint)
  if (positions === undefined) return { updates: [], result: undefined }
  const older = state.checkpoints.ids[0] !== checkpoint
  const updates = older ? [{ kind: 'clear-checkpoints-before', checkpoint } as const] : []
  return { updates, result: new Map(positions) }
}

/** Nobody else may be there to find out that a reader for which the checkpoint waits is dead. Resolves with those that were. */
function buryFor(group: GroupSynchronizer, checkpoint: string): Promise<readonly string[]> {
  return group.update(({ checkpoints }) => {
    const waitingFor = checkpoints.waitingFor(checkpoint)
    const dead = group.life.silent().filter((reader) => waitingFor.includes(reader))
    return { updates: dead.map(takeOut), result: dead }
  })
}

/** Until the state may have changed. */
async function news(
  { context }: GroupIdentity,
  group: GroupSynchronizer,
  signal: Wait['signal'],
): Promise<void> {
  await untilAborted<void>(
    (resolve) => {
      const timer = context.host.clock.setTimer(POLL_MS, () => end())
      const stopListening = group.onChange(() => end())
      const cancel = (): void => {
        timer.cancel()
        stopListening()
      }
      const end = (): void => {
        cancel()
        resolve()
      }
      return cancel
    },
    [signal, context.closing],
  )
  await group.fetch()
}

/**
 * The reported positions as a cut that covers all keys. Segments that were read to their ends, which a group forgets while what
 * follows them still waits for others, stand in it with their ends.
 */
async function wholeCut(identity: GroupIdentity, positions: Offsets, wait: Wait): Promise<Cut> {
  const { metadata } = identity
  const cut = new Map<bigint, number>()
  const ended = new Set<bigint>()
  for (const [segment, offset] of positions) {
    const id = segmentIdOf(parseSegmentName(segment))
    cut.set(id, offset)
    if (offset < 0) ended.add(id)
  }
  const before = await missingBefore(metadata, cut, wait)
  for (const id of [...ended, ...before]) {
    const end = await endOf(identity, metadata.nameOf(id), wait)
    if (end !== undefined) cut.set(id, end)
    // Truncated away: who reads it goes on behind it, and what waits for that does not wait in vain.
    else if (before.has(id)) cut.set(id, 0)
    else cut.delete(id)
  }
  return new Map([...cut].toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

/** Undefined if the segment has been truncated away. */
async function endOf({ context }: GroupIdentity, segment: string, wait: Wait): Promise<number | undefined> {
  try {
    return (await context.segments.segmentState(segment, wait)).writeOffset
  } catch (error) {
    if (error instanceof SegmentError && error.code === 'no-such-segment') return undefined
    throw error
  }
}

/** For groups whose streams keep what they have not read: tells the controller where that is. */
export async function publishLastCheckpoint(
  identity: GroupIdentity,
  group: GroupSynchronizer,
): Promise<void> {
  const { config, checkpoints } = group.state
  if (config.retention !== GroupRetention.AUTOMATIC || checkpoints.lastPublished) return
  const last = checkpoints.last
  if (last === undefined || last.size === 0) return
  const { scope, name } = groupOf(identity)
  const cut = await wholeCut(identity, last, {})
  const { status } = await identity.context.controller.updateSubscriberStreamCut({
    subscriber: scopedName(scope, name),
    generation: BigInt(config.generation),
    readerGroupId: showUuid(config.groupId),
    streamCut: { streamInfo: { scope: identity.scoped.scope, stream: identity.scoped.name }, cut },
  })
  // Refused where the group has been reset meanwhile; then there will be another checkpoint.
  if (status !== UpdateSubscriberStatus.SUCCESS) return
  await group.update((state) => ({
    updates: state.checkpoints.last === last ? [{ kind: 'set-checkpoint-published', published: true }] : [],
    result: undefined,
  }))
}
