/**
 * The world of one attempt: its log entries, manifests, committers and blobs. Executes what the attempt decides.
 */
import { assert, RetryableError, type Runtime } from '../api/index.ts'
import { permitForCompleted } from '../checkpoint/commit-permit.ts'
import type { LogEntry, RetainedCheckpoint } from '../checkpoint/log-entry.ts'
import type { BlobReference, Manifest } from '../checkpoint/manifest.ts'
import { chooseRetained } from '../checkpoint/retention.ts'
import type { Acknowledged, AttemptPort, CheckpointTimes, Completed, Completion } from './attempt.ts'
import type { Blobs } from './blobs.ts'
import type { Chores } from './chores.ts'
import type { Entries } from './entries.ts'
import { commitCheckpoint, type CommitEnvironment, type SinkCommitter } from './committing.ts'
import { forgetLater } from './evidence.ts'
import { within } from './deadline.ts'
import type { JobLog } from './job-log.ts'
import { keysOf, type Retained } from './retained.ts'
import type { RunFigures } from './run-figures.ts'

/** Manifests up to this size ride in the log entry: one durable write less per checkpoint. */
export const INLINE_LIMIT_BYTES = 8 * 1024
/** A store that is silent for so long has not taken the manifest: the checkpoint does not complete. */
const PUT_SILENCE_MS = 60_000

export interface PortOptions {
  readonly log: JobLog
  readonly blobs: Blobs
  readonly retained: Retained
  readonly sinks: readonly SinkCommitter[]
  readonly commitEnvironment: CommitEnvironment
  readonly runtime: Runtime
  readonly retain: number
  readonly job: string
  readonly lineage: string
  readonly generation: number
  readonly maxParallelism: number
  readonly entries: Entries
  /** Work at the store, and work at the sinks: neither waits for the other. */
  readonly storeChores: Chores
  readonly sinkChores: Chores
  readonly figures: RunFigures
  /** Called after each completed checkpoint is durable. */
  readonly onCompleted: (manifest: Manifest, times: CheckpointTimes) => void
  /** The first completion of a generation repeats the abort of leftovers. */
  readonly onFirstCompletion: () => void
}

export class Port implements AttemptPort {
  readonly #options: PortOptions
  #first = true
  #next: number
  #forgottenThrough: number

  constructor(options: PortOptions) {
    this.#options = options
    const entry = this.#entry()
    this.#next = entry.nextCheckpoint
    // Recovery has forgotten what was committed before.
    this.#forgottenThrough = entry.committedThrough
  }

  get durableCommittedThrough(): number {
    return this.#entry().committedThrough
  }

  get newestCompleted(): number | null {
    return this.#options.retained.newest?.checkpoint ?? null
  }

  nextCheckpoint(): number {
    this.#next += 1
    return this.#next - 1
  }

  async complete(acknowledged: Acknowledged): Promise<Completion> {
    const { checkpoint, operators, committedThrough, alignedMs, triggeredAtMs } = acknowledged
    const { log, retained, job, lineage, generation, maxParallelism, runtime, figures } = this.#options
    const manifest: Manifest = { format: 1, job, lineage, generation, checkpoint, maxParallelism, operators }
    let reference: BlobReference | undefined
    try {
      reference = await this.#storeIfLarge(manifest)
    } catch (error) {
      return { kind: 'not-stored', error }
    }
    const mine = this.#retainedCheckpoint(acknowledged, manifest, reference)
    const before = this.#entry().retained
    assert(
      before.every((one) => one.checkpoint < checkpoint),
      () => `checkpoint ${checkpoint} is not above ${before.at(-1)?.checkpoint} (C5)`,
    )
    const choice = chooseRetained([...before, mine], this.#options.retain, committedThrough)
    const entry = await log.append((seq, newest) =>
      this.#options.entries.extend(seq, assertEntry(newest), {
        kind: 'completed',
        retained: choice.retained,
        committedThrough,
        nextCheckpoint: checkpoint + 1,
      }),
    )
    retained.add({ manifest, reference })
    this.#forget(committedThrough)
    retained.drop(choice.retired)
    this.#clean(new Set(keysOf({ manifest, reference })))
    const times = { durationMs: runtime.clock.monotonicMs() - triggeredAtMs, alignedMs }
    figures.completed(manifest, times)
    this.#options.onCompleted(manifest, times)
    if (this.#first) {
      this.#first = false
      this.#options.onFirstCompletion()
    }
    const permit = permitForCompleted(entry, manifest)
    return { kind: 'completed', permit, manifest, oldestRetained: retained.oldest ?? manifest }
  }

  async note(committedThrough: number): Promise<void> {
    await this.#options.log.append((seq, newest) =>
      this.#options.entries.extend(seq, assertEntry(newest), { kind: 'committed', committedThrough }),
    )
    this.#forget(committedThrough)
  }

  abandoned(): void {
    this.#options.figures.notCompleted()
    this.#clean(new Set())
  }

  async commit({ permit, manifest }: Completed): Promise<void> {
    const { sinks, commitEnvironment, figures } = this.#options
    await commitCheckpoint(permit, manifest, sinks, commitEnvironment)
    figures.committed(manifest.checkpoint)
  }

  /** The log says that all up to `through` is committed: evidence for repeats may go. */
  #forget(through: number): void {
    const { retained, sinks, sinkChores } = this.#options
    const settled = retained
      .all()
      .map((one) => one.manifest)
      .filter((one) => one.checkpoint <= through && one.checkpoint > this.#forgottenThrough)
    this.#forgottenThrough = Math.max(this.#forgottenThrough, through)
    for (const manifest of settled) forgetLater(manifest, sinks, sinkChores)
  }

  /** Own debris, by name: what retired and unsuccessful checkpoints have left. */
  #clean(referenced: ReadonlySet<string>): void {
    const { retained, blobs, storeChores } = this.#options
    retained.discard(blobs.takeUnreferenced(referenced))
    if (retained.hasGarbage) storeChores.add('deleting old blobs', () => retained.collect())
  }

  async #storeIfLarge(manifest: Manifest): Promise<BlobReference | undefined> {
    const bytes = new TextEncoder().encode(JSON.stringify(manifest))
    if (bytes.byteLength <= INLINE_LIMIT_BYTES) return undefined
    const { blobs, runtime } = this.#options
    const put = await within(runtime.timers, PUT_SILENCE_MS, blobs.put('manifest', bytes))
    if (put === undefined)
      throw new RetryableError(`the store did not take the manifest within ${PUT_SILENCE_MS} ms`, {
        code: 'SLUICE_STORE_SILENT',
      })
    return put.value
  }

  #retainedCheckpoint(
    { checkpoint, final, triggeredAtMs }: Acknowledged,
    manifest: Manifest,
    reference: BlobReference | undefined,
  ): RetainedCheckpoint {
    const { generation, runtime } = this.#options
    const at = runtime.clock.now()
    const triggeredAt = Math.round(at - (runtime.clock.monotonicMs() - triggeredAtMs))
    const facts = { checkpoint, generation, final, at, triggeredAt }
    return reference === undefined ? { ...facts, inline: manifest } : { ...facts, ...reference }
  }

  #entry(): LogEntry {
    return assertEntry(this.#options.log.newest)
  }
}

function assertEntry(entry: LogEntry | undefined): LogEntry {
  assert(entry !== undefined, () => 'an attempt runs only after its started entry is in the log')
  return entry
}
