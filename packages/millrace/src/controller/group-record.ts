/** Reader groups as the controller knows them: the configuration, who they are, and which streams count on them. */
import {
  GroupRetention,
  type ReaderGroupConfiguration,
  type StreamCut,
} from '../protocol/controller/messages.ts'
import { scopedName } from '../protocol/names.ts'
import type { RecordCodec } from './record-codec.ts'

export type GroupState =
  | { readonly kind: 'creating' }
  | { readonly kind: 'active' }
  /** `left` are streams, as `scope/stream`, that the group subscribed to before its configuration changed. */
  | { readonly kind: 'updating'; readonly left: readonly string[] }
  | { readonly kind: 'deleting' }

export interface GroupRecord {
  readonly state: GroupState
  /** As it was sent, but for id and generation. */
  readonly config: ReaderGroupConfiguration
}

export const GROUP_CODEC: RecordCodec<GroupRecord> = {
  what: 'reader group',
  version: 1,
  toJson: (record) => record,
  fromJson: (json) => json as GroupRecord,
}

/** The streams, as `scope/stream`, whose retention waits for the group. */
export function subscriptionsOf(config: ReaderGroupConfiguration): readonly string[] {
  if (config.retentionType === GroupRetention.NONE) return []
  return [...new Set(config.startingStreamCuts.map(streamOf))]
}

/** The record after an update: the next generation, and whom to unsubscribe from. */
export function updateGroup(record: GroupRecord, config: ReaderGroupConfiguration): GroupRecord {
  const next = { ...config, generation: config.generation + 1n }
  const kept = new Set(subscriptionsOf(next))
  const left = subscriptionsOf(record.config).filter((stream) => !kept.has(stream))
  return { state: { kind: 'updating', left }, config: next }
}

function streamOf({ streamInfo }: StreamCut): string {
  return scopedName(streamInfo.scope, streamInfo.stream)
}
