/**
 * Judges what happened in a simulation: is every event there that must be, none twice, none that must not be, everything in order?
 * Pure, and its own tests show for each rule that it can fail.
 */
import type { Delivery, Facts, Place, Sent, TopologySeen, Txn } from './history.ts'

/** One line for each thing that is wrong, of each kind a few. */
export function checkHistory(all: Facts): string[] {
  const facts = withoutTruncatedTwins(all)
  const problems = new Problems()
  const positions = checkLog(facts, problems)
  checkTransactions(facts, positions, problems)
  checkOrder(facts, problems)
  checkPlaces(facts, positions, problems)
  if (facts.grouped) checkGroup(facts, positions, problems)
  for (const topologies of facts.topologies) checkTopologies(topologies, problems)
  return problems.lines
}

/**
 * What a store knows of a writer lies in the segment that it writes to. Where that is truncated away while a writer has not heard of
 * its last events, nobody can tell it that they were there, and it sends them to what took over, as in Pravega. Of such events
 * nothing can be said.
 */
function withoutTruncatedTwins(facts: Facts): Facts {
  const counts = new Map<number, number>()
  for (const { id } of facts.log) counts.set(id, (counts.get(id) ?? 0) + 1)
  const left = new Set<number>()
  for (const { at, logLength } of facts.truncations)
    for (const { id } of facts.log.slice(0, logLength)) {
      const sent = facts.sent[id]
      const unheard = sent?.transaction === undefined && (sent?.acknowledgedAt ?? at + 1) > at
      if (unheard && counts.get(id) === 2) left.add(id)
    }
  if (left.size === 0) return facts
  const others = <T extends Place>(places: readonly T[]): T[] => places.filter(({ id }) => !left.has(id))
  return {
    ...facts,
    sent: facts.sent.map((sent) => (left.has(sent.id) ? { ...sent, acknowledgedAt: undefined } : sent)),
    log: others(facts.log),
    deliveries: others(facts.deliveries),
    sights: others(facts.sights),
    checkpoints: [],
  }
}

const SHOWN_MAX = 3

class Problems {
  readonly lines: string[] = []
  readonly #counts = new Map<string, number>()

  add(kind: string, what: string): void {
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    if (count <= SHOWN_MAX) this.lines.push(`${kind}: ${what}`)
  }
}

/** Where each event stands in the log. Nothing is there that nobody sent, or twice, or too late. */
function checkLog(facts: Facts, problems: Problems): ReadonlyMap<number, number> {
  const positions = new Map<number, number>()
  for (const [position, { id, key, segment, offset }] of facts.log.entries()) {
    const sent = facts.sent[id]
    const where = `event ${id} of key ${key} at ${segment}:${offset}`
    if (sent === undefined || sent.key !== key) problems.add('never sent', where)
    else if (positions.has(id)) problems.add('duplicate', where)
    else if (sent.sentAt > facts.sealedAt) problems.add('written after the end', where)
    if (!positions.has(id)) positions.set(id, position)
  }
  for (const sent of facts.sent)
    if (sent.transaction === undefined && sent.acknowledgedAt !== undefined && !positions.has(sent.id))
      problems.add('lost', show(sent))
  return positions
}

/** All of a transaction or nothing, each part of it in one piece, and what was said of it holds. */
function checkTransactions(facts: Facts, positions: ReadonlyMap<number, number>, problems: Problems): void {
  const events = new Map<Txn, Sent[]>()
  for (const sent of facts.sent) {
    if (sent.transaction === undefined) continue
    const all = events.get(sent.transaction)
    if (all === undefined) events.set(sent.transaction, [sent])
    else all.push(sent)
  }
  for (const transaction of facts.transactions) {
    const { id, status, committedAt, abortedAt } = transaction
    if (status !== 'committed' && status !== 'aborted')
      problems.add('unfinished', `transaction ${id} is ${status}`)
    if (committedAt !== undefined && status !== 'committed')
      problems.add('commit forgotten', `transaction ${id} was said to be committed and is ${status}`)
    if (abortedAt !== undefined && status === 'committed')
      problems.add('abort forgotten', `transaction ${id} was said to be aborted and is committed`)
    for (const sent of events.get(transaction) ?? []) {
      const there = positions.has(sent.id)
      if (status === 'committed' && sent.acknowledgedAt !== undefined && !there)
        problems.add('committed but missing', show(sent))
      if (status === 'aborted' && there) problems.add('aborted but read', show(sent))
    }
  }
  checkPieces(facts, problems)
}

/** In a segment the events of a transaction stand together: they came in by one merge. */
function checkPieces({ log, sent }: Facts, problems: Problems): void {
  const last = new Map<string, Txn | undefined>()
  const closed = new Set<string>()
  for (const { id, segment } of log) {
    const transaction = sent[id]?.transaction
    const before = last.get(segment)
    if (before !== undefined && before !== transaction) closed.add(`${before.id} ${segment}`)
    last.set(segment, transaction)
    if (transaction !== undefined && before !== transaction && closed.has(`${transaction.id} ${segment}`))
      problems.add('torn', `transaction ${transaction.id} lies in several pieces in ${segment}`)
  }
}

/** What one process sent for a key is in that order; and what was over before something else began is before it. */
function checkOrder({ log, sent }: Facts, problems: Problems): void {
  for (const places of groupBy(log, ({ key }) => key).values()) {
    const lastOf = new Map<string, Sent>()
    for (const { id } of places) {
      const event = sent[id]
      if (event === undefined) continue
      const line = `${event.session} ${event.transaction?.id ?? ''}`
      const before = lastOf.get(line)
      if (before !== undefined && before.id > id)
        problems.add('reordered', `${show(event)} behind ${show(before)}`)
      lastOf.set(line, event)
    }
    let earliestEnd = Number.POSITIVE_INFINITY
    for (const { id } of places.toReversed()) {
      const event = sent[id]
      if (event === undefined) continue
      if (startOf(event) > earliestEnd)
        problems.add('reordered', `${show(event)} is before what had been written when it was sent`)
      earliestEnd = Math.min(earliestEnd, endOf(event))
    }
  }
}

