/**
 * Messages of `messages.ts` to and from protobuf, for both ends of gRPC. One walk over the descriptors does all of them;
 * it differs from protobuf-es's own shape in three ways: maps of segments are Maps, offsets are numbers, and a message
 * that is missing stands for an empty one, except where its absence means something.
 */
import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf'
import { unreachable } from '../../base/assert.ts'
import { ControllerService } from './gen/Controller_pb.js'
import { ControllerError, type ControllerErrorCode, RPC_NAMES, type RpcName } from './service.ts'

/** One RPC on the wire. Decoding throws `ControllerError` for bytes that are no such message. */
export interface GrpcMethod {
  readonly rpc: RpcName
  readonly path: string
  readonly encodeRequest: (message: object) => Buffer
  readonly decodeRequest: (bytes: Buffer) => object
  readonly encodeResponse: (message: object) => Buffer
  readonly decodeResponse: (bytes: Buffer) => object
}

export const GRPC_METHODS: readonly GrpcMethod[] = RPC_NAMES.map((rpc) => {
  const { input, output } = ControllerService.method[rpc]
  return {
    rpc,
    path: `/${ControllerService.typeName}/${rpc}`,
    encodeRequest: (message) => encode(input, message),
    decodeRequest: (bytes) => decode(input, bytes),
    encodeResponse: (message) => encode(output, message),
    decodeResponse: (bytes) => decode(output, bytes),
  }
})

/** gRPC's numbers for the codes. */
export const GRPC_CODES: Readonly<Record<ControllerErrorCode, number>> = {
  cancelled: 1,
  unknown: 2,
  'invalid-argument': 3,
  'deadline-exceeded': 4,
  'not-found': 5,
  'already-exists': 6,
  'permission-denied': 7,
  'resource-exhausted': 8,
  'failed-precondition': 9,
  aborted: 10,
  'out-of-range': 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  'data-loss': 15,
  unauthenticated: 16,
}

/** Fields whose absence differs from an empty message. */
const OPTIONAL_FIELDS: ReadonlySet<string> = new Set([
  'retentionPolicy',
  'tags',
  'continuationToken',
  'config',
  'epochInfo',
])

type Fields = Record<string, unknown>

function encode(type: DescMessage, message: object): Buffer {
  const bytes = toBinary(type, toProtobuf(type, message as Fields))
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function decode(type: DescMessage, bytes: Buffer): object {
  let message: Message
  try {
    message = fromBinary(type, bytes)
  } catch (error) {
    throw new ControllerError('invalid-argument', `The bytes are no ${type.name}`, { cause: error })
  }
  return fromProtobuf(type, message)
}

function toProtobuf(type: DescMessage, plain: Fields): Message {
  const message = create(type)
  const fields = message as unknown as Fields
  for (const field of type.fields) {
    const value = plain[field.localName]
    if (value !== undefined) fields[field.localName] = fieldToProtobuf(field, value)
  }
  return message
}

function fieldToProtobuf(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return isOffset(field) ? BigInt(value as number) : value
    case 'enum':
      return value
    case 'message':
      return toProtobuf(field.message, value as Fields)
    case 'list': {
      const { message } = field
      if (message === undefined) return value
      return (value as readonly Fields[]).map((element) => toProtobuf(message, element))
    }
    case 'map':
      return Object.fromEntries(
        [...(value as ReadonlyMap<bigint, number>)].map(([id, offset]) => [String(id), BigInt(offset)]),
      )
    default:
      return unreachable(field)
  }
}

function fromProtobuf(type: DescMessage, message: Message): object {
  const fields = message as unknown as Fields
  const plain: Fields = {}
  for (const field of type.fields) plain[field.localName] = fieldFromProtobuf(field, fields[field.localName])
  return plain
}

function fieldFromProtobuf(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return isOffset(field) ? toOffset(value as bigint, field) : value
    case 'enum':
      return value
    case 'message':
      if (value === undefined && OPTIONAL_FIELDS.has(field.localName)) return undefined
      return fromProtobuf(field.message, (value as Message | undefined) ?? create(field.message))
    case 'list': {
      const { message } = field
      return message === undefined ? value : (value as Message[]).map((item) => fromProtobuf(message, item))
    }
    case 'map':
      return new Map(
        Object.entries(value as Record<string, bigint>).map(([id, offset]) => [
          BigInt(id),
          toOffset(offset, field),
        ]),
      )
    default:
      return unreachable(field)
  }
}

function isOffset(field: DescField): boolean {
  return field.parent.name === 'SegmentLocation' && field.localName === 'offset'
}

function toOffset(value: bigint, field: DescField): number {
  const offset = Number(value)
  if (!Number.isSafeInteger(offset))
    throw new ControllerError(
      'invalid-argument',
      `Offset ${value} in ${field.parent.name}.${field.localName} is beyond 2^53, where no segment reaches`,
    )
  return offset
}
