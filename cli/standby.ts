/**
 * `sluice run --standby`: waits while another process runs the job, and leads when that one is gone. Whether it is gone the ordinary start
 * decides, which asks once more and fences; of several that stand by one wins, and the others go on standing by.
 */
import { FencedError, TerminalError, type CheckpointStore, type Runtime } from '../engine/api/index.ts'
import type { HolderIdentity, LogEntry } from '../engine/checkpoint/log-entry.ts'
import { JobLog } from '../engine/coordinator/job-log.ts'
import type { RunEnd } from '../engine/coordinator/run-job.ts'
import { watchHolder } from './control/watch.ts'
import type { RunFlags } from './run.ts'

export interface StandbyOptions {
  readonly job: string
  readonly store: CheckpointStore
  readonly runtime: Runtime
  /** Ends the waiting. */
  readonly signal: AbortSignal
  readonly isHolderAlive: (holder: HolderIdentity) => Promise<boolean | null>
  readonly onLeader: (newest: LogEntry) => void
  /** An ordinary run. */
  lead(): Promise<RunEnd>
  /** It has come so far that the job is its own. */
  hasLed(): boolean
}

/** Of a leader whose life cannot be seen: then the start watches on by itself before it believes that it is dead. */
const SUSPECT_MS = 3_000

/** What became of the job: by us, or by the last leader. @throws what a run throws; the signal's reason */
export async function standBy(options: StandbyOptions): Promise<RunEnd> {
  for (let hasTried = false; ; hasTried = true) {
    const end = await leaderEnd(options, hasTried)
    if (end !== undefined) return end
    options.signal.throwIfAborted()
    try {
      return await options.lead()
    } catch (error) {
      // Another one was first. Whoever has led and is fenced has been replaced on purpose.
      if (!(error instanceof FencedError) || options.hasLed()) throw error
    }
  }
}

/** Decisions of people are about the job as they saw it, not as it will be. @throws TerminalError */
export function checkStandby(flags: RunFlags): void {
  const other = decisionIn(flags)
  if (other === undefined) return
  throw new TerminalError(
    `--standby together with ${other}: who stands by takes the job over as it is then; run it once with ${other}, without --standby`,
    { code: 'SLUICE_USAGE' },
  )
}

function decisionIn({ restore, takeOver, acceptLoss, drop = [] }: RunFlags): string | undefined {
  if (takeOver === true) return '--take-over'
  if (acceptLoss !== undefined) return '--accept-loss'
  // Each takeover would give the state up anew.
  if (drop.length > 0) return '--drop'
  return restoreFlag(restore)
}

function restoreFlag(restore: string): string | undefined {
  return restore === 'latest' ? undefined : `--restore ${restore}`
}

/** Undefined: nobody leads. An ending of long ago is to be started from; one that came while we tried to lead is as if we had watched it. */
async function leaderEnd(options: StandbyOptions, hasTried: boolean): Promise<RunEnd | undefined> {
  const { job, store, runtime, onLeader } = options
  let { newest } = await JobLog.open(store, job, runtime)
  if (newest === undefined) return undefined
  if (newest.kind === 'ended') return hasTried ? endIn(newest) : undefined
  for (;;) {
    // Nobody to wait for: nothing is said of one that has been dead for long.
    if ((await options.isHolderAlive(newest.holder)) !== false) onLeader(newest)
    const fate = await watchHolder({ ...options, newest, silentMs: SUSPECT_MS })
    switch (fate.kind) {
      case 'ended':
        return endIn(fate.entry)
      case 'succeeded':
        newest = fate.entry
        break
      case 'died':
      case 'silent':
      default:
        return undefined
    }
  }
}

function endIn({ end }: LogEntry): RunEnd | undefined {
  if (end === undefined) return undefined
  if (end.state !== 'FAILED') return { state: end.state }
  return { state: end.state, reason: end.reason ?? 'no reason was given', cause: undefined }
}