/** When it may have been put into the log first. */
function startOf({ transaction, sentAt }: Sent): number {
  return transaction === undefined ? sentAt : (transaction.commitAskedAt ?? 0)
}

/** When it was there for certain. */
function endOf({ transaction, acknowledgedAt }: Sent): number {
  return (transaction === undefined ? acknowledgedAt : transaction.committedAt) ?? Number.POSITIVE_INFINITY
}

/** Whoever reads an event finds it at the same place, whenever that is; and not before it may be read. */
function checkPlaces(facts: Facts, positions: ReadonlyMap<number, number>, problems: Problems): void {
  const atPlace = new Map<string, number>()
  const ofEvent = new Map<number, string>()
  const see = ({ id, segment, offset }: Place): void => {
    const place = `${segment}:${offset}`
    if ((atPlace.get(place) ?? id) !== id)
      problems.add('offsets disagree', `events ${id} and ${atPlace.get(place)} are both at ${place}`)
    if ((ofEvent.get(id) ?? place) !== place)
      problems.add('offsets disagree', `event ${id} is at ${place} and at ${ofEvent.get(id)}`)
    atPlace.set(place, id)
    ofEvent.set(id, place)
  }
  for (const place of facts.log) see(place)
  for (const read of [...facts.deliveries, ...facts.sights]) {
    see(read)
    const sent = facts.sent[read.id]
    if (sent === undefined) problems.add('never sent', `event ${read.id} was given to ${read.session}`)
    else if (!positions.has(read.id)) problems.add('read but gone', `${show(sent)}, read by ${read.session}`)
    else if (
      startOf(sent) > read.at ||
      (sent.transaction !== undefined && sent.transaction.commitAskedAt === undefined)
    )
      problems.add('read too early', `${show(sent)}, read by ${read.session}`)
  }
  for (const reads of groupBy(facts.sights, ({ session }) => session).values()) {
    checkInLogOrder(reads, positions, problems)
    const seen = new Set<number>()
    for (const { id, session } of reads) {
      if (seen.has(id)) problems.add('read twice', `event ${id} by ${session}`)
      seen.add(id)
    }
  }
}

/** Every event reaches the group, in order for each key; and again only if whoever was given it went without a word. */
function checkGroup(facts: Facts, positions: ReadonlyMap<number, number>, problems: Problems): void {
  const last = new Map<number, Delivery>()
  const first = new Map<number, Delivery>()
  for (const delivery of facts.deliveries) {
    const { id, at, session, segment } = delivery
    const before = last.get(id)
    last.set(id, delivery)
    if (before === undefined) first.set(id, delivery)
    else if (
      !facts.losses.some((loss) => loss.session === before.session && before.at < loss.at && loss.at < at)
    )
      problems.add('two owners', `event ${id} of ${segment} was given to ${before.session} and to ${session}`)
  }
  for (const { id } of facts.log) if (!first.has(id)) problems.add('not delivered', show(facts.sent[id]))
  checkInLogOrder([...first.values()], positions, problems)
  for (const { at, logLength } of facts.checkpoints)
    for (const { id } of facts.log.slice(0, logLength))
      if ((first.get(id)?.at ?? 0) > at)
        problems.add(
          'cut disagrees',
          `event ${id} lies before a checkpoint that was complete before it was read`,
        )
}

function checkInLogOrder(
  reads: readonly Delivery[],
  positions: ReadonlyMap<number, number>,
  problems: Problems,
): void {
  const furthest = new Map<string, Delivery>()
  for (const read of reads) {
    const before = furthest.get(read.key)
    if (before !== undefined && (positions.get(before.id) ?? 0) > (positions.get(read.id) ?? 0))
      problems.add(
        'read out of order',
        `event ${read.id} of key ${read.key} after ${before.id} by ${read.session}`,
      )
    furthest.set(read.key, read)
  }
}

/** In every epoch the segments are the whole of [0, 1), and each takes over from those whose keys it has. */
function checkTopologies(topologies: readonly TopologySeen[], problems: Problems): void {
  for (const [index, { epoch, segments }] of topologies.entries()) {
    const before = topologies[index - 1]
    if (before !== undefined && epoch !== before.epoch + 1 && segments.length > 0)
      problems.add('epochs', `${epoch} was seen after ${before.epoch}`)
    let high = 0
    for (const { range } of segments.toSorted((one, other) => one.range.low - other.range.low)) {
      if (range.low !== high) problems.add('ranges', `epoch ${epoch} has a gap or overlap at ${range.low}`)
      high = range.high
    }
    if (segments.length > 0 && high !== 1) problems.add('ranges', `epoch ${epoch} ends at ${high}`)
  }
}

function groupBy<T>(all: readonly T[], keyOf: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const one of all) {
    const group = groups.get(keyOf(one))
    if (group === undefined) groups.set(keyOf(one), [one])
    else group.push(one)
  }
  return groups
}

function show(sent: Sent | undefined): string {
  if (sent === undefined) return 'an unknown event'
  const inside = sent.transaction === undefined ? '' : ` in transaction ${sent.transaction.id}`
  return `event ${sent.id} of key ${sent.key} from ${sent.session}${inside}`
}
