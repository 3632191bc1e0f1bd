import { deepStrictEqual, ok, rejects, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { failsWith, withClient } from '../testing/client-scene.ts'
import { isMillraceError, type ValueIssue } from './errors.ts'
import type { Event } from './events.ts'
import type { StandardSchemaResult, StandardSchemaV1 } from './schema.ts'

interface Reading {
  readonly sensor: string
  readonly celsius: number
}

function schemaOf<T>(
  validate: (value: unknown) => StandardSchemaResult<T> | Promise<StandardSchemaResult<T>>,
): StandardSchemaV1<unknown, T> {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

/** Also says what sensors are called: without spaces around. */
const reading: StandardSchemaV1<unknown, Reading> = schemaOf((value) => {
  const { sensor, celsius } = value as Partial<Reading>
  if (typeof sensor === 'string' && typeof celsius === 'number')
    return { value: { sensor: sensor.trim(), celsius } }
  const issues: { message: string; path: (string | { key: string })[] }[] = []
  if (typeof sensor !== 'string') issues.push({ message: 'no string', path: ['sensor'] })
  if (typeof celsius !== 'number') issues.push({ message: 'no number', path: [{ key: 'celsius' }] })
  return { issues }
})

const options = { key: ({ sensor }: Reading): string => sensor, schema: reading }

async function collect<T>(events: AsyncIterable<Event<T>>): Promise<T[]> {
  const values: T[] = []
  for await (const { value } of events) values.push(value)
  return values
}

function issuesOf(error: unknown): readonly ValueIssue[] | undefined {
  return isMillraceError(error) ? error.issues : undefined
}

test(
  'a value that the schema does not take is not written, and the error says what is wrong with it',
  withClient(async ({ store, segments, controller }) => {
    const readings = store.stream('lab/readings', options)
    await rejects(readings.write({ sensor: 'a', celsius: 'warm' } as never), (error) => {
      ok(failsWith('invalid-value', /celsius: no number$/)(error))
      deepStrictEqual(issuesOf(error), [{ message: 'no number', path: ['celsius'] }])
      return true
    })
    deepStrictEqual(controller.calls, [])
    await readings.write({ sensor: ' a ', celsius: 20 })
    const writer = readings.writer()
    throws(
      () => writer.push({} as never),
      failsWith('invalid-value', /sensor: no string; celsius: no number/),
    )
    await writer.close()
    await using transaction = await readings.transaction()
    await rejects(transaction.write({ sensor: 'a' } as never), failsWith('invalid-value'))
    deepStrictEqual(segments.segment('lab/readings/0.#epoch.0').events, ['{"sensor":"a","celsius":20}'])
    strictEqual(store.stats().pendingBytes, 0)
  }),
)

test(
  'what the schema makes of a value is what is written, routed and read',
  withClient(async ({ store }) => {
    const readings = store.stream('lab/readings', options)
    await readings.writeAll([
      { sensor: 'a ', celsius: 1 },
      { sensor: ' a', celsius: 2 },
    ])
    const keys: (string | undefined)[] = []
    for await (const { key } of readings.read({ until: 'tail' })) keys.push(key)
    deepStrictEqual(keys, ['a', 'a'])
    // Events that others wrote are made the same.
    await store.stream('lab/readings', { key: null }).write({ sensor: ' b ', celsius: 3 })
    deepStrictEqual((await collect(readings.read({ until: 'tail' }))).at(-1), { sensor: 'b', celsius: 3 })
  }),
)

test(
  'an event that the schema does not take is thrown with its pointer and issues, or passed over',
  withClient(async ({ store }) => {
    const anything = store.stream('lab/readings', { key: null })
    await anything.writeAll([{ sensor: 'a', celsius: 1 }, { sensor: 'b' }, { sensor: 'c', celsius: 3 }])
    const readings = store.stream('lab/readings', options)
    const seen: number[] = []
    await rejects(
      (async () => {
        for await (const { value } of readings.read({ until: 'tail' })) seen.push(value.celsius)
      })(),
      (error) => {
        ok(
          failsWith(
            'decode',
            /^The event at lab\/readings\/0\.#epoch\.0:34-22 cannot be decoded: .*celsius: no number$/,
          )(error),
        )
        deepStrictEqual(issuesOf(error), [{ message: 'no number', path: ['celsius'] }])
        return isMillraceError(error) && error.pointer === 'lab/readings/0.#epoch.0:34-22'
      },
    )
    deepStrictEqual(seen, [1])
    const rest = await collect(readings.read({ until: 'tail', onDecodeError: 'skip' }))
    deepStrictEqual(
      rest.map(({ sensor }) => sensor),
      ['a', 'c'],
    )
  }),
)

test(
  'with a codec the schema checks what that encodes, and what it has decoded',
  withClient(async ({ store, segments }) => {
    const dates = store.stream('lab/dates', {
      key: null,
      schema: schemaOf<Date>((value) =>
        value instanceof Date && !Number.isNaN(value.getTime())
          ? { value }
          : { issues: [{ message: 'no date' }] },
      ),
      codec: {
        encode: (date) => Buffer.from(date.toISOString()),
        decode: (bytes) => new Date(Buffer.from(bytes).toString()),
      },
    })
    const noon = new Date('2026-01-01T12:00:00.000Z')
    await dates.write(noon)
    await rejects(dates.write(new Date('never')), failsWith('invalid-value', /: no date$/))
    deepStrictEqual(segments.segment('lab/dates/0.#epoch.0').events, ['2026-01-01T12:00:00.000Z'])
    deepStrictEqual(await collect(dates.read({ until: 'tail' })), [noon])
  }),
)

test(
  'schemas that are none, that do not answer at once, that throw or give no reason',
  withClient(async ({ store }) => {
    const named = (schema: unknown, name = 'lab/odd') =>
      store.stream<string>(name, { key: null, schema: schema as StandardSchemaV1<unknown, string> })
    for (const none of [null, {}, { '~standard': {} }, { '~standard': { validate: 'yes' } }, 7])
      throws(() => named(none), failsWith('invalid-argument', /schema of lab\/odd is no Standard Schema/))

    const late = named(schemaOf(async () => Promise.reject(new Error('Nobody hears this'))))
    await rejects(late.write('x'), failsWith('invalid-argument', /does not answer at once/))
    await rejects(named(schemaOf(() => undefined as never)).write('x'), failsWith('invalid-argument'))
    await store.stream('lab/odd', { key: null }).write('x')
    // No event is to blame, so none is passed over.
    await rejects(
      collect(late.read({ until: 'tail', onDecodeError: 'skip' })),
      failsWith('invalid-argument', /does not answer at once/),
    )

    const throwing = named(
      schemaOf(() => {
        throw new Error('Out of order')
      }),
    )
    await rejects(throwing.write('x'), failsWith('invalid-value', /Out of order/))
    await rejects(collect(throwing.read({ until: 'tail' })), failsWith('decode', /Out of order/))
    await rejects(
      named(schemaOf(() => ({ issues: [] }))).write('x'),
      failsWith('invalid-value', /does not say why/),
    )
    const symbol = Symbol('id')
    await rejects(
      named(schemaOf(() => ({ issues: [{ message: 'odd', path: [symbol, 0] }] }))).write('x'),
      failsWith('invalid-value', /Symbol\(id\)\.0: odd$/),
    )
  }),
)
