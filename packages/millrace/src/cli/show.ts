/** Figures and tables for people. */

export function showCount(count: number, one: string, many = `${one}s`): string {
  return `${showNumber(count)} ${count === 1 ? one : many}`
}

export function showNumber(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

export function showBytes(bytes: number): string {
  if (bytes < 1024) return showCount(bytes, 'byte')
  let value = bytes / 1024
  let unit = 0
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`
}

export function showSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

const SPANS: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
  [1, 'millisecond'],
]

/** In the largest unit that needs no fraction. */
export function showSpan(ms: number): string {
  for (const [unitMs, name] of SPANS) if (ms % unitMs === 0) return showCount(ms / unitMs, name)
  return `${ms} ms`
}

/** Columns as wide as they must be; those named in `right` have their figures under one another. */
export function showTable(
  rows: readonly (readonly string[])[],
  options: { indent?: string; right?: readonly number[] } = {},
): string {
  const { indent = '', right = [] } = options
  const widths: number[] = []
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      return `${indent}${cells.join('  ')}`.trimEnd()
    })
    .join('\n')
}
