/**
 * Where an error was thrown, as far as that helps its reader: the frames in the job and what it imports. Ours and those of Node are left
 * out, unless they are all there is of an error that nobody has foreseen.
 */
import { fileURLToPath } from 'node:url'
import { codeOf, TerminalError } from '../engine/api/index.ts'

/** Deeper chains are cyclic. */
const MAX_CAUSES = 20
/** They name what was thrown, not what it means. */
const UNFORESEEN: ReadonlySet<string | undefined> = new Set([undefined, 'SLUICE_BUG', 'SLUICE_CONNECTOR_FAILED'])

const FRAME = '\n    at '
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PARTS = ['bin', 'cli', 'engine', 'sources', 'sinks', 'clients', 'checkpoint-store', 'node_modules/commander']

/** Lines to print below the message, each with a line break before it; nothing where the message says it all. */
export function originOf(error: unknown): string {
  const origin = firstCauseOf(error)
  if (!(origin instanceof Error) || origin === error || !isOfCode(origin)) return ''
  const [head = '', ...frames] = (origin.stack ?? '').split(FRAME)
  const theirs = frames.filter(isTheirs)
  if (theirs.length > 0) return `\n${head}${FRAME}${theirs.join(FRAME)}`
  const excerpt = excerptOf(head)
  if (excerpt !== '') return `\n${excerpt}`
  return UNFORESEEN.has(codeOf(error)) ? `\n${origin.stack}` : ''
}

/** The one place in the job that is to blame; undefined: none is known. */
export function placeOf(error: unknown): string | undefined {
  const origin = firstCauseOf(error)
  if (!(origin instanceof Error) || !isOfCode(origin)) return undefined
  const frame = (origin.stack ?? '').split(FRAME).slice(1).find(isTheirs)
  return frame === undefined ? undefined : locationOf(frame)
}

function firstCauseOf(error: unknown): unknown {
  let origin = error
  for (let depth = 0; depth < MAX_CAUSES && origin instanceof Error && origin.cause !== undefined; depth += 1) {
    origin = origin.cause
  }
  return origin
}

/** A failed system call and an expected refusal say it all in their message; where we asked helps nobody. */
function isOfCode(error: Error): boolean {
  return error.stack?.includes(FRAME) === true && !(error instanceof TerminalError) && !('syscall' in error)
}

function isTheirs(frame: string): boolean {
  const location = locationOf(frame)
  if (location.startsWith('node:') || location === '<anonymous>' || location === 'native') return false
  return !PARTS.some((part) => location.startsWith(`${ROOT}${part}/`))
}

/** `file:line:column` of `name (file:///file:line:column)`. */
function locationOf(frame: string): string {
  const place = /\((.*)\)$/.exec(frame)?.[1] ?? frame.replace(/^async /, '')
  return place.startsWith('file://') ? decodeURI(place.slice('file://'.length)) : place
}

/** Before the message of a syntax error stands where it is, with the line: `file:line`, the code, and marks below it. */
function excerptOf(head: string): string {
  const lines = head.split('\n')
  if (!/:\d+$/.test(lines[0] ?? '')) return ''
  const end = lines.findIndex((line) => /^\w*Error\b/.test(line))
  const excerpt = lines.slice(0, end < 0 ? lines.length : end).join('\n')
  return excerpt.replace(/^file:\/\//, '').trimEnd()
}
