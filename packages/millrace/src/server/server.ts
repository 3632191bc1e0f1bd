/**
 * The one place that puts the parts together: a segment store, a controller that is a client of it, and what they listen on.
 * Inside the process they meet on a network in memory; ports are opened only where they are asked for.
 */
import type { Histogram } from '../base/histogram.ts'
import type { Address, Host } from '../base/host.ts'
import { LoopDelay } from '../base/loop-delay.ts'
import { memoryNetwork, overlayNetwork } from '../base/memory-network.ts'
import { connectLocalController } from '../client/local-controller.ts'
import type { SegmentCalls } from '../client/segment-calls.ts'
import { createSegmentCalls } from '../client/segment-client.ts'
import type { AutoScaleEvent } from '../controller/autoscale/auto-scaler.ts'
import type { AutoScaleSettings } from '../controller/autoscale/settings.ts'
import { createController } from '../controller/controller.ts'
import { type LocalServer, startLocalServer } from '../controller/local-server.ts'
import type { ControllerClient, ControllerService } from '../protocol/controller/service.ts'
import { openSegmentStore } from '../segment-store/open-store.ts'
import type { SegmentStore } from '../segment-store/segment-store.ts'
import { type SegmentServer, startSegmentServer } from '../segment-store/wire/segment-server.ts'
import { locator } from './locate.ts'

/** Where the parts of one process find each other. */
export const STORE_ADDRESS: Address = { host: 'store.millrace', port: 1 }
export const CONTROLLER_ADDRESS: Address = { host: 'controller.millrace', port: 1 }

export interface ServerOptions {
  readonly host: Host
  readonly data: string
  readonly memoryBytes?: number | undefined
  readonly containers?: number | undefined
  readonly holder?: string | undefined
  /** Ports for others than this process; none if absent. */
  readonly listen?: {
    readonly controller: Address
    readonly segmentStore: Address
    readonly advertise?: { readonly host: string; readonly port: number | undefined } | undefined
    /** What the controller speaks there: gRPC if absent; `local` for the other nodes of a simulation. */
    readonly transport?: 'grpc' | 'local'
  }
  /** Of streams that scale by themselves; what is not given is as usual. */
  readonly autoScaling?: Partial<AutoScaleSettings> | undefined
  readonly onEvent?: (event: ServerEvent) => void
  readonly log?: Parameters<typeof openSegmentStore>[0]['log']
}

/** What an operator wants to know. */
export type ServerEvent =
  | { readonly kind: 'replaying'; readonly doneBytes: number; readonly totalBytes: number }
  | { readonly kind: 'connection-broken'; readonly remote: string; readonly reason: Error }
  | { readonly kind: 'call-failed'; readonly rpc: string; readonly error: unknown }
  | { readonly kind: 'container-shut'; readonly container: number; readonly error: Error }
  /** Bytes that were damaged and are known from elsewhere too. */
  | { readonly kind: 'repaired'; readonly error: Error }
  | { readonly kind: 'store-failed'; readonly error: Error }
  | { readonly kind: 'auto-scaling'; readonly event: AutoScaleEvent }

export interface Server {
  /** As parts of this process see it: names that end in `.millrace` are inside. */
  readonly host: Host
  readonly store: SegmentStore
  /** Ports that are open, with real numbers. */
  readonly controllerAddress: Address | undefined
  readonly segmentStoreAddress: Address | undefined
  readonly connections: number
  /** What streams that scale by themselves have done since the start. */
  readonly autoScales: AutoScaleCounts
  /** How late the event loop was since this was asked last, in microseconds. */
  takeLoopDelay(): Histogram
  /** A client of the controller in this process. */
  connectController(): ControllerClient
  /** Answers what is under way, makes it durable, and leaves the directory free. */
  close(): Promise<void>
}

export interface AutoScaleCounts {
  readonly splits: number
  readonly merges: number
  readonly failures: number
}

