/** Transactions of the fake controller: they end when somebody says so, a test by hand if it likes. */
import type { StreamInfo, TxnId, TxnState } from '../protocol/controller/messages.ts'
import { ControllerError, type ControllerService } from '../protocol/controller/service.ts'
import { segmentNameOfId, transactionSegmentName } from '../protocol/names.ts'
import { showUuid, uuidOfLongs } from '../protocol/uuid.ts'
import type { FakeStore } from './fake-store.ts'
import { type FakeStream, rangeOf } from './fake-stream.ts'

export interface FakeTransaction {
  readonly uuid: string
  readonly info: StreamInfo
  readonly epoch: number
  readonly segments: readonly bigint[]
  state: 'open' | 'committing' | 'committed' | 'aborted'
  /** Of its making and of each ping. */
  readonly leases: number[]
}

interface FakeStreams {
  find(info: StreamInfo): FakeStream
  /** New segments in the place of those of an old epoch, by the ids of those. */
  roll(info: StreamInfo, epoch: number): ReadonlyMap<bigint, bigint>
}

const STATES = { open: 1, committing: 2, committed: 3, aborted: 5 } as const satisfies Record<
  FakeTransaction['state'],
  TxnState['state']
>

export class FakeTransactions {
  /** By the text of their ids. */
  readonly all: Map<string, FakeTransaction> = new Map()
  /** What is committed stays `committing` until a test finishes it. */
  held = false
  readonly #store: FakeStore
  readonly #streams: FakeStreams

  constructor(store: FakeStore, streams: FakeStreams) {
    this.#store = store
    this.#streams = streams
  }

  get(id: string): FakeTransaction {
    const transaction = this.all.get(id)
    if (transaction === undefined) throw new Error(`The test has no transaction ${id}`)
    return transaction
  }

  /** The events in all segments of an open transaction. */
  events(id: string): string[] {
    const { uuid, info, segments } = this.get(id)
    return segments.flatMap((segment) => this.#store.segment(partOf(info, segment, uuid)).events)
  }

  finish(id: string): void {
    const transaction = this.get(id)
    const { uuid, info, epoch, segments } = transaction
    const stream = this.#streams.find(info)
    const places = stream.epoch === epoch ? undefined : this.#streams.roll(info, epoch)
    for (const segment of segments) {
      const target = this.#store.segment(
        segmentNameOfId(info.scope, info.stream, places?.get(segment) ?? segment),
      )
      target.append(this.#store.segment(partOf(info, segment, uuid)).data)
      this.#store.segments.delete(partOf(info, segment, uuid))
    }
    transaction.state = 'committed'
  }

  /** As when the lease is over. */
  abort(id: string): void {
    const transaction = this.get(id)
    const { uuid, info, segments } = transaction
    for (const segment of segments) this.#store.segments.delete(partOf(info, segment, uuid))
    transaction.state = 'aborted'
  }

  abortAll(info: StreamInfo): void {
    for (const [id, transaction] of this.all)
      if (transaction.info.stream === info.stream && transaction.state === 'open') this.abort(id)
  }

  calls(): Partial<ControllerService> {
    return {
      createTransaction: async ({ streamInfo, lease }) => {
        const stream = this.#streams.find(streamInfo)
        if (stream.sealed) throw new ControllerError('failed-precondition', 'The stream is sealed')
        const { epoch, current } = stream
        const txnId = { highBits: (BigInt(epoch) << 32n) | 7n, lowBits: BigInt(this.all.size) }
        const { uuid, id } = idsOf(txnId)
        for (const segment of current) this.#store.create(partOf(streamInfo, segment, uuid))
        const leases = [Number(lease)]
        this.all.set(id, { uuid, info: streamInfo, epoch, segments: current, state: 'open', leases })
        const activeSegments = current.map((segment) => rangeOf(stream, segment))
        return { txnId, activeSegments, delegationToken: '' }
      },
      commitTransaction: async ({ txnId }) => {
        const { id } = idsOf(txnId)
        const transaction = this.all.get(id)
        if (transaction === undefined || transaction.state === 'aborted') return { status: 1 }
        if (transaction.state === 'open') {
          transaction.state = 'committing'
          if (!this.held) this.finish(id)
        }
        return { status: 0 }
      },
      abortTransaction: async ({ txnId }) => {
        const { id } = idsOf(txnId)
        const state = this.all.get(id)?.state
        if (state === 'open') this.abort(id)
        return { status: state === 'open' || state === 'aborted' ? 0 : 1 }
      },
      pingTransaction: async ({ txnId, lease }) => {
        const transaction = this.all.get(idsOf(txnId).id)
        if (transaction === undefined) return { status: 7 }
        transaction.leases.push(Number(lease))
        return { status: transaction.state === 'open' ? 0 : transaction.state === 'aborted' ? 6 : 5 }
      },
      checkTransactionState: async ({ txnId }) => {
        const transaction = this.all.get(idsOf(txnId).id)
        return { state: transaction === undefined ? 0 : STATES[transaction.state] }
      },
    }
  }
}

function idsOf({ highBits, lowBits }: TxnId): { readonly uuid: string; readonly id: string } {
  const uuid = uuidOfLongs(highBits, lowBits)
  return { uuid, id: showUuid(uuid) }
}

function partOf({ scope, stream }: StreamInfo, segment: bigint, uuid: string): string {
  return transactionSegmentName(segmentNameOfId(scope, stream, segment), uuid)
}
