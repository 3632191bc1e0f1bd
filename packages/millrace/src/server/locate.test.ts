import { deepStrictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { locator } from './locate.ts'

const inside = { host: 'store.millrace', port: 1 }
const localAddress = { host: '10.0.0.7', port: 9090 }

test('a caller inside the process stays inside', () => {
  const locate = locator({ inside, outside: () => undefined })
  const answer = { endpoint: 'store.millrace', port: 1 }
  deepStrictEqual(locate({ localAddress: { host: 'controller.millrace', port: 1 } }), answer)
  deepStrictEqual(locate({}), answer)
  throws(() => locate({ localAddress }), /listens inside only/)
})

test('trap 29: a caller from outside is sent to what is advertised, to the host it knows, or to where it arrived', () => {
  const outside = (): { host: string; port: number } => ({ host: '0.0.0.0', port: 12_345 })
  const plain = locator({ inside, outside })
  for (const [authority, endpoint] of [
    ['store.example:9090', 'store.example'],
    ['localhost', 'localhost'],
    ['[::1]:9090', '::1'],
    ['a:1,b:2', '10.0.0.7'],
    ['', '10.0.0.7'],
    [undefined, '10.0.0.7'],
  ] as const)
    deepStrictEqual(plain({ localAddress, authority }), { endpoint, port: 12_345 })
  const advertised = locator({ inside, outside, advertise: { host: 'public.example', port: undefined } })
  deepStrictEqual(advertised({ localAddress, authority: 'x:1' }), {
    endpoint: 'public.example',
    port: 12_345,
  })
  const moved = locator({ inside, outside, advertise: { host: 'public.example', port: 7 } })
  deepStrictEqual(moved({ localAddress }), { endpoint: 'public.example', port: 7 })
})
