/** Spans of time and amounts of bytes as people write them. */
import { InvalidArgumentError } from 'commander'

const SPANS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZES: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 }

/** `90s`, `1.5h`, `7d`: milliseconds. */
export function parseSpan(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim())
  return checked(match, SPANS, 'It is a span of time with its unit, such as 90s, 30m, 12h or 7d.')
}

/** `4096`, `10GiB`, `1.5m`: bytes. Units are powers of 1024. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim())
  return checked(match, SIZES, 'It is an amount of bytes, such as 4096, 64KiB or 10GiB.')
}

export function parseWhole(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('It is a whole number from 1 on.')
  return value
}

function checked(
  match: RegExpExecArray | null,
  units: Readonly<Record<string, number>>,
  hint: string,
): number {
  const value = Math.round(Number(match?.[1]) * (units[match?.[2]?.toLowerCase() ?? '?'] ?? Number.NaN))
  if (!(value >= 1) || !Number.isSafeInteger(value)) throw new InvalidArgumentError(hint)
  return value
}
