/**
 * What the declarations of all commands share. A declaration says what a command is called and takes; what it does is loaded when it is
 * asked for, so that the command line answers fast.
 */
import type { Command } from 'commander'

/** Declares one command (or a group of them); `end` takes the exit code of one that does not always end with 0. */
export type Declare = (program: Command, end: (code: number) => void) => void

export const DEFAULT_STORE = '.sluice'

/** What `--store` says of itself, everywhere. */
export const STORE_OPTION = ['--store <uri>', 'checkpoint store: a directory or a URI', DEFAULT_STORE] as const

export const EXIT_CODES = `
Exit codes of run:
  0         finished or stopped
  1         failed
  2         wrong usage, or refused before anything was changed
  3         another process runs the job, or has taken it over
  130, 143  stopped cleanly by SIGINT, SIGTERM (another one, from 100 ms on,
            exits at once)`

/** Of commands that ask a running job for something. */
export const TIMEOUT_OPTION = [
  '--timeout <seconds>',
  'wait no longer; what was asked for goes on all the same (default: until it is done)',
] as const

export const ASK_EXIT_CODES = `
Exit codes:
  0  what was asked for is so
  1  something else came of it, or its process died before it answered
  2  wrong usage, or nothing was asked: no process runs the job`

/** For options that may be given more than once. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}
