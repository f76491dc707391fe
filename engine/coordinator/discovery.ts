/**
 * Asks sources for new splits while an attempt runs, and gives each to the subtask with the fewest open ones.
 *
 * Why a new split loses and doubles nothing (F32), although nobody waits for a checkpoint that holds it:
 *
 * - It begins at its beginning, a place that does not depend on when somebody asked: whoever discovers it again begins there again. What
 *   depends on it, "latest", is answered at the first discovery only, and a checkpoint holds that before anything is read. So this here
 *   begins behind the first completed checkpoint of the attempt.
 * - Its subtask has it among its positions before the reader hears of it: a checkpoint holds records of it only together with its position.
 * - A crash before such a checkpoint takes those records back. Nobody remembers the split, the next attempt discovers it anew.
 * - A crash behind it finds it among the known ones. A source that then lists it or not makes no difference: it is read on.
 *
 * A source that has ended takes no new splits (F24): a checkpoint may hold its end already. Subtasks that are exhausted are given none; one
 * that says so while a split is on its way to it ends the attempt, and the next one begins with that split.
 */
import { messageOf, RetryableError, type DiscoveredSplit, type SplitLike } from '../api/index.ts'
import type { SourceNode } from '../graph/job-graph.ts'
import { failureAt } from '../task/failure.ts'
import type { AttemptSpec, SourceShare, TaskId } from '../task/host.ts'
import type { FromTask, ToTask } from '../task/messages.ts'
import { dealNewSplits } from '../task/share.ts'
import { newSplits } from '../task/splits.ts'
import { within } from './deadline.ts'
import { contextOf, type SplitsOptions } from './splits.ts'

export interface DiscoveryOptions extends Pick<SplitsOptions, 'graph' | 'job' | 'runtime' | 'baseDirectory'> {
  readonly tell: (message: ToTask) => void
  /** Ends the attempt. */
  readonly fail: (error: unknown) => void
}

/** How long a call that is under way may take to let go. */
const CLOSE_MS = 5_000

export class Discovery implements AsyncDisposable {
  readonly #options: DiscoveryOptions
  readonly #abort = new AbortController()
  #splits: ReadonlyMap<string, KnownSplits> = new Map()
  #watching: readonly Promise<void>[] = []

  constructor(options: DiscoveryOptions) {
    this.#options = options
  }

  /** What the tasks begin with. */
  dealt(shares: AttemptSpec['splits']): void {
    this.#splits = new Map(Object.entries(shares).map(([source, mine]) => [source, new KnownSplits(source, mine)]))
  }

  /** Of every message of a task, before anything follows from it. */
  hear({ subtask }: TaskId, message: FromTask): void {
    if (message.kind === 'source-exhausted') this.#splits.get(message.source)?.exhausted(subtask)
    if (message.kind !== 'acknowledged') return
    for (const { operator, splits = [] } of message.operators) this.#splits.get(operator)?.seen(splits)
  }

  /** The first checkpoint of the attempt has completed. */
  start(): void {
    this.#watching = this.#options.graph.nodes.flatMap((node) => {
      const known = this.#splits.get(node.id)
      if (node.kind !== 'source' || node.source.discoverEveryMs === undefined || known === undefined) return []
      return [this.#watch(node, node.source.discoverEveryMs, known).catch((error: unknown) => this.#fail(node, error))]
    })
  }

  /** Nothing is dealt out from here on. */
  stop(): void {
    this.#abort.abort(new Error('no split is wanted any more'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    await within(this.#options.runtime.timers, CLOSE_MS, Promise.all(this.#watching))
  }

  async #watch(node: SourceNode, everyMs: number, known: KnownSplits): Promise<void> {
    const { runtime, tell } = this.#options
    const { signal } = this.#abort
    for (;;) {
      await runtime.timers.sleep(everyMs, signal)
      if (known.isOver) return
      const discovered = await this.#discover(node, known)
      if (signal.aborted) return
      for (const message of known.deal(discovered)) {
        const { subtask, splits } = message
        runtime.logger.info(`source "${node.id}" has new splits`, { subtask, count: splits.length })
        tell(message)
      }
    }
  }

  async #discover(node: SourceNode, known: KnownSplits): Promise<readonly DiscoveredSplit<SplitLike, unknown>[]> {
    const { signal } = this.#abort
    const context = { ...contextOf(node, { ...this.#options, signal }), isFirst: false }
    try {
      return await node.source.discover(context, known.all)
    } catch (error) {
      if (signal.aborted || !(error instanceof RetryableError)) throw error
      this.#options.runtime.logger.warn(
        `source "${node.id}" could not look for new splits, and will do so again: ${messageOf(error)}`,
      )
      return []
    }
  }

  #fail(node: SourceNode, error: unknown): void {
    if (this.#abort.signal.aborted) return
    this.#options.fail(failureAt(`source "${node.id}" could not look for new splits`, error))
  }
}

interface KnownSplit {
  readonly split: SplitLike
  readonly subtask: number
  /** As of the last snapshot: a subtask may have fewer open ones than it seems. */
  isOpen: boolean
}

/** Of one source in one attempt. */
class KnownSplits {
  readonly #source: string
  readonly #splits: Map<string, KnownSplit>
  /** By subtask. */
  readonly #isExhausted: boolean[]

  constructor(source: string, shares: readonly SourceShare[]) {
    this.#source = source
    this.#isExhausted = shares.map(({ hasEnded }) => hasEnded)
    this.#splits = new Map(
      shares.flatMap(({ splits }, subtask) =>
        splits.map(({ split, ended }) => [split.id, { split, subtask, isOpen: !ended }] as const),
      ),
    )
  }

  get all(): readonly SplitLike[] {
    return [...this.#splits.values()].map(({ split }) => split)
  }

  /** The source has ended, or will as soon as it is told to. */
  get isOver(): boolean {
    return this.#isExhausted.every(Boolean)
  }

  exhausted(subtask: number): void {
    this.#isExhausted[subtask] = true
  }

  seen(splits: readonly { readonly split: SplitLike; readonly ended: boolean }[]): void {
    for (const { split, ended } of splits) {
      const known = this.#splits.get(split.id)
      if (known !== undefined) known.isOpen = !ended
    }
  }

  deal(discovered: readonly DiscoveredSplit<SplitLike, unknown>[]): readonly Extract<ToTask, { kind: 'splits' }>[] {
    const fresh = newSplits(this.#source, this.#splits, discovered)
    if (fresh.length === 0) return []
    const open = this.#isExhausted.map((isExhausted, subtask) => (isExhausted ? undefined : this.#openAt(subtask)))
    return [...dealNewSplits(fresh, open)].map(([subtask, splits]) => {
      for (const { split } of splits) this.#splits.set(split.id, { split, subtask, isOpen: true })
      return { kind: 'splits', source: this.#source, subtask, splits }
    })
  }

  #openAt(subtask: number): number {
    return [...this.#splits.values()].filter((one) => one.isOpen && one.subtask === subtask).length
  }
}
