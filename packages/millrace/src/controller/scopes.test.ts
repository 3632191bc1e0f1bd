import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { SegmentError } from '../client/segment-calls.ts'
import {
  CreateReaderGroupResponse,
  CreateScopeStatus,
  CreateStreamStatus,
  DeleteScopeStatus,
  GroupRetention,
  ListInScopeStatus,
} from '../protocol/controller/messages.ts'
import type { ControllerService } from '../protocol/controller/service.ts'
import { FakeSegments } from '../testing/fake-segments.ts'
import { groupConfig, openController, streamConfig, streamInfo } from '../testing/controller-fixture.ts'

type Page = { names: string[]; token: string }

/** All pages as clients ask for them: until an empty one. */
async function pages(next: (token: string) => Promise<Page>): Promise<string[][]> {
  const all: string[][] = []
  for (let token = ''; ; ) {
    const page = await next(token)
    if (page.names.length === 0) return all
    all.push(page.names)
    token = page.token
  }
}

function streamPage(service: ControllerService, tag?: string): (token: string) => Promise<Page> {
  return async (token) => {
    const request = { scope: { scope: 'shop' }, continuationToken: { token } }
    const answer =
      tag === undefined
        ? await service.listStreamsInScope(request)
        : await service.listStreamsInScopeForTag({ ...request, tag })
    strictEqual(answer.status, ListInScopeStatus.SUCCESS)
    return { names: answer.streams.map(({ stream }) => stream), token: answer.continuationToken?.token ?? '' }
  }
}

test('a scope is created once, and its name is checked', async () => {
  const { service } = openController()
  const create = async (scope: string): Promise<number> => (await service.createScope({ scope })).status
  strictEqual(await create('shop'), CreateScopeStatus.SUCCESS)
  strictEqual(await create('shop'), CreateScopeStatus.SCOPE_EXISTS)
  strictEqual(await create('_schemaregistry'), CreateScopeStatus.SUCCESS)
  strictEqual(await create('x'.repeat(255)), CreateScopeStatus.SUCCESS)
  for (const name of ['', 'a b', 'a/b', '__a', 'x'.repeat(256)])
    strictEqual(await create(name), CreateScopeStatus.INVALID_SCOPE_NAME, name)
  deepStrictEqual(await service.checkScopeExists({ scope: 'shop' }), { exists: true })
  deepStrictEqual(await service.checkScopeExists({ scope: 'none' }), { exists: false })
})

test('the system scope exists from the start, and nobody deletes it', async () => {
  const { service } = openController()
  deepStrictEqual((await service.listScopes({})).scopes, ['_system'])
  strictEqual((await service.createScope({ scope: '_system' })).status, CreateScopeStatus.SCOPE_EXISTS)
  strictEqual((await service.deleteScope({ scope: '_system' })).status, DeleteScopeStatus.SCOPE_NOT_EMPTY)
  await rejects(service.deleteScopeRecursive({ scope: '_system' }), { code: 'permission-denied' })
})

test('a scope is deleted when it is empty, and its table goes with it', async () => {
  const { service, fake } = openController()
  const remove = async (): Promise<number> => (await service.deleteScope({ scope: 'shop' })).status
  strictEqual(await remove(), DeleteScopeStatus.SCOPE_NOT_FOUND)
  await service.createScope({ scope: 'shop' })
  const tables = fake.tables.size
  await service.createStream(streamConfig('shop/orders'))
  strictEqual(await remove(), DeleteScopeStatus.SCOPE_NOT_EMPTY)
  await service.sealStream(streamInfo('shop/orders'))
  await service.deleteStream(streamInfo('shop/orders'))
  strictEqual(await remove(), DeleteScopeStatus.SUCCESS)
  strictEqual(fake.tables.size, tables - 1)
  strictEqual(await remove(), DeleteScopeStatus.SCOPE_NOT_FOUND)
  deepStrictEqual((await service.listScopes({})).scopes, ['_system'])
})

