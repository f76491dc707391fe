/**
 * What generations have left behind outside and no completed checkpoint holds: opened, prepared, never to be committed. Aborted only with
 * a permit, which exists once all that is due is committed and the log says so (S2).
 */
import { messageOf, type AbortPermit, type Runtime } from '../api/index.ts'
import { permitToAbort, permitToAbortOwn } from '../checkpoint/commit-permit.ts'
import type { LogEntry } from '../checkpoint/log-entry.ts'
import type { Manifest } from '../checkpoint/manifest.ts'
import { isOlderName } from '../task/external-name.ts'
import { committablesByOperator, decodeCommittables, type SinkCommitter } from './committing.ts'
import { within } from './deadline.ts'
import type { Retained } from './retained.ts'
import { lineagesOf, scopesOf } from './unclean-scopes.ts'

export interface LeftoversOptions {
  readonly job: string
  readonly runtime: Runtime
  readonly sinks: readonly SinkCommitter[]
  readonly retained: Retained
  /** So many of a sink were aborted. */
  onAborted(count: number): void
}

/** A sink that does not answer for so long is asked again later. */
const SILENCE_MS = 15_000

export class Leftovers {
  readonly #options: LeftoversOptions

  constructor(options: LeftoversOptions) {
    this.#options = options
  }

  /** Of generations below that of `entry`, which is ours. False: some may be left, ask again. */
  async abortOlder(entry: LogEntry): Promise<boolean> {
    if (!entry.unclean.some((scope) => scope.generation < entry.generation)) return true
    return this.#abort(permitToAbort(entry), entry, entry.generation)
  }

  /** At a clean end, all writers closed: files opened after the last barrier go, and nothing of ours is left to be cleaned later. */
  async abortOwn(entry: LogEntry): Promise<boolean> {
    return this.#abort(permitToAbortOwn(entry), entry, entry.generation + 1)
  }

  async #abort(permit: AbortPermit, entry: LogEntry, below: number): Promise<boolean> {
    const { sinks, runtime } = this.#options
    const results = await Promise.all(
      sinks.map((sink) => within(runtime.timers, SILENCE_MS, this.#abortOf(sink, permit, { entry, below }))),
    )
    return results.every((result) => result?.value === true)
  }

  async #abortOf(
    sink: SinkCommitter,
    permit: AbortPermit,
    { entry, below }: { readonly entry: LogEntry; readonly below: number },
  ): Promise<boolean> {
    const { job, retained, runtime } = this.#options
    const keep = retained.all().map((one) => one.manifest)
    const owner = { job, lineages: lineagesOf(entry), operator: sink.operator, below }
    try {
      const report = await sink.committer.abortStale(permit, {
        scopes: scopesOf(entry, sink.operator, below),
        isStale: (name) => isOlderName(name, owner),
        keep: decodeCommittables(
          sink.sink,
          keep.flatMap((manifest) => committablesByOperator(manifest).get(sink.operator) ?? []),
        ),
        keepWriterState: keep.flatMap((manifest) => writerStateOf(manifest, sink)),
      })
      this.#options.onAborted(report.aborted)
      if (report.aborted > 0) runtime.logger.info(`sink "${sink.operator}" aborted ${report.aborted} leftovers`)
      return report.clean
    } catch (error) {
      runtime.logger.warn(`sink "${sink.operator}" could not abort all leftovers; it is asked again`, {
        error: messageOf(error),
      })
      return false
    }
  }
}

function writerStateOf(manifest: Manifest, sink: SinkCommitter): readonly unknown[] {
  const codec = sink.sink.writerStateCodec
  if (codec === undefined) return []
  return manifest.operators
    .filter((snapshot) => snapshot.operator === sink.operator)
    .flatMap((snapshot) =>
      (snapshot.writerState?.entries ?? []).map((entry) =>
        codec.decode(Buffer.from(entry, 'base64'), snapshot.writerState?.version ?? 1),
      ),
    )
}
