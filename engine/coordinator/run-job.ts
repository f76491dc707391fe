/**
 * Runs a job in this process from preflight to its ending. The one entrance for the command line and for programs.
 */
import {
  CorruptCheckpointError,
  FencedError,
  parseJobId,
  parseLineageId,
  TerminalError,
  type CheckpointBounds,
  type CheckpointStore,
  type Runtime,
} from '../api/index.ts'
import {
  decidePreflight,
  type OperatorFacts,
  type PreflightDecision,
  type PreflightFacts,
} from '../checkpoint/preflight.ts'
import { isDeliveryOnly } from '../checkpoint/recovery.ts'
import { DEFAULT_RESTART_STRATEGY } from '../checkpoint/restart.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../checkpoint/trigger.ts'
import type { HolderIdentity, LogEntry } from '../checkpoint/log-entry.ts'
import { blobsOf, type Manifest } from '../checkpoint/manifest.ts'
import type { SinkNode } from '../graph/job-graph.ts'
import { buildJob, MAX_PARALLELISM, type BuiltJob, type JobDefinition } from '../graph/define-job.ts'
import type { CheckpointTimes } from './attempt.ts'
import { getBlob } from './blobs.ts'
import { CheckpointRequests } from './checkpoint-requests.ts'
import { longestName } from '../task/external-name.ts'
import type { TaskHost } from '../task/host.ts'
import { LocalHost } from '../task/local-host.ts'
import { committablesByOperator } from './committing.ts'
import { Entries } from './entries.ts'
import { JobLog } from './job-log.ts'
import { probeStore } from './probe.ts'
import { loadManifest } from './recovery.ts'
import { runSession, type SessionEnd } from './session.ts'

export interface RunOptions {
  readonly definition: JobDefinition
  /** Given with `--set`; the last run's are reused for those not given. */
  readonly settings: Readonly<Record<string, string>>
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly baseDirectory: string
  readonly codeIdentity: string
  readonly holder: HolderIdentity
  isHolderAlive(holder: HolderIdentity): Promise<boolean | null>
  /** Subtasks of each operator that names no number of its own; default what the job says, or 1. */
  readonly parallelism?: number
  /** Where the tasks run; default in this process. Disposed of at the end of the run. */
  createHost?(built: BuiltJob): TaskHost
  readonly restore?: 'latest' | 'none' | number
  readonly acceptDuplicates?: boolean
  readonly acceptLoss?: number | null
  readonly drop?: readonly string[]
  readonly takeOver?: boolean
  /** Graceful stop: one last checkpoint, all of it committed; the run ends STOPPED. */
  readonly stopSignal: AbortSignal
  /** All sources end where they are, closing output is put out, the last checkpoint is final; the run ends FINISHED. Not behind a stop. */
  readonly drainSignal?: AbortSignal
  /** No last checkpoint; the run ends CANCELED. Commits that cannot be made within seconds stay due: the next run delivers them. */
  readonly cancelSignal?: AbortSignal
  /** For checkpoints asked for by hand. */
  readonly requests?: CheckpointRequests
  onEvent?(event: RunEvent): void
  /** Called once, before anything is written: the log as this run sees it, from now on. */
  onLog?(log: { readonly newest: LogEntry | undefined }): void
}

export type RunEvent =
  /** Against the last run: what is used again, and what it said for those that are given otherwise now. */
  | {
      readonly kind: 'settings'
      readonly reused: Readonly<Record<string, string>>
      readonly changed: Readonly<Record<string, { readonly before: string; readonly now: string }>>
    }
  | { readonly kind: 'running'; readonly generation: number; readonly restored: number | null }
  | ({ readonly kind: 'completed'; readonly checkpoint: number; readonly manifest: Manifest } & CheckpointTimes)
  | { readonly kind: 'restarting'; readonly restarts: number; readonly delayMs: number; readonly failure: unknown }

export type RunEnd = SessionEnd | { readonly state: 'ALREADY_FINISHED' }

/** How long a starter watches the log of a holder it cannot ask. */
const WATCH_MS = 5_000
const WATCH_PAUSE_MS = 250
const DEFAULT_RETAINED = 3

/**
 * @throws TerminalError the job is refused (nothing was written, nobody was fenced); FencedError another run holds the job;
 *   CorruptCheckpointError; InDoubtError
 */
