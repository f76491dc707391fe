/**
 * What the commands about checkpoints look at: those that the log of a job retains, or a savepoint. Only reads, and so that a running job
 * may retire a checkpoint meanwhile: then that is said, and not that it is damaged.
 */
import { existsSync } from 'node:fs'
import { openStore } from '../../checkpoint-store/open-store.ts'
import { CorruptCheckpointError, TerminalError, type CheckpointStore } from '../../engine/api/index.ts'
import type { LogEntry, RetainedCheckpoint } from '../../engine/checkpoint/log-entry.ts'
import type { Manifest } from '../../engine/checkpoint/manifest.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import { loadManifest } from '../../engine/coordinator/recovery.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { parseCheckpoint } from '../arguments.ts'
import { jobIdOf } from '../job-id.ts'

export interface CheckpointFlags {
  readonly store: string
  readonly json?: boolean
}

/** A checkpoint and its manifest. */
export interface Seen {
  readonly retained: RetainedCheckpoint
  readonly manifest: Manifest
}

export class JobCheckpoints implements AsyncDisposable {
  readonly job: string
  readonly store: CheckpointStore
  readonly #log: JobLog

  private constructor(job: string, store: CheckpointStore, log: JobLog) {
    this.job = job
    this.store = store
    this.#log = log
  }

  /** @throws TerminalError when the store knows no such job */
  static async open(job: string, flags: CheckpointFlags): Promise<JobCheckpoints> {
    const id = await jobIdOf(job)
    const store = await openStore(flags.store, { access: 'read' })
    try {
      const log = await JobLog.open(store, id, nodeRuntime())
      if (log.newest !== undefined) return new JobCheckpoints(id, store, log)
      throw unknownJob(store, id)
    } catch (error) {
      await store[Symbol.asyncDispose]()
      throw error
    }
  }

  get newest(): LogEntry {
    if (this.#log.newest === undefined) throw unknownJob(this.store, this.job)
    return this.#log.newest
  }

  /** What `read` makes of the newest entry; once more when the job has gone on and what was read is gone. */
  async read<T>(read: (newest: LogEntry) => Promise<T>): Promise<T> {
    return this.#log.readNewest(() => read(this.newest))
  }

  /** All that is retained, oldest first. @throws CorruptCheckpointError */
  async all(): Promise<readonly Seen[]> {
    return this.read((newest) => Promise.all(newest.retained.map((one) => this.#seen(one))))
  }

  /** `text`: its number; left out: the newest. @throws TerminalError when it is not there, or not any more */
  async one(text: string | undefined): Promise<Seen> {
    if (text === undefined) {
      return this.read((newest) => {
        const last = newest.retained.at(-1)
        if (last === undefined) throw this.#missing(undefined)
        return this.#seen(last)
      })
    }
    const chosen = this.retained(text)
    try {
      return await this.#seen(chosen)
    } catch (error) {
      if (!(error instanceof CorruptCheckpointError) || (await this.isRetained(chosen.checkpoint))) throw error
      throw new TerminalError(
        `checkpoint ${chosen.checkpoint} of job "${this.job}" was retired by the running job while it was read; ${this.#numbers()}`,
        { code: 'SLUICE_CHECKPOINT_RETIRED' },
      )
    }
  }

  /** By its number. @throws TerminalError */
  retained(text: string): RetainedCheckpoint {
    const checkpoint = parseCheckpoint(text, 'checkpoint')
    const chosen = this.newest.retained.find((one) => one.checkpoint === checkpoint)
    if (chosen === undefined) throw this.#missing(checkpoint)
    return chosen
  }

  /** Does the job still keep it? Looks again. */
  async isRetained(checkpoint: number): Promise<boolean> {
    const now = await this.#log.refresh()
    return now?.retained.some((one) => one.checkpoint === checkpoint) === true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]()
  }

  async #seen(retained: RetainedCheckpoint): Promise<Seen> {
    const { manifest } = await loadManifest(this.store, retained)
    return { retained, manifest }
  }

  #missing(checkpoint: number | undefined): TerminalError {
    const what = checkpoint === undefined ? 'no checkpoint yet' : `no checkpoint ${checkpoint}`
    return new TerminalError(`job "${this.job}" has ${what}; ${this.#numbers()}`, { code: 'SLUICE_CHECKPOINT_UNKNOWN' })
  }

  #numbers(): string {
    return `retained are ${this.newest.retained.map((one) => one.checkpoint).join(', ') || 'none'}`
  }
}

function unknownJob(store: CheckpointStore, id: string): TerminalError {
  return new TerminalError(`${store.uri} knows no job "${id}"; name the store of its run with --store`, {
    code: 'SLUICE_JOB_UNKNOWN',
  })
}

/** No job id holds these, and a job file is there. */
export function isPlace(text: string): boolean {
  if (/\.[cm]?[jt]s$/.test(text) && existsSync(text)) return false
  return /[/\\]|^[a-z][a-z0-9+.-]+:/i.test(text)
}