export async function startServer(options: ServerOptions): Promise<Server> {
  const { listen } = options
  const autoScales = { splits: 0, merges: 0, failures: 0 }
  const onEvent = (event: ServerEvent): void => {
    if (event.kind === 'auto-scaling') count(event.event, autoScales)
    options.onEvent?.(event)
  }
  const real = options.host
  const delay = new LoopDelay()
  const host: Host = {
    ...real,
    clock: delay.watch(real.clock),
    network: overlayNetwork(memoryNetwork(real.clock), real.network),
  }
  const closing: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    // The last one opened goes first; one that fails does not keep the others open.
    const failures: unknown[] = []
    for (const step of closing.splice(0).toReversed())
      await step().catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }
  try {
    const store = await openSegmentStore({
      host,
      directory: options.data,
      ...(options.memoryBytes === undefined ? {} : { memoryBytesMax: options.memoryBytes }),
      ...(options.containers === undefined ? {} : { containers: options.containers }),
      ...(options.holder === undefined ? {} : { holder: options.holder }),
      ...(options.log === undefined ? {} : { log: options.log }),
      onFailure: (error) => onEvent({ kind: 'store-failed', error }),
      onDamage: (error) => onEvent({ kind: 'repaired', error }),
      onProgress: (progress) => onEvent({ kind: 'replaying', ...progress }),
    })
    closing.push(() => store.close())
    for (const { id, failure } of store.containers)
      if (failure !== undefined) onEvent({ kind: 'container-shut', container: id, error: failure })
    const segmentServer = await startSegmentServer({
      host,
      store,
      addresses: listen === undefined ? [STORE_ADDRESS] : [STORE_ADDRESS, listen.segmentStore],
      onBroken: (remote, reason) => onEvent({ kind: 'connection-broken', remote, reason }),
    })
    closing.push(() => segmentServer.close())
    const segmentStoreAddress = segmentServer.addresses[1]
    const segments = createSegmentCalls({ host, locate: async () => STORE_ADDRESS })
    closing.push(() => segments.close())
    const controllerAddress = await startControllers({
      options,
      host,
      store,
      segments,
      segmentStoreAddress,
      closing,
      onEvent,
    })
    const addresses = { controllerAddress, segmentStoreAddress }
    return serverOf({ host, store, segmentServer, delay, autoScales, ...addresses, close })
  } catch (error) {
    await close().catch(() => undefined)
    throw error
  }
}

function count(event: AutoScaleEvent, counts: { splits: number; merges: number; failures: number }): void {
  if (event.kind === 'failed') counts.failures++
  if (event.kind !== 'scaled') return
  if (event.direction === 'split') counts.splits++
  else counts.merges++
}

/** The controller, in this process and, if asked for, on its port. */
async function startControllers(parts: {
  options: ServerOptions
  host: Host
  store: SegmentStore
  segments: SegmentCalls & { close(): Promise<void> }
  segmentStoreAddress: Address | undefined
  closing: (() => Promise<void>)[]
  onEvent: (event: ServerEvent) => void
}): Promise<Address | undefined> {
  const { host, segments, closing, onEvent } = parts
  const { listen } = parts.options
  const bound: { address?: Address } = {}
  const locate = locator({
    inside: STORE_ADDRESS,
    outside: () => parts.segmentStoreAddress,
    advertise: listen?.advertise,
  })
  const self = locator({
    inside: CONTROLLER_ADDRESS,
    outside: () => bound.address,
    advertise: listen?.advertise === undefined ? undefined : { ...listen.advertise, port: undefined },
  })
  const onFailure = (failure: { rpc: string; error: unknown }): void =>
    onEvent({ kind: 'call-failed', ...failure })
  const controller = createController({
    host,
    segments,
    locate,
    self,
    onFailure,
    autoScaling: {
      loads: parts.store.loads,
      settings: parts.options.autoScaling,
      onEvent: (event) => onEvent({ kind: 'auto-scaling', event }),
    },
  })
  closing.push(async () => {
    // A store that has failed answers no more, so nobody waits for what the controller asked of it.
    if (parts.store.failure !== undefined) await segments.close()
    await controller.close()
  })
  // What an earlier process has left half done goes on without being asked for.
  void controller.start()
  const { service } = controller
  const local: LocalServer = await startLocalServer({ host, service, address: CONTROLLER_ADDRESS })
  closing.push(() => local.close())
  if (listen === undefined) return undefined
  const front = await startFront({
    host,
    service,
    address: listen.controller,
    transport: listen.transport,
    onFailure,
  })
  closing.push(() => front.close())
  bound.address = front.address
  return bound.address
}

async function startFront(parts: {
  host: Host
  service: ControllerService
  address: Address
  transport: 'grpc' | 'local' | undefined
  onFailure: (failure: { rpc: string; error: unknown }) => void
}): Promise<{ readonly address: Address; close(): Promise<void> }> {
  if (parts.transport === 'local') return startLocalServer(parts)
  // gRPC is loaded only to listen or to connect.
  const { startGrpcServer } = await import('../controller/grpc-server.ts')
  return startGrpcServer(parts)
}

function serverOf(parts: {
  host: Host
  store: SegmentStore
  segmentServer: SegmentServer
  delay: LoopDelay
  autoScales: AutoScaleCounts
  controllerAddress: Address | undefined
  segmentStoreAddress: Address | undefined
  close: () => Promise<void>
}): Server {
  const { host, store, segmentServer, autoScales, controllerAddress, segmentStoreAddress, close } = parts
  return {
    host,
    store,
    autoScales,
    controllerAddress,
    segmentStoreAddress,
    get connections(): number {
      return segmentServer.connections
    },
    takeLoopDelay: () => parts.delay.take(),
    connectController: () => connectLocalController(host, CONTROLLER_ADDRESS),
    close,
  }
}
