/**
 * Bugs that a store of this kind might have, put in from outside: the simulation has to notice each of them, or what it finds in
 * order says nothing. Where no seam leads to the place, a method is replaced for as long as the bug is to be there.
 */
import { crc32 } from 'node:zlib'
import { writeSafeInt64 } from '../../base/bytes.ts'
import type { File, Host } from '../../base/host.ts'
import { callByName, type ControllerClient, serviceOf } from '../../protocol/controller/service.ts'
import { ContainerState, movedRuns } from '../../segment-store/container-state.ts'
import { HEADER_BYTES } from '../../segment-store/log/frame.ts'
import { type SessionAppend, WriterSession } from '../../segment-store/wire/writer-session.ts'
import type { Planted } from './crashing-server.ts'

export interface PlantedBug {
  readonly planted?: Planted
  /** Puts it in, and answers how to take it out again. */
  readonly replace?: () => () => void
}

export type BugName =
  /** Writers are told before the disk has it. */
  | 'ack before sync'
  /** Nobody knows any more which events of a writer are there. */
  | 'dropped dedup record'
  /** What took over from several segments is read when one of them is finished. */
  | 'successor readable early'
  /** The events of a transaction come into the segment twice. */
  | 'commit merged twice'
  /** What a crash cut off looks like what was written after it. */
  | 'epoch reused after a crash'
  /** Of two appends under way the later one is acknowledged first. */
  | 'acks out of order'
  /** What a start finds in the files counts as durable, though it was only in memory. */
  | 'page cache trusted after a restart'

export const PLANTED_BUGS: Readonly<Record<BugName, PlantedBug>> = {
  'ack before sync': { planted: { host: (host) => onLog(host, withoutSync) } },
  'dropped dedup record': { replace: forgetWriters },
  'successor readable early': { planted: { controller: withOnePredecessor } },
  'commit merged twice': { replace: mergeTwice },
  'epoch reused after a crash': { planted: { host: (host) => onLog(host, inFirstEpoch) } },
  'acks out of order': { replace: acknowledgeLastFirst },
  'page cache trusted after a restart': {
    planted: { host: (host, server) => onLog(host, (file) => (server.started ? file : withoutSync(file))) },
  },
}

function forgetWriters(): () => void {
  const { applyAppend } = ContainerState.prototype
  ContainerState.prototype.applyAppend = function (this: ContainerState, operation) {
    applyAppend.call(this, operation)
    this.byId(operation.segment)?.attributes.delete(operation.writerId)
  }
  return () => Object.assign(ContainerState.prototype, { applyAppend })
}

function mergeTwice(): () => void {
  const { apply } = ContainerState.prototype
  ContainerState.prototype.apply = function (this: ContainerState, operation) {
    if (operation.kind !== 'merge') return apply.call(this, operation)
    const target = this.byId(operation.target)
    const source = this.byId(operation.source)
    apply.call(this, operation)
    if (target === undefined || source === undefined) return
    target.runs.push(...movedRuns(source, target.length))
    target.length += source.length
  }
  return () => Object.assign(ContainerState.prototype, { apply })
}

/** The same host, whose files of the log are changed whenever one is opened or used. */
function onLog(host: Host, change: (file: File) => File): Host {
  const { disk } = host
  return {
    ...host,
    disk: {
      open: async (path, mode) => {
        const file = await disk.open(path, mode)
        return /\/log\/log-\d+(\.new)?$/.test(path) ? lazily(file, change) : file
      },
      list: (path) => disk.list(path),
      makeDirectory: (path) => disk.makeDirectory(path),
      rename: (from, to) => disk.rename(from, to),
      remove: (path) => disk.remove(path),
      syncDirectory: (path) => disk.syncDirectory(path),
      lock: (directory, holder) => disk.lock(directory, holder),
    },
  }
}

function lazily(file: File, change: (file: File) => File): File {
  return {
    ...plain(file),
    write: (pieces, position) => change(file).write(pieces, position),
    writeDurable: (pieces, position) => change(file).writeDurable(pieces, position),
    sync: () => change(file).sync(),
  }
}

function plain(file: File): File {
  return {
    path: file.path,
    size: () => file.size(),
    read: (target, position) => file.read(target, position),
    write: (pieces, position) => file.write(pieces, position),
    writeDurable: (pieces, position) => file.writeDurable(pieces, position),
    sync: () => file.sync(),
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
  }
}

function withoutSync(file: File): File {
  return {
    ...plain(file),
    writeDurable: (pieces, position) => file.write(pieces, position),
    sync: async () => undefined,
  }
}

const FRAME_MAGIC = 0x4d72_4672

/** Every epoch is the first one: in the header of a file, and in those of frames and marks. */
function inFirstEpoch(file: File): File {
  const changed = (pieces: readonly Uint8Array[], position: number): Uint8Array[] => {
    const [first, ...rest] = pieces
    if (first === undefined || first.length < HEADER_BYTES) return [...pieces]
    const head = Buffer.from(first)
    if (position === 0 && head.subarray(0, 16).some((byte) => byte !== 0)) {
      writeSafeInt64(head, 1, 40)
      head.writeUInt32BE(crc32(head.subarray(0, 60)), 60)
    } else if (head.readUInt32BE(0) === FRAME_MAGIC) {
      writeSafeInt64(head, 1, 48)
      head.writeUInt32BE(crc32(head.subarray(8, HEADER_BYTES)), 4)
    }
    return [head, ...rest]
  }
  return {
    ...plain(file),
    write: (pieces, position) => file.write(changed(pieces, position), position),
    writeDurable: (pieces, position) => file.writeDurable(changed(pieces, position), position),
  }
}

function withOnePredecessor(controller: ControllerClient): ControllerClient {
  const service = serviceOf(async (rpc, request, context) => {
    const response = await callByName(controller, { rpc, request, context })
    if (rpc !== 'getSegmentsImmediatelyFollowing') return response
    const asked = (request as { segmentId: bigint }).segmentId
    const { segments } = response as Awaited<ReturnType<ControllerClient['getSegmentsImmediatelyFollowing']>>
    return { segments: segments.map(({ segment }) => ({ segment, value: [asked] })) }
  })
  return { ...service, close: () => controller.close() }
}

function acknowledgeLastFirst(): () => void {
  const flying = new WeakMap<WriterSession, number>()
  const { append, advance } = WriterSession.prototype
  WriterSession.prototype.append = function (this: WriterSession, request: SessionAppend) {
    const before = flying.get(this) ?? 0
    flying.set(this, before + 1)
    append.call(this, request)
    if (before > 0) advance.call(this, request, this.segment.length, false)
  }
  WriterSession.prototype.advance = function (this: WriterSession, request, endOffset, conditional) {
    flying.set(this, (flying.get(this) ?? 1) - 1)
    advance.call(this, request, endOffset, conditional)
  }
  return () => Object.assign(WriterSession.prototype, { append, advance })
}
