/**
 * The controller's service over gRPC, for Pravega's clients. Everything here is transport: what the calls mean is the
 * service's matter.
 *
 * Clients ping as often as they like (Pravega's every 6 minutes; Node's HTTP/2 answers by itself, and grpc-js counts no
 * strikes), and an idle connection is never closed from this side.
 */
import * as grpc from '@grpc/grpc-js'
import { type Address, NetworkError } from '../base/host.ts'
import { GRPC_CODES, GRPC_METHODS, type GrpcMethod } from '../protocol/controller/grpc-messages.ts'
import {
  type CallContext,
  callByName,
  ControllerError,
  type ControllerService,
} from '../protocol/controller/service.ts'

// What fails reaches us as an error; a library writes nothing to the console of its host.
grpc.setLogVerbosity(grpc.logVerbosity.NONE)

export interface GrpcServer {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly address: Address
  /** Takes no more calls and lets those under way finish, for `graceMs` at most. */
  close(): Promise<void>
}

export interface GrpcServerOptions {
  readonly service: ControllerService
  readonly address: Address
  /** A call that failed in a way its caller cannot have caused. */
  readonly onFailure?: (failure: { rpc: string; error: unknown }) => void
  readonly graceMs?: number
}

/** Rejects with `NetworkError`: `in-use` when the port is taken. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { service, address, onFailure = (): void => undefined, graceMs = 3000 } = options
  const server = new grpc.Server({
    interceptors: [noteLocalAddress],
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  })
  server.addService(definitions, handlers(service, onFailure))
  const port = await bind(server, address)
  return {
    address: { host: address.host, port },
    close: () => shutDown(server, graceMs),
  }
}

/** What a client may send; Pravega's take no larger answers either. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024

/** Where the interceptor leaves the connection's local end. What a caller sends under this name is overwritten. */
const LOCAL_ADDRESS = 'millrace-local-address'

const definitions: grpc.ServiceDefinition = Object.fromEntries(
  GRPC_METHODS.map((method) => [
    method.rpc,
    {
      path: method.path,
      requestStream: false,
      responseStream: false,
      requestSerialize: method.encodeRequest,
      // A request that does not decode is answered by the handler, with its own code.
      requestDeserialize: (bytes: Buffer): Buffer => bytes,
      responseSerialize: (message: object): Buffer => method.encodeResponse(message),
      responseDeserialize: method.decodeResponse,
    },
  ]),
)

function handlers(
  service: ControllerService,
  onFailure: (failure: { rpc: string; error: unknown }) => void,
): grpc.UntypedServiceImplementation {
  return Object.fromEntries(
    GRPC_METHODS.map((method) => [
      method.rpc,
      (call: grpc.ServerUnaryCall<Buffer, object>, answer: grpc.sendUnaryData<object>): void => {
        serve(service, method, call).then(
          (response) => answer(null, response),
          (error: unknown) => {
            if (!(error instanceof ControllerError)) onFailure({ rpc: method.rpc, error })
            answer(statusOf(error))
          },
        )
      },
    ]),
  )
}

async function serve(
  service: ControllerService,
  method: GrpcMethod,
  call: grpc.ServerUnaryCall<Buffer, object>,
): Promise<object> {
  const request = method.decodeRequest(call.request)
  const cancelled = new AbortController()
  call.once('cancelled', () => cancelled.abort())
  return callByName(service, { rpc: method.rpc, request, context: contextOf(call, cancelled.signal) })
}

function contextOf(call: grpc.ServerUnaryCall<Buffer, object>, signal: AbortSignal): CallContext {
  const metadata: Record<string, string> = {}
  for (const [name, value] of Object.entries(call.metadata.getMap())) {
    if (typeof value === 'string' && name !== LOCAL_ADDRESS) metadata[name] = value
  }
  const [host, port] = String(call.metadata.get(LOCAL_ADDRESS)[0] ?? '').split(' ')
  return {
    authority: call.getHost(),
    localAddress: host === undefined || port === undefined ? undefined : { host, port: Number(port) },
    metadata,
    signal,
  }
}

function statusOf(error: unknown): Partial<grpc.StatusObject> {
  if (error instanceof ControllerError) return { code: GRPC_CODES[error.code], details: error.message }
  return { code: GRPC_CODES.unknown, details: error instanceof Error ? error.message : String(error) }
}

function noteLocalAddress(
  _method: grpc.ServerMethodDefinition<unknown, unknown>,
  call: grpc.ServerInterceptingCallInterface,
): grpc.ServerInterceptingCall {
  return new grpc.ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata: (metadata, proceed) => {
          const { localAddress, localPort } = call.getConnectionInfo()
          metadata.remove(LOCAL_ADDRESS)
          if (localAddress !== undefined && localPort !== undefined)
            metadata.set(LOCAL_ADDRESS, `${localAddress} ${localPort}`)
          proceed(metadata)
        },
      }),
  })
}

async function bind(server: grpc.Server, address: Address): Promise<number> {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${address.port}`, grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port)
      else reject(bindError(error, address))
    })
  })
}

function bindError(error: Error, address: Address): NetworkError {
  const place = `${address.host}:${address.port}`
  if (error.message.includes('EADDRINUSE'))
    return new NetworkError('in-use', `Port ${address.port} on ${address.host} is taken by another process`, {
      cause: error,
    })
  return new NetworkError('unreachable', `Cannot listen on ${place}: ${error.message}`, { cause: error })
}

async function shutDown(server: grpc.Server, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown()
      resolve()
    }, graceMs)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
