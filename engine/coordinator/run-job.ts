/**
 * Runs a job in this process from preflight to its ending. The one entrance for the command line and for programs.
 */
import {
  CorruptCheckpointError,
  FencedError,
  parseJobId,
  parseLineageId,
  TerminalError,
  type CheckpointStore,
  type Runtime,
} from '../api/index.ts'
import { decidePreflight, type OperatorFacts } from '../checkpoint/preflight.ts'
import { DEFAULT_RESTART_STRATEGY } from '../checkpoint/restart.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../checkpoint/trigger.ts'
import type { HolderIdentity, LogEntry } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import { buildJob, MAX_PARALLELISM, type BuiltJob, type JobDefinition } from '../graph/define-job.ts'
import { longestName } from '../task/external-name.ts'
import { committablesByOperator } from './committing.ts'
import { Entries } from './entries.ts'
import { loadManifest } from './generation.ts'
import { JobLog } from './job-log.ts'
import { probeStore } from './probe.ts'
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
  readonly restore?: 'latest' | 'none' | number
  readonly acceptDuplicates?: boolean
  readonly acceptLoss?: number | null
  readonly drop?: readonly string[]
  readonly takeOver?: boolean
  /** Graceful stop: one last checkpoint, all of it committed. */
  readonly stopSignal: AbortSignal
  onEvent?(event: RunEvent): void
}

export type RunEvent =
  | { readonly kind: 'settings'; readonly reused: Readonly<Record<string, string>> }
  | { readonly kind: 'running'; readonly generation: number; readonly restored: number | null }
  | { readonly kind: 'completed'; readonly checkpoint: number; readonly manifest: Manifest }
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
  const job = definition.id
  const log = await JobLog.open(store, job, runtime)
  const reused = log.newest?.settings ?? {}
  const built = buildJob(definition, options.settings, reused)
  reportReused(options, built.settings, reused)
  await validateConnectors(options, built)
  const refusal = await preflight(options, built, log)
  if (refusal === 'already-finished') return { state: 'ALREADY_FINISHED' }
  await probeStore(store, job, runtime)
  const entries = new Entries(entryFacts(options, built, log.newest), runtime)
  const { retained, ...policy } = definition.checkpoint ?? {}
  const end = await runSession({
    job,
    graph: built.graph,
    store,
    runtime,
    log,
    entries,
    policy: { ...DEFAULT_CHECKPOINT_POLICY, ...policy },
    retain: retained ?? DEFAULT_RETAINED,
    restart: definition.restart ?? DEFAULT_RESTART_STRATEGY,
    maxParallelism: MAX_PARALLELISM,
    baseDirectory: options.baseDirectory,
    dropped: options.drop ?? [],
    stopSignal: options.stopSignal,
    onCompleted: (manifest) => options.onEvent?.({ kind: 'completed', checkpoint: manifest.checkpoint, manifest }),
    onRunning: (generation, restored) => options.onEvent?.({ kind: 'running', generation, restored }),
    onRestart: (failure, delayMs, restarts) => options.onEvent?.({ kind: 'restarting', restarts, delayMs, failure }),
  })
  await log.append((seq, newest) => {
    if (newest === undefined) throw new TerminalError('the log is empty at the end of a run')
    return entries.ended(seq, newest, end.state, end.state === 'FAILED' ? end.reason : undefined)
  })
  return end
}

function reportReused(
  options: RunOptions,
  read: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>>,
): void {
  const isReused = ([name, text]: readonly [string, string]): boolean =>
    options.settings[name] === undefined && before[name] === text
  const reused = Object.entries(read).filter(isReused)
  if (reused.length > 0) options.onEvent?.({ kind: 'settings', reused: Object.fromEntries(reused) })
}

