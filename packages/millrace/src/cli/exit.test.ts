import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { DiskError, NetworkError } from '../base/host.ts'
import { type ErrorCode, MillraceError } from '../client/errors.ts'
import { ControllerError, type ControllerErrorCode } from '../protocol/controller/service.ts'
import { LogError } from '../segment-store/log/durable-log.ts'
import { ConfigError } from '../server/config.ts'
import { CommandError, Exit, explain } from './exit.ts'

const client = (code: ErrorCode): number => explain(new MillraceError(code, 'why')).exit
const controller = (code: ControllerErrorCode): number => explain(new ControllerError(code, 'why')).exit

test('what is wrong decides the status', () => {
  strictEqual(client('invalid-argument'), Exit.usage)
  strictEqual(client('unavailable'), Exit.unreachable)
  strictEqual(client('stream-not-found'), Exit.notFound)
  strictEqual(client('stream-sealed'), Exit.failed)
  strictEqual(client('internal'), Exit.bug)
  strictEqual(controller('invalid-argument'), Exit.usage)
  strictEqual(controller('unavailable'), Exit.unreachable)
  strictEqual(controller('not-found'), Exit.notFound)
  strictEqual(controller('unimplemented'), Exit.failed)
  strictEqual(explain(new ConfigError('why')).exit, Exit.usage)
  strictEqual(explain(new DiskError('locked', '/d', 'why')).exit, Exit.failed)
  strictEqual(explain(new NetworkError('in-use', 'why')).exit, Exit.failed)
  strictEqual(explain(new LogError('damaged', 'why')).exit, Exit.failed)
})

test('a command that knows why it fails says only that', () => {
  deepStrictEqual(explain(new CommandError(Exit.notFound, 'There is no stream a/b')), {
    exit: 4,
    message: 'There is no stream a/b',
  })
})

test('everything unforeseen is a bug, and shows where it happened', () => {
  for (const error of [new TypeError('x is undefined'), new MillraceError('internal', 'x is undefined')]) {
    const { exit, message } = explain(error)
    strictEqual(exit, Exit.bug)
    match(message, /^This is a bug in Millrace; please report it\.\n.*x is undefined\n {4}at /)
  }
  strictEqual(explain('thrown as it is').exit, Exit.bug)
})
