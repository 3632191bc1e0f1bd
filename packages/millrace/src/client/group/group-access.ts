/** Finds a group's state, and makes the group if there is none. */
import { CreateReaderGroupResponse, ReaderGroupConfigResponse } from '../../protocol/controller/messages.ts'
import { ControllerError } from '../../protocol/controller/service.ts'
import { groupStreamOf, type ScopedName, scopedName, segmentNameOfId } from '../../protocol/names.ts'
import type { GroupConfig } from '../../protocol/reader-group/group-config.ts'
import { randomUuid } from '../../protocol/uuid.ts'
import { groupMismatch, groupNotFound, invalidArgument, MillraceError } from '../errors.ts'
import type { StoreContext } from '../store-context.ts'
import type { Cut, StreamMetadata } from '../stream-metadata.ts'
import { fromMessage, newGroupConfig, startOf, toMessage } from './group-configuration.ts'
import { GroupLog } from './group-log.ts'
import { GroupSynchronizer, type SynchronizerOptions } from './group-synchronizer.ts'

export interface GroupIdentity {
  readonly context: StoreContext
  /** The stream that the group reads. */
  readonly metadata: StreamMetadata
  readonly scoped: ScopedName
  /** `scope/group` */
  readonly name: string
}

export interface GroupAccessOptions extends SynchronizerOptions {
  /** Where a new group starts; undefined is the head. Makes the stream if that is missing. */
  from(): Promise<Cut | undefined>
}

export class GroupAccess {
  readonly #identity: GroupIdentity
  readonly #options: GroupAccessOptions
  #opened: Promise<GroupSynchronizer> | undefined

  constructor(identity: GroupIdentity, options: GroupAccessOptions) {
    this.#identity = identity
    this.#options = options
  }

  /** The state as it is now. Rejects `group-not-found` if it is not to be made, and `group-mismatch`. */
  async open({ create }: { create: boolean }): Promise<GroupSynchronizer> {
    const present = this.#opened
    const opening = present ?? this.#open(create)
    this.#opened = opening
    try {
      const synchronizer = await opening
      if (present !== undefined) await synchronizer.fetch()
      this.#checkStreams(synchronizer.state.config)
      return synchronizer
    } catch (error) {
      if (this.#opened === opening) this.#opened = undefined
      // That of a group that was deleted, and may have been made again.
      if (present !== undefined && isNotFound(error)) return this.open({ create })
      throw error
    }
  }

  /** What fails because the group is gone makes the next call look for it anew. */
  async watch<R>(call: () => Promise<R>): Promise<R> {
    try {
      return await call()
    } catch (error) {
      if (isNotFound(error)) this.#opened = undefined
      throw error
    }
  }

  async #open(create: boolean): Promise<GroupSynchronizer> {
    const { context, metadata, name } = this.#identity
    const config = (await configOf(this.#identity)) ?? (create ? await this.#create() : undefined)
    if (config === undefined) throw groupNotFound(name)
    this.#checkStreams(config)
    const log = new GroupLog(
      { ...context, pool: context.callPool },
      { group: name, segment: await this.#stateSegment() },
    )
    const synchronizer = new GroupSynchronizer(context.host, log, this.#options)
    await synchronizer.fetch()
    // Whoever made the group may have died before this step.
    if (!synchronizer.isInitialized) await synchronizer.initialize(await startOf(config, metadata, {}))
    return synchronizer
  }

  /** The stored configuration: another may have made the group meanwhile. */
  async #create(): Promise<GroupConfig> {
    const { context, metadata, name } = this.#identity
    const config = newGroupConfig(
      metadata.stream,
      await this.#options.from(),
      randomUuid(context.host.random),
    )
    const sent = toMessage(groupOf(this.#identity), config)
    const { status, config: stored } = await context.controller.createReaderGroup(sent)
    if (status === CreateReaderGroupResponse.SUCCESS && stored !== undefined) return fromMessage(stored)
    if (status === CreateReaderGroupResponse.INVALID_RG_NAME)
      throw invalidArgument(`The controller refuses ${name} as the name of a reader group`)
    throw new MillraceError('internal', `The controller failed to make the reader group ${name}`, {
      group: name,
    })
  }

  async #stateSegment(): Promise<string> {
    const { context, name } = this.#identity
    const { scope, name: group } = groupOf(this.#identity)
    const stream = groupStreamOf(group)
    try {
      const { segmentRanges } = await context.controller.getCurrentSegments({ scope, stream })
      const [first] = segmentRanges
      // Sealed, it is being deleted.
      if (first === undefined) throw groupNotFound(name)
      return segmentNameOfId(scope, stream, first.segmentId.segmentId)
    } catch (error) {
      if (error instanceof ControllerError && error.code === 'not-found') throw groupNotFound(name, error)
      throw error
    }
  }

  #checkStreams({ startingStreamCuts }: GroupConfig): void {
    const { name, metadata } = this.#identity
    if (startingStreamCuts.size === 1 && startingStreamCuts.has(metadata.stream)) return
    throw groupMismatch(name, metadata.stream, [...startingStreamCuts.keys()])
  }
}

/** What the controller has; undefined if it knows no such group. */
export async function configOf(identity: GroupIdentity): Promise<GroupConfig | undefined> {
  const { scope, name: readerGroup } = groupOf(identity)
  const request = { scope, readerGroup, readerGroupId: '', generation: 0n }
  const { status, config } = await identity.context.controller.getReaderGroupConfig(request)
  if (status === ReaderGroupConfigResponse.RG_NOT_FOUND) return undefined
  if (status === ReaderGroupConfigResponse.SUCCESS && config !== undefined) return fromMessage(config)
  const problem = `The controller failed to say what the reader group ${identity.name} is`
  throw new MillraceError('internal', problem, { group: identity.name })
}

/** A group is in the scope of its stream. */
export function groupOf({ scoped, name }: GroupIdentity): ScopedName {
  return { scope: scoped.scope, name: name.slice(scopedName(scoped.scope, '').length) }
}

function isNotFound(error: unknown): boolean {
  return error instanceof MillraceError && error.code === 'group-not-found'
}
