/**
 * Asks the process that runs a job for something and waits for what comes of it: over its socket where that can be reached, else through
 * the store. Meanwhile the log is watched: a job that ends, a process that dies, and another one that takes over are answers, too.
 */
import { TerminalError, type CheckpointStore, type JobId, type Runtime } from '../../engine/api/index.ts'
import type { HolderIdentity, LogEntry } from '../../engine/checkpoint/log-entry.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import type { ControlWay } from './control-way.ts'
import { endOf } from './control.ts'
import type { ControlOutcome, ControlRequest, JobEnd, Verb } from './protocol.ts'
import { askOverSocket } from './socket-request.ts'
import { askThroughStore } from './store-request.ts'
import { watchHolder, type Fate } from './watch.ts'

export interface AskOptions {
  readonly job: JobId
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly verb: Verb
  readonly isHolderAlive: (holder: HolderIdentity) => Promise<boolean | null>
  /** `store`: not over the socket. */
  readonly way: ControlWay
  /** Ends the waiting; what was asked for stays asked for. Default: none. */
  readonly timeoutMs?: number
  /** The process has been asked. */
  readonly onAsked?: (way: ControlWay, newest: LogEntry) => void
  /** A new entry in its log. */
  readonly onEntry?: (entry: LogEntry) => void
}

export type Answer =
  | ControlOutcome
  /** Before anybody was asked. */
  | ({ readonly kind: 'had-ended' } & JobEnd)
  | { readonly kind: 'died'; readonly newest: LogEntry }
  | { readonly kind: 'succeeded'; readonly by: LogEntry }
  | { readonly kind: 'silent'; readonly newest: LogEntry; readonly silentMs: number }
  | { readonly kind: 'timed-out'; readonly isAsked: boolean }

export interface Answered {
  readonly answer: Answer
  /** Of the process that was asked, or would have been. */
  readonly holder: HolderIdentity
  readonly generation: number
}

/** As the preflight of a run watches. */
const LIFE_MS = 5_000
/** A process appends `alive` every 1.5 s: a store that is slow for it is not yet its death. */
const SILENT_MS = 20_000

/** @throws TerminalError nobody was asked: there is no such job, or nothing that could be asked */
export async function askJob(options: AskOptions): Promise<Answered> {
  const { job, store, runtime } = options
  const log = await JobLog.open(store, job, runtime)
  const newest = await runningEntry(options, log)
  const { holder, generation } = newest
  const end = endOf(newest)
  const answer: Answer = end === undefined ? await askHolder(options, newest) : { kind: 'had-ended', ...end }
  return { answer, holder, generation }
}

/** A checkpoint by hand, all of it committed. @throws TerminalError when nothing runs that could be asked */
export function requestCheckpoint(options: Omit<AskOptions, 'verb'>): Promise<Answered> {
  return askJob({ ...options, verb: 'checkpoint' })
}

/** The newest entry, of an ended job or of a process that lives. @throws TerminalError */
async function runningEntry(options: AskOptions, log: JobLog): Promise<LogEntry> {
  const { job, store, runtime, isHolderAlive } = options
  for (let newest = log.newest; ; newest = log.newest) {
    if (newest === undefined) {
      throw new TerminalError(`${store.uri} knows no job "${job}"; name the store of its run with --store`, {
        code: 'SLUICE_JOB_UNKNOWN',
      })
    }
    if (newest.kind === 'ended') return newest
    const alive = await isHolderAlive(newest.holder)
    if (alive === true || (alive === null && (await isHeard(log, newest, runtime)))) return newest
    // It may have ended between the two looks.
    if ((await log.refresh())?.seq !== newest.seq) continue
    throw notRunning(newest)
  }
}

/** A sign of life in the log, before anything is asked of a process that may have been dead for long. */
async function isHeard(log: JobLog, { seq, holder }: LogEntry, { clock, timers }: Runtime): Promise<boolean> {
  const untilMs = clock.monotonicMs() + LIFE_MS
  while (clock.monotonicMs() < untilMs) {
    await timers.sleep(250)
    const now = await log.refresh()
    if (now !== undefined && now.seq !== seq) return now.holder.socket === holder.socket && now.kind !== 'ended'
  }
  return false
}

