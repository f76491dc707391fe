/**
 * What the two loggers share: levels, where lines go, and fields made printable (errors with their causes, bigints, cycles), so that
 * logging never throws.
 */
import { messageOf } from '../api/index.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LogOptions {
  /** The least important level that is written. Default `info`. */
  readonly level?: LogLevel
  /** Takes one line with its newline. Default: standard error. */
  readonly write?: (line: string) => void
  /** Wall clock, milliseconds since 1970. */
  readonly now?: () => number
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']
/** Causes beyond this depth are left out. */
const MAX_CAUSES = 8

export function isAtLeast(level: LogLevel, least: LogLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least)
}

export function writeToStandardError(line: string): void {
  process.stderr.write(line)
}

/** JSON of anything; never throws. */
export function toJson(value: unknown): string {
  const above: unknown[] = []
  try {
    return (
      JSON.stringify(value, function (this: unknown, _key, part: unknown) {
        while (above.length > 0 && above.at(-1) !== this) above.pop()
        if (typeof part === 'bigint') return String(part)
        if (typeof part !== 'object' || part === null) return part
        if (above.includes(part)) return '[circular]'
        const shown = part instanceof Error ? errorFields(part, 0) : part
        above.push(shown)
        return shown
      }) ?? String(value)
    )
  } catch (error) {
    return JSON.stringify(`[not printable: ${messageOf(error)}]`)
  }
}

function errorFields(error: Error, depth: number): Readonly<Record<string, unknown>> {
  const { name, message, stack, cause } = error
  const code = 'code' in error ? { code: String(error.code) } : {}
  if (cause === undefined || depth >= MAX_CAUSES) return { name, message, ...code, stack }
  return {
    name,
    message,
    ...code,
    stack,
    cause: cause instanceof Error ? errorFields(cause, depth + 1) : messageOf(cause),
  }
}
