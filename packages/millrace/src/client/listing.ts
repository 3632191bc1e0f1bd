/** Streams by scope and page. */
import { ControllerError } from '../protocol/controller/service.ts'
import { ListInScopeStatus } from '../protocol/controller/messages.ts'
import { isInternalName, scopedName } from '../protocol/names.ts'
import { asMillraceError, MillraceError } from './errors.ts'
import type { Wait } from './segment-calls.ts'
import type { StoreContext } from './store-context.ts'
import { describeStream, type StreamInfo } from './stream-info.ts'
import { StreamMetadata } from './stream-metadata.ts'

interface Selection extends Wait {
  readonly scope: string | undefined
  readonly tag: string | undefined
}

/** Names that begin with `_` are left out. A stream that is deleted meanwhile may be. */
export async function* listStreams(context: StoreContext, selection: Selection): AsyncGenerator<StreamInfo> {
  const { scope: only, signal } = selection
  try {
    const scopes = only === undefined ? scopesOf(context, { signal }) : [only]
    for await (const scope of scopes) {
      if (isInternalName(scope)) continue
      for await (const name of namesIn(context, scope, selection)) {
        if (isInternalName(name)) continue
        const info = await describeOrSkip(context, scope, name, { signal })
        if (info !== undefined) yield info
      }
    }
  } catch (error) {
    throw asMillraceError(error, only ?? 'any scope')
  }
}

async function describeOrSkip(
  { controller, segments }: StoreContext,
  scope: string,
  name: string,
  wait: Wait,
): Promise<StreamInfo | undefined> {
  const metadata = new StreamMetadata(controller, { scope, name })
  try {
    return await describeStream(segments, metadata, { scope, name }, wait)
  } catch (error) {
    const shown = asMillraceError(error, scopedName(scope, name))
    if (shown instanceof MillraceError && shown.code === 'stream-not-found') return undefined
    throw shown
  }
}

/** Only an empty page is the last: trap 40. */
async function* scopesOf({ controller }: StoreContext, { signal }: Wait): AsyncGenerator<string> {
  let token = ''
  for (;;) {
    const page = await controller.listScopes({ continuationToken: { token } }, { signal })
    if (page.scopes.length === 0) return
    yield* page.scopes
    token = page.continuationToken?.token ?? ''
  }
}

async function* namesIn(
  { controller }: StoreContext,
  name: string,
  { tag, signal }: Selection,
): AsyncGenerator<string> {
  let token = ''
  for (;;) {
    const request = { scope: { scope: name }, continuationToken: { token } }
    const page =
      tag === undefined
        ? await controller.listStreamsInScope(request, { signal })
        : await controller.listStreamsInScopeForTag({ ...request, tag }, { signal })
    // A scope that does not exist has no streams.
    if (page.status === ListInScopeStatus.SCOPE_NOT_FOUND || page.streams.length === 0) return
    if (page.status !== ListInScopeStatus.SUCCESS)
      throw new ControllerError('internal', `The controller failed to list the streams of ${name}`)
    for (const { stream } of page.streams) yield stream
    token = page.continuationToken?.token ?? ''
  }
}