export async function runJob(options: RunOptions): Promise<RunEnd> {
  const { definition, store, runtime } = options
  // Before anything is looked up under it: it is a part of every key.
  const job = parseJobId(definition.id)
  const log = await JobLog.open(store, job, runtime)
  options.onLog?.(log)
  const reused = log.newest?.settings ?? {}
  const built = buildJob(definition, options.settings, reused)
  reportSettings(options, built.settings, reused)
  if ((await preflight(options, built, log)) === 'already-finished') return { state: 'ALREADY_FINISHED' }
  const { retained = DEFAULT_RETAINED, ...given } = definition.checkpoint ?? {}
  const policy = { ...DEFAULT_CHECKPOINT_POLICY, ...given }
  await validateConnectors(options, built, { newest: log.newest, checkpoint: policy })
  await probeStore(store, job, runtime)
  const entries = new Entries(entryFacts(options, built, log.newest), runtime)
  const requests = options.requests ?? new CheckpointRequests()
  using _closed = { [Symbol.dispose]: () => requests.close('the run is over') }
  await using host = options.createHost?.(built) ?? new LocalHost(built.graph, runtime)
  const end = await runSession({
    job,
    graph: built.graph,
    store,
    runtime,
    log,
    entries,
    policy,
    retain: retained,
    restart: definition.restart ?? DEFAULT_RESTART_STRATEGY,
    parallelism: parallelismOf(options),
    maxParallelism: MAX_PARALLELISM,
    host,
    baseDirectory: options.baseDirectory,
    dropped: options.drop ?? [],
    stopSignal: options.stopSignal,
    drainSignal: options.drainSignal ?? new AbortController().signal,
    cancelSignal: options.cancelSignal ?? new AbortController().signal,
    requests,
    recheck: (started) => recheck(options, built, started),
    onCompleted: (manifest, times) =>
      options.onEvent?.({ kind: 'completed', checkpoint: manifest.checkpoint, manifest, ...times }),
    onRunning: (generation, restored) => options.onEvent?.({ kind: 'running', generation, restored }),
    onRestart: (failure, delayMs, restarts) => options.onEvent?.({ kind: 'restarting', restarts, delayMs, failure }),
  })
  await log.append((seq, newest) => {
    if (newest === undefined) throw new TerminalError('the log is empty at the end of a run')
    return entries.ended(seq, newest, end.state, end.state === 'FAILED' ? end.reason : undefined)
  })
  return end
}

function reportSettings(
  options: RunOptions,
  read: Readonly<Record<string, string>>,
  last: Readonly<Record<string, string>>,
): void {
  const known = Object.entries(read).flatMap(([name, now]) => {
    const before = Object.hasOwn(last, name) ? last[name] : undefined
    return before === undefined ? [] : [{ name, before, now, isGiven: Object.hasOwn(options.settings, name) }]
  })
  const reused = Object.fromEntries(known.filter((one) => !one.isGiven).map(({ name, now }) => [name, now]))
  const differing = known.filter(({ before, now }) => before !== now)
  const changed = Object.fromEntries(differing.map(({ name, before, now }) => [name, { before, now }]))
  if (Object.keys(reused).length + differing.length > 0) options.onEvent?.({ kind: 'settings', reused, changed })
}

/** Nothing is read any more once the input has ended: a source that is gone does not hold up what is only to be delivered. */
async function validateConnectors(
  options: RunOptions,
  built: BuiltJob,
  { newest, checkpoint }: { readonly newest: LogEntry | undefined; readonly checkpoint: CheckpointBounds },
): Promise<void> {
  const { runtime, baseDirectory, definition, stopSignal } = options
  const isDelivery = newest !== undefined && isDeliveryOnly(newest, options.restore ?? 'latest')
  const job = parseJobId(definition.id)
  for (const node of built.graph.nodes) {
    if (node.kind !== 'source' && node.kind !== 'sink') continue
    const context = {
      job,
      operator: node.id,
      parallelism: node.parallelism ?? parallelismOf(options),
      baseDirectory,
      logger: runtime.logger,
      signal: stopSignal,
    }
    if (node.kind === 'source' && !isDelivery) await node.source.validate(context)
    if (node.kind === 'sink')
      await node.sink.validate({ ...context, checkpoint, longestName: longestName(job, node.id) })
  }
}

async function preflight(options: RunOptions, built: BuiltJob, log: JobLog): Promise<'start' | 'already-finished'> {
  return log.readNewest(async (newest) => {
    const holderAlive = newest === undefined || newest.kind === 'ended' ? false : await isAlive(options, newest, log)
    const decision = await askPreflight(options, built, { newest, holderAlive })
    if (decision.kind !== 'refuse') return decision.kind
    throw decision.exitCode === 3 ? new FencedError(decision.reason) : new TerminalError(decision.reason)
  })
}

/** The preflight's questions again, of what our `started` entry carries. */
async function recheck(options: RunOptions, built: BuiltJob, started: LogEntry): Promise<void> {
  const decision = await askPreflight(options, built, { newest: started, holderAlive: false })
  if (decision.kind === 'refuse') throw new TerminalError(decision.reason)
}

async function askPreflight(
  options: RunOptions,
  built: BuiltJob,
  { newest, holderAlive }: Pick<PreflightFacts, 'newest' | 'holderAlive'>,
): Promise<PreflightDecision> {
  const restore = options.restore ?? 'latest'
  // A job that runs retires what its entries name: nothing of a holder that stays is read.
  const isHeld = holderAlive === true && options.takeOver !== true
  const mine = isHeld ? undefined : newest
  return decidePreflight({
    job: options.definition.id,
    newest,
    holderAlive,
    takeOver: options.takeOver ?? false,
    planHash: built.planHash,
    settings: built.settings,
    operators: built.graph.nodes.map((node) => operatorFacts(node, parallelismOf(options))),
    dueSinks: await dueSinks(options, mine),
    manifest: await manifestToRestore(options, mine, restore),
    maxParallelism: MAX_PARALLELISM,
    restore,
    acceptDuplicates: options.acceptDuplicates ?? false,
    acceptLoss: options.acceptLoss ?? null,
    drop: options.drop ?? [],
  })
}

