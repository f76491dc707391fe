/**
 * The commit phase: completed checkpoints, one after another, through the committers of all sinks; sinks side by side, each in
 * origin order (C6), off the record path. Owns the committers of one generation. Keeps nothing that a crash could lose: what is due
 * is derived from the log.
 *
 * - C1: a committer is called only with a permit, and a permit exists only for a durable completed checkpoint.
 * - C7: a lost commit ends the job with sink, subtask, checkpoint and reason; nothing behind it is committed.
 * - Every request gets an explicit outcome: a missing one, a throw, silence and `unknown` are asked again.
 */
import {
  assert,
  FencedError,
  InvariantViolation,
  messageOf,
  TerminalError,
  unreachable,
  type CommitOutcome,
  type CommitPermit,
  type CommitRequest,
  type Committer,
  type Runtime,
  type Sink,
} from '../api/index.ts'
import { decideOutcomes, type CommitBackoff } from '../checkpoint/commit-outcome.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import type { Manifest, StoredCommittable } from '../checkpoint/manifest.ts'
import type { JobGraph, SinkNode } from '../graph/job-graph.ts'
import { generationPrefix } from '../task/external-name.ts'
import type { Figures } from '../task/figures.ts'
import { within } from './deadline.ts'
import { scopesOf } from './unclean-scopes.ts'

/** A sink of the job with the committer of this generation. */
export interface SinkCommitter {
  readonly operator: string
  readonly sink: Sink<unknown, unknown, unknown>
  readonly committer: Committer<unknown, unknown>
}

export interface CommitPolicy extends CommitBackoff {
  /** Committables per `commit` call. */
  readonly batchSize: number
  /** A call that is silent for so long counts as unknown and is made again; a commit may run twice at the same time (S1). */
  readonly silenceMs: number
}

export const DEFAULT_COMMIT_POLICY: CommitPolicy = {
  initialDelayMs: 20,
  maxDelayMs: 5_000,
  batchSize: 1_000,
  silenceMs: 120_000,
}

/** A commit that the operator of the job accepted as lost (`--accept-loss`). */
export type AcceptedLosses = ReadonlySet<number>

export interface CommitEnvironment {
  readonly runtime: Runtime
  readonly signal: AbortSignal
  readonly policy: CommitPolicy
  readonly acceptedLosses: AcceptedLosses
  /** An unclear answer is being retried: for logs and metrics. */
  onRetry(operator: string, attempt: number, cause: unknown): void
  /** To one call, of so many requests; some may have no outcome. */
  onAnswer(outcomes: readonly CommitOutcome[], requests: number): void
}

/** One for each sink of the job. What was made is closed again when another cannot be made. */
export async function createCommitters(
  { graph, runtime, baseDirectory, figures }: CommitterOptions,
  started: LogEntry,
  signal: AbortSignal,
): Promise<readonly SinkCommitter[]> {
  const nodes = graph.nodes.filter((node): node is SinkNode => node.kind === 'sink')
  const results = await Promise.allSettled(
    nodes.map(async ({ id: operator, sink }) => {
      const { job, lineage, generation } = started
      const namePrefix = generationPrefix({ job, lineage, generation, operator })
      const older = scopesOf(started, operator, generation).filter((one) => one.isStale)
      const { clock, random, logger } = runtime
      const names = { job, lineage, generation, operator, namePrefix, older, baseDirectory }
      const context = { ...names, clock, random, logger, metrics: figures.tasks.metricsOf(operator, null), signal }
      return { operator, sink, committer: await sink.createCommitter(context) }
    }),
  )
  const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed === undefined) return made
  await Promise.allSettled(made.map((one) => one.committer[Symbol.asyncDispose]()))
  throw failed.reason
}

interface CommitterOptions {
  readonly graph: JobGraph
  readonly runtime: Runtime
  readonly baseDirectory: string
  readonly figures: { readonly tasks: Figures }
}

/**
 * Commits everything that `manifest` holds and returns when all of it is committed.
 * @throws TerminalError when something is lost and not accepted; the signal's reason when aborted (nothing is then assumed)
 */
