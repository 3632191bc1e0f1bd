/** The calls about scopes, and the listings of what is in them. */
import {
  type ContinuationToken,
  CreateScopeStatus,
  DeleteScopeStatus,
  ListInScopeStatus,
  type StreamsInScopeResponse,
} from '../protocol/controller/messages.ts'
import { ControllerError, type ControllerService } from '../protocol/controller/service.ts'
import { anyNameProblem, SYSTEM_SCOPE } from '../protocol/names.ts'
import type { Scopes } from './scopes.ts'
import type { Streams } from './streams.ts'

type ScopeCalls = Pick<
  ControllerService,
  | 'createScope'
  | 'deleteScope'
  | 'deleteScopeRecursive'
  | 'checkScopeExists'
  | 'listScopes'
  | 'listStreamsInScope'
  | 'listStreamsInScopeForTag'
  | 'listKeyValueTablesInScope'
>

export function scopeCalls(scopes: Scopes, streams: Streams): ScopeCalls {
  async function listStreams(
    scope: string,
    page: { token: ContinuationToken | undefined; tag?: string },
  ): Promise<StreamsInScopeResponse> {
    const open = await scopes.open(scope)
    if (open === undefined) return { streams: [], status: ListInScopeStatus.SCOPE_NOT_FOUND }
    const after = page.token?.token ?? ''
    const names = await streams.list(open, { after, tag: page.tag })
    return {
      streams: names.map((stream) => ({ scope, stream })),
      continuationToken: { token: names.at(-1) ?? after },
      status: ListInScopeStatus.SUCCESS,
    }
  }

  return {
    async createScope({ scope }) {
      if (anyNameProblem('scope', scope) !== undefined)
        return { status: CreateScopeStatus.INVALID_SCOPE_NAME }
      const outcome = await scopes.create(scope)
      return {
        status: outcome === 'created' ? CreateScopeStatus.SUCCESS : CreateScopeStatus.SCOPE_EXISTS,
      }
    },

    async deleteScope({ scope }) {
      if (scope === SYSTEM_SCOPE) return { status: DeleteScopeStatus.SCOPE_NOT_EMPTY }
      return { status: DELETED[await scopes.delete(scope, { withAll: false })] }
    },

    async deleteScopeRecursive({ scope }) {
      if (scope === SYSTEM_SCOPE)
        throw new ControllerError(
          'permission-denied',
          `The scope '${scope}' holds the metadata of all others and is not deleted`,
        )
      const outcome = await scopes.delete(scope, { withAll: true })
      // As in Pravega: what is not there is as good as deleted with all that was in it.
      return { status: outcome === 'missing' ? DeleteScopeStatus.SUCCESS : DELETED[outcome] }
    },

    async checkScopeExists({ scope }) {
      return { exists: (await scopes.open(scope)) !== undefined }
    },

    async listScopes({ continuationToken }) {
      const after = continuationToken?.token ?? ''
      const names = await scopes.list(after)
      return { scopes: names, continuationToken: { token: names.at(-1) ?? after } }
    },

    listStreamsInScope: ({ scope, continuationToken }) =>
      listStreams(scope.scope, { token: continuationToken }),

    listStreamsInScopeForTag: ({ scope, tag, continuationToken }) =>
      listStreams(scope.scope, { token: continuationToken, tag }),

    async listKeyValueTablesInScope({ scope, continuationToken }) {
      if ((await scopes.open(scope.scope)) === undefined)
        return { kvtables: [], status: ListInScopeStatus.SCOPE_NOT_FOUND }
      const token = continuationToken ?? { token: '' }
      return { kvtables: [], continuationToken: token, status: ListInScopeStatus.SUCCESS }
    },
  }
}

const DELETED = {
  deleted: DeleteScopeStatus.SUCCESS,
  missing: DeleteScopeStatus.SCOPE_NOT_FOUND,
  'not-empty': DeleteScopeStatus.SCOPE_NOT_EMPTY,
} as const
