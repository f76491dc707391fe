/**
 * One generation from its `started` entry to its end: recovery in the order that loses nothing, then the attempt.
 */
import { assert, messageOf, TaskFailure, type CheckpointStore, type Runtime } from '../api/index.ts'
import { permitForRecovered, permitToAbort, permitToAbortOwn } from '../checkpoint/commit-permit.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import type { CheckpointPolicy } from '../checkpoint/trigger.ts'
import type { JobGraph, SinkNode } from '../graph/job-graph.ts'
import { generationPrefix, isOlderName } from '../task/external-name.ts'
import { startTask, type Task } from '../task/task.ts'
import { Attempt, type AttemptEnd } from './attempt.ts'
import { Blobs, getBlob } from './blobs.ts'
import { DEFAULT_COMMIT_POLICY, type CommitEnvironment, type SinkCommitter } from './committing.ts'
import type { Entries } from './entries.ts'
import type { JobLog } from './job-log.ts'
import { Port } from './port.ts'
import { abortStale, commitDue, forgetCommitted, scopesByOperator, type StaleFacts } from './recovery.ts'
import { Retained, type Completed } from './retained.ts'
import { sweepDebris } from './sweeping.ts'

export interface GenerationOptions {
  readonly job: string
  readonly graph: JobGraph
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly log: JobLog
  readonly policy: CheckpointPolicy
  readonly retain: number
  readonly maxParallelism: number
  readonly baseDirectory: string
  readonly restarts: number
  readonly dropped: readonly string[]
  /** Graceful stop: one last checkpoint, all committed. */
  readonly stopSignal: AbortSignal
  readonly entries: Entries
  onCompleted(manifest: Manifest): void
  onRunning(generation: number, restored: number | null): void
}

/** How long an old attempt may take to let go before the process must exit instead. */
const DISPOSE_DEADLINE_MS = 30_000

export async function runGeneration(options: GenerationOptions): Promise<AttemptEnd> {
  const started = await options.log.append((seq, newest) => options.entries.started(seq, newest, options.restarts))
  await options.log.assertNotStale(started.seq)
  const scope = new AbortController()
  const sinks = await createCommitters(options, started, scope.signal)
  try {
    const recovered = await recover(options, started, sinks, scope.signal)
    const end = recovered.final ? 'finished' : await work(options, started, recovered, scope)
    await abortOwn(options, recovered)
    return end
  } finally {
    scope.abort(new TaskFailure('the attempt is over'))
    await Promise.allSettled(sinks.map((sink) => sink.committer[Symbol.asyncDispose]()))
  }
}

async function createCommitters(
  options: GenerationOptions,
  started: LogEntry,
  signal: AbortSignal,
): Promise<SinkCommitter[]> {
  const { graph, runtime, baseDirectory } = options
  const nodes = graph.nodes.filter((node): node is SinkNode => node.kind === 'sink')
  const scopes = scopesByOperator(started, started.generation)
  return Promise.all(
    nodes.map(async (node) => ({
      operator: node.id,
      sink: node.sink,
      committer: await node.sink.createCommitter({
        job: started.job,
        lineage: started.lineage,
        generation: started.generation,
        operator: node.id,
        namePrefix: generationPrefix({ ...started, operator: node.id }),
        older: (scopes.get(node.id) ?? []).filter((one) => one.isStale),
        baseDirectory,
        clock: runtime.clock,
        random: runtime.random,
        logger: runtime.logger,
        metrics: noMetrics,
        signal,
      }),
    })),
  )
}

const noMetrics = { count: () => undefined, gauge: () => undefined }

interface Recovered {
  readonly sinks: readonly SinkCommitter[]
  readonly retained: Retained
  readonly newest: Manifest | undefined
  readonly final: boolean
}

async function recover(
  options: GenerationOptions,
  started: LogEntry,
  sinks: readonly SinkCommitter[],
  signal: AbortSignal,
): Promise<Recovered> {
  const { store, runtime, log } = options
  const completed = await Promise.all(started.retained.map((one) => loadManifest(store, one)))
  const retained = new Retained(store, runtime.logger, completed)
  const due = completed.map((one) => one.manifest).filter((one) => one.checkpoint > started.committedThrough)
  const environment = commitEnvironment(options, started, signal)
  await commitDue(
    due.map((manifest) => ({ permit: permitForRecovered(started, manifest), manifest })),
    sinks,
    environment,
  )
  const last = due.at(-1)
  const rollback = options.entries.rolledBack(started)
  if (last !== undefined || rollback !== undefined) {
    const committedThrough = last?.checkpoint ?? started.committedThrough
    await log.append((seq, newest) =>
      options.entries.extend(seq, present(newest), { kind: 'committed', committedThrough, ...rollback }),
    )
  }
  const manifests = completed.map((one) => one.manifest)
  await forgetCommitted(manifests, sinks, runtime.logger)
  if (rollback !== undefined) {
    const kept = new Set(rollback.retained.map((one) => one.checkpoint))
    retained.drop(manifests.map((one) => one.checkpoint).filter((one) => !kept.has(one)))
  }
  await abortLeftovers(options, sinks, retained)
  await sweepDebris(store, { job: options.job, generation: started.generation, retained }, runtime.logger)
  return {
    sinks,
    retained,
    newest: retained.newest,
    final: rollback === undefined && started.retained.at(-1)?.final === true,
  }
}

