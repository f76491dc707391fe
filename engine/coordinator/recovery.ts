/**
 * What a new generation does before any task starts: executes the steps that engine/checkpoint lists for its `started` entry, in that
 * order. Every step can be repeated after a crash (F11).
 */
import { assert, CorruptCheckpointError, unreachable, type CheckpointStore, type Runtime } from '../api/index.ts'
import { permitForRecovered } from '../checkpoint/commit-permit.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import { recoverySteps, type RecoveryStep } from '../checkpoint/recovery.ts'
import { getBlob } from './blobs.ts'
import type { Chores } from './chores.ts'
import type { CheckpointRequests } from './checkpoint-requests.ts'
import { commitCheckpoint, type CommitEnvironment, type SinkCommitter } from './committing.ts'
import type { Entries } from './entries.ts'
import { forgetLater } from './evidence.ts'
import { importSavepoint, retainedOf } from './import-savepoint.ts'
import type { JobLog } from './job-log.ts'
import { Leftovers } from './leftovers.ts'
import { Retained, type Completed } from './retained.ts'
import type { RunFigures } from './run-figures.ts'
import type { Savepoint } from './savepoint.ts'
import { sweepDebris } from './sweeping.ts'

export interface RecoveryOptions {
  readonly job: string
  readonly store: CheckpointStore
  readonly runtime: Runtime
  readonly log: JobLog
  readonly entries: Entries
  readonly started: LogEntry
  readonly sinks: readonly SinkCommitter[]
  readonly commitEnvironment: CommitEnvironment
  readonly requests: CheckpointRequests
  readonly sinkChores: Chores
  readonly figures: RunFigures
  /** What is restored, when the choice is a savepoint. */
  readonly savepoint: Savepoint | undefined
  readonly dropped: readonly string[]
}

export interface Recovered {
  readonly retained: Retained
  readonly leftovers: Leftovers
  readonly restored: Manifest | undefined
  /** The last checkpoint was final: no task starts, the job ends. */
  readonly isOver: boolean
}

/** @throws TerminalError when a commit is lost; FencedError; InDoubtError; CorruptCheckpointError */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { job, store, runtime, started, sinks, figures } = options
  const completed = await loadRetained(options)
  const retained = new Retained(store, completed)
  figures.found(started, completed)
  const recovery = new Recovery(options, completed, {
    retained,
    leftovers: new Leftovers({ job, runtime, sinks, retained, onAborted: (count) => figures.aborted(count) }),
  })
  for (const step of recoverySteps(started, options.entries.restore)) await recovery.execute(step)
  return recovery.recovered
}

class Recovery {
  recovered: Recovered
  readonly #options: RecoveryOptions
  readonly #manifests: ReadonlyMap<number, Manifest>
  #imported: Manifest | undefined

  constructor(
    options: RecoveryOptions,
    completed: readonly Completed[],
    made: Pick<Recovered, 'retained' | 'leftovers'>,
  ) {
    this.#options = options
    this.#manifests = new Map(completed.map(({ manifest }) => [manifest.checkpoint, manifest]))
    this.recovered = { ...made, restored: undefined, isOver: false }
  }

