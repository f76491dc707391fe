/**
 * What a run tells: for people on stderr, one line that is rewritten on a terminal; for programs JSON lines on stdout. Everything that
 * is told has one function here, so that both ways tell the same.
 */
import { codeOf, messageOf, unreachable, type Logger } from '../engine/api/index.ts'
import { sourcePositionsOf } from '../engine/checkpoint/commit-permit.ts'
import type { LogEntry } from '../engine/checkpoint/log-entry.ts'
import { repetitionText } from '../engine/checkpoint/repetition.ts'
import { restoreText } from '../engine/checkpoint/restore-choice.ts'
import type { RunEnd, RunEvent } from '../engine/coordinator/run-job.ts'
import type { ExitCode } from '../engine/host/exit-code.ts'
import { jsonLogger } from '../engine/host/json-logger.ts'
import { textLogger } from '../engine/host/text-logger.ts'
import type { Verb } from './control/protocol.ts'
import { originOf, placeOf } from './origin.ts'
import { refusalFields, refusalText, withCode } from './refusal.ts'

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
  return asJson ? jsonReporter((line) => process.stdout.write(line)) : textReporter(process.stderr)
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
      return { event: 'restoring', from: event.from, repeats: event.repeats ?? null }
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
    default:
      return unreachable(event)
  }
}

const ASKED = {
  stop: 'asked to stop: stopping with a last checkpoint',
  drain: 'asked to drain: ending all inputs where they are',
  cancel: 'asked to cancel: ending without a last checkpoint',
  checkpoint: 'asked for a checkpoint',
} as const satisfies Record<Verb, string>

export interface TextOutput {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** Without a terminal a sign of life comes this often. */
const SIGN_OF_LIFE_MS = 10_000
const ERASE_LINE = '\r\u001b[K'

export function textReporter(output: TextOutput, monotonicMs: () => number = () => performance.now()): Reporter {
  let isProgressShown = false
  let isStandingBy = false
  let shownAtMs = monotonicMs()
  const print = (text: string): void => {
    output.write(`${isProgressShown ? ERASE_LINE : ''}${text}\n`)
    isProgressShown = false
  }
  const progress = (text: string): void => {
    if (output.isTTY === true) {
      output.write(`${ERASE_LINE}${text}`)
      isProgressShown = true
    } else if (monotonicMs() - shownAtMs >= SIGN_OF_LIFE_MS) {
      shownAtMs = monotonicMs()
      print(text)
    }
  }
  return {
    logger: textLogger({ write: (line) => print(line.replace(/\n$/, '')) }),
    event: (event) => {
      isStandingBy &&= event.kind !== 'running'
      if (event.kind === 'completed') progress(textOf(event))
      else print(textOf(event))
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
    ended: (end) => print(endText(end)),
    refused: (error) => print(refusalText(error)),
  }
}

function textOf(event: RunEvent): string {
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
    case 'completed': {
      const positions = sourcePositionsOf(event.manifest).filter((one) => !one.ended)
      const reading = positions.slice(0, 1).map((one) => `, ${one.splitId} at ${JSON.stringify(one.position)}`)
      return `checkpoint ${event.checkpoint} completed${reading.join('')}`.slice(0, 100)
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