function notRunning({ job, holder, generation, retained }: LogEntry): TerminalError {
  const last = retained.at(-1)
  const from =
    last === undefined ? 'begins anew, as no checkpoint has completed' : `goes on from checkpoint ${last.checkpoint}`
  return new TerminalError(
    `no process runs job "${job}": process ${holder.pid} on ${holder.host} (generation ${generation}) has gone without ending it. ` +
      `The next run ${from}`,
    { code: 'SLUICE_NOT_RUNNING' },
  )
}

async function askHolder(options: AskOptions, newest: LogEntry): Promise<Answer> {
  const { job, verb, timeoutMs, runtime } = options
  const { holder, generation } = newest
  if (holder.control === undefined) {
    throw new TerminalError(
      `process ${holder.pid} on ${holder.host} runs job "${job}", but cannot be asked for anything: it is of an older release, or a program ` +
        'of its own. Send it SIGTERM for a stop with a last checkpoint',
      { code: 'SLUICE_CONTROL_UNSUPPORTED' },
    )
  }
  const over = new AbortController()
  let isAsked = false
  const onAsked = (way: ControlWay): void => {
    isAsked = true
    options.onAsked?.(way, newest)
  }
  const request: ControlRequest = { job, verb, generation }
  const watched = watchHolder({ ...options, newest, silentMs: SILENT_MS, signal: over.signal }).then(answerOf)
  const late = async (): Promise<Answer> => {
    await runtime.timers.sleep(timeoutMs ?? Number.MAX_SAFE_INTEGER, over.signal)
    return { kind: 'timed-out', isAsked }
  }
  const asked = askSomehow({ ...options, newest, request, signal: over.signal, onAsked, watched })
  const all = [watched, asked, ...(timeoutMs === undefined ? [] : [late()])]
  try {
    return await Promise.race(all)
  } finally {
    over.abort(new Error('it is answered'))
    // What still fails then concerns nobody.
    await Promise.allSettled(all)
  }
}

interface Asking extends Omit<AskOptions, 'onAsked'> {
  readonly newest: LogEntry
  readonly request: ControlRequest
  readonly signal: AbortSignal
  readonly onAsked: (way: ControlWay) => void
  readonly watched: Promise<Answer>
}

async function askSomehow(options: Asking): Promise<Answer> {
  const { way, newest, onAsked, watched } = options
  const path = way === 'store' ? undefined : newest.holder.control?.socket
  const answer =
    path === undefined ? 'unreachable' : await askOverSocket({ ...options, path, onAsked: () => onAsked('socket') })
  switch (answer) {
    case 'unreachable':
      options.signal.throwIfAborted()
      return askThroughStore({ ...options, onAsked: () => onAsked('store') })
    case 'lost':
      // It has gone, and the log or its silence will say how; or it is there still and has cut us off.
      return Promise.race([watched, cutOff(options)])
    default:
      return answer
  }
}

/** Until then the log has said what became of a process that has gone. */
const CUT_OFF_MS = 10_000

async function cutOff({ runtime, signal, newest }: Asking): Promise<Answer> {
  await runtime.timers.sleep(CUT_OFF_MS, signal)
  const { pid, host } = newest.holder
  return {
    kind: 'not-completed',
    reason: `process ${pid} on ${host} has closed the connection; what became of the request is not known`,
  }
}

function answerOf(fate: Fate): Answer {
  switch (fate.kind) {
    case 'ended': {
      const end = endOf(fate.entry)
      return end === undefined ? { kind: 'died', newest: fate.entry } : { kind: 'ended', ...end }
    }
    case 'succeeded':
      return { kind: 'succeeded', by: fate.entry }
    case 'died':
      return fate
    case 'silent':
    default:
      return { ...fate, silentMs: SILENT_MS }
  }
}
