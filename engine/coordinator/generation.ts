/**
 * One generation from its `started` entry to its end: recovery in the order that loses nothing, then the attempt, then what a clean end
 * leaves to be done.
 *
 * - C3: a start with a stale view of the log commits, aborts and deletes nothing.
 * - C8: whatever is outside may never answer; nothing here waits for it without a limit but its commits.
 */
import {
  assert,
  FencedError,
  InDoubtError,
  InvariantViolation,
  messageOf,
  TaskFailure,
  TerminalError,
  unreachable,
} from '../api/index.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import { decideAfterStarted } from '../checkpoint/start.ts'
import type { AttemptEnd } from './attempt.ts'
import { Chores } from './chores.ts'
import { createCommitters, DEFAULT_COMMIT_POLICY, type CommitEnvironment } from './committing.ts'
import { whenAborted, within } from './deadline.ts'
import type { GenerationOptions, GenerationScope } from './generation-scope.ts'
import { recover, type Recovered } from './recovery.ts'
import { work } from './work.ts'

/**
 * How long what is left to be cleaned may take at the end. After a stop the next start does it; after the end of the input there is no
 * next start.
 */
const CLEANING_MS = { finished: 60_000, stopped: 10_000, canceled: 5_000 } as const satisfies Record<AttemptEnd, number>
const CLOSE_DEADLINE_MS = 10_000
/** Leftovers of a clean end are asked for this often. */
const OWN_TRIES = 4
const OWN_PAUSE_MS = 250

export async function runGeneration(options: GenerationOptions): Promise<AttemptEnd> {
  const started = await start(options)
  const abort = new AbortController()
  let cancel = (): void => abort.abort(new TaskFailure('the job is canceled'))
  using _cancel = whenAborted(options.cancelSignal, () => cancel())
  options.pulse.listen((error) => abort.abort(error))
  try {
    const sinks = await createCommitters(options, started, abort.signal)
    try {
      return await runRecovered(options, {
        started,
        sinks,
        abort,
        commitEnvironment: commitEnvironment(options, started, abort.signal),
        storeChores: new Chores(options.runtime, abort.signal),
        sinkChores: new Chores(options.runtime, abort.signal),
        cancelWith: (act) => {
          cancel = act
        },
      })
    } finally {
      abort.abort(new TaskFailure('the attempt is over'))
      const closed = Promise.allSettled(sinks.map((sink) => sink.committer[Symbol.asyncDispose]()))
      await within(options.runtime.timers, CLOSE_DEADLINE_MS, closed)
    }
  } catch (error) {
    if (options.cancelSignal.aborted && !isGrave(error)) return 'canceled'
    throw error
  } finally {
    options.pulse.listen(() => undefined)
    options.requests.attemptEnded('the attempt ended before the checkpoint was complete')
  }
}

/** Being canceled does not hide these. */
function isGrave(error: unknown): boolean {
  return (
    error instanceof FencedError ||
    error instanceof InDoubtError ||
    error instanceof InvariantViolation ||
    error instanceof TerminalError
  )
}

async function start(options: GenerationOptions): Promise<LogEntry> {
  const { log, entries, pulse, restarts, job } = options
  const started = await log.append((seq, newest) => entries.started(seq, newest, restarts))
  pulse.start()
  const markExists = await log.hasMarkAfter(started.seq)
  // After a start that was allowed, what is below ours is our own.
  const preflightSeq = options.preflightSeq ?? started.seq - 1
  const decision = decideAfterStarted({ started, markExists, preflightSeq })
  switch (decision.kind) {
    case 'recover':
      break
    case 'recheck':
      await options.recheck(started)
      break
    case 'fenced':
      throw new FencedError(
        `the log of ${job} went on far beyond entry ${started.seq} while this process was away: a newer one lives`,
        { code: 'SLUICE_FENCED' },
      )
    default:
      return unreachable(decision)
  }
  options.onChecked()
  return started
}

async function runRecovered(options: GenerationOptions, scope: GenerationScope): Promise<AttemptEnd> {
  const recovered = await recover({ ...options, ...scope })
  // Canceled meanwhile: what would have been done beside the recovery was not, and after `finished` nobody would do it.
  scope.abort.signal.throwIfAborted()
  if (recovered.isOver) scope.cancelWith(() => undefined)
  const end = recovered.isOver ? 'finished' : await work(options, scope, recovered)
  const { timers, logger } = options.runtime
  const cleaned = await within(timers, CLEANING_MS[end], clean(options, scope, recovered))
  if (cleaned === undefined) logger.warn('not everything was cleaned up in time; what is left hidden stays')
  return end
}

async function clean(options: GenerationOptions, scope: GenerationScope, recovered: Recovered): Promise<void> {
  await Promise.all([scope.storeChores.finish(), scope.sinkChores.finish()])
  await abortOwn(options, recovered)
}

/** Nothing of ours is left to be cleaned by a later start, if the sinks answer; after a cancel, if nothing is due. */
async function abortOwn({ log, runtime, entries }: GenerationOptions, { leftovers }: Recovered): Promise<void> {
  const entry = log.newest
  assert(entry !== undefined, () => 'the log is empty at the end of a generation')
  if (entry.retained.some((one) => one.checkpoint > entry.committedThrough)) return
  for (let attempt = 1; attempt <= OWN_TRIES; attempt += 1) {
    if (await leftovers.abortOwn(entry)) return entries.cleanBelow(entry.generation + 1)
    await runtime.timers.sleep(OWN_PAUSE_MS * attempt)
  }
}

function commitEnvironment(
  { runtime, figures }: GenerationOptions,
  { acceptedLosses }: LogEntry,
  signal: AbortSignal,
): CommitEnvironment {
  return {
    runtime,
    signal,
    policy: DEFAULT_COMMIT_POLICY,
    acceptedLosses: new Set(acceptedLosses),
    onAnswer: (outcomes, requests) => figures.answered(outcomes, requests),
    onRetry: (operator, attempt, cause) =>
      runtime.logger.warn(`commit of sink "${operator}" is asked again (attempt ${attempt})`, {
        cause: messageOf(cause),
      }),
  }
}
