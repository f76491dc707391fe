/**
 * How a command that could not do what it was asked for says so: one shape for programs, one line for people.
 */
import { codeOf, messageOf, TerminalError } from '../engine/api/index.ts'
import type { ExitCode } from '../engine/host/exit-code.ts'
import { originOf } from './origin.ts'

const REFUSALS = { 1: 'broken-off', 2: 'refused', 3: 'fenced' } as const satisfies Record<ExitCode, string>

/** With `--json`: one object on stdout. */
export function refusalFields(error: unknown, exitCode: ExitCode): Readonly<Record<string, unknown>> {
  return { event: REFUSALS[exitCode], exitCode, code: codeOf(error), error: messageOf(error) }
}

/** On stderr. The code leads to docs/errors.md; below it where in the job it was thrown, if it was. */
export function refusalText(error: unknown): string {
  return `sluice: ${withCode(messageOf(error), error)}${originOf(error)}`
}

/** `text`, and the code of `error` where it has one. */
export function withCode(text: string, error: unknown): string {
  const code = codeOf(error)
  return code === undefined ? text : `${text} [${code}]`
}

/** What the parser of the command line says, `error: …` and perhaps `(Did you mean …?)` below it, as an error like all others. */
export function usageError(said: string, command: string): TerminalError {
  const what = said.replace(/^error: /, '').replace(/\s*\n\(?([^)]*)\)?/, '. $1')
  const sentence = /[.?]$/.test(what) ? what : `${what}.`
  return new TerminalError(`${sentence} \`${command} --help\` shows what there is`, { code: 'SLUICE_USAGE' })
}
