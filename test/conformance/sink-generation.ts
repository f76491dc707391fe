/**
 * One generation of a job as its sink sees it: writers, a committer, names and permits, driven call by call. Every committable goes
 * through its codec before it is committed, as if by another process. A crash is a generation that is no longer driven (it is closed only
 * when the check is over): what a killed process leaves, and a paused one that may wake up.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  NO_TIMESTAMP,
  parseCheckpointId,
  parseGeneration,
  parseOperatorId,
  parseLineageId,
  type AbortReport,
  type CommitOutcome,
  type CheckpointBounds,
  type CommitRequestId,
  type Committer,
  type GenerationScope,
  type LineageId,
  type Sink,
  type SinkWriter,
} from '../../engine/api/index.ts'
import { nodeRuntime } from '../../engine/host/node-runtime.ts'
import { DEFAULT_CHECKPOINT_POLICY } from '../../engine/checkpoint/trigger.ts'
import { externalNames, generationPrefix, isOlderName } from '../../engine/task/external-name.ts'
import { JOB, permitToCommit, permitToSweep } from './permit.ts'

/**
 * The outside world of one check: a directory, a topic, a table of its own. Records are numbered; a number is never written twice. Checks
 * may share a server: each has a lineage of its own, so that no external name comes twice.
 */
export interface SinkEnvironment<In, C, W = never> extends AsyncDisposable {
  /** A new sink on the same outside, as another process would make it. */
  readonly createSink: () => Sink<In, C, W>
  /** The record of this number: from it alone, and `readVisible` must be able to tell the number again. */
  readonly record: (number: number) => In
  /** The numbers of all records that a consumer sees now, in the order it sees them where the sink keeps one. */
  readonly readVisible: () => Promise<readonly number[]>
  /** A consumer takes all that is visible away and returns the numbers (F33). Left out: the sink forbids it until settled. */
  readonly takeVisible?: () => Promise<readonly number[]>
  /** Destroys all that is prepared and not committed, evidence too (F18): a transaction expired, a file was removed. */
  readonly destroyPrepared?: () => Promise<void>
  /** Names of all that the sink has outside and no consumer sees: hidden files, open transactions, ledger rows. */
  readonly leftovers?: () => Promise<readonly string[]>
  /** The next `count` effects of commits fail: before they take place, or after (the reply is lost). Returns what ends it. */
  readonly failCommits?: (when: 'before' | 'after', count: number) => () => void
}

/** A committable as a checkpoint holds it. */
export interface StoredCommit {
  readonly id: CommitRequestId
  readonly bytes: Uint8Array
  readonly version: number
}

/** An entry of writer state as a checkpoint holds it. */
export interface StoredState {
  readonly bytes: Uint8Array
  readonly version: number
}

export interface GenerationOptions {
  readonly generation: number
  /** Default `out`. */
  readonly operator?: string
  /** Writers; default 1. */
  readonly parallelism?: number
  /** A host that does not know the checkpoint at prepare and never says `settled`; default false. */
  readonly isPlainHost?: boolean
  /** Default: the environment's own. Another one is of a job with the same id in another store, which writes to the same outside. */
  readonly history?: History
}

/** What the checkpoint log of a job would know: its lineage and who has started. */
export class History {
  readonly lineage: LineageId = parseLineageId(nodeRuntime(silent).random.token(12))
  readonly generations: Required<GenerationOptions>[] = []
}

const histories = new WeakMap<object, History>()

function historyOf(environment: object): History {
  const history = histories.get(environment) ?? new History()
  histories.set(environment, history)
  return history
}

const MEMORY_BUDGET_BYTES = 16 * 1024 * 1024
/** What a job has that sets nothing. */
export const BOUNDS: CheckpointBounds = DEFAULT_CHECKPOINT_POLICY
const MOST_ATTEMPTS = 30
const MOST_PAUSE_MS = 200

export class SinkGeneration<In, C, W> implements AsyncDisposable {
  readonly sink: Sink<In, C, W>
  readonly failures: unknown[] = []
  readonly #environment: SinkEnvironment<In, C, W>
  readonly #options: Required<GenerationOptions>
  readonly #end = new AbortController()
  readonly #writers: SinkWriter<In, C, W>[] = []
  #committer: Committer<C, W> | undefined
  #checkpoint = 0
  /** What each subtask had at its last cut. */
  readonly #states = new Map<number, readonly StoredState[]>()

