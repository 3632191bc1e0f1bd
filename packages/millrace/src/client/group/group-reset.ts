/**
 * Resets: the group starts over somewhere else. Its configuration at the controller gets another generation, and then its state
 * is written anew, which takes all readers out of it; they join again. Whoever dies in between leaves a flag in the state, by
 * which readers know to look at the controller.
 */
import { CreateReaderGroupResponse, UpdateReaderGroupResponse } from '../../protocol/controller/messages.ts'
import type { GroupConfig } from '../../protocol/reader-group/group-config.ts'
import { randomUuid, UUID_ZERO } from '../../protocol/uuid.ts'
import { groupNotFound, MillraceError } from '../errors.ts'
import type { Cut } from '../stream-metadata.ts'
import { Backoff } from '../waiting.ts'
import { configOf, type GroupIdentity, groupOf } from './group-access.ts'
import { fromMessage, startingAt, startOf, toMessage } from './group-configuration.ts'
import type { GroupSynchronizer } from './group-synchronizer.ts'

/** `to` undefined: the head, wherever that is when the group starts. */
export async function resetGroup(
  identity: GroupIdentity,
  group: GroupSynchronizer,
  to: Cut | undefined,
): Promise<void> {
  const backoff = new Backoff(identity.context.host)
  for (;;) {
    await group.fetch()
    const present = group.state.config
    const begun = await group.update((state) => {
      const same = state.config.generation === present.generation && state.config.groupId === present.groupId
      return { updates: same ? [{ kind: 'set-updating-config', updating: true }] : [], result: same }
    })
    if (begun) {
      const wanted = { ...present, startingStreamCuts: startingAt(identity.metadata.stream, to) }
      const config = await storeConfig(identity, wanted)
      if (config !== undefined) return startOver(identity, group, config)
      // Another reset was faster at the controller, and may have died before it was in the state.
      await followConfig(identity, group)
    }
    await backoff.wait(identity.context.closing)
  }
}

/** Brings the state up to the controller's configuration, if that is a later one. */
export async function followConfig(identity: GroupIdentity, group: GroupSynchronizer): Promise<void> {
  const config = await configOf(identity)
  if (config === undefined) throw groupNotFound(identity.name)
  await startOver(identity, group, config)
}

async function startOver(
  identity: GroupIdentity,
  group: GroupSynchronizer,
  config: GroupConfig,
): Promise<void> {
  if (group.state.config.generation >= config.generation) return
  const start = await startOf(config, identity.metadata, { signal: identity.context.closing })
  await group.update((state) => ({
    updates: state.config.generation < config.generation ? [start] : [],
    result: undefined,
  }))
}

/** With its new generation; undefined if the controller has another one than that which was to be replaced. */
async function storeConfig(identity: GroupIdentity, wanted: GroupConfig): Promise<GroupConfig | undefined> {
  // Trap 68: groups of clients before 0.9 are unknown to the controller.
  const known =
    wanted.groupId === UUID_ZERO && wanted.generation === -1 ? await adopt(identity, wanted) : wanted
  const sent = toMessage(groupOf(identity), known)
  const { status, generation } = await identity.context.controller.updateReaderGroup(sent)
  if (status === UpdateReaderGroupResponse.SUCCESS) return { ...known, generation: Number(generation) }
  if (status === UpdateReaderGroupResponse.INVALID_CONFIG) return undefined
  if (status === UpdateReaderGroupResponse.RG_NOT_FOUND) throw groupNotFound(identity.name)
  throw failed(identity)
}

async function adopt(identity: GroupIdentity, old: GroupConfig): Promise<GroupConfig> {
  const adopted = { ...old, groupId: randomUuid(identity.context.host.random), generation: 0 }
  const sent = toMessage(groupOf(identity), adopted)
  const { status, config } = await identity.context.controller.createReaderGroup(sent)
  if (status !== CreateReaderGroupResponse.SUCCESS || config === undefined) throw failed(identity)
  const { groupId, generation } = fromMessage(config)
  return { ...adopted, groupId, generation }
}

function failed({ name }: GroupIdentity): MillraceError {
  return new MillraceError('internal', `The controller failed to reset the reader group ${name}`, {
    group: name,
  })
}