/** At a clean end, all writers closed: files opened after the last barrier go, and nothing of ours is left to be cleaned later. */
async function abortOwn(options: GenerationOptions, { sinks, retained }: Recovered): Promise<void> {
  const entry = present(options.log.newest)
  const facts = { ...staleFacts(options, entry, retained, entry.generation + 1), permit: permitToAbortOwn(entry) }
  if (await abortStale(facts, sinks, options.runtime.logger)) options.entries.cleanBelow(entry.generation + 1)
}

/** After the fence, after all that was due. Scopes that are clean leave the log with the next entry. */
async function abortLeftovers(
  options: GenerationOptions,
  sinks: readonly SinkCommitter[],
  retained: Retained,
): Promise<boolean> {
  const entry = present(options.log.newest)
  if (!entry.unclean.some((scope) => scope.generation < entry.generation)) return true
  const facts = { ...staleFacts(options, entry, retained, entry.generation), permit: permitToAbort(entry) }
  return abortStale(facts, sinks, options.runtime.logger)
}

/** What generations below `below` have left, but for what a completed checkpoint holds. */
function staleFacts(
  options: GenerationOptions,
  entry: LogEntry,
  retained: Retained,
  below: number,
): Omit<StaleFacts, 'permit'> {
  const { job } = options
  const scopes = scopesByOperator(entry, below)
  const lineages = new Set<string>([entry.lineage, ...entry.unclean.map((one) => one.lineage ?? entry.lineage)])
  const isStale = (operator: string, name: string): boolean => isOlderName(name, { job, lineages, operator, below })
  return { scopes, isStale, keep: retained.all().map((one) => one.manifest) }
}

async function work(
  options: GenerationOptions,
  started: LogEntry,
  recovered: Recovered,
  scope: AbortController,
): Promise<AttemptEnd> {
  const { sinks } = recovered
  const { runtime, store, job, log, graph } = options
  const blobs = new Blobs(store, job, started.generation, runtime)
  const port = new Port({
    log,
    blobs,
    retained: recovered.retained,
    sinks,
    commitEnvironment: commitEnvironment(options, started, scope.signal),
    logger: runtime.logger,
    runtime,
    retain: options.retain,
    job,
    lineage: started.lineage,
    generation: started.generation,
    maxParallelism: options.maxParallelism,
    entries: options.entries,
    onCompleted: (manifest) => options.onCompleted(manifest),
    onFirstCompletion: async () => {
      if (await abortLeftovers(options, sinks, recovered.retained)) options.entries.cleanBelow(started.generation)
    },
  })
  let task: Task | undefined
  const attempt = new Attempt({ port, policy: options.policy, runtime, toTask: (message) => task?.handle(message) })
  const onStop = (): void => attempt.post({ kind: 'stop' })
  try {
    task = await startTask({
      graph,
      runtime,
      names: { job: started.job, lineage: started.lineage, generation: started.generation },
      baseDirectory: options.baseDirectory,
      restored: recovered.newest ?? null,
      maxParallelism: options.maxParallelism,
      checkpoint: options.policy,
      store: {
        putBlob: (operator, bytes) => blobs.put(operator, bytes),
        getBlob: (reference) => getBlob(store, reference),
      },
      send: (message) => attempt.post(message),
      dropped: options.dropped,
      signal: scope.signal,
    })
    options.onRunning(started.generation, recovered.newest?.checkpoint ?? null)
    if (options.stopSignal.aborted) onStop()
    else options.stopSignal.addEventListener('abort', onStop, { once: true })
    return await attempt.run()
  } finally {
    options.stopSignal.removeEventListener('abort', onStop)
    scope.abort(new TaskFailure('the attempt is over'))
    if (task !== undefined) await disposeInTime(task, runtime)
  }
}

/** A hung old attempt would be a zombie inside this process. */
async function disposeInTime(task: Task, runtime: Runtime): Promise<void> {
  const alarm = new AbortController()
  const disposed = task.dispose().then(
    () => true,
    (error: unknown) => {
      runtime.logger.warn('the old attempt did not close cleanly', { error: messageOf(error) })
      return true
    },
  )
  const late = runtime.timers.sleep(DISPOSE_DEADLINE_MS, alarm.signal).then(
    () => false,
    () => true,
  )
  const inTime = await Promise.race([disposed, late])
  alarm.abort()
  assert(inTime, () => `the old attempt did not let go within ${DISPOSE_DEADLINE_MS} ms; the process must exit`)
}

function commitEnvironment(options: GenerationOptions, started: LogEntry, signal: AbortSignal): CommitEnvironment {
  return {
    runtime: options.runtime,
    signal,
    policy: DEFAULT_COMMIT_POLICY,
    acceptedLosses: new Set(started.acceptedLosses),
    onRetry: (operator, attempt, cause) =>
      options.runtime.logger.warn(`commit of sink "${operator}" is asked again (attempt ${attempt})`, {
        cause: messageOf(cause),
      }),
  }
}

/** @throws CorruptCheckpointError */
export async function loadManifest(store: CheckpointStore, one: LogEntry['retained'][number]): Promise<Completed> {
  if ('inline' in one) return { manifest: one.inline, reference: undefined }
  const reference = { key: one.key, sizeBytes: one.sizeBytes, sha256: one.sha256 }
  const bytes = await getBlob(store, reference)
  return { manifest: JSON.parse(new TextDecoder().decode(bytes)) as Manifest, reference }
}

function present(entry: LogEntry | undefined): LogEntry {
  assert(entry !== undefined, () => 'the log is empty after a started entry')
  return entry
}
