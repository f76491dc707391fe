/**
 * What the commands about transactions look at: the log of a job, joined with what its sinks say is open outside. Only reads. The log comes
 * first, so that what a run opens after it was read is not taken for something left behind.
 */
import { openStore } from '../../checkpoint-store/open-store.ts'
import {
  assert,
  parseJobId,
  TerminalError,
  type CheckpointStore,
  type JobId,
  type SeenTransaction,
  type SinkTransactions,
} from '../../engine/api/index.ts'
import type { LogEntry } from '../../engine/checkpoint/log-entry.ts'
import type { Manifest, StoredCommittable } from '../../engine/checkpoint/manifest.ts'
import { verdictOf, type TransactionVerdict } from '../../engine/checkpoint/transaction-verdict.ts'
import { committablesByOperator, decodeCommittables } from '../../engine/coordinator/committing.ts'
import { JobLog } from '../../engine/coordinator/job-log.ts'
import { loadManifest } from '../../engine/coordinator/recovery.ts'
import { lineagesOf } from '../../engine/coordinator/unclean-scopes.ts'
import { buildJob, type JobDefinition } from '../../engine/graph/define-job.ts'
import type { SinkNode } from '../../engine/graph/job-graph.ts'
import { createHolder, isHolderAlive } from '../../engine/host/holder.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { isOlderName, lineagePrefix } from '../../engine/task/external-name.ts'
import { parseSettings } from '../arguments.ts'
import { loadJob } from '../load-job.ts'

export interface TxnFlags {
  readonly store: string
  readonly set?: readonly string[]
  readonly json?: boolean
}

/** One transaction, with what the log says of it. */
export interface Transaction {
  readonly sink: string
  readonly seen: SeenTransaction<unknown>
  readonly verdict: TransactionVerdict
  /** The completed checkpoint that holds it, and whether the log says that it is committed; null: none that is retained. */
  readonly held: { readonly checkpoint: number; readonly isCommitted: boolean; readonly subtask: number } | null
}

/** A sink that cannot be looked into, or that the job file does not have any more. */
export interface Unseen {
  readonly sink: string
  /** null: it is gone. */
  readonly kind: string | null
  readonly due: number
}

export interface Looked {
  readonly newest: LogEntry
  /** Does a process run it? null: that cannot be known from here. */
  readonly isRun: boolean | null
  /** By sink: what checkpoints hold in the order of commits, then what else is open. */
  readonly transactions: readonly Transaction[]
  readonly unseen: readonly Unseen[]
  /** Why some may be missing. */
  readonly incomplete: readonly { readonly sink: string; readonly reason: string }[]
}

interface Held {
  readonly stored: StoredCommittable
  readonly checkpoint: number
  readonly isCommitted: boolean
  readonly isLossAccepted: boolean
}

export class JobTransactions implements AsyncDisposable {
  readonly job: JobId
  readonly #store: CheckpointStore
  readonly #log: JobLog
  readonly #sinks: readonly SinkNode[]
  readonly #opened = new Map<string, SinkTransactions<unknown>>()
  readonly #abort = new AbortController()
  readonly #runtime = nodeRuntime()

  private constructor(job: JobId, store: CheckpointStore, log: JobLog, sinks: readonly SinkNode[]) {
    this.job = job
    this.#store = store
    this.#log = log
    this.#sinks = sinks
  }

  /** @throws TerminalError when the store knows no such job, or the job cannot be built */
  static async open(jobFile: string, flags: TxnFlags): Promise<JobTransactions> {
    const { definition } = await loadJob(jobFile)
    const given = parseSettings(flags.set ?? [])
    const job = parseJobId(definition.id)
    const store = await openStore(flags.store, { access: 'read' })
    try {
      const log = await JobLog.open(store, job, nodeRuntime())
      if (log.newest === undefined) throw unknownJob(store, job)
      return new JobTransactions(job, store, log, sinksOf(definition, given, log.newest))
    } catch (error) {
      await store[Symbol.asyncDispose]()
      throw error
    }
  }

