/**
 * Runs a job in this process from preflight to its ending. The one entrance for the command line and for programs.
 */
import {
  assert,
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
  type Refusal,
  type PreflightFacts,
} from '../checkpoint/preflight.ts'
import { isDeliveryOnly } from '../checkpoint/recovery.ts'
import { DEFAULT_RESTART_STRATEGY } from '../checkpoint/restart.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../checkpoint/trigger.ts'
import { jobStateOf } from '../checkpoint/job-state.ts'
import type { HolderIdentity, LogEntry, LogHead } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import { repetitionText, type Repetition } from '../checkpoint/repetition.ts'
import type { Restoring } from '../checkpoint/restore-choice.ts'
import type { SinkNode } from '../graph/job-graph.ts'
import { buildJob, MAX_PARALLELISM, type BuiltJob, type JobDefinition } from '../graph/define-job.ts'
import type { CheckpointTimes } from './attempt.ts'
import { CheckpointRequests } from './checkpoint-requests.ts'
import { longestName } from '../task/external-name.ts'
import type { TaskHost } from '../task/host.ts'
import { LocalHost } from '../task/local-host.ts'
import { committablesByOperator } from './committing.ts'
import { Entries } from './entries.ts'
import { JobLog } from './job-log.ts'
import { probeStore } from './probe.ts'
import { ProgressReporter, type Progress } from './progress.ts'
import { loadManifest } from './recovery.ts'
import { Restoration, type Restore } from './restoration.ts'
import { RunFigures } from './run-figures.ts'
import { runSession, type SessionEnd } from './session.ts'

/** What a run needs, and what it was told. */
export interface RunOptions {
  readonly definition: JobDefinition
  /** Given with `--set`; the last run's are reused for those not given. */
  readonly settings: Readonly<Record<string, string>>
  readonly store: CheckpointStore
  readonly runtime: Runtime
  /** Relative paths of the job begin here. */
  readonly baseDirectory: string
  /** Says which code this is: kept in the log and shown. The same in all processes of one generation. */
  readonly codeIdentity: string
  /** Who appends to the log: others ask whether that one still lives before they take over. */
  readonly holder: HolderIdentity
  /** Does that process still live? Null: it cannot be told from here. */
  isHolderAlive(holder: HolderIdentity): Promise<boolean | null>
  /** Subtasks of each operator that names no number of its own; default what the job says, or 1. */
  readonly parallelism?: number
  /** Where the tasks run; default in this process. Disposed of at the end of the run. */
  createHost?(built: BuiltJob): TaskHost
  /** Default `latest`. A savepoint's settings are used where neither `settings` nor the log say otherwise. */
  readonly restore?: Restore
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
  /** In order, as it happens; must not throw. */
  onEvent?(event: RunEvent): void
  /** How often `progress` is told to `onEvent`; 0: never. Default 1,000. */
  readonly progressEveryMs?: number
  /** Called once, before anything is written: the log as this run sees it, from now on. */
  onLog?(log: { readonly newest: LogHead | undefined }): void
}

/** What a run tells while it goes on. */
export type RunEvent =
  /** Against the last run: what is used again, and what it said for those that are given otherwise now. */
  | {
      readonly kind: 'settings'
      readonly reused: Readonly<Record<string, string>>
      readonly changed: Readonly<Record<string, { readonly before: string; readonly now: string }>>
    }
  /** The run begins from something else than the newest checkpoint. `repeats`: what is done again; undefined: nothing that is known. */
  | { readonly kind: 'restoring'; readonly from: Restoring; readonly repeats: Repetition | undefined }
  | { readonly kind: 'running'; readonly generation: number; readonly restored: number | null }
  | ({ readonly kind: 'completed'; readonly checkpoint: number; readonly manifest: Manifest } & CheckpointTimes)
  | { readonly kind: 'restarting'; readonly restarts: number; readonly delayMs: number; readonly failure: unknown }
  /** Once in a while, and once more at the end, before the run says how it ended. */
  | { readonly kind: 'progress'; readonly progress: Progress }

/** How a run ended, when it was not refused. */
export type RunEnd = SessionEnd | { readonly state: 'ALREADY_FINISHED' }

/** How long a starter watches the log of a holder it cannot ask. */
const WATCH_MS = 5_000
const WATCH_PAUSE_MS = 250
const DEFAULT_RETAINED = 3
const PROGRESS_EVERY_MS = 1_000

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
  const restoration = new Restoration(options.restore ?? 'latest', store)
  const reused = log.newest?.settings ?? restoration.savepoint?.description.run.settings ?? {}
  const built = buildJob(definition, options.settings, reused)
  reportSettings(options, built.settings, reused)
  const asked = { ...options, restoration }
  if ((await preflight(asked, built, log)) === 'already-finished') return { state: 'ALREADY_FINISHED' }
  const { retained = DEFAULT_RETAINED, ...given } = definition.checkpoint ?? {}
  const policy = { ...DEFAULT_CHECKPOINT_POLICY, ...given }
  await validateConnectors(asked, built, { newest: log.newest, checkpoint: policy })
  await probeStore(store, job, runtime)
  const restoring = restoration.restoring(log.newest)
  if (restoring !== undefined) {
    const repeats = await restoration.repetition(log.newest, built.graph)
    options.onEvent?.({ kind: 'restoring', from: restoring, repeats })
  }
  const entries = new Entries(entryFacts(asked, built), runtime)
  const requests = options.requests ?? new CheckpointRequests()
  using _closed = { [Symbol.dispose]: () => requests.close('the run is over') }
  await using host = options.createHost?.(built) ?? new LocalHost(built.graph, runtime)
  const figures = new RunFigures(built.graph, runtime.clock)
  await using _progress = reportProgress(options, { log, entries, figures })
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
    savepoint: restoration.savepoint,
    stopSignal: options.stopSignal,
    drainSignal: options.drainSignal ?? new AbortController().signal,
    cancelSignal: options.cancelSignal ?? new AbortController().signal,
    requests,
    figures,
    recheck: (started) => recheck(asked, built, started),
    onCompleted: (manifest, times) =>
      options.onEvent?.({ kind: 'completed', checkpoint: manifest.checkpoint, manifest, ...times }),
    onRunning: (generation, restored) => options.onEvent?.({ kind: 'running', generation, restored }),
    onRestart: (failure, delayMs, restarts) => {
      figures.restarted()
      options.onEvent?.({ kind: 'restarting', restarts, delayMs, failure })
    },
  })
  await log.append((seq, newest) => {
    assert(newest !== undefined, () => 'the log is empty at the end of a run')
    return entries.ended(seq, newest, end.state, end.state === 'FAILED' ? end.reason : undefined)
  })
  return end
}

