/**
 * The controller of a remote server over gRPC. The only client file that loads grpc-js; `controller-client.ts` loads it
 * when a program connects.
 *
 * Several addresses are several ways to the same controllers: a call goes to the one that answered last, and on
 * `unavailable` to the next, once around. Whether to try again after that is the caller's decision.
 */
import * as grpc from '@grpc/grpc-js'
import type { Address } from '../base/host.ts'
import { GRPC_CODES, GRPC_METHODS, type GrpcMethod } from '../protocol/controller/grpc-messages.ts'
import {
  type CallContext,
  type ControllerClient,
  ControllerError,
  type ControllerErrorCode,
  type RpcName,
  serviceOf,
} from '../protocol/controller/service.ts'

// What fails reaches us as an error; a library writes nothing to the console of its host.
grpc.setLogVerbosity(grpc.logVerbosity.NONE)

/** Connects when the first call is made. */
export function connectGrpcController(options: {
  readonly addresses: readonly Address[]
  readonly deadlineMs?: number
}): ControllerClient {
  const { addresses, deadlineMs = 5 * 60_000 } = options
  const clients = addresses.map(
    (address) => new grpc.Client(target(address), grpc.credentials.createInsecure(), CHANNEL),
  )
  let current = 0

  async function call(rpc: RpcName, request: object, context: CallContext): Promise<object> {
    const method = methods.get(rpc) as GrpcMethod
    for (let tries = 1; ; tries++) {
      const index = current
      try {
        return await callOnce(clients[index] as grpc.Client, { method, request, context, deadlineMs })
      } catch (error) {
        if (!(error instanceof ControllerError) || error.code !== 'unavailable' || tries >= clients.length)
          throw error
        if (current === index) current = (index + 1) % clients.length
      }
    }
  }

  async function close(): Promise<void> {
    for (const client of clients) client.close()
  }

  return { ...serviceOf(call), close }
}

const methods: ReadonlyMap<RpcName, GrpcMethod> = new Map(GRPC_METHODS.map((method) => [method.rpc, method]))

const codes: ReadonlyMap<number, ControllerErrorCode> = new Map(
  Object.entries(GRPC_CODES).map(([code, number]) => [number, code as ControllerErrorCode]),
)

const CHANNEL: grpc.ChannelOptions = {
  'grpc.keepalive_time_ms': 6 * 60_000,
  // The waits between attempts to connect: a server that was restarted is found again at once.
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.max_receive_message_length': -1,
  // Two stores in one process keep connections of their own.
  'grpc.use_local_subchannel_pool': 1,
}

interface OneCall {
  readonly method: GrpcMethod
  readonly request: object
  readonly context: CallContext
  readonly deadlineMs: number
}

async function callOnce(client: grpc.Client, one: OneCall): Promise<object> {
  const { method, request, context, deadlineMs } = one
  const { signal } = context
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const call = client.makeUnaryRequest(
      method.path,
      method.encodeRequest,
      method.decodeResponse,
      request,
      metadataOf(context),
      { deadline: Date.now() + deadlineMs },
      (error, response) => {
        signal?.removeEventListener('abort', cancel)
        if (signal?.aborted === true) reject(signal.reason)
        else if (error !== null) reject(fromStatus(error, method.rpc))
        else if (response === undefined)
          reject(new ControllerError('internal', `${method.rpc} has no response`))
        else resolve(response)
      },
    )
    const cancel = (): void => call.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
  })
}

function metadataOf(context: CallContext): grpc.Metadata {
  const metadata = new grpc.Metadata()
  for (const [name, value] of Object.entries(context.metadata ?? {})) metadata.set(name, value)
  return metadata
}

function fromStatus(error: grpc.ServiceError, rpc: RpcName): ControllerError {
  const code = codes.get(error.code) ?? 'unknown'
  return new ControllerError(code, error.details === '' ? `${rpc} failed: ${code}` : error.details, {
    cause: error,
  })
}

function target(address: Address): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `dns:${host}:${address.port}`
}