export async function commitCheckpoint(
  permit: CommitPermit,
  manifest: Manifest,
  sinks: readonly SinkCommitter[],
  environment: CommitEnvironment,
): Promise<void> {
  assert(
    permit.checkpoint === manifest.checkpoint,
    () => `permit for ${permit.checkpoint} used for ${manifest.checkpoint} (C1)`,
  )
  const due = committablesByOperator(manifest)
  for (const operator of due.keys()) {
    if (sinks.some((sink) => sink.operator === operator)) continue
    throw new TerminalError(
      `checkpoint ${manifest.checkpoint} holds commits of sink "${operator}", which the job no longer has: bring the sink back until they are delivered`,
      { code: 'SLUICE_SINK_GONE' },
    )
  }
  const results = await Promise.allSettled(
    sinks.map((sink) => commitOfSink(permit, sink, due.get(sink.operator) ?? [], environment)),
  )
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** All committables of a manifest, by sink, in origin order. */
export function committablesByOperator(manifest: Manifest): ReadonlyMap<string, readonly StoredCommittable[]> {
  const due = new Map<string, StoredCommittable[]>()
  for (const snapshot of manifest.operators) {
    if (snapshot.committables === undefined || snapshot.committables.length === 0) continue
    const list = due.get(snapshot.operator) ?? []
    list.push(...snapshot.committables)
    due.set(snapshot.operator, list)
  }
  for (const list of due.values()) list.sort(byOrigin)
  return due
}

/** Decodes stored committables of one sink. */
export function decodeCommittables(
  sink: SinkCommitter['sink'],
  stored: readonly StoredCommittable[],
): readonly unknown[] {
  return stored.map((one) => sink.committableCodec.decode(Buffer.from(one.bytes, 'base64'), one.version))
}

function byOrigin(a: StoredCommittable, b: StoredCommittable): number {
  return a.checkpoint - b.checkpoint || a.generation - b.generation || a.subtask - b.subtask || a.index - b.index
}

async function commitOfSink(
  permit: CommitPermit,
  sink: SinkCommitter,
  stored: readonly StoredCommittable[],
  environment: CommitEnvironment,
): Promise<void> {
  for (let start = 0; start < stored.length; start += environment.policy.batchSize) {
    const batch = stored.slice(start, start + environment.policy.batchSize)
    const values = decodeCommittables(sink.sink, batch)
    await commitBatch(
      permit,
      sink,
      batch.map((one, index) => ({ stored: one, value: values[index] })),
      environment,
    )
  }
}

interface Due {
  readonly stored: StoredCommittable
  readonly value: unknown
}

async function commitBatch(
  permit: CommitPermit,
  sink: SinkCommitter,
  batch: readonly Due[],
  environment: CommitEnvironment,
): Promise<void> {
  let pending = batch
  for (let attempt = 1; ; attempt += 1) {
    environment.signal.throwIfAborted()
    const outcomes = await ask(permit, sink, { pending, attempt }, environment)
    environment.onAnswer(outcomes, pending.length)
    const decision = decideOutcomes(environment.policy, {
      requests: pending.length,
      outcomes,
      attempt,
      isLossAccepted: environment.acceptedLosses.has(permit.checkpoint),
      random: environment.runtime.random.next(),
    })
    switch (decision.kind) {
      case 'all-committed':
        return
      case 'lost': {
        const one = pending[decision.index]
        assert(one !== undefined, () => `outcome ${decision.index} of ${pending.length} requests is lost`)
        throw lost(permit, one.stored, decision.reason)
      }
      case 'ask-again':
        pending = decision.indexes.flatMap((index) => pending[index] ?? [])
        environment.onRetry(sink.operator, attempt, decision.cause)
        await environment.runtime.timers.sleep(decision.afterMs, environment.signal)
        break
      default:
        unreachable(decision)
    }
  }
}

async function ask(
  permit: CommitPermit,
  sink: SinkCommitter,
  { pending, attempt }: { readonly pending: readonly Due[]; readonly attempt: number },
  { runtime, policy }: CommitEnvironment,
): Promise<readonly CommitOutcome[]> {
  const requests = pending.map(({ stored, value }): CommitRequest<unknown> => ({
    id: {
      generation: stored.generation,
      checkpoint: stored.checkpoint,
      operator: stored.operator,
      subtask: stored.subtask,
      index: stored.index,
    },
    committable: value,
    attempt,
  }))
  try {
    const answer = await within(runtime.timers, policy.silenceMs, sink.committer.commit(permit, requests))
    if (answer !== undefined) return answer.value
    return requests.map(() => ({ kind: 'unknown', cause: `no answer within ${policy.silenceMs} ms` }))
  } catch (cause) {
    if (cause instanceof TerminalError || cause instanceof FencedError || cause instanceof InvariantViolation)
      throw cause
    return requests.map(() => ({ kind: 'unknown', cause }))
  }
}

function lost(permit: CommitPermit, stored: StoredCommittable, reason: string): TerminalError {
  return new TerminalError(
    `sink "${stored.operator}" subtask ${stored.subtask} lost what it prepared for checkpoint ${stored.checkpoint} ` +
      `(committed with checkpoint ${permit.checkpoint}, handle ${Buffer.from(stored.bytes, 'base64').toString('latin1').slice(0, 300)}): ` +
      `${messageOf(reason)}. Output is frozen at this point. Bring the prepared data back and start again, or accept that these ` +
      `records never appear with --accept-loss ${permit.checkpoint}`,
    { code: 'SLUICE_COMMIT_LOST' },
  )
}
