/**
 * What a command that asks a running job for something says of the answer, for people and for programs, and its exit code. Every answer of
 * every verb has its place here.
 *
 *   0  what was asked for is so, whoever brought it about
 *   1  it was asked for, and something else came of it, or nothing is known
 *   2  nothing was asked: the job does not run, and is not in the state that was asked for
 */
import { unreachable } from '../../engine/api/index.ts'
import type { LogEntry } from '../../engine/checkpoint/log-entry.ts'
import type { Answered } from './client.ts'
import type { JobEnd, Verb } from './protocol.ts'

export interface Said {
  readonly exitCode: 0 | 1 | 2
  /** Of the event, for programs. */
  readonly outcome: string
  readonly text: string
  readonly facts: Readonly<Record<string, unknown>>
  /** Where the exit code is not 0. */
  readonly code?: string
}

/** The state in which a job is what was asked for. */
const MEANT = {
  stop: 'STOPPED',
  drain: 'FINISHED',
  cancel: 'CANCELED',
  checkpoint: undefined,
} as const satisfies Record<Verb, unknown>
const DONE = { stop: 'stopped', drain: 'drained', cancel: 'canceled', checkpoint: '' } as const satisfies Record<
  Verb,
  string
>

export function say(verb: Verb, { answer, holder, generation }: Answered): Said {
  const who = `process ${holder.pid} on ${holder.host}`
  switch (answer.kind) {
    case 'ended':
      return saidOfEnd(verb, answer, false)
    case 'had-ended':
      return saidOfEnd(verb, answer, true)
    case 'completed': {
      const { checkpoint, durationMs } = answer
      const took = durationMs === null ? '' : ` in ${Math.round(durationMs)} ms`
      const facts = { checkpoint, durationMs: durationMs === null ? null : Math.round(durationMs) }
      return {
        exitCode: 0,
        outcome: 'completed',
        text: `checkpoint ${checkpoint} completed${took}, all of it committed`,
        facts,
      }
    }
    case 'not-completed':
    case 'refused':
      return failed('SLUICE_CONTROL_NOT_DONE', `not done: ${answer.reason}`, answer.kind)
    case 'broken-off':
      return failed('SLUICE_CONTROL_BROKEN_OFF', `${who} has let go of the job: ${answer.reason}`, answer.kind)
    case 'died':
      return failed('SLUICE_CONTROL_DIED', `${who} died before it answered; ${leftBy(answer.newest)}`, answer.kind)
    case 'succeeded': {
      const { pid, host } = answer.by.holder
      const by = `process ${pid} on ${host} runs the job now (generation ${answer.by.generation}); ask again`
      return failed(
        'SLUICE_CONTROL_SUCCEEDED',
        `generation ${generation} is over without an answer: ${by}`,
        answer.kind,
      )
    }
    case 'silent': {
      const seconds = Math.round(answer.silentMs / 1_000)
      const left = `if it wakes up, it does what it was asked for; ${leftBy(answer.newest)}`
      return failed('SLUICE_CONTROL_SILENT', `no sign of life of ${who} for ${seconds} s; ${left}`, answer.kind)
    }
    case 'timed-out':
      return answer.isAsked
        ? failed('SLUICE_CONTROL_TIMEOUT', `not done in time: ${who} was asked, and goes on with it`, answer.kind)
        : failed('SLUICE_CONTROL_TIMEOUT', `not asked in time: ${who} does not answer (is it stopped?)`, answer.kind)
    default:
      return unreachable(answer)
  }
}

function saidOfEnd(verb: Verb, end: JobEnd, isBefore: boolean): Said {
  const { state, checkpoint, committedThrough, reason } = end
  const facts = { state, checkpoint, committedThrough, ...(reason === undefined ? {} : { reason }) }
  const text = endText(end, isBefore)
  const outcome = isBefore ? 'had-ended' : 'ended'
  // A job that has ended with its input is past every stop; one that nobody runs needs no other ending, but for what a drain puts out.
  const isMeant = state === MEANT[verb] || state === 'FINISHED' || verb === 'cancel' || (verb === 'stop' && isBefore)
  if (isMeant && verb !== 'checkpoint' && state !== 'FAILED') {
    return { exitCode: 0, outcome, text: verb === 'drain' && !isBefore ? drained(text) : text, facts }
  }
  const missed = verb === 'checkpoint' ? 'no checkpoint was taken for this' : `it was not ${DONE[verb]}`
  return { ...failed('SLUICE_CONTROL_ENDED', `${text}; ${missed}`, outcome), exitCode: isBefore ? 2 : 1, facts }
}

function failed(code: string, text: string, outcome: string): Said {
  return { exitCode: 1, outcome, text, code, facts: { reason: text } }
}

function drained(text: string): string {
  return text.replace(/^finished/, 'drained and finished')
}

function endText({ state, checkpoint, committedThrough, reason }: JobEnd, isBefore: boolean): string {
  const had = isBefore ? 'had ' : ''
  const last = checkpoint === null ? 'before its first checkpoint' : `with checkpoint ${checkpoint}`
  const isAll = checkpoint === null || committedThrough >= checkpoint
  const due = isAll ? '' : `; commits behind checkpoint ${committedThrough} are due, and the next run delivers them`
  const commits = checkpoint === null ? '' : isAll ? ', all of it committed' : due
  switch (state) {
    case 'STOPPED':
      return `${had}stopped ${last}${commits}; run again to go on`
    case 'FINISHED':
      return `${had}finished ${last}${commits}`
    case 'CANCELED': {
      const from = checkpoint === null ? 'run again to begin anew' : `run again to go on from checkpoint ${checkpoint}`
      return `${isBefore ? 'had been ' : ''}canceled without a last checkpoint; ${from}${due}`
    }
    case 'FAILED':
      return `${isBefore ? 'had ' : ''}FAILED: ${reason ?? 'no reason was given'}`
    default:
      return unreachable(state)
  }
}

function leftBy({ retained, committedThrough }: LogEntry): string {
  const last = retained.at(-1)
  if (last === undefined) return 'no checkpoint has completed, so the next run begins anew'
  const due = committedThrough < last.checkpoint ? ', delivers what is due of it,' : ''
  return `the log ends with checkpoint ${last.checkpoint}: the next run${due} goes on from there`
}
