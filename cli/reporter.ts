/**
 * What a run tells: for people on stderr, with one line that is rewritten on a terminal; for programs JSON lines on stdout. Everything that
 * is told has one function here, so that both ways tell the same.
 */
import { codeOf, messageOf, unreachable, type Logger } from '../engine/api/index.ts'
import { sourcePositionsOf } from '../engine/checkpoint/commit-permit.ts'
import type { Progress } from '../engine/coordinator/progress.ts'
import type { LogEntry } from '../engine/checkpoint/log-entry.ts'
import { repetitionText, type Repetition } from '../engine/checkpoint/repetition.ts'
import { restoreText } from '../engine/checkpoint/restore-choice.ts'
import type { RunEnd, RunEvent } from '../engine/coordinator/run-job.ts'
import type { ExitCode } from '../engine/host/exit-code.ts'
import { jsonLogger } from '../engine/host/json-logger.ts'
import { textLogger } from '../engine/host/text-logger.ts'
import { LiveLine, type TextOutput } from './live-line.ts'
import { progressLine, summaryText, type Paint } from './progress-text.ts'
import type { Verb } from './control/protocol.ts'
import { originOf, placeOf } from './origin.ts'
import { refusalFields, refusalText, withCode } from './refusal.ts'
import { timeText } from './table.ts'

export interface Reporter {
  readonly logger: Logger
  event(event: RunEvent): void
  signal(signal: string): void
  /** Somebody asks for it, over the socket or through the store. */
  asked(verb: Verb): void
  ended(end: RunEnd): void
  /** Another process leads; `newest` is its newest entry. */
  standingBy(newest: LogEntry): void
  /** Instead of `ended`: refused before it ran (2), held by another or fenced (3), or broken off (1). */
  refused(error: unknown, code: ExitCode): void
}

export function createReporter(asJson: boolean): Reporter {
  return asJson ? jsonReporter((line) => process.stdout.write(line)) : textReporter(process.stderr, process.env)
}

export function jsonReporter(write: (line: string) => void): Reporter {
  const print = (fields: Readonly<Record<string, unknown>>): void => write(`${JSON.stringify(fields)}\n`)
  return {
    logger: jsonLogger(),
    event: (event) => print(eventFields(event)),
    signal: (signal) => print({ event: 'stopping', signal }),
    asked: (verb) => print({ event: 'asked', verb }),
    standingBy: ({ generation, holder: { pid, host } }) =>
      print({ event: 'standing-by', leader: { generation, pid, host } }),
    ended: (end) => print(endFields(end)),
    refused: (error, code) => print(refusalFields(error, code)),
  }
}

function endFields(end: RunEnd): Readonly<Record<string, unknown>> {
  const failure = end.state === 'FAILED' ? { reason: end.reason, code: codeOf(end.cause) } : {}
  return { event: 'ended', state: end.state, ...failure }
}

function eventFields(event: RunEvent): Readonly<Record<string, unknown>> {
  switch (event.kind) {
    case 'settings':
      return { event: 'settings', reused: event.reused, changed: event.changed }
    case 'restoring':
      return { event: 'restoring', from: event.from, repeats: repeatsFields(event.repeats) }
    case 'running':
      return { event: 'running', generation: event.generation, restored: event.restored }
    case 'completed': {
      const sourcePositions = sourcePositionsOf(event.manifest).map((one) => ({
        operator: one.operator,
        split: one.splitId,
        position: one.position,
        ended: one.ended,
      }))
      const { checkpoint, durationMs, alignedMs } = event
      return {
        event: 'completed',
        checkpoint,
        durationMs: Math.round(durationMs),
        alignedMs: Math.round(alignedMs),
        sourcePositions,
      }
    }
    case 'restarting': {
      const { restarts, delayMs, failure } = event
      const code = codeOf(failure)
      return { event: 'restarting', restarts, delayMs: Math.round(delayMs), failure: messageOf(failure), code }
    }
    case 'progress':
      return { event: 'progress', ...event.progress }
    default:
      return unreachable(event)
  }
}

/** Times as in all else that programs read: text. */
function repeatsFields(repeats: Repetition | undefined): Readonly<Record<string, unknown>> | null {
  if (repeats === undefined) return null
  const { from, to, splits, sinks } = repeats
  return {
    from: from === null ? null : { checkpoint: from.checkpoint, at: timeText(from.at) },
    to: { checkpoint: to.checkpoint, at: timeText(to.at) },
    splits,
    sinks,
  }
}

const ASKED = {
  stop: 'asked to stop: stopping with a last checkpoint',
  drain: 'asked to drain: ending all inputs where they are',
  cancel: 'asked to cancel: ending without a last checkpoint',
  checkpoint: 'asked for a checkpoint',
} as const satisfies Record<Verb, string>

/** Without a terminal a sign of life comes this often. */
const SIGN_OF_LIFE_MS = 10_000

