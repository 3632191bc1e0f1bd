/** The calls about reader groups. */
import type { Random } from '../base/host.ts'
import {
  CreateReaderGroupResponse,
  DeleteReaderGroupStatus,
  ReaderGroupConfigResponse,
  UpdateReaderGroupResponse,
} from '../protocol/controller/messages.ts'
import type { ControllerService } from '../protocol/controller/service.ts'
import { userNameProblem } from '../protocol/names.ts'
import { NoTableError } from './records.ts'
import { groupConfigOf, newGroupConfig } from './requests.ts'
import type { Scopes } from './scopes.ts'

type GroupCalls = Pick<
  ControllerService,
  'createReaderGroup' | 'getReaderGroupConfig' | 'updateReaderGroup' | 'deleteReaderGroup'
>

export function groupCalls(scopes: Scopes, random: Random): GroupCalls {
  const { groups } = scopes
  return {
    async createReaderGroup(sent) {
      const config = newGroupConfig(sent, random)
      if (userNameProblem('reader group', config.readerGroupName) !== undefined)
        return { status: CreateReaderGroupResponse.INVALID_RG_NAME }
      const open = await scopes.open(config.scope)
      if (open === undefined) return { status: CreateReaderGroupResponse.SCOPE_NOT_FOUND }
      try {
        const outcome = await groups.create(open, config)
        if (outcome === 'no-stream') return { status: CreateReaderGroupResponse.FAILURE }
        return { status: CreateReaderGroupResponse.SUCCESS, config: outcome }
      } catch (error) {
        if (error instanceof NoTableError) return { status: CreateReaderGroupResponse.SCOPE_NOT_FOUND }
        throw error
      }
    },

    async getReaderGroupConfig({ scope, readerGroup }) {
      const open = await scopes.open(scope)
      const config = open === undefined ? undefined : await groups.read(open, readerGroup)
      if (config === undefined) return { status: ReaderGroupConfigResponse.RG_NOT_FOUND }
      return { status: ReaderGroupConfigResponse.SUCCESS, config }
    },

    async updateReaderGroup(sent) {
      const config = groupConfigOf(sent)
      const open = await scopes.open(config.scope)
      const outcome = open === undefined ? 'missing' : await groups.update(open, config)
      if (typeof outcome === 'bigint')
        return { status: UpdateReaderGroupResponse.SUCCESS, generation: outcome }
      return { status: REFUSED_UPDATES[outcome], generation: config.generation }
    },

    async deleteReaderGroup({ scope, readerGroup, readerGroupId }) {
      const open = await scopes.open(scope)
      const outcome = open === undefined ? 'missing' : await groups.delete(open, readerGroup, readerGroupId)
      return {
        status:
          outcome === 'deleted' ? DeleteReaderGroupStatus.SUCCESS : DeleteReaderGroupStatus.RG_NOT_FOUND,
      }
    },
  }
}

const REFUSED_UPDATES = {
  missing: UpdateReaderGroupResponse.RG_NOT_FOUND,
  'other-version': UpdateReaderGroupResponse.INVALID_CONFIG,
  'no-stream': UpdateReaderGroupResponse.FAILURE,
} as const