test('a scope with nothing but a group is not empty', async () => {
  const { service } = openController()
  await service.createScope({ scope: 'shop' })
  await service.createReaderGroup(groupConfig('shop/billing', ['other/orders']))
  strictEqual((await service.deleteScope({ scope: 'shop' })).status, DeleteScopeStatus.SCOPE_NOT_EMPTY)
})

test('a scope in which only a deletion was left half done is empty', async () => {
  const { service, fake } = openController()
  await service.createScope({ scope: 'shop' })
  await service.createStream(streamConfig('shop/orders'))
  await service.sealStream(streamInfo('shop/orders'))
  const dying = fake.connect(({ name, segment }) =>
    name === 'deleteSegment'
      ? { carriedOut: false, error: new SegmentError('closed', segment, 'died') }
      : undefined,
  )
  await rejects(openController(fake, dying).service.deleteStream(streamInfo('shop/orders')), {
    code: 'unavailable',
  })
  const later = openController(fake).service
  strictEqual((await later.deleteScope({ scope: 'shop' })).status, DeleteScopeStatus.SUCCESS)
  strictEqual(fake.segments.size, 0)
})

test('recursive deletion takes everything along, open streams and the subscriptions of its groups too', async () => {
  const { service, fake } = openController()
  for (const scope of ['shop', 'other']) await service.createScope({ scope })
  await service.createStream(streamConfig('other/kept'))
  for (let i = 0; i < 10; i++) await service.createStream(streamConfig(`shop/s${i}`))
  await service.createReaderGroup(
    groupConfig('shop/billing', ['shop/s0', 'other/kept'], { retentionType: GroupRetention.MANUAL }),
  )
  deepStrictEqual((await service.listSubscribers(streamInfo('other/kept'))).subscribers, ['shop/billing'])
  strictEqual((await service.deleteScopeRecursive({ scope: 'shop' })).status, DeleteScopeStatus.SUCCESS)
  deepStrictEqual(await service.checkScopeExists({ scope: 'shop' }), { exists: false })
  deepStrictEqual([...fake.segments.keys()].toSorted(), [
    'other/_MARKkept/0.#epoch.0',
    'other/kept/0.#epoch.0',
  ])
  deepStrictEqual((await service.listSubscribers(streamInfo('other/kept'))).subscribers, [])
  strictEqual((await service.deleteScopeRecursive({ scope: 'shop' })).status, DeleteScopeStatus.SUCCESS)
  strictEqual((await service.createScope({ scope: 'shop' })).status, CreateScopeStatus.SUCCESS)
  deepStrictEqual(await pages(streamPage(service)), [])
})

test('while a scope is deleted with all that is in it, nothing is created in it, and in the end nothing is left', async () => {
  const { service, fake } = openController()
  await service.createScope({ scope: 'shop' })
  for (let i = 0; i < 5; i++) await service.createStream(streamConfig(`shop/s${i}`))
  const deletion = service.deleteScopeRecursive({ scope: 'shop' })
  const streams = Array.from({ length: 20 }, (_, i) => service.createStream(streamConfig(`shop/late${i}`)))
  const group = service.createReaderGroup(groupConfig('shop/billing', ['shop/s0']))
  strictEqual((await deletion).status, DeleteScopeStatus.SUCCESS)
  for (const { status } of await Promise.all(streams))
    ok(status === CreateStreamStatus.SCOPE_NOT_FOUND || status === CreateStreamStatus.SUCCESS)
  ok(
    [CreateReaderGroupResponse.SCOPE_NOT_FOUND, CreateReaderGroupResponse.SUCCESS].includes(
      (await group).status as 0,
    ),
  )
  strictEqual(fake.segments.size, 0)
})

test('trap 39: listings of a scope that is not there say so in their status', async () => {
  const { service } = openController()
  const scope = { scope: 'none' }
  const missing = ListInScopeStatus.SCOPE_NOT_FOUND
  strictEqual((await service.listStreamsInScope({ scope })).status, missing)
  strictEqual((await service.listStreamsInScopeForTag({ scope, tag: 't' })).status, missing)
  strictEqual((await service.listKeyValueTablesInScope({ scope })).status, missing)
})