async function validateConnectors(options: RunOptions, built: BuiltJob): Promise<void> {
  const { runtime, baseDirectory, definition, stopSignal } = options
  const job = parseJobId(definition.id)
  const checkpoint = { ...DEFAULT_CHECKPOINT_POLICY, ...definition.checkpoint }
  for (const node of built.graph.nodes) {
    const context = {
      job,
      operator: node.id,
      parallelism: 1,
      baseDirectory,
      logger: runtime.logger,
      signal: stopSignal,
    }
    if (node.kind === 'source') await node.source.validate(context)
    if (node.kind === 'sink')
      await node.sink.validate({ ...context, checkpoint, longestName: longestName(job, node.id) })
  }
}

async function preflight(options: RunOptions, built: BuiltJob, log: JobLog): Promise<'start' | 'already-finished'> {
  const { newest } = log
  const restore = options.restore ?? 'latest'
  const decision = decidePreflight({
    job: options.definition.id,
    newest,
    holderAlive: newest === undefined || newest.kind === 'ended' ? false : await isAlive(options, newest, log),
    takeOver: options.takeOver ?? false,
    planHash: built.planHash,
    settings: built.settings,
    operators: built.graph.nodes.map(operatorFacts),
    manifest: await manifestToRestore(options, newest, restore),
    dueSinks: await dueSinks(options.store, newest),
    maxParallelism: MAX_PARALLELISM,
    restore,
    acceptDuplicates: options.acceptDuplicates ?? false,
    acceptLoss: options.acceptLoss ?? null,
    drop: options.drop ?? [],
  })
  if (decision.kind !== 'refuse') return decision.kind
  throw decision.exitCode === 3 ? new FencedError(decision.reason) : new TerminalError(decision.reason)
}

/** Sinks with commits that are completed and not known to be committed. */
async function dueSinks(store: CheckpointStore, newest: LogEntry | undefined): Promise<readonly string[]> {
  const due = newest?.retained.filter((one) => one.checkpoint > newest.committedThrough) ?? []
  const manifests = await Promise.all(due.map((one) => loadManifest(store, one)))
  return manifests.flatMap(({ manifest }) => [...committablesByOperator(manifest).keys()])
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
  const { manifest } = await loadManifest(options.store, chosen)
  for (const blob of manifest.operators.flatMap((one) => one.state?.blobs ?? [])) {
    const bytes = await options.store.get(blob.key)
    if (bytes?.byteLength === blob.sizeBytes) continue
    throw new CorruptCheckpointError(
      `checkpoint ${manifest.checkpoint} refers to ${blob.key}, which ` +
        `${bytes === undefined ? 'is missing' : `has ${bytes.byteLength} bytes instead of ${blob.sizeBytes}`}; ` +
        'bring it back from a backup, or restore an older checkpoint with --restore <checkpoint> --accept-duplicates',
    )
  }
  return manifest
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

function operatorFacts(node: BuiltJob['graph']['nodes'][number]): OperatorFacts {
  const base = { operator: node.id, kind: node.kind }
  if (node.kind === 'sink') return { ...base, scope: Buffer.from(node.sink.scope(1)).toString('base64') }
  if (node.kind !== 'process') return base
  return { ...base, state: Object.fromEntries(Object.entries(node.state).map(([name, { kind }]) => [name, kind])) }
}

function entryFacts(
  options: RunOptions,
  built: BuiltJob,
  newest: LogEntry | undefined,
): ConstructorParameters<typeof Entries>[0] {
  const restore = options.restore ?? 'latest'
  const isRollback = newest !== undefined && restore !== 'latest' && restore !== newest.retained.at(-1)?.checkpoint
  const lineage =
    newest === undefined || isRollback
      ? parseLineageId(options.runtime.random.token(12))
      : parseLineageId(newest.lineage)
  const scopes = built.graph.nodes.flatMap((node) =>
    node.kind === 'sink' ? [{ operator: node.id, scope: node.sink.scope(1) }] : [],
  )
  return {
    job: options.definition.id,
    lineage,
    holder: options.holder,
    settings: built.settings,
    codeIdentity: options.codeIdentity,
    planHash: built.planHash,
    parallelism: 1,
    scopes,
    acceptLoss: options.acceptLoss ?? null,
    rollbackTo: isRollback ? restore : undefined,
  }
}
