/** Transactions on a stream `shop/orders`, as a client asks for them. */
import { strictEqual } from 'node:assert/strict'
import {
  PingTxnStatus,
  ScaleResponse,
  TxnState,
  TxnStatus,
  type TxnId,
} from '../protocol/controller/messages.ts'
import { segmentName, splitSegmentId, transactionSegmentName } from '../protocol/names.ts'
import { uuidOfLongs } from '../protocol/uuid.ts'
import {
  type ControllerFixture,
  fixed,
  openController,
  streamConfig,
  streamInfo,
} from './controller-fixture.ts'
import type { FakeSegments } from './fake-segments.ts'

export const orders: { readonly scope: string; readonly stream: string } = streamInfo('shop/orders')

const LEASE_MS = 30_000

export interface OpenTransaction {
  readonly txnId: TxnId
  /** Sixteen characters. */
  readonly id: string
  /** Of its parts in the store. */
  readonly parts: readonly string[]
}

export type Service = Pick<ControllerFixture, 'service'>

export async function openOrders(
  segments = 1,
  fixture: ControllerFixture = openController(),
): Promise<ControllerFixture> {
  await fixture.service.createScope({ scope: 'shop' })
  await fixture.service.createStream(streamConfig('shop/orders', { scalingPolicy: fixed(segments) }))
  return fixture
}

export async function begin(
  { service }: Service,
  options: { leaseMs?: number; stream?: string } = {},
): Promise<OpenTransaction> {
  const { leaseMs = LEASE_MS, stream = 'orders' } = options
  const info = { scope: 'shop', stream }
  const request = { streamInfo: info, lease: BigInt(leaseMs), scaleGracePeriod: 0n }
  const { txnId, activeSegments } = await service.createTransaction(request)
  const id = uuidOfLongs(txnId.highBits, txnId.lowBits)
  const parts = activeSegments.map(({ segmentId }) =>
    transactionSegmentName(segmentName({ ...info, ...splitSegmentId(segmentId.segmentId) }), id),
  )
  return { txnId, id, parts }
}

export function request(
  { txnId }: Pick<OpenTransaction, 'txnId'>,
  stream = 'orders',
): { streamInfo: { scope: string; stream: string }; txnId: TxnId; writerId: string; timestamp: bigint } {
  return { streamInfo: { scope: 'shop', stream }, txnId, writerId: 'w', timestamp: -(2n ** 63n) }
}

const nameOfCode = <T extends Readonly<Record<string, number>>>(codes: T, code: number): string =>
  Object.entries(codes).find(([, value]) => value === code)?.[0] ?? String(code)

export async function commit({ service }: Service, transaction: OpenTransaction): Promise<string> {
  return nameOfCode(TxnStatus, (await service.commitTransaction(request(transaction))).status)
}

export async function abort({ service }: Service, transaction: OpenTransaction): Promise<string> {
  return nameOfCode(TxnStatus, (await service.abortTransaction(request(transaction))).status)
}

export async function ping(
  { service }: Service,
  transaction: OpenTransaction,
  leaseMs: number = LEASE_MS,
): Promise<string> {
  const { status } = await service.pingTransaction({ ...request(transaction), lease: BigInt(leaseMs) })
  return nameOfCode(PingTxnStatus, status)
}

export async function stateOf({ service }: Service, transaction: OpenTransaction): Promise<string> {
  return nameOfCode(TxnState, (await service.checkTransactionState(request(transaction))).state)
}

/** Resolves when nothing is left to be done of it, or after many turns of the loop: a controller may have died. */
export async function ended(fixture: Service, transaction: OpenTransaction): Promise<string> {
  let state = ''
  for (let turn = 0; turn < 100; turn++) {
    state = await stateOf(fixture, transaction)
    if (state !== 'COMMITTING' && state !== 'ABORTING') break
    await new Promise((resolve) => setImmediate(resolve))
  }
  return state
}

export async function scale(
  { service }: Service,
  seal: readonly bigint[],
  into: readonly (readonly [low: number, high: number])[],
): Promise<void> {
  const { status } = await service.scale({
    streamInfo: orders,
    sealedSegments: seal,
    newKeyRanges: into.map(([start, end]) => ({ start, end })),
    scaleTimestamp: 0n,
  })
  strictEqual(status, ScaleResponse.STARTED)
}

/** The ids in the order in which their parts were merged into a segment, given as `number.epoch`. */
export function mergedInto(fake: FakeSegments, segment: string, all: readonly OpenTransaction[]): number[] {
  const name = `shop/orders/${segment.replace('.', '.#epoch.')}`
  return (fake.segments.get(name)?.merged ?? []).map((part) =>
    all.findIndex(({ parts }) => parts.includes(part)),
  )
}

/** The segments of the stream as `number.epoch`, sealed ones in brackets; parts of transactions are marked with `t`. */
export function segmentsOf(fake: FakeSegments, stream = 'orders'): string[] {
  const prefix = `shop/${stream}/`
  return [...fake.segments]
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, { sealed }]) => {
      const short = name
        .slice(prefix.length)
        .replace('.#epoch.', '.')
        .replace(/#transaction\..*/, 't')
      return sealed ? `(${short})` : short
    })
    .toSorted()
}