  constructor(environment: SinkEnvironment<In, C, W>, options: GenerationOptions) {
    this.#environment = environment
    const history = options.history ?? historyOf(environment)
    this.#options = { operator: 'out', parallelism: 1, isPlainHost: false, ...options, history }
    history.generations.push(this.#options)
    this.sink = environment.createSink()
  }

  /** Makes the committer, then opens all writers; `restored` is dealt out among them. */
  async open(restored: readonly StoredState[] = []): Promise<void> {
    await this.#useCommitter()
    const { parallelism } = this.#options
    const states = this.#decodeStates(restored)
    for (let subtask = 0; subtask < parallelism; subtask += 1) {
      const share = states.filter((_, index) => index % parallelism === subtask)
      this.#writers.push(await this.sink.createWriter(this.#writerContext(subtask), share))
    }
  }

  /** Of all subtasks, each as of its last cut: part of the checkpoint that `prepare` is for. */
  get states(): readonly StoredState[] {
    return [...this.#states.values()].flat()
  }

  async write(numbers: readonly number[], subtask = 0): Promise<void> {
    const values = numbers.map((number) => this.#environment.record(number))
    const timestamps = numbers.map(() => NO_TIMESTAMP)
    const written = this.#writer(subtask).write({ values, timestamps })
    if (written !== undefined) await written
    // The engine reuses both arrays, at once where there is nothing to wait for.
    values.length = 0
    timestamps.length = 0
  }

  /** What is written after this call, awaited or not, belongs to the next epoch. */
  async prepare(options: { readonly subtask?: number; readonly endOfInput?: boolean } = {}): Promise<StoredCommit[]> {
    const { subtask = 0, endOfInput = false } = options
    this.#checkpoint += 1
    const checkpoint = this.#checkpoint
    const known = this.#options.isPlainHost ? {} : { checkpoint: parseCheckpointId(checkpoint) }
    const writer = this.#writer(subtask)
    const preparing = writer.prepareCommit({ ...known, endOfInput })
    this.#states.set(subtask, this.#encodeStates(writer.snapshot?.(parseCheckpointId(checkpoint)) ?? []))
    const prepared = await preparing
    const { committableCodec } = this.sink
    return prepared.map((committable, index) => ({
      id: { generation: this.#options.generation, checkpoint, operator: this.#options.operator, subtask, index },
      bytes: committableCodec.encode(committable),
      version: committableCodec.version,
    }))
  }

  /** Everything prepared so far has been committed, and the log says so. */
  settle(): void {
    assert.ok(!this.#options.isPlainHost, 'such a host never says settled')
    for (const writer of this.#writers) writer.settled?.(parseCheckpointId(this.#checkpoint))
  }

  get overlapsPrepare(): boolean {
    return this.#writer(0).overlapsPrepare
  }

  /** One call of the committer; a throw counts as `unknown` for all, a missing outcome for its request. */
  async commit(stored: readonly StoredCommit[], attempt = 1): Promise<readonly CommitOutcome[]> {
    const permit = permitToCommit(this.#options.generation, Math.max(1, ...stored.map(({ id }) => id.checkpoint)))
    const committables = this.#decode(stored)
    const requests = stored.map(({ id }, index) => ({ id, committable: committables[index] as C, attempt }))
    try {
      const outcomes = await (await this.#useCommitter()).commit(permit, requests)
      return stored.map((_, index) => outcomes[index] ?? { kind: 'unknown', cause: 'no outcome' })
    } catch (cause) {
      return stored.map(() => ({ kind: 'unknown', cause }))
    }
  }

  /** Asks until every answer is clear, with growing pauses as the engine does, and returns the answers' kinds. */
  async commitUntilClear(stored: readonly StoredCommit[]): Promise<string[]> {
    const kinds = stored.map(() => 'unknown')
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt += 1) {
      const open = kinds.flatMap((kind, index) => (kind === 'retry' || kind === 'unknown' ? [index] : []))
      if (open.length === 0) return kinds
      const outcomes = await this.commit(
        open.map((index) => stored[index] as StoredCommit),
        attempt,
      )
      for (const [place, index] of open.entries()) kinds[index] = outcomes[place]?.kind ?? 'unknown'
      const askedMs = Math.max(0, ...outcomes.map((one) => (one.kind === 'retry' ? (one.afterMs ?? 0) : 0)))
      const isClear = outcomes.every(({ kind }) => kind !== 'retry' && kind !== 'unknown')
      if (!isClear) await sleep(Math.max(askedMs, Math.min(2 ** (attempt - 1), MOST_PAUSE_MS)))
    }
    return assert.fail(`no clear answer after ${MOST_ATTEMPTS} attempts: ${kinds.join()}`)
  }

  async forget(stored: readonly StoredCommit[]): Promise<void> {
    const committer = await this.#useCommitter()
    await committer.forget?.(this.#decode(stored))
  }

  /** Everything of older generations that no completed checkpoint holds; in the scopes of older parallelisms too. */
  async abortStale(keep: readonly StoredCommit[] = [], keepStates: readonly StoredState[] = []): Promise<AbortReport> {
    const committer = await this.#useCommitter()
    const { generation, operator } = this.#options
    const lineages = new Set([this.#options.history.lineage])
    const report = await committer.abortStale(permitToSweep(generation), {
      scopes: this.#scopes(),
      isStale: (name) => isOlderName(name, { job: JOB, lineages, operator, below: generation }),
      keep: this.#decode(keep),
      keepWriterState: this.#decodeStates(keepStates),
    })
    assert.equal(typeof report.aborted, 'number')
    return report
  }

  async inspect(stored: readonly StoredCommit[]): Promise<readonly string[] | undefined> {
    const committer = await this.#useCommitter()
    return committer.inspect?.(this.#decode(stored))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error('the generation is over'))
    const committer = this.#committer
    for (const one of [...this.#writers.splice(0), ...(committer === undefined ? [] : [committer])]) {
      await one[Symbol.asyncDispose]()
    }
    this.#committer = undefined
  }

  /** As a log holds them that knows of no newer generation. */
  #scopes(): readonly GenerationScope[] {
    const { generation: mine, operator } = this.#options
    const { lineage, generations } = this.#options.history
    return generations
      .filter((one) => one.operator === operator && one.generation <= mine)
      .map(({ generation, parallelism }) => ({
        scope: this.sink.scope(parallelism),
        namePrefix: generationPrefix({ job: JOB, lineage, generation, operator }),
        isStale: generation < mine,
      }))
  }

  #decode(stored: readonly StoredCommit[]): readonly C[] {
    return stored.map(({ bytes, version }) => this.sink.committableCodec.decode(bytes.slice(), version))
  }

  #decodeStates(stored: readonly StoredState[]): readonly W[] {
    const codec = this.sink.writerStateCodec
    if (codec === undefined) assert.equal(stored.length, 0, 'writer state without a writerStateCodec')
    return codec === undefined ? [] : stored.map(({ bytes, version }) => codec.decode(bytes.slice(), version))
  }

  #encodeStates(states: readonly W[]): readonly StoredState[] {
    const codec = this.sink.writerStateCodec
    if (codec === undefined) assert.equal(states.length, 0, 'writer state without a writerStateCodec')
    return codec === undefined ? [] : states.map((state) => ({ bytes: codec.encode(state), version: codec.version }))
  }

  #writer(subtask: number): SinkWriter<In, C, W> {
    return this.#writers[subtask] ?? assert.fail(`generation ${this.#options.generation} has no writer ${subtask}`)
  }

  async #useCommitter(): Promise<Committer<C, W>> {
    this.#committer ??= await this.sink.createCommitter({
      ...this.#context(),
      older: this.#scopes().filter((one) => one.isStale),
    })
    return this.#committer
  }

  #context() {
    const { clock, random } = nodeRuntime(silent)
    const { generation, operator } = this.#options
    return {
      job: JOB,
      lineage: this.#options.history.lineage,
      generation: parseGeneration(generation),
      operator: parseOperatorId(operator),
      namePrefix: generationPrefix({ job: JOB, lineage: this.#options.history.lineage, generation, operator }),
      baseDirectory: process.cwd(),
      clock,
      random,
      logger: silent,
      metrics: { count: () => undefined, gauge: () => undefined },
      signal: this.#end.signal,
    }
  }

  #writerContext(subtask: number) {
    const context = this.#context()
    return {
      ...context,
      subtask,
      parallelism: this.#options.parallelism,
      maxParallelism: 128,
      checkpoint: BOUNDS,
      memoryBudgetBytes: MEMORY_BUDGET_BYTES,
      nextName: externalNames({ ...context, subtask }),
      fail: (error: unknown) => void this.failures.push(error),
    }
  }
}

export const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