  async execute(step: RecoveryStep): Promise<void> {
    const { log, started, sinks, sinkChores, commitEnvironment, figures } = this.#options
    switch (step.kind) {
      case 'commit': {
        const manifest = this.#manifests.get(step.checkpoint)
        // Damaged, and its loss accepted: nothing of it could be named.
        if (manifest === undefined) return
        return commitCheckpoint(permitForRecovered(started, manifest), manifest, sinks, commitEnvironment)
      }
      case 'append-committed':
        return this.#appendCommitted(step)
      case 'import':
        return this.#import()
      case 'forget':
        // Beside what follows, but before the end: nobody would forget what is left then.
        for (const checkpoint of step.checkpoints) {
          const manifest = this.#manifests.get(checkpoint)
          if (manifest !== undefined) forgetLater(manifest, sinks, sinkChores)
        }
        return
      case 'abort-stale':
        await this.recovered.leftovers.abortOlder(log.newest ?? started)
        return
      case 'sweep':
        return this.#sweep()
      case 'append-ended':
        this.recovered = { ...this.recovered, isOver: true }
        figures.restored(this.recovered.retained.newest)
        return
      case 'restore':
        if (step.checkpoint !== null)
          this.recovered = { ...this.recovered, restored: this.#manifestOf(step.checkpoint) }
        figures.restored(this.recovered.restored)
        return
      case 'run':
        return
      default:
        unreachable(step)
    }
  }

  async #appendCommitted(step: Extract<RecoveryStep, { kind: 'append-committed' }>): Promise<void> {
    const { log, entries, requests, started, figures } = this.#options
    const isKept = (one: { readonly checkpoint: number }): boolean => step.retained.includes(one.checkpoint)
    await log.append((seq, newest) => {
      const before = newest ?? started
      const retained = before.retained.filter(isKept)
      return entries.extend(seq, before, { kind: 'committed', committedThrough: step.through, retained })
    })
    // A rollback is carried out with this entry; a restart in this process must not go back once more.
    entries.rolledBack()
    this.recovered.retained.drop(
      [...this.#manifests.keys()].filter((checkpoint) => !step.retained.includes(checkpoint)),
    )
    requests.committed(step.through)
    figures.committed(step.through)
  }

  /** The entry is what decides (C5): before it the job is where it was, and behind it a restart goes on from what was imported. */
  async #import(): Promise<void> {
    const { store, runtime, log, entries, requests, started, savepoint, dropped, commitEnvironment } = this.#options
    assert(savepoint !== undefined, () => 'a savepoint is to be restored, but there is none')
    const { job, lineage, generation, nextCheckpoint: checkpoint } = started
    const names = { job, lineage, generation, checkpoint }
    const { signal } = commitEnvironment
    const imported = await importSavepoint(savepoint, { store, runtime, signal, names, dropped })
    const retained = [retainedOf(imported, runtime.clock.now())]
    await log.append((seq, newest) => {
      const before = newest ?? started
      assert(before.nextCheckpoint === checkpoint, () => `${checkpoint} is not the next of entry ${before.seq} (C5)`)
      // It holds nothing to commit.
      const facts = { committedThrough: checkpoint, nextCheckpoint: checkpoint + 1, retained }
      return entries.extend(seq, before, { kind: 'committed', ...facts })
    })
    entries.rolledBack()
    this.recovered.retained.add(imported)
    this.recovered.retained.drop([...this.#manifests.keys()])
    this.#imported = imported.manifest
    requests.committed(checkpoint)
  }

  async #sweep(): Promise<void> {
    const { store, job, started, runtime } = this.#options
    const { retained } = this.recovered
    await sweepDebris(store, { job, generation: started.generation, retained }, runtime.logger)
  }

  #manifestOf(checkpoint: number | 'imported'): Manifest {
    const manifest = checkpoint === 'imported' ? this.#imported : this.#manifests.get(checkpoint)
    assert(manifest !== undefined, () => `checkpoint ${checkpoint} is not retained by the started entry`)
    return manifest
  }
}

/** All that the log retains, but for a damaged manifest of a checkpoint that this start gives up (F15). @throws CorruptCheckpointError */
async function loadRetained({ store, runtime, started, entries }: RecoveryOptions): Promise<readonly Completed[]> {
  const loaded: Completed[] = []
  for (const one of started.retained) {
    try {
      loaded.push(await loadManifest(store, one))
    } catch (error) {
      const isLost = started.acceptedLosses.includes(one.checkpoint)
      const isDue = one.checkpoint > started.committedThrough && !isLost
      if (!(error instanceof CorruptCheckpointError) || isDue || !entries.givesUp(one.checkpoint)) throw error
      runtime.logger.warn(`checkpoint ${one.checkpoint} is given up: ${error.message}`)
    }
  }
  return loaded
}

/** @throws CorruptCheckpointError */
export async function loadManifest(store: CheckpointStore, one: LogEntry['retained'][number]): Promise<Completed> {
  if ('inline' in one) return { manifest: one.inline, reference: undefined }
  const reference = { key: one.key, sizeBytes: one.sizeBytes, sha256: one.sha256 }
  const bytes = await getBlob(store, reference)
  return { manifest: JSON.parse(new TextDecoder().decode(bytes)) as Manifest, reference }
}
