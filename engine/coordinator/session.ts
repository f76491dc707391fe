/**
 * One process's hold on a job: generations, one after another, until the job ends. Each is a start of its own.
 *
 *   started ─▶ recover ─▶ attempt ─┬▶ restart: alive, pause, started … ─▶ …
 *                                  └▶ ended
 */
import {
  CorruptCheckpointError,
  FencedError,
  InDoubtError,
  InvariantViolation,
  messageOf,
  TerminalError,
  unreachable,
} from '../api/index.ts'
import { decideRestart, NO_FAILURES, rememberFailure, type RestartStrategy } from '../checkpoint/restart.ts'
import type { AttemptEnd } from './attempt.ts'
import { whenAborted } from './deadline.ts'
import { runGeneration } from './generation.ts'
import type { GenerationOptions } from './generation-scope.ts'
import { Pulse } from './pulse.ts'

/** How a run ended: `reason` is for people, `cause` what was thrown. */
export type SessionEnd =
  | { readonly state: 'FINISHED' | 'STOPPED' | 'CANCELED' }
  | { readonly state: 'FAILED'; readonly reason: string; readonly cause: unknown }

export interface SessionOptions extends Omit<GenerationOptions, 'restarts' | 'pulse' | 'preflightSeq' | 'onChecked'> {
  readonly restart: RestartStrategy
  onRestart(failure: unknown, delayMs: number, restarts: number): void
}

/**
 * Runs generations until the job ends. The first one has been allowed by the preflight.
 * @throws FencedError, InDoubtError, InvariantViolation: the process must exit and appends nothing more
 */
export async function runSession(options: SessionOptions): Promise<SessionEnd> {
  const { runtime, entries, log } = options
  await using pulse = new Pulse(log, entries, runtime)
  using _stopping = whenAborted(options.stopSignal, () => entries.enter('stopping'))
  using _draining = whenAborted(options.drainSignal, () => entries.enter('stopping'))
  let history = NO_FAILURES
  let preflightSeq: number | undefined = log.newest?.seq ?? 0
  const onChecked = (): void => {
    preflightSeq = undefined
  }
  for (let restarts = 0; ; restarts += 1) {
    const startedAtMs = runtime.clock.monotonicMs()
    const result = await attemptOnce({ ...options, restarts, pulse, preflightSeq, onChecked })
    if (result.kind === 'ended') return result.end
    const { failure } = result
    const lastWords = [options.stopSignal, options.drainSignal].filter((signal) => !signal.aborted)
    const nowMs = runtime.clock.monotonicMs()
    history = rememberFailure(options.restart, history, { startedAtMs, nowMs })
    entries.failed(log.newest?.generation ?? 0, messageOf(failure))
    const decision = decideRestart(options.restart, { history, nowMs, random: runtime.random.next() })
    switch (decision.kind) {
      case 'give-up':
        return { state: 'FAILED', reason: `${messageOf(failure)} (${decision.reason})`, cause: failure }
      case 'restart':
        options.onRestart(failure, decision.delayMs, restarts + 1)
        entries.enter('restarting')
        // The failure is in the log while it is waited, not only after.
        await pulse.now()
        await pause(options, decision.delayMs, lastWords)
        if (options.cancelSignal.aborted) return { state: 'CANCELED' }
        break
      default:
        unreachable(decision)
    }
  }
}

/**
 * A stop or drain that comes behind the failure cuts it short: the last checkpoint needs an attempt. One that was there before does not, or
 * failures would follow each other without a pause.
 */
async function pause(
  { runtime, cancelSignal }: SessionOptions,
  delayMs: number,
  lastWords: readonly AbortSignal[],
): Promise<void> {
  await runtime.timers.sleep(delayMs, AbortSignal.any([cancelSignal, ...lastWords])).catch(() => undefined)
}

type Once =
  | { readonly kind: 'ended'; readonly end: SessionEnd }
  | { readonly kind: 'failed'; readonly failure: unknown }

const END_STATES = { finished: 'FINISHED', stopped: 'STOPPED', canceled: 'CANCELED' } as const satisfies Record<
  AttemptEnd,
  string
>

async function attemptOnce(options: GenerationOptions): Promise<Once> {
  try {
    return { kind: 'ended', end: { state: END_STATES[await runGeneration(options)] } }
  } catch (error) {
    if (error instanceof FencedError || error instanceof InDoubtError || error instanceof InvariantViolation)
      throw error
    // Trying again reads the same bytes; nothing older is used on our own.
    if (error instanceof TerminalError || error instanceof CorruptCheckpointError)
      return { kind: 'ended', end: { state: 'FAILED', reason: error.message, cause: error } }
    return { kind: 'failed', failure: error }
  }
}