  async look(): Promise<Looked> {
    const { newest, manifests } = await this.#log.readNewest(async (entry) => {
      if (entry === undefined) throw unknownJob(this.#store, this.job)
      const loaded = await Promise.all(entry.retained.map((one) => loadManifest(this.#store, one)))
      return { newest: entry, manifests: loaded.map(({ manifest }) => manifest) }
    })
    const isRun = await this.#isRun(newest)
    const heldBySink = heldIn(newest, manifests)
    const transactions: Transaction[] = []
    const incomplete: { sink: string; reason: string }[] = []
    const unseen = [...heldBySink.keys()]
      .filter((sink) => this.#sinks.every(({ id }) => id !== sink))
      .map((sink): Unseen => ({ sink, kind: null, due: dueOf(heldBySink.get(sink)) }))
    for (const node of this.#sinks) {
      const held = heldBySink.get(node.id) ?? []
      const outside = await this.#outsideOf(node)
      if (outside === undefined) {
        unseen.push({ sink: node.id, kind: node.sink.kind, due: dueOf(held) })
        continue
      }
      const answer = await outside.look({
        ...this.#namesOf(node.id, newest, manifests),
        held: decodeCommittables(
          node.sink,
          held.map(({ stored }) => stored),
        ),
      })
      if (answer.incomplete !== undefined) incomplete.push({ sink: node.id, reason: answer.incomplete })
      transactions.push(
        ...answer.transactions.map((seen, index) => this.#joined(node.id, seen, { held: held[index], newest, isRun })),
      )
    }
    return { newest, isRun, transactions, unseen, incomplete }
  }

  /** Of a sink that was looked into. */
  outside(sink: string): SinkTransactions<unknown> {
    const opened = this.#opened.get(sink)
    assert(opened !== undefined, () => `sink "${sink}" was not looked into`)
    return opened
  }

  /** Has nobody begun a run since? What is asked for now is what was looked at. */
  async isAsLookedAt({ newest }: Looked): Promise<boolean> {
    const now = await this.#log.refresh()
    return now?.seq === newest.seq && (await this.#isRun(newest)) === false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
    for (const outside of this.#opened.values()) await outside[Symbol.asyncDispose]()
    await this.#store[Symbol.asyncDispose]()
  }

  async #isRun(newest: LogEntry): Promise<boolean | null> {
    if (newest.kind === 'ended') return false
    await using me = await createHolder()
    return await isHolderAlive(newest.holder, me.identity)
  }

  async #outsideOf({ id: operator, sink }: SinkNode): Promise<SinkTransactions<unknown> | undefined> {
    const before = this.#opened.get(operator)
    if (before !== undefined || sink.transactions === undefined) return before
    const { logger } = this.#runtime
    const { signal } = this.#abort
    const context = { job: this.job, operator, baseDirectory: process.cwd(), logger, signal }
    const opened = await sink.transactions(context)
    this.#opened.set(operator, opened)
    return opened
  }

  /** Of all generations, those that are called clean too: what the log says of the outside is what is to be checked. */
  #namesOf(operator: string, newest: LogEntry, manifests: readonly Manifest[]) {
    const lineages = new Set([...lineagesOf(newest), ...manifests.map(({ lineage }) => lineage)])
    const below = newest.generation + 1
    return {
      namePrefixes: [...lineages].map((lineage) => lineagePrefix(this.job, lineage)),
      isOwn: (name: string): boolean => isOlderName(name, { job: this.job, lineages, operator, below }),
    }
  }

  #joined(sink: string, seen: SeenTransaction<unknown>, { held, newest, isRun }: Joining): Transaction {
    const lineages = lineagesOf(newest)
    const older = { job: this.job, lineages, operator: sink, below: newest.generation }
    const isOfNewestGeneration = !isOlderName(seen.id, older)
    const verdict = verdictOf({ fate: seen.fate, held: held ?? null, isRun, isOfNewestGeneration })
    if (held === undefined) return { sink, seen, verdict, held: null }
    const { checkpoint, isCommitted, stored } = held
    return { sink, seen, verdict, held: { checkpoint, isCommitted, subtask: stored.subtask } }
  }
}

interface Joining {
  readonly held: Held | undefined
  readonly newest: LogEntry
  readonly isRun: boolean | null
}

function sinksOf(
  definition: JobDefinition,
  given: Readonly<Record<string, string>>,
  newest: LogEntry,
): readonly SinkNode[] {
  const { graph } = buildJob(definition, given, newest.settings)
  return graph.nodes.filter((node): node is SinkNode => node.kind === 'sink')
}

/** By sink, in the order in which they are committed. */
function heldIn(newest: LogEntry, manifests: readonly Manifest[]): ReadonlyMap<string, readonly Held[]> {
  const bySink = new Map<string, Held[]>()
  for (const manifest of manifests) {
    const { checkpoint } = manifest
    const isCommitted = checkpoint <= newest.committedThrough
    const isLossAccepted = newest.acceptedLosses.includes(checkpoint)
    for (const [sink, all] of committablesByOperator(manifest)) {
      const held = all.map((stored): Held => ({ stored, checkpoint, isCommitted, isLossAccepted }))
      bySink.set(sink, [...(bySink.get(sink) ?? []), ...held])
    }
  }
  return bySink
}

function dueOf(held: readonly Held[] | undefined): number {
  return held?.filter(({ isCommitted }) => !isCommitted).length ?? 0
}

function unknownJob(store: CheckpointStore, id: string): TerminalError {
  return new TerminalError(`${store.uri} knows no job "${id}"; name the store of its run with --store`, {
    code: 'SLUICE_JOB_UNKNOWN',
  })
}
