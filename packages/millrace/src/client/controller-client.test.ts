import { deepStrictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { ControllerError } from '../protocol/controller/service.ts'
import { parseControllerUri } from './controller-client.ts'

test('a URI names one controller or several', () => {
  deepStrictEqual(parseControllerUri('tcp://127.0.0.1:9090'), [{ host: '127.0.0.1', port: 9090 }])
  deepStrictEqual(parseControllerUri('TCP://a:1,[::1]:2/'), [
    { host: 'a', port: 1 },
    { host: '::1', port: 2 },
  ])
})

test('anything else is refused with what to write instead', () => {
  for (const uri of [
    'localhost:9090',
    'tcp://',
    'tcp://host',
    'tcp://a:0',
    'tcp://a:1,',
    'http://a:1',
    'tls://a:1',
  ]) {
    throws(
      () => parseControllerUri(uri),
      (error) =>
        error instanceof ControllerError && error.code === 'invalid-argument' && error.message.includes(uri),
    )
  }
})
