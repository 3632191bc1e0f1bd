/** What processes have used of the machine, as Linux counts it. */
import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts processor time for `/proc` in hundredths of a second on every architecture. */
const TICKS_PER_SECOND = 100
const KIB = 1024

export interface Usage {
  readonly cpuSeconds: number
  readonly residentBytes: number
  /** Since the process began. */
  readonly residentBytesPeak: number
  /** How often a thread went to sleep, which is how often one was woken. */
  readonly wakeUps: number
}

/** Of all of them together. */
export function usageOf(pids: readonly number[]): Usage {
  const all = pids.map(usageOfOne)
  const sum = (field: keyof Usage): number => all.reduce((total, usage) => total + usage[field], 0)
  return {
    cpuSeconds: sum('cpuSeconds'),
    residentBytes: sum('residentBytes'),
    residentBytesPeak: sum('residentBytesPeak'),
    wakeUps: sum('wakeUps'),
  }
}

function usageOfOne(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name stands in brackets and may hold anything; what follows it are the fields from the third on.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  let wakeUps = 0
  for (const thread of readdirSync(`/proc/${pid}/task`))
    wakeUps += numberIn(readThread(pid, thread), 'voluntary_ctxt_switches')
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentBytes: numberIn(status, 'VmRSS') * KIB,
    residentBytesPeak: numberIn(status, 'VmHWM') * KIB,
    wakeUps,
  }
}

function readThread(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')
  } catch {
    return '' // It ended between the listing and here.
  }
}

function numberIn(status: string, name: string): number {
  const match = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)
  return match === null ? 0 : Number(match[1])
}
