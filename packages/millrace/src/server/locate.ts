/** The address of a part of this server as a caller of the controller can reach it. */
import type { Address } from '../base/host.ts'
import type { NodeUri } from '../protocol/controller/messages.ts'
import { type CallContext, ControllerError } from '../protocol/controller/service.ts'

/**
 * What is advertised, else the host that the caller knows the controller by if it is a single one, else the address its
 * connection came in on. A caller inside the process gets the address inside.
 */
export function locator(options: {
  readonly inside: Address
  /** Undefined as long as nothing listens there. */
  readonly outside: () => Address | undefined
  readonly advertise?: { readonly host: string; readonly port: number | undefined } | undefined
}): (context: CallContext) => NodeUri {
  const { inside, advertise } = options
  return (context) => {
    const local = context.localAddress
    if (local === undefined || local.host.endsWith('.millrace'))
      return { endpoint: inside.host, port: inside.port }
    const outside = options.outside()
    if (outside === undefined)
      throw new ControllerError(
        'internal',
        'A caller from outside reached a controller that listens inside only',
      )
    return {
      endpoint: advertise?.host ?? singleHost(context.authority) ?? local.host,
      port: advertise?.port ?? outside.port,
    }
  }
}

/** The host of `host:port`; undefined for a list of them, for nothing, and for what is no host. */
function singleHost(authority: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::\d+)?$/.exec(authority ?? '')
  return match?.[1] ?? match?.[2]
}
