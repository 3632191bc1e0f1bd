import { rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { isMillraceError } from './client/errors.ts'
import { embeddedStore } from './testing/embedded-store.ts'
import { simulate } from './testing/sim/simulate.ts'

const unavailable = (error: unknown): boolean =>
  isMillraceError(error) && error.code === 'unavailable' && /has to be opened again/.test(error.message)

test('when a sync fails everything rejects at once and says what to do, and the store can be opened again', async () => {
  await simulate(1, async (world) => {
    const node = world.node('program')
    const first = await embeddedStore(node.host)
    const orders = first.store.stream<number>('shop/orders', { key: null })
    await orders.write(1)
    const reading = orders.read({ from: 'tail' })[Symbol.asyncIterator]()
    const waiting = rejects(reading.next(), unavailable)
    const isLog = (name: string): boolean => /\/log\/log-\d+$/.test(name)
    const heal = node.disk.inject({ action: 'sync', times: 1, path: isLog })
    await rejects(orders.write(2), unavailable)
    await rejects(orders.write(3), unavailable)
    await rejects(orders.info(), unavailable)
    await rejects(orders.transaction(), unavailable)
    await waiting
    heal()
    await first.close().catch(() => undefined)
    const second = await embeddedStore(node.host)
    const values: number[] = []
    const again = second.store.stream<number>('shop/orders', { key: null })
    for await (const { value } of again.read({ until: 'tail' })) values.push(value)
    strictEqual(values[0], 1)
    await again.write(4)
    await second.close()
  })
})
