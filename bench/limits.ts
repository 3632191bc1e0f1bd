/**
 * What the disk itself can do, measured in the same session as everything that is compared with it: synced writes into a file
 * filled beforehand, by the system calls themselves and through the host interface that the store writes by.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Histogram } from '../packages/millrace/src/base/histogram.ts'
import { nodeDisk } from '../packages/millrace/src/base/node-disk.ts'
import { type Latencies, latenciesOf } from './latencies.ts'

const KIB = 1024
const MIB = 1024 * KIB
const FILE_BYTES = 64 * MIB
const PAGE_BYTES = 4 * KIB
/** Larger than any sync takes, so that the first ones, which are slower, do not count. */
const WARMUP_PART = 0.1

export interface DiskLimits {
  /** 4 KiB written and synced, one after the other, by blocking system calls. */
  readonly syncMs: Latencies
  /** The same, as the store does it. */
  readonly hostSyncMs: Latencies
  /** 1 MiB written and synced, one after the other, as the store does it, in MB/s. */
  readonly syncedMegabytesPerSecond: number
}

export async function measureDisk(directory: string, durationMs: number): Promise<DiskLimits> {
  const path = join(directory, 'limits')
  fill(path)
  try {
    const syncMs = rawSyncs(path, durationMs)
    const hostSyncMs = await hostSyncs(path, durationMs)
    return { syncMs, hostSyncMs, syncedMegabytesPerSecond: await hostThroughput(path, durationMs) }
  } finally {
    rmSync(path)
  }
}

function fill(path: string): void {
  const zeros = Buffer.alloc(MIB)
  const file = openSync(path, 'w')
  for (let position = 0; position < FILE_BYTES; position += MIB) writeSync(file, zeros, 0, MIB, position)
  fsyncSync(file)
  closeSync(file)
}

function rawSyncs(path: string, durationMs: number): Latencies {
  const file = openSync(path, 'r+')
  const page = noise(PAGE_BYTES)
  const times = new Histogram()
  const begin = performance.now()
  for (let before = begin, count = 0; before - begin < durationMs; count++) {
    writeSync(file, page, 0, PAGE_BYTES, (count * PAGE_BYTES) % FILE_BYTES)
    fdatasyncSync(file)
    const now = performance.now()
    if (now - begin > durationMs * WARMUP_PART) times.record((now - before) * 1000)
    before = now
  }
  closeSync(file)
  return latenciesOf(times)
}

async function hostSyncs(path: string, durationMs: number): Promise<Latencies> {
  const file = await nodeDisk.open(path, 'write')
  const page = [noise(PAGE_BYTES)]
  const times = new Histogram()
  const begin = performance.now()
  for (let before = begin, count = 0; before - begin < durationMs; count++) {
    await file.writeDurable(page, (count * PAGE_BYTES) % FILE_BYTES)
    const now = performance.now()
    if (now - begin > durationMs * WARMUP_PART) times.record((now - before) * 1000)
    before = now
  }
  await file.close()
  return latenciesOf(times)
}

async function hostThroughput(path: string, durationMs: number): Promise<number> {
  const file = await nodeDisk.open(path, 'write')
  const megabyte = [noise(MIB)]
  const begin = performance.now()
  let written = 0
  while (performance.now() - begin < durationMs) {
    await file.writeDurable(megabyte, written % FILE_BYTES)
    written += MIB
  }
  const seconds = (performance.now() - begin) / 1000
  await file.close()
  return written / seconds / 1e6
}

/** Bytes that no device can shorten. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 0x2545f491
  for (let at = 0; at < length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = state
  }
  return bytes
}
