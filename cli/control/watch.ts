/**
 * What becomes of a process that runs a job, seen from outside: its log entry by entry, so that no ending is missed, and whether it lives.
 * No clock of another machine is compared: it is silent when no entry has come for so long by our own.
 */
import { RetryableError, type CheckpointStore, type Runtime } from '../../engine/api/index.ts'
import { decodeLogEntry, logKey, type HolderIdentity, type LogEntry } from '../../engine/checkpoint/log-entry.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'

export interface WatchOptions {
  readonly job: string
  readonly store: CheckpointStore
  readonly runtime: Runtime
  /** Of the process that is watched. */
  readonly newest: LogEntry
  readonly isHolderAlive: (holder: HolderIdentity) => Promise<boolean | null>
  /** Where nobody can say whether it lives: silent for so long is an answer. */
  readonly silentMs: number
  readonly signal: AbortSignal
  readonly onEntry?: (entry: LogEntry) => void
}

export type Fate =
  /** The job has ended, and its process said so. */
  | { readonly kind: 'ended'; readonly entry: LogEntry }
  /** Another process has started the job. */
  | { readonly kind: 'succeeded'; readonly entry: LogEntry }
  | { readonly kind: 'died'; readonly newest: LogEntry }
  | { readonly kind: 'silent'; readonly newest: LogEntry }

/** Two small reads, or one and a connect. */
const LOOK_MS = 250

/** Resolves when the process is no more what it was. @throws the signal's reason; CorruptCheckpointError; what the store throws */
export async function watchHolder(options: WatchOptions): Promise<Fate> {
  const { runtime, silentMs, signal, isHolderAlive } = options
  const { clock, timers } = runtime
  let { newest } = options
  let heardAtMs = clock.monotonicMs()
  if (newest.kind === 'ended') return { kind: 'ended', entry: newest }
  for (;;) {
    signal.throwIfAborted()
    // Asked first: what it wrote before it died is in the log by now.
    const alive = await isHolderAlive(newest.holder)
    const isSilent = alive === null && clock.monotonicMs() - heardAtMs >= silentMs
    let isRead = true
    try {
      const entries = alive === false || isSilent ? entriesUntilNow(options, newest) : entriesBehind(options, newest)
      for await (const entry of entries) {
        const fate = fateOf(entry, newest)
        if (fate !== undefined) return fate
        heardAtMs = clock.monotonicMs()
        newest = entry
        options.onEntry?.(entry)
      }
    } catch (error) {
      // The store does not answer: nothing follows from what it does not say.
      if (!(error instanceof RetryableError)) throw error
      isRead = false
    }
    if (isRead && alive === false) return { kind: 'died', newest }
    if (isRead && isSilent && clock.monotonicMs() - heardAtMs >= silentMs) return { kind: 'silent', newest }
    await timers.sleep(LOOK_MS, signal)
  }
}

function fateOf(entry: LogEntry, before: LogEntry): Fate | undefined {
  if (entry.holder.socket !== before.holder.socket) return { kind: 'succeeded', entry }
  return entry.kind === 'ended' ? { kind: 'ended', entry } : undefined
}

/** One read each. Entries far behind are cleaned away: who was asleep for long may not see the next one. */
async function* entriesBehind({ job, store }: WatchOptions, newest: LogEntry): AsyncIterable<LogEntry> {
  for (let { seq } = newest; ; seq += 1) {
    const key = logKey(job, seq + 1)
    const bytes = await store.get(key)
    if (bytes === undefined) return
    yield decodeLogEntry(key, bytes)
  }
}

/** Before anything is concluded from silence. */
async function* entriesUntilNow(options: WatchOptions, newest: LogEntry): AsyncIterable<LogEntry> {
  let { seq } = newest
  for await (const entry of entriesBehind(options, newest)) {
    seq = entry.seq
    yield entry
  }
  const found = (await JobLog.open(options.store, options.job, options.runtime)).newest
  if (found !== undefined && found.seq > seq) yield found
}
