/**
 * Where a process's time goes: V8's sampling profiler, over the inspector's socket, for the part of a run that is measured.
 * As a program it shows the functions that took most of it:
 *
 *     node bench/profile.ts FILE.cpuprofile [COUNT]
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

const SAMPLE_US = 200

export interface Profiling {
  /** Ends the recording and writes it. */
  save(path: string): Promise<void>
}

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples?: readonly number[]
  readonly timeDeltas?: readonly number[]
}

/** Of the process whose inspector listens there. */
export async function startProfile(inspector: string): Promise<Profiling> {
  const socket = new WebSocket(inspector)
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve())
    socket.addEventListener('error', () => reject(new Error(`No inspector answers at ${inspector}`)))
  })
  let last = 0
  const call = (method: string, params: object = {}): Promise<unknown> => {
    const id = ++last
    socket.send(JSON.stringify({ id, method, params }))
    return new Promise((resolve) => {
      const onMessage = (message: MessageEvent): void => {
        const answer = JSON.parse(String(message.data)) as { id?: number; result?: unknown }
        if (answer.id !== id) return
        socket.removeEventListener('message', onMessage)
        resolve(answer.result)
      }
      socket.addEventListener('message', onMessage)
    })
  }
  await call('Profiler.enable')
  await call('Profiler.setSamplingInterval', { interval: SAMPLE_US })
  await call('Profiler.start')
  return {
    save: async (path) => {
      const { profile } = (await call('Profiler.stop')) as { profile: CpuProfile }
      writeFileSync(path, JSON.stringify(profile))
      socket.close()
    },
  }
}

export interface SelfTime {
  readonly name: string
  /** Of all that was sampled. */
  readonly share: number
}

/** Functions by the time spent in themselves, most first. */
export function selfTimes(profile: CpuProfile): SelfTime[] {
  const names = new Map<number, string>()
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame
    const place = url === '' ? '' : ` ${basename(url)}:${lineNumber + 1}`
    names.set(id, `${functionName === '' ? '(anonymous)' : functionName}${place}`)
  }
  const spent = new Map<string, number>()
  let total = 0
  profile.samples?.forEach((id, index) => {
    const delta = Math.max(profile.timeDeltas?.[index] ?? 0, 0)
    const name = names.get(id) ?? '(unknown)'
    spent.set(name, (spent.get(name) ?? 0) + delta)
    total += delta
  })
  return [...spent]
    .map(([name, us]) => ({ name, share: us / total }))
    .toSorted((one, two) => two.share - one.share)
}

if (import.meta.main) {
  const [path, count = '15'] = process.argv.slice(2)
  if (path === undefined) throw new Error('Usage: node bench/profile.ts FILE.cpuprofile [COUNT]')
  const profile = JSON.parse(readFileSync(path, 'utf8')) as CpuProfile
  for (const { name, share } of selfTimes(profile).slice(0, Number(count)))
    console.log(`${(share * 100).toFixed(1).padStart(6)} %  ${name}`)
}
