/**
 * One process's hold on a job: preflight, start, recovery, attempts and restarts, ending. Each attempt is a generation of its own.
 *
 *   preflight ─▶ started ─▶ commit due ─▶ committed ─▶ abort stale ─▶ [attempt ─▶ restart: started …] ─▶ ended
 */
import {
  CorruptCheckpointError,
  FencedError,
  InDoubtError,
  InvariantViolation,
  messageOf,
  TaskFailure,
  TerminalError,
  unreachable,
  type CheckpointStore,
  type Runtime,
} from '../api/index.ts'
import { decideRestart, type RestartStrategy } from '../checkpoint/restart.ts'
import { runGeneration, type GenerationOptions } from './generation.ts'

export type SessionEnd =
  | { readonly state: 'FINISHED' | 'STOPPED' }
  | { readonly state: 'FAILED'; readonly reason: string; readonly cause: unknown }

/** Bounds what the failure-rate strategy looks back on (C8). */
const FAILURES_REMEMBERED = 1_000

export interface SessionOptions extends Omit<GenerationOptions, 'restarts'> {
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly restart: RestartStrategy
  onRestart(failure: unknown, delayMs: number, restarts: number): void
}

/**
 * Runs generations until the job ends. The first one has been allowed by the preflight.
 * @throws FencedError, InDoubtError, InvariantViolation: the process must exit and appends nothing more
 */
export async function runSession(options: SessionOptions): Promise<SessionEnd> {
  const { runtime } = options
  const failuresAtMs: number[] = []
  let inARow = 0
  for (let restarts = 0; ; restarts += 1) {
    const startedAtMs = runtime.clock.monotonicMs()
    const wasStopping = options.stopSignal.aborted
    const result = await attemptOnce({ ...options, restarts })
    if (result.kind === 'ended') return result.end
    failuresAtMs.push(runtime.clock.monotonicMs())
    if (failuresAtMs.length > FAILURES_REMEMBERED) failuresAtMs.shift()
    options.entries.failed(options.log.newest?.generation ?? 0, messageOf(result.failure))
    const nowMs = runtime.clock.monotonicMs()
    inARow = nowMs - startedAtMs >= resetMsOf(options.restart) ? 1 : inARow + 1
    const decision = decideRestart(options.restart, {
      failuresAtMs,
      nowMs,
      inARow,
      random: runtime.random.next(),
    })
    switch (decision.kind) {
      case 'give-up':
        return { state: 'FAILED', reason: `${messageOf(result.failure)} (${decision.reason})`, cause: result.failure }
      case 'restart':
        if (wasStopping) return { state: 'FAILED', reason: messageOf(result.failure), cause: result.failure }
        options.onRestart(result.failure, decision.delayMs, restarts + 1)
        // Stopped meanwhile: one more attempt at once, since STOPPED says that all that had completed is delivered (F25).
        await runtime.timers.sleep(decision.delayMs, options.stopSignal).catch(() => undefined)
        break
      default:
        unreachable(decision)
    }
  }
}

function resetMsOf(strategy: RestartStrategy): number {
  return strategy.kind === 'exponential-delay' ? strategy.resetMs : Number.POSITIVE_INFINITY
}

type Once =
  | { readonly kind: 'ended'; readonly end: SessionEnd }
  | { readonly kind: 'failed'; readonly failure: unknown }

async function attemptOnce(options: GenerationOptions): Promise<Once> {
  try {
    const end = await runGeneration(options)
    return { kind: 'ended', end: { state: end === 'finished' ? 'FINISHED' : 'STOPPED' } }
  } catch (error) {
    if (error instanceof FencedError || error instanceof InDoubtError || error instanceof InvariantViolation)
      throw error
    if (error instanceof TaskFailure) return { kind: 'failed', failure: error }
    // What is damaged in the store is damaged the next time too.
    if (error instanceof TerminalError || error instanceof CorruptCheckpointError)
      return { kind: 'ended', end: failed(error) }
    return { kind: 'failed', failure: error }
  }
}

function failed(error: Error): SessionEnd {
  return { state: 'FAILED', reason: error.message, cause: error }
}