/** Only to somebody who listens. */
function reportProgress(
  options: RunOptions,
  { log, entries, figures }: { readonly log: JobLog; readonly entries: Entries; readonly figures: RunFigures },
): ProgressReporter {
  return new ProgressReporter({
    runtime: options.runtime,
    everyMs: options.onEvent === undefined ? 0 : (options.progressEveryMs ?? PROGRESS_EVERY_MS),
    read: () => {
      const { newest } = log
      const { phase } = entries
      const facts =
        newest?.kind === 'ended'
          ? newest
          : { kind: 'alive' as const, phase, restarts: 0, retained: newest?.retained ?? [] }
      return { state: jobStateOf(facts), generation: newest?.generation ?? 0, ...figures.read() }
    },
    tell: (progress) => options.onEvent?.({ kind: 'progress', progress }),
  })
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

type Asked = RunOptions & { readonly restoration: Restoration }

/** Nothing is read any more once the input has ended: a source that is gone does not hold up what is only to be delivered. */
async function validateConnectors(
  options: Asked,
  built: BuiltJob,
  { newest, checkpoint }: { readonly newest: LogEntry | undefined; readonly checkpoint: CheckpointBounds },
): Promise<void> {
  const { runtime, baseDirectory, definition, stopSignal } = options
  const isDelivery = newest !== undefined && isDeliveryOnly(newest, options.restoration.choice)
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

async function preflight(options: Asked, built: BuiltJob, log: JobLog): Promise<'start' | 'already-finished'> {
  return log.readNewest(async (newest) => {
    const holderAlive = newest === undefined || newest.kind === 'ended' ? false : await isAlive(options, newest, log)
    const decision = await askPreflight(options, built, { newest, holderAlive })
    if (decision.kind !== 'refuse') return decision.kind
    throw refusalOf(decision)
  })
}

/** The preflight's questions again, of what our `started` entry carries. */
async function recheck(options: Asked, built: BuiltJob, started: LogEntry): Promise<void> {
  const decision = await askPreflight(options, built, { newest: started, holderAlive: false })
  if (decision.kind === 'refuse') throw refusalOf(decision)
}

function refusalOf({ exitCode, code, reason }: Refusal): Error {
  return exitCode === 3 ? new FencedError(reason, { code }) : new TerminalError(reason, { code })
}

async function askPreflight(
  options: Asked,
  built: BuiltJob,
  { newest, holderAlive }: Pick<PreflightFacts, 'newest' | 'holderAlive'>,
): Promise<PreflightDecision> {
  const { restoration } = options
  // A job that runs retires what its entries name: nothing of a holder that stays is read.
  const isHeld = holderAlive === true && options.takeOver !== true
  const mine = isHeld ? undefined : newest
  const repetition = await restoration.repetition(mine, built.graph)
  return decidePreflight({
    job: options.definition.id,
    newest,
    holderAlive,
    takeOver: options.takeOver ?? false,
    planHash: built.planHash,
    settings: built.settings,
    operators: built.graph.nodes.map((node) => operatorFacts(node, parallelismOf(options))),
    dueSinks: await dueSinks(options, mine),
    manifest: isHeld ? undefined : await restoration.manifest(mine),
    maxParallelism: MAX_PARALLELISM,
    restore: restoration.choice,
    savepoint: restoration.savepoint,
    repeated: repetition === undefined ? undefined : repetitionText(repetition),
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

/** Asks the holder's socket where that can be known; else watches for a new entry. */
async function isAlive(options: RunOptions, newest: LogEntry, log: JobLog): Promise<boolean | null> {
  const answer = await options.isHolderAlive(newest.holder)
  if (answer !== null || options.takeOver === true) return answer
  const untilMs = options.runtime.clock.monotonicMs() + WATCH_MS
  // The look that decides begins behind the watch: whoever slept through it has heard nothing, which says nothing of the holder.
  for (let isOver = false; !isOver;) {
    await options.runtime.timers.sleep(WATCH_PAUSE_MS)
    isOver = options.runtime.clock.monotonicMs() >= untilMs
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
    const isPortable = node.sink.isWriterStatePortable ?? false
    const scopes = Array.from({ length: MAX_PARALLELISM }, (_, index) => scopeOf(node, index + 1))
    const scope = scopeOf(node, node.parallelism ?? parallelism)
    return { ...base, scope, formerScopes: [...new Set(scopes)], isWriterStatePortable: isPortable }
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

function entryFacts(options: Asked, built: BuiltJob): ConstructorParameters<typeof Entries>[0] {
  const parallelism = parallelismOf(options)
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
    restoringAbove: (newest) => options.restoration.restoring(newest),
  }
}
