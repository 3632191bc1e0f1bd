/** Requests about segments: each is decided at once and answered when that is durable. */
import { randomUuid } from '../../protocol/uuid.ts'
import { transientSegmentName } from '../../protocol/names.ts'
import type { AnyMessage, Message } from '../../protocol/wire/commands.ts'
import {
  type AttributeUpdate,
  CREATION_TIME,
  EVENT_COUNT,
  ROLLOVER_BYTES,
  SCALE_RATE,
  SCALE_TYPE,
  UpdateType,
} from '../attributes.ts'
import type { Container } from '../container.ts'
import type { Rejection, Request } from '../container-state.ts'
import { SEGMENT_NAME_BYTES_MAX } from '../limits.ts'
import type { AttributeValue, Operation, SegmentType } from '../operation.ts'
import type { SegmentStore } from '../segment-store.ts'
import { errorMessage, fullReply, NULL_ATTRIBUTE, rejectionReply } from './replies.ts'

/** What requests need of their connection. */
export interface RequestPort {
  readonly store: SegmentStore
  containerOf(segment: string): Container
  reply(message: AnyMessage): void
  answer(container: Container, message: AnyMessage): void
  refuseShut(container: Container, requestId: string, segment: string): boolean
  /** Goes when the connection goes. */
  noteTransient(name: string): void
}

/** True if the message was one of these. */
export function handleSegmentRequest(port: RequestPort, message: AnyMessage): boolean {
  switch (message.kind) {
    case 'get-stream-segment-info':
      ask(port, message, () => info(port, message))
      return true
    case 'create-segment':
      ask(port, message, (container) => create(port, container, message))
      return true
    case 'create-transient-segment':
      ask(port, { ...message, segment: message.parentSegment }, (container) =>
        createTransient(port, container, message),
      )
      return true
    case 'seal-segment':
      change(port, message, { kind: 'seal', name: message.segment }, () => ({
        ...message,
        kind: 'segment-sealed',
      }))
      return true
    case 'delete-segment':
      change(
        port,
        message,
        { kind: 'delete', name: message.segment, type: 'stream', mustBeEmpty: false },
        () => ({ ...message, kind: 'segment-deleted' }),
      )
      return true
    case 'truncate-segment':
      change(
        port,
        message,
        { kind: 'truncate', name: message.segment, offset: message.truncationOffset },
        () => ({ ...message, kind: 'segment-truncated' }),
      )
      return true
    case 'update-segment-policy':
      change(port, message, { kind: 'policy', name: message.segment, values: policyOf(message) }, () => ({
        ...message,
        kind: 'segment-policy-updated',
      }))
      return true
    case 'get-segment-attribute':
      ask(port, message, () => attribute(port, message))
      return true
    case 'update-segment-attribute':
      updateAttribute(port, message)
      return true
    case 'merge-segments':
      ask(port, { ...message, segment: message.target }, (container) => merge(port, container, message))
      return true
    case 'merge-segments-batch':
      ask(port, { ...message, segment: message.target }, (container) => mergeBatch(port, container, message))
      return true
    default:
      return false
  }
}

/** Answers from the container that the segment belongs to. */
export function ask(
  port: RequestPort,
  request: { requestId: string; segment: string },
  answer: (container: Container) => AnyMessage,
): void {
  const container = port.containerOf(request.segment)
  if (port.refuseShut(container, request.requestId, request.segment)) return
  port.answer(container, answer(container))
}

/** Changes something, and says so or why not. */
export function change<K extends Operation['kind']>(
  port: RequestPort,
  message: { requestId: string; segment: string },
  request: Request,
  done: (operation: Operation & { kind: K }) => AnyMessage,
): void {
  ask(port, message, (container) => {
    const outcome = container.submit(request)
    if ('rejection' in outcome) return rejectionReply(outcome.rejection, message.requestId)
    return done(outcome.operation as Operation & { kind: K })
  })
}

function missing(segment: string, requestId: string): AnyMessage {
  return rejectionReply({ code: 'no-such-segment', segment }, requestId)
}

function info(port: RequestPort, message: Message<'get-stream-segment-info'>): AnyMessage {
  const { requestId, segment: name } = message
  const segment = port.containerOf(name).find(name)
  if (segment === undefined) return missing(name, requestId)
  return {
    kind: 'stream-segment-info',
    requestId,
    segment: name,
    exists: true,
    sealed: segment.sealed,
    deleted: false,
    lastModifiedMs: segment.lastModifiedMs,
    writeOffset: segment.length,
    startOffset: segment.startOffset,
  }
}

