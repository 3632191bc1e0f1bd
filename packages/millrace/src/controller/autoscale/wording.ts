/** Numbers as people read them in a log: `12,400 events/s`, `8 s`. */
import { type ScalingPolicy, ScaleType } from '../../protocol/controller/messages.ts'

export function number(value: number): string {
  const text = value >= 10 || value < 0.05 ? String(Math.round(value)) : String(Number(value.toFixed(1)))
  return text.replace(/\B(?=(\d{3})+$)/g, ',')
}

export function rate(value: number, type: ScalingPolicy['scaleType']): string {
  return `${number(value)} ${type === ScaleType.BY_RATE_IN_KBYTES_PER_SEC ? 'KiB/s' : 'events/s'}`
}

export function duration(ms: number): string {
  if (ms < 120_000) return `${number(Math.round(ms / 1000))} s`
  if (ms < 7_200_000) return `${number(Math.round(ms / 60_000))} min`
  return `${number(Math.round(ms / 3_600_000))} h`
}