/** Sinks with commits that are completed and not known to be committed. @throws CorruptCheckpointError */
async function dueSinks(options: RunOptions, newest: LogEntry | undefined): Promise<readonly string[]> {
  const due = newest?.retained.filter(
    ({ checkpoint }) => checkpoint > newest.committedThrough && checkpoint !== options.acceptLoss,
  )
  const sinks: string[] = []
  for (const one of due ?? []) {
    try {
      sinks.push(...committablesByOperator((await loadManifest(options.store, one)).manifest).keys())
    } catch (error) {
      if (!(error instanceof CorruptCheckpointError)) throw error
      throw new CorruptCheckpointError(
        `checkpoint ${one.checkpoint} is completed, but its commits cannot be read: ${error.message}; ` +
          `with --accept-loss ${one.checkpoint} too, if records of it may be missing for ever`,
        { cause: error },
      )
    }
  }
  return sinks
}

async function manifestToRestore(
  options: RunOptions,
  newest: LogEntry | undefined,
  restore: 'latest' | 'none' | number,
): Promise<Manifest | undefined> {
  if (newest === undefined || restore === 'none') return undefined
  const chosen =
    restore === 'latest' ? newest.retained.at(-1) : newest.retained.find((one) => one.checkpoint === restore)
  if (chosen === undefined) return undefined
  try {
    const { manifest } = await loadManifest(options.store, chosen)
    // No task will read it.
    if (isDeliveryOnly(newest, restore)) return manifest
    for (const blob of manifest.operators.flatMap(blobsOf)) await getBlob(options.store, blob)
    return manifest
  } catch (error) {
    if (!(error instanceof CorruptCheckpointError)) throw error
    throw new CorruptCheckpointError(`checkpoint ${chosen.checkpoint} cannot be restored: ${error.message}`, {
      cause: error,
    })
  }
}

/** Asks the holder's socket where that can be known; else watches for a new entry. */
async function isAlive(options: RunOptions, newest: LogEntry, log: JobLog): Promise<boolean | null> {
  const answer = await options.isHolderAlive(newest.holder)
  if (answer !== null || options.takeOver === true) return answer
  const untilMs = options.runtime.clock.monotonicMs() + WATCH_MS
  while (options.runtime.clock.monotonicMs() < untilMs) {
    await options.runtime.timers.sleep(WATCH_PAUSE_MS)
    const now = await log.refresh()
    if (now?.seq !== newest.seq) return true
  }
  return false
}

function parallelismOf({ parallelism, definition }: RunOptions): number {
  return parallelism ?? definition.parallelism ?? 1
}

function operatorFacts(node: BuiltJob['graph']['nodes'][number], parallelism: number): OperatorFacts {
  const base = { operator: node.id, kind: node.kind }
  if (node.kind === 'sink') {
    const scopes = Array.from({ length: MAX_PARALLELISM }, (_, index) => scopeOf(node, index + 1))
    return { ...base, scope: scopeOf(node, node.parallelism ?? parallelism), formerScopes: [...new Set(scopes)] }
  }
  if (node.kind !== 'process' && node.kind !== 'connect') return base
  return { ...base, state: kindsOf(node.state), operatorState: kindsOf(node.operatorState) }
}

function kindsOf(descriptors: Readonly<Record<string, { readonly kind: string }>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(descriptors).map(([name, { kind }]) => [name, kind]))
}

function scopeOf({ sink }: SinkNode, parallelism: number): string {
  return Buffer.from(sink.scope(parallelism)).toString('base64')
}

function entryFacts(
  options: RunOptions,
  built: BuiltJob,
  newest: LogEntry | undefined,
): ConstructorParameters<typeof Entries>[0] {
  const restore = options.restore ?? 'latest'
  const parallelism = parallelismOf(options)
  const isRollback = newest !== undefined && restore !== 'latest' && restore !== newest.retained.at(-1)?.checkpoint
  const scopes = built.graph.nodes.flatMap((node) =>
    node.kind === 'sink' ? [{ operator: node.id, scope: node.sink.scope(node.parallelism ?? parallelism) }] : [],
  )
  return {
    job: options.definition.id,
    newLineage: parseLineageId(options.runtime.random.token(12)),
    holder: options.holder,
    settings: built.settings,
    codeIdentity: options.codeIdentity,
    planHash: built.planHash,
    parallelism,
    scopes,
    acceptLoss: options.acceptLoss ?? null,
    rollbackTo: isRollback ? restore : undefined,
  }
}