function create(port: RequestPort, container: Container, message: Message<'create-segment'>): AnyMessage {
  const { requestId, segment: name } = message
  const problem = nameProblem(name)
  if (problem !== undefined) return errorMessage(requestId, name, problem)
  if (port.store.full && container.find(name) === undefined) return fullReply(requestId, name)
  const attributes = [
    ...birthAttributes(port),
    ...policyOf(message),
    { id: ROLLOVER_BYTES, value: message.rolloverBytes },
  ]
  const outcome = container.submit({ kind: 'create', name, type: 'stream', attributes })
  if ('rejection' in outcome) return rejectionReply(outcome.rejection, requestId)
  return { kind: 'segment-created', requestId, segment: name }
}

/** A segment for the parts of one large event, which is merged into its parent when it is whole. */
function createTransient(
  port: RequestPort,
  container: Container,
  message: Message<'create-transient-segment'>,
): AnyMessage {
  const { requestId, parentSegment, writerId } = message
  if (container.find(parentSegment) === undefined) return missing(parentSegment, requestId)
  if (port.store.full) return fullReply(requestId, parentSegment)
  const name = transientSegmentName(parentSegment, writerId, randomUuid(port.store.host.random))
  const type: SegmentType = 'transient'
  const outcome = container.submit({ kind: 'create', name, type, attributes: birthAttributes(port) })
  if ('rejection' in outcome) return rejectionReply(outcome.rejection, requestId)
  port.noteTransient(name)
  return { kind: 'segment-created', requestId, segment: name }
}

function attribute(port: RequestPort, message: Message<'get-segment-attribute'>): AnyMessage {
  const { requestId, segment: name } = message
  const segment = port.containerOf(name).find(name)
  if (segment === undefined) return missing(name, requestId)
  const value = segment.attributes.get(message.attributeId) ?? NULL_ATTRIBUTE
  return { kind: 'segment-attribute', requestId, value }
}

function updateAttribute(port: RequestPort, message: Message<'update-segment-attribute'>): void {
  const update: AttributeUpdate = {
    id: message.attributeId,
    type: UpdateType.replaceIfEquals,
    value: message.newValue,
    expected: message.expectedValue,
  }
  change(port, message, { kind: 'attribute', name: message.segment, update }, () => ({
    kind: 'segment-attribute-updated',
    requestId: message.requestId,
    success: true,
  }))
}

function merge(port: RequestPort, container: Container, message: Message<'merge-segments'>): AnyMessage {
  const { requestId, target, source } = message
  if (port.containerOf(source) !== container)
    return errorMessage(requestId, target, `${source} lives elsewhere and cannot be merged into ${target}`)
  const updates = message.attributeUpdates.map((update) => ({
    id: update.attributeId,
    type: update.updateType,
    value: update.newValue,
    expected: update.oldValue,
  }))
  const outcome = container.submit({ kind: 'merge', target, source, updates })
  if ('rejection' in outcome) return rejectionReply(outcome.rejection, requestId)
  return {
    kind: 'segments-merged',
    requestId,
    target,
    source,
    newTargetWriteOffset: container.find(target)!.length,
  }
}

/** Sources that are not there were merged before, and count as merged at the target's end. */
function mergeBatch(
  port: RequestPort,
  container: Container,
  message: Message<'merge-segments-batch'>,
): AnyMessage {
  const { requestId, target } = message
  if (container.find(target) === undefined) return missing(target, requestId)
  const stranger = message.sources.find((source) => port.containerOf(source) !== container)
  if (stranger !== undefined)
    return errorMessage(requestId, target, `${stranger} lives elsewhere and cannot be merged into ${target}`)
  const merges: { source: string; newTargetWriteOffset: number }[] = []
  for (const source of message.sources) {
    const refused = mergeOne(container, target, source)
    if (refused !== undefined) return rejectionReply(refused, requestId)
    merges.push({ source, newTargetWriteOffset: container.find(target)!.length })
  }
  return { kind: 'segments-batch-merged', requestId, target, merges }
}

function mergeOne(container: Container, target: string, source: string): Rejection | undefined {
  if (container.find(source) === undefined) return undefined
  const outcome = container.submit({ kind: 'merge', target, source, updates: [] })
  return 'rejection' in outcome ? outcome.rejection : undefined
}

function policyOf(message: { targetRate: number; scaleType: number }): AttributeValue[] {
  return [
    { id: SCALE_TYPE, value: message.scaleType },
    { id: SCALE_RATE, value: message.targetRate },
  ]
}

export function birthAttributes(port: RequestPort): AttributeValue[] {
  return [
    { id: CREATION_TIME, value: port.store.host.clock.now() },
    { id: EVENT_COUNT, value: 0 },
  ]
}

export function nameProblem(name: string): string | undefined {
  if (name === '') return 'A segment needs a name'
  if (Buffer.byteLength(name) <= SEGMENT_NAME_BYTES_MAX) return undefined
  return `A segment's name has ${Buffer.byteLength(name)} bytes, at most ${SEGMENT_NAME_BYTES_MAX} are possible`
}
