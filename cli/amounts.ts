/**
 * Amounts as people read them: counts, bytes, durations.
 */

const COUNT_UNITS = ['', 'k', 'M', 'G', 'T'] as const
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1,234`, `123.5k`, `1.23M` */
export function countText(count: number): string {
  if (count < 100_000) return Math.round(count).toLocaleString('en-US')
  return scaled(count, { base: 1_000, units: COUNT_UNITS, gap: '' })
}

/** `12 B`, `3.4 MiB` */
export function bytesText(bytes: number): string {
  return scaled(bytes, { base: 1_024, units: BYTE_UNITS, gap: ' ' })
}

/** `350 ms`, `4.2 s`, `3m 07s`, `5h 03m`, `2d 04h` */
export function durationText(ms: number): string {
  if (ms < 0) return `-${durationText(-ms)}`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const seconds = Math.floor(ms / 1_000)
  if (seconds < 60) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${twoDigits(seconds % 60)}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours}h ${twoDigits(minutes % 60)}m`
  return `${Math.floor(hours / 24)}d ${twoDigits(hours % 24)}h`
}

/** `1 restart`, `2 restarts` */
export function pluralText(count: number, one: string): string {
  return `${countText(count)} ${one}${count === 1 ? '' : 's'}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

/** Three digits that count, of the largest unit that leaves something before the point. */
function scaled(
  value: number,
  { base, units, gap }: { readonly base: number; readonly units: readonly string[]; readonly gap: string },
): string {
  let left = value
  let unit = 0
  while (left >= base * 0.9995 && unit < units.length - 1) {
    left /= base
    unit += 1
  }
  const digits = unit === 0 ? 0 : left < 9.995 ? 2 : left < 999.5 ? 1 : 0
  return `${left.toFixed(digits)}${gap}${units[unit] ?? ''}`
}
