/**
 * Times and tables as a person reads them on a terminal.
 */

/** Columns as wide as they must be; numbers to the right where `right` says so. */
export function tableOf(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, at) => Math.max(all[at] ?? 0, cell.length)), [])
  const lines = rows.map((row) =>
    row
      .map((cell, at) => (right.includes(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  '),
  )
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}

export function timeText(at: number): string {
  return new Date(at).toISOString()
}
