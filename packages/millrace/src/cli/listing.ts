/** Names from the controller, page by page, so that a list of any length takes the memory of a page. */
import { ListInScopeStatus, type StreamsInScopeResponse } from '../protocol/controller/messages.ts'
import type { ControllerClient } from '../protocol/controller/service.ts'
import { CommandError, Exit } from './exit.ts'

const FIRST = { token: '' }

export async function* scopeNames(controller: ControllerClient): AsyncGenerator<readonly string[]> {
  for (let continuationToken = FIRST; ; ) {
    const page = await controller.listScopes({ continuationToken })
    // A page may be short; only an empty one is the last.
    if (page.scopes.length === 0) return
    yield page.scopes
    if (page.continuationToken === undefined) return
    continuationToken = page.continuationToken
  }
}

/** Those of the system are among them. */
export async function* streamNames(
  controller: ControllerClient,
  where: { scope: string; tag?: string | undefined },
): AsyncGenerator<readonly string[]> {
  const { tag } = where
  const scope = { scope: where.scope }
  for (let continuationToken = FIRST; ; ) {
    const page: StreamsInScopeResponse = await (tag === undefined
      ? controller.listStreamsInScope({ scope, continuationToken })
      : controller.listStreamsInScopeForTag({ scope, tag, continuationToken }))
    if (page.status === ListInScopeStatus.SCOPE_NOT_FOUND)
      throw new CommandError(Exit.notFound, `There is no scope ${where.scope}`)
    if (page.status !== ListInScopeStatus.SUCCESS)
      throw new CommandError(Exit.failed, `The server could not list the scope ${where.scope}`)
    if (page.streams.length === 0) return
    yield page.streams.map(({ stream }) => stream)
    if (page.continuationToken === undefined) return
    continuationToken = page.continuationToken
  }
}

/** The one scope that was asked for, or all of them. */
export async function* scopesOf(
  controller: ControllerClient,
  scope: string | undefined,
): AsyncGenerator<string> {
  if (scope !== undefined) yield scope
  else for await (const scopes of scopeNames(controller)) yield* scopes
}