test('a scope has no key-value tables yet', async () => {
  const { service } = openController()
  await service.createScope({ scope: 'shop' })
  deepStrictEqual(await service.listKeyValueTablesInScope({ scope: { scope: 'shop' } }), {
    kvtables: [],
    continuationToken: { token: '' },
    status: ListInScopeStatus.SUCCESS,
  })
})

test('trap 40: pages are sorted, come to an empty one, and hold every stream that stays there exactly once', async () => {
  const { service, fake } = openController()
  fake.pageEntries = 300
  await service.createScope({ scope: 'shop' })
  const names = Array.from({ length: 600 }, (_, i) => `s${i}`)
  await Promise.all(names.map((name) => service.createStream(streamConfig(`shop/${name}`))))
  const expected = names.flatMap((name) => [name, `_MARK${name}`]).toSorted()
  for (const controller of [service, openController(fake).service]) {
    const listed = await pages(streamPage(controller))
    deepStrictEqual(
      listed.map((page) => page.length),
      [1000, 200],
    )
    deepStrictEqual(listed.flat(), expected)
  }

  const changing = await pages(async (token) => {
    const page = await streamPage(service)(token)
    const gone = streamInfo(`shop/${token === '' ? 's1' : 's2'}`)
    await service.sealStream(gone)
    await service.deleteStream(gone)
    await service.createStream(streamConfig(`shop/a${token === '' ? 1 : 2}`))
    return page
  })
  const stayed = new Set(changing.flat())
  strictEqual(changing.flat().length, stayed.size)
  for (const name of names) ok(stayed.has(name) || name === 's1' || name === 's2', name)
})

test('streams are listed by tag, as the tags are now', async () => {
  const { service } = openController()
  await service.createScope({ scope: 'shop' })
  const create = (name: string, tag: string[]): Promise<unknown> =>
    service.createStream(streamConfig(`shop/${name}`, { tags: { tag } }))
  await create('a', ['red', 'blue'])
  await create('b', ['red'])
  await create('c', [])
  deepStrictEqual(await pages(streamPage(service, 'red')), [['a', 'b']])
  await service.updateStream(streamConfig('shop/a', { tags: { tag: ['green'] } }))
  deepStrictEqual(await pages(streamPage(service, 'red')), [['b']])
  deepStrictEqual(await pages(streamPage(service, 'green')), [['a']])
  deepStrictEqual(await pages(streamPage(service, 'none')), [])
})

test('after a write that failed and was done all the same, a listing tells what is true', async () => {
  const fake = new FakeSegments()
  let isFailing = false
  const connection = fake.connect(({ name, segment }) =>
    isFailing && name === 'updateTable'
      ? { carriedOut: true, error: new SegmentError('internal', segment, 'something else') }
      : undefined,
  )
  const { service } = openController(fake, connection)
  await service.createScope({ scope: 'shop' })
  deepStrictEqual(await pages(streamPage(service)), [])
  deepStrictEqual((await service.listScopes({})).scopes, ['_system', 'shop'])
  isFailing = true
  await rejects(service.createStream(streamConfig('shop/orders')), { code: 'internal' })
  await rejects(service.createScope({ scope: 'other' }), { code: 'internal' })
  isFailing = false
  deepStrictEqual(await pages(streamPage(service)), [['orders']])
  deepStrictEqual((await service.listScopes({})).scopes, ['_system', 'other', 'shop'])
})

test('scopes are listed page by page', async () => {
  const { service, fake } = openController()
  fake.pageEntries = 300
  const names = Array.from({ length: 1001 }, (_, i) => `scope${i}`)
  for (const scope of names) await service.createScope({ scope })
  const listed = await pages(async (token) => {
    const { scopes, continuationToken } = await service.listScopes({ continuationToken: { token } })
    return { names: [...scopes], token: continuationToken?.token ?? '' }
  })
  deepStrictEqual(
    listed.map((page) => page.length),
    [1000, 2],
  )
  deepStrictEqual(listed.flat(), ['_system', ...names].toSorted())
})
