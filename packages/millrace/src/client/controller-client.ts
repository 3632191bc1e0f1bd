/** The controller behind a URI: what is written after `--server`, parsed here, so that gRPC is loaded only to connect. */
import type { Address } from '../base/host.ts'
import { type ControllerClient, ControllerError } from '../protocol/controller/service.ts'

/** Connects with the first call. Rejects `invalid-argument` for a URI that names no controller. */
export async function connectController(uri: string): Promise<ControllerClient> {
  const addresses = parseControllerUri(uri)
  const { connectGrpcController } = await import('./grpc-controller.ts')
  return connectGrpcController({ addresses })
}

/** `tcp://host:port`, or several `host:port` with commas between. An IPv6 address stands in brackets. */
export function parseControllerUri(uri: string): readonly Address[] {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]+)\/?$/i.exec(uri)
  const scheme = match?.[1]?.toLowerCase()
  if (scheme === 'tls' || scheme === 'ssl' || scheme === 'pravega' || scheme === 'pravegas')
    throw new ControllerError(
      'invalid-argument',
      `Cannot connect to '${uri}': ${scheme}:// is not supported, use tcp://`,
    )
  if (match === null || scheme !== 'tcp')
    throw new ControllerError('invalid-argument', `'${uri}' is no controller address, write tcp://host:port`)
  return (match[2] ?? '').split(',').map((part) => parseAddress(part, uri))
}

function parseAddress(text: string, uri: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < 1 || port > 65_535)
    throw new ControllerError(
      'invalid-argument',
      `'${text}' in '${uri}' is no host:port with a port from 1 to 65535`,
    )
  return { host, port }
}