/** What of the environment says how a terminal may be used. */
export interface TerminalEnvironment {
  /** Not empty: no colors. */
  readonly NO_COLOR?: string | undefined
  /** `dumb`: a line cannot be rewritten. */
  readonly TERM?: string | undefined
}

export function textReporter(
  output: TextOutput,
  environment: TerminalEnvironment,
  monotonicMs: () => number = () => performance.now(),
): Reporter {
  const isLive = output.isTTY === true && environment.TERM !== 'dumb'
  const paint = isLive && (environment.NO_COLOR ?? '') === '' ? painted : plain
  const live = new LiveLine(output, monotonicMs)
  let isStandingBy = false
  const print = (text: string): void => live.print(text)
  let shownAtMs = monotonicMs()
  let newest: Progress | undefined
  const progress = (now: Progress): void => {
    newest = now
    if (isLive) return live.show((width) => progressLine(now, width, paint))
    if (monotonicMs() - shownAtMs < SIGN_OF_LIFE_MS) return
    shownAtMs = monotonicMs()
    print(progressLine(now, Infinity, paint))
  }
  return {
    logger: textLogger({ write: (line) => print(line.replace(/\n$/, '')) }),
    event: (event) => {
      isStandingBy &&= event.kind !== 'running'
      if (event.kind === 'progress') progress(event.progress)
      else if (event.kind !== 'completed') print(textOf(event))
      else if (isLive && newest !== undefined) progress(withCompleted(newest, event))
    },
    signal: (signal) => {
      const what = isStandingBy ? 'standing by no longer' : 'stopping with a last checkpoint; once more to exit at once'
      print(`${signal}: ${what}`)
    },
    asked: (verb) => print(ASKED[verb]),
    standingBy: ({ generation, holder: { pid, host } }) => {
      isStandingBy = true
      print(`standing by: process ${pid} on ${host} runs the job (generation ${generation})`)
    },
    ended: (end) => {
      live.clear()
      // The reason of a failure stands alone.
      print(newest === undefined || end.state === 'FAILED' ? endText(end) : `${summaryText(newest)}\n${endText(end)}`)
    },
    refused: (error) => {
      live.clear()
      print(refusalText(error))
    },
  }
}

const COLORS = { good: 32, odd: 33, faint: 2 } as const
const painted: Paint = (text, color) => `\u001b[${COLORS[color]}m${text}\u001b[0m`
const plain: Paint = (text) => text

/** Between two reports of progress: what is known better. */
function withCompleted(progress: Progress, event: RunEvent & { readonly kind: 'completed' }): Progress {
  const { checkpoint, durationMs, alignedMs } = event
  const stateBytes = progress.checkpoints.last?.stateBytes ?? 0
  const last = { checkpoint, durationMs, alignedMs, stateBytes, sinceMs: 0 }
  return { ...progress, checkpoints: { ...progress.checkpoints, last } }
}

function textOf(event: Exclude<RunEvent, { readonly kind: 'completed' | 'progress' }>): string {
  switch (event.kind) {
    case 'settings':
      return settingsText(event)
    case 'restoring': {
      const { from, repeats } = event
      if (repeats === undefined)
        return from.kind === 'savepoint' ? `restoring the savepoint ${from.uri}` : `restoring ${restoreText(from)}`
      return `--restore ${restoreText(from)} goes back behind checkpoint ${repeats.to.checkpoint}: ${repetitionText(repeats)}`
    }
    case 'running': {
      const from = event.restored === null ? '' : `, from checkpoint ${event.restored}`
      return `running, generation ${event.generation}${from}`
    }
    case 'restarting': {
      const place = placeOf(event.failure)
      const failure = `${messageOf(event.failure)}${place === undefined ? '' : ` (${place})`}`
      return `${withCode(`attempt failed: ${failure}`, event.failure)}; restart ${event.restarts} in ${Math.round(event.delayMs)} ms`
    }
    default:
      return unreachable(event)
  }
}

function settingsText({ reused, changed }: RunEvent & { readonly kind: 'settings' }): string {
  const names = Object.keys(reused)
  return [
    ...(names.length === 0 ? [] : [`settings of the last run are used again: ${names.join(', ')}`]),
    ...Object.entries(changed).map(
      ([name, { before, now }]) => `setting ${name} is ${JSON.stringify(now)}, it was ${JSON.stringify(before)}`,
    ),
  ].join('\n')
}

function endText(end: RunEnd): string {
  switch (end.state) {
    case 'FINISHED':
      return 'finished'
    case 'ALREADY_FINISHED':
      return 'the job has finished before; nothing to do'
    case 'STOPPED':
      return 'stopped; run again to go on'
    case 'CANCELED':
      return 'canceled without a last checkpoint; run again to go on from the one before'
    case 'FAILED':
      return `${withCode(`FAILED: ${end.reason}`, end.cause)}${originOf(end.cause)}`
    default:
      return unreachable(end)
  }
}
