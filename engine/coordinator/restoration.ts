/**
 * What a run is asked to restore: the choice, the manifest that the preflight looks at, and what going back would repeat. Reads only.
 */
import { CorruptCheckpointError, type CheckpointStore } from '../api/index.ts'
import type { LogEntry, RetainedCheckpoint } from '../checkpoint/log-entry.ts'
import { blobsOf, type Manifest } from '../checkpoint/manifest.ts'
import { isDeliveryOnly } from '../checkpoint/recovery.ts'
import { goesBack, repetitionOf, type Point, type Repetition } from '../checkpoint/repetition.ts'
import type { RestoreChoice, Restoring } from '../checkpoint/restore-choice.ts'
import { isNewestOf } from '../checkpoint/savepoint.ts'
import type { JobGraph } from '../graph/job-graph.ts'
import { getBlob } from './blobs.ts'
import { loadManifest } from './recovery.ts'
import { checkSavepoint, type Savepoint } from './savepoint.ts'

/** `latest`, the number of a checkpoint that is retained, `none`, or what was copied elsewhere. */
export type Restore = 'latest' | 'none' | number | Savepoint

export class Restoration {
  readonly choice: RestoreChoice
  readonly savepoint: Savepoint | undefined
  readonly #store: CheckpointStore

  constructor(restore: Restore, store: CheckpointStore) {
    this.choice = typeof restore === 'object' ? 'savepoint' : restore
    this.savepoint = typeof restore === 'object' ? restore : undefined
    this.#store = store
  }

  /** What the log says until it is carried out; undefined: the job goes on from its newest checkpoint. */
  restoring(newest: LogEntry | undefined): Restoring | undefined {
    if (this.savepoint !== undefined) {
      const { uri, sha256 } = this.savepoint
      return { kind: 'savepoint', uri, sha256 }
    }
    if (newest === undefined || this.choice === 'latest' || this.choice === 'savepoint') return undefined
    if (this.choice === 'none') return { kind: 'nothing' }
    const { choice: checkpoint } = this
    return checkpoint === newest.retained.at(-1)?.checkpoint ? undefined : { kind: 'checkpoint', checkpoint }
  }

  /** Undefined: nothing. */
  async repetition(newest: LogEntry | undefined, graph: JobGraph): Promise<Repetition | undefined> {
    const last = newest?.retained.at(-1)
    if (newest === undefined || last === undefined) return undefined
    const isNewest = this.savepoint !== undefined && isNewestOf(this.savepoint.description, newest)
    if (!goesBack(this.choice, last.checkpoint, isNewest)) return undefined
    const sinks = graph.nodes.flatMap((node) =>
      node.kind === 'sink' ? [{ sink: node.id, guarantee: node.sink.guarantee }] : [],
    )
    return repetitionOf(await this.#from(newest), await this.#pointOf(last), sinks)
  }

  /** With all that a task would read of it. @throws CorruptCheckpointError */
  async manifest(newest: LogEntry | undefined): Promise<Manifest | undefined> {
    if (this.savepoint !== undefined) {
      await checkSavepoint(this.savepoint)
      return this.savepoint.manifest
    }
    if (newest === undefined || this.choice === 'none') return undefined
    const chosen = this.choice === 'latest' ? newest.retained.at(-1) : this.#chosen(newest)
    if (chosen === undefined) return undefined
    try {
      const { manifest } = await loadManifest(this.#store, chosen)
      // No task will read it.
      if (isDeliveryOnly(newest, this.choice)) return manifest
      for (const blob of manifest.operators.flatMap(blobsOf)) await getBlob(this.#store, blob)
      return manifest
    } catch (error) {
      if (!(error instanceof CorruptCheckpointError)) throw error
      throw new CorruptCheckpointError(`checkpoint ${chosen.checkpoint} cannot be restored: ${error.message}`, {
        cause: error,
      })
    }
  }

  async #from(newest: LogEntry): Promise<Point | null> {
    if (this.savepoint !== undefined) {
      const { description, manifest } = this.savepoint
      return { checkpoint: description.checkpoint, at: description.at, manifest }
    }
    const chosen = this.#chosen(newest)
    return chosen === undefined ? null : this.#pointOf(chosen)
  }

  #chosen(newest: LogEntry): RetainedCheckpoint | undefined {
    return newest.retained.find((one) => one.checkpoint === this.choice)
  }

  /** A damaged one is no reason to say nothing: it may be why somebody goes back. */
  async #pointOf(one: RetainedCheckpoint): Promise<Point> {
    const { checkpoint, at } = one
    try {
      return { checkpoint, at, manifest: (await loadManifest(this.#store, one)).manifest }
    } catch (error) {
      if (error instanceof CorruptCheckpointError) return { checkpoint, at, manifest: null }
      throw error
    }
  }
}
