/**
 * The world of one attempt: its log entries, manifests, committers and blobs. Executes what the attempt decides.
 */
import { assert, type CommitPermit, type Logger, type Runtime } from '../api/index.ts'
import { permitForCompleted } from '../checkpoint/commit-permit.ts'
import type { LogEntry, RetainedCheckpoint } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import { chooseRetained } from '../checkpoint/retention.ts'
import type { Acknowledged, AttemptPort, Completion } from './attempt.ts'
import type { Blobs } from './blobs.ts'
import type { Entries } from './entries.ts'
import { commitCheckpoint, type CommitEnvironment, type SinkCommitter } from './committing.ts'
import type { JobLog } from './job-log.ts'
import { forgetCommitted } from './recovery.ts'
import { keysOf, type Retained } from './retained.ts'

/** Manifests up to this size ride in the log entry: one durable write less per checkpoint. */
const INLINE_LIMIT_BYTES = 8 * 1024

export interface PortOptions {
  readonly log: JobLog
  readonly blobs: Blobs
  readonly retained: Retained
  readonly sinks: readonly SinkCommitter[]
  readonly commitEnvironment: CommitEnvironment
  readonly logger: Logger
  readonly retain: number
  readonly job: string
  readonly lineage: string
  readonly generation: number
  readonly maxParallelism: number
  readonly entries: Entries
  readonly runtime: Runtime
  /** Called after each completed checkpoint is durable. */
  readonly onCompleted: (manifest: Manifest) => void
  /** The first completion of a generation repeats the abort of leftovers. */
  readonly onFirstCompletion: () => Promise<void>
}

export class Port implements AttemptPort {
  readonly #options: PortOptions
  #first = true
  #next: number

  constructor(options: PortOptions) {
    this.#options = options
    this.#next = this.#entry().nextCheckpoint
  }

  get durableCommittedThrough(): number {
    return this.#entry().committedThrough
  }

  get newestCompleted(): number | null {
    return this.#options.retained.newest?.checkpoint ?? null
  }

  silentMs(): number {
    return this.#options.log.silentMs()
  }

  nextCheckpoint(): number {
    this.#next += 1
    return this.#next - 1
  }

  async complete(acknowledged: Acknowledged): Promise<Completion> {
    const { checkpoint, operators, final } = acknowledged
    const { log, blobs, retained, job, lineage, generation, maxParallelism } = this.#options
    const manifest: Manifest = { format: 1, job, lineage, generation, checkpoint, maxParallelism, operators }
    const bytes = new TextEncoder().encode(JSON.stringify(manifest))
    const reference = bytes.byteLength <= INLINE_LIMIT_BYTES ? undefined : await blobs.put('manifest', bytes)
    const facts = { checkpoint, generation, final, at: this.#options.runtime.clock.now() }
    const mine: RetainedCheckpoint =
      reference === undefined ? { ...facts, inline: manifest } : { ...facts, ...reference }
    const before = this.#entry().retained
    assert(
      before.every((one) => one.checkpoint < checkpoint),
      () => `checkpoint ${checkpoint} is not above ${before.at(-1)?.checkpoint} (C5)`,
    )
    const choice = chooseRetained([...before, mine], this.#options.retain, acknowledged.committedThrough)
    const entry = await log.append((seq, newest) =>
      this.#options.entries.extend(seq, assertEntry(newest), {
        kind: 'completed',
        retained: choice.retained,
        committedThrough: acknowledged.committedThrough,
        nextCheckpoint: checkpoint + 1,
      }),
    )
    retained.add({ manifest, reference })
    retained.discard(blobs.takeUnreferenced(new Set(keysOf({ manifest, reference }))))
    this.#dropped.push(...choice.retired)
    this.#options.onCompleted(manifest)
    const permit = permitForCompleted(entry, manifest)
    await this.#collect()
    if (this.#first) {
      this.#first = false
      await this.#options.onFirstCompletion()
    }
    return { permit, manifest, oldestRetained: retained.oldest ?? manifest }
  }

  readonly #dropped: number[] = []

  async note(committedThrough: number): Promise<void> {
    const due = committedThrough > this.#entry().committedThrough
    await this.#options.log.append((seq, newest) =>
      this.#options.entries.extend(seq, assertEntry(newest), { kind: due ? 'committed' : 'alive', committedThrough }),
    )
  }

  commit(completion: Completion): Promise<void> {
    const { sinks, commitEnvironment } = this.#options
    const permit: CommitPermit = completion.permit
    return commitCheckpoint(permit, completion.manifest, sinks, commitEnvironment)
  }

  #forgottenThrough = 0

  async settled(through: number): Promise<void> {
    const { retained, sinks, logger } = this.#options
    const settled = retained
      .all()
      .map((one) => one.manifest)
      .filter((one) => one.checkpoint <= through && one.checkpoint > this.#forgottenThrough)
    this.#forgottenThrough = through
    await forgetCommitted(settled, sinks, logger)
    await this.#collect()
  }

  abandoned(checkpoint: number): void {
    this.#options.logger.debug(`checkpoint ${checkpoint} is abandoned; its commits ride in the next one`)
  }

  async #collect(): Promise<void> {
    const { retained } = this.#options
    // A checkpoint whose commits have not been forgotten yet keeps its manifest in memory until then.
    const ready = this.#dropped.filter((one) => one <= this.#forgottenThrough)
    for (const one of ready) this.#dropped.splice(this.#dropped.indexOf(one), 1)
    retained.drop(ready)
    await retained.collect()
  }

  #entry(): LogEntry {
    return assertEntry(this.#options.log.newest)
  }
}

function assertEntry(entry: LogEntry | undefined): LogEntry {
  assert(entry !== undefined, () => 'an attempt runs only after its started entry is in the log')
  return entry
}
