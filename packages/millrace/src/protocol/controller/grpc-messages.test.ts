import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type DescEnum, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf'
import { file_Controller as file } from './gen/Controller_pb.js'
import { GRPC_METHODS, type GrpcMethod } from './grpc-messages.ts'
import * as messages from './messages.ts'
import { ControllerError, RPC_NAMES, type RpcName } from './service.ts'

test('every RPC, field name, field number and enum value is the one of Pravega 0.13', () => {
  const golden = new URL('./golden/controller-0.13.json', import.meta.url)
  const expected = JSON.parse(readFileSync(golden, 'utf8')) as string[]
  deepStrictEqual(describeContract().toSorted(), expected.toSorted())
  strictEqual(RPC_NAMES.length, 46)
  strictEqual(new Set(GRPC_METHODS.map((method) => method.path)).size, 46)
})

test('the enums that callers use without protobuf have the values of the proto', () => {
  const byMessage = new Map(file.messages.map((message) => [message.name, message.nestedEnums]))
  const renamed = new Map([
    ['AccessOperation', 'StreamInfo'],
    ['ScaleType', 'ScalingPolicy'],
    ['RetentionType', 'RetentionPolicy'],
    ['GroupRetention', 'ReaderGroupConfiguration'],
    ['ListInScopeStatus', 'StreamsInScopeResponse'],
  ])
  let compared = 0
  for (const [name, values] of Object.entries(messages)) {
    const [declared] = byMessage.get(renamed.get(name) ?? name) ?? []
    deepStrictEqual(
      values as Record<string, number>,
      Object.fromEntries(declared?.values.map((value) => [value.name, value.number]) ?? []),
      name,
    )
    compared++
  }
  strictEqual(compared, 27)
})

const streamInfo = { scope: 'shop', stream: 'orders', accessOperation: 4 as const }
const LONG_MAX = 2n ** 63n - 1n

test('a stream configuration survives with the largest longs, and absent policies stay absent', () => {
  const config: messages.StreamConfig = {
    streamInfo,
    scalingPolicy: { scaleType: 2, targetRate: 100, scaleFactor: 3, minNumSegments: 4 },
    retentionPolicy: { retentionType: 1, retentionParam: 60_000n, retentionMax: LONG_MAX },
    tags: { tag: ['a', 'b'] },
    timestampAggregationTimeout: -1n,
    rolloverSizeBytes: LONG_MAX,
  }
  deepStrictEqual(roundTrip('createStream', config), config)
  const { retentionPolicy: _, tags: __, ...plain } = config
  deepStrictEqual(roundTrip('createStream', plain), { ...plain, retentionPolicy: undefined, tags: undefined })
})

test('trap 41: a reader group comes back as it was sent, with empty cuts and intervals of Long.MAX', () => {
  const config: messages.ReaderGroupConfiguration = {
    scope: 'shop',
    readerGroupName: 'billing',
    groupRefreshTimeMillis: 3000n,
    automaticCheckpointIntervalMillis: LONG_MAX,
    maxOutstandingCheckpointRequest: 3,
    retentionType: 2,
    generation: 0n,
    readerGroupId: '00000000-0000-0000-0000-000000000001',
    startingStreamCuts: [{ streamInfo, cut: new Map() }],
    endingStreamCuts: [{ streamInfo, cut: new Map([[(7n << 32n) | 3n, -1]]) }],
    rolloverSizeBytes: 0n,
  }
  deepStrictEqual(roundTrip('createReaderGroup', config), config)
})

test('trap 65: segment ids and transaction ids use all 64 bits', () => {
  const request: messages.TxnRequest = {
    streamInfo,
    txnId: { highBits: -(2n ** 63n), lowBits: LONG_MAX },
    writerId: 'w',
    timestamp: -(2n ** 63n),
  }
  deepStrictEqual(roundTrip('commitTransaction', request), request)
  const cut: messages.StreamCut = { streamInfo, cut: new Map([[(2147483647n << 32n) | 2147483647n, 5]]) }
  deepStrictEqual(roundTrip('truncateStream', cut), cut)
})

test('a missing message reads as an empty one', () => {
  const method = methodOf('getURI')
  deepStrictEqual(method.decodeRequest(Buffer.alloc(0)), {
    streamInfo: { scope: '', stream: '', accessOperation: 0 },
    segmentId: 0n,
  })
})

test('an offset beyond 2^53 and bytes that are no message are invalid arguments', () => {
  const cut = Buffer.from([
    0x12, 0x0c, 0x08, 0x01, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
  ])
  for (const bytes of [cut, Buffer.from([0x0a, 0x7f, 0x00])]) {
    throws(
      () => methodOf('truncateStream').decodeRequest(bytes),
      (error) => error instanceof ControllerError && error.code === 'invalid-argument',
    )
  }
})

function methodOf(rpc: RpcName): GrpcMethod {
  const method = GRPC_METHODS.find((candidate) => candidate.rpc === rpc)
  if (method === undefined) throw new Error(`No ${rpc}`)
  return method
}

function roundTrip(rpc: RpcName, message: object): object {
  const method = methodOf(rpc)
  return method.decodeRequest(method.encodeRequest(message))
}

/** Additions of ours: Pravega's clients pass over fields that they do not know. */
const OURS_FROM = 1000
const OUR_MESSAGES: ReadonlySet<string> = new Set(['EpochInfo'])

/** The descriptors as lines, in the form of the golden file. */
function describeContract(): string[] {
  const lines: string[] = []
  const prefix = `${file.proto.package}.`
  const short = (name: string): string => (name.startsWith(prefix) ? name.slice(prefix.length) : name)
  const typeOf = (field: DescField): string => {
    const named: DescMessage | DescEnum | undefined = field.message ?? field.enum
    if (field.fieldKind === 'map') return `repeated ${short(field.parent.typeName)}.${entryName(field.name)}`
    const repeated = field.fieldKind === 'list' ? 'repeated ' : ''
    const scalar = field.fieldKind === 'list' && field.listKind === 'scalar' ? field.scalar : field.scalar
    return (
      repeated + (named === undefined ? String(ScalarType[scalar ?? 0]).toLowerCase() : short(named.typeName))
    )
  }
  const add = (message: DescMessage): void => {
    if (message.fields.length === 0) lines.push(short(message.typeName))
    for (const field of message.fields) {
      if (field.number >= OURS_FROM) continue
      lines.push(`${short(message.typeName)}.${field.name} = ${field.number} ${typeOf(field)}`)
      if (field.fieldKind !== 'map') continue
      const entry = `${short(message.typeName)}.${entryName(field.name)}`
      lines.push(`${entry}.key = 1 ${String(ScalarType[field.mapKey]).toLowerCase()}`)
      lines.push(`${entry}.value = 2 ${String(ScalarType[field.scalar ?? 0]).toLowerCase()}`)
    }
    for (const kind of message.nestedEnums)
      for (const value of kind.values) lines.push(`${short(kind.typeName)}.${value.name} = ${value.number}`)
    for (const nested of message.nestedMessages) add(nested)
  }
  for (const message of file.messages) if (!OUR_MESSAGES.has(message.name)) add(message)
  for (const service of file.services)
    for (const method of service.methods)
      lines.push(
        `${service.typeName}/${method.name} ${short(method.input.typeName)} ${short(method.output.typeName)}`,
      )
  return lines
}

function entryName(field: string): string {
  return `${field[0]?.toUpperCase()}${field.slice(1)}Entry`
}
