/** Medians, and figures short enough to read. */

export function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? 0
}

/** To three digits behind the point. */
export function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
