/**
 * Makes the log entries of this process: each self-contained, carrying over what the newest one says.
 */
import { parseGeneration, parseJobId, type JobId, type LineageId, type Runtime } from '../api/index.ts'
import type { EndState, HolderIdentity, LogEntry, UncleanScope } from '../checkpoint/log-entry.ts'

export interface EntryFacts {
  readonly job: string
  readonly lineage: LineageId
  readonly holder: HolderIdentity
  readonly settings: Readonly<Record<string, string>>
  readonly codeIdentity: string
  readonly planHash: string
  readonly parallelism: number
  /** Scope of each sink of this job. */
  readonly scopes: readonly { readonly operator: string; readonly scope: Uint8Array }[]
  readonly acceptLoss: number | null
  /** Restore this instead of the newest one (a new lineage): its checkpoints above are not carried. Undefined: the newest. */
  readonly rollbackTo: number | 'none' | undefined
}

const FAILURES_KEPT = 10

export class Entries {
  readonly #facts: EntryFacts
  readonly #runtime: Runtime
  readonly #job: JobId
  #cleanBelow = 0
  #failures: LogEntry['failures'] = []
  #rolledBack = false

  constructor(facts: EntryFacts, runtime: Runtime) {
    this.#facts = facts
    this.#runtime = runtime
    this.#job = parseJobId(facts.job)
  }

  /** Scopes of generations below are cleanly aborted: the next entry drops them. */
  cleanBelow(generation: number): void {
    this.#cleanBelow = generation
  }

  failed(generation: number, message: string): void {
    const failure = { at: this.#runtime.clock.now(), generation, message: message.slice(0, 2_000) }
    this.#failures = [...this.#failures, failure].slice(-FAILURES_KEPT)
  }

  started(seq: number, newest: LogEntry | undefined, restarts: number): LogEntry {
    const generation = parseGeneration((newest?.generation ?? 0) + 1)
    const facts = this.#facts
    this.#failures = [
      ...new Map(
        [...(newest?.failures ?? []), ...this.#failures].map((one) => [`${one.at} ${one.generation}`, one]),
      ).values(),
    ].slice(-FAILURES_KEPT)
    const mine = facts.scopes.map(({ operator, scope }): UncleanScope => ({
      operator,
      generation,
      lineage: facts.lineage,
      scope: Buffer.from(scope).toString('base64'),
    }))
    return {
      format: 1,
      seq,
      kind: 'started',
      job: this.#job,
      lineage: facts.lineage,
      generation,
      nonce: this.#runtime.random.token(16),
      holder: facts.holder,
      at: this.#runtime.clock.now(),
      retained: newest?.retained ?? [],
      committedThrough: newest?.committedThrough ?? 0,
      nextCheckpoint: newest?.nextCheckpoint ?? 1,
      unclean: [...(newest?.unclean ?? []), ...mine],
      acceptedLosses: [...(newest?.acceptedLosses ?? []), ...(facts.acceptLoss === null ? [] : [facts.acceptLoss])],
      settings: facts.settings,
      codeIdentity: facts.codeIdentity,
      planHash: facts.planHash,
      parallelism: facts.parallelism,
      restarts,
      failures: this.#failures,
    }
  }

  /** The next entry of the generation that appended `newest`. */
  extend(seq: number, newest: LogEntry, part: EntryPart): LogEntry {
    const { end: _, ...carried } = newest
    return {
      ...carried,
      ...part,
      seq,
      nonce: this.#runtime.random.token(16),
      at: this.#runtime.clock.now(),
      unclean: newest.unclean.filter((scope) => scope.generation >= this.#cleanBelow),
      failures: this.#failures,
    }
  }

  /** A rollback: due commits of the old lineage are delivered by now; the chosen checkpoint (or none) is where the new one begins. */
  rolledBack(newest: LogEntry): Pick<LogEntry, 'retained'> | undefined {
    if (this.#facts.rollbackTo === undefined || this.#rolledBack) return undefined
    this.#rolledBack = true
    return { retained: newest.retained.filter((one) => one.checkpoint === this.#facts.rollbackTo) }
  }

  ended(seq: number, newest: LogEntry, state: EndState, reason: string | undefined): LogEntry {
    return this.extend(seq, newest, { kind: 'ended', end: reason === undefined ? { state } : { state, reason } })
  }
}

export type EntryPart = Pick<LogEntry, 'kind'> &
  Partial<Pick<LogEntry, 'retained' | 'committedThrough' | 'nextCheckpoint' | 'end'>>
