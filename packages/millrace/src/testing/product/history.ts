/**
 * What the programs of a simulation did and saw, as facts that a checker can judge afterwards. The order of everything is a count,
 * since several things happen at one moment of simulated time.
 */
import type { TransactionStatus } from '../../client/transaction-calls.ts'

export interface Sent {
  readonly id: number
  readonly key: string
  /** A process that writes. What one sends for one key it sends in this order. */
  readonly session: string
  readonly transaction: Txn | undefined
  readonly sentAt: number
  /** Its writer was told that it is durable, in the transaction if it belongs to one. */
  acknowledgedAt: number | undefined
}

export interface Txn {
  readonly id: string
  /** The first time that anybody asked for it. */
  commitAskedAt: number | undefined
  committedAt: number | undefined
  abortedAt: number | undefined
  /** When nothing is under way any more. */
  status: TransactionStatus
}

/** Where an event was found. */
export interface Place {
  readonly id: number
  readonly key: string
  readonly segment: string
  readonly offset: number
}

/** An event that a reader of the group was given, or one outside of it. */
export interface Delivery extends Place {
  readonly at: number
  /** A process that reads. */
  readonly session: string
}

/** A reader of the group went, and the group was not told how far it was. */
export interface Loss {
  readonly at: number
  readonly session: string
}

export interface TopologySeen {
  readonly epoch: number
  readonly segments: readonly {
    readonly id: string
    readonly range: { readonly low: number; readonly high: number }
    readonly predecessors: readonly string[]
  }[]
}

export interface Facts {
  readonly sent: readonly Sent[]
  readonly transactions: readonly Txn[]
  /** The whole stream in the order of reading it: what was read before each truncation, and then the rest. */
  readonly log: readonly Place[]
  readonly deliveries: readonly Delivery[]
  /** What others than the readers of the group were given. */
  readonly sights: readonly Delivery[]
  readonly losses: readonly Loss[]
  /** Each list as one who watches the stream got it. */
  readonly topologies: readonly (readonly TopologySeen[])[]
  /** Places in the log that a checkpoint of the group had behind it, and when it was complete. */
  readonly checkpoints: readonly { readonly at: number; readonly logLength: number }[]
  /** When the stream was asked to forget so much of the log. */
  readonly truncations: readonly { readonly at: number; readonly logLength: number }[]
  /** Nothing sent from here on may be in the log. */
  readonly sealedAt: number
  /** Whether a group read the stream. */
  readonly grouped: boolean
}

export class History implements Facts {
  readonly sent: Sent[] = []
  readonly transactions: Txn[] = []
  readonly log: Place[] = []
  readonly deliveries: Delivery[] = []
  readonly sights: Delivery[] = []
  readonly losses: Loss[] = []
  readonly topologies: TopologySeen[][] = []
  readonly checkpoints: { readonly at: number; readonly logLength: number }[] = []
  readonly truncations: { readonly at: number; readonly logLength: number }[] = []
  sealedAt: number = Number.POSITIVE_INFINITY
  grouped = false
  #count = 0

  now(): number {
    return ++this.#count
  }

  send(key: string, session: string, transaction?: Txn): Sent {
    const sent: Sent = {
      id: this.sent.length,
      key,
      session,
      transaction,
      sentAt: this.now(),
      acknowledgedAt: undefined,
    }
    this.sent.push(sent)
    return sent
  }

  acknowledge(all: readonly Sent[]): void {
    const at = this.now()
    for (const sent of all) sent.acknowledgedAt = at
  }

  begin(id: string): Txn {
    const transaction: Txn = {
      id,
      commitAskedAt: undefined,
      committedAt: undefined,
      abortedAt: undefined,
      status: 'open',
    }
    this.transactions.push(transaction)
    return transaction
  }
}
